//! The commands that see and steer a stack which runs in another process.
//!
//! ```text
//!  place ─► reach (which one, its socket) ─► names (who is meant) ─► act ─► wait
//!                                                               └─► show, logs, events
//! ```
//!
//! Nothing here reads the file: a stack can be stopped however broken that is meanwhile. A
//! reload is done by the process that runs the stack.

pub mod args;
pub mod log_args;

pub mod act;
pub mod attach;
pub mod events;
pub mod exec;
pub mod join;
pub mod lend;
pub mod logs;
pub mod mcp;
pub mod reload;
pub mod show;
pub mod stats;
pub mod takeover;
pub mod timeline;
pub mod wait;
pub mod watch;

mod log_file;
mod log_lines;
mod log_query;
mod log_remote;
mod names;
pub mod reach;
mod table;

pub use reach::{find, runtime_folder, unusable};
