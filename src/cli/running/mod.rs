//! The commands that see and steer a stack which runs in another process.
//!
//! ```text
//!  place ─► reach (which one, its socket) ─► names (who is meant) ─► act ─► wait
//!                                                               └─► show, logs
//! ```
//!
//! Nothing here reads the file: a stack can be stopped however broken that is meanwhile. A
//! reload is done by the process that runs the stack.

pub mod args;

pub mod act;
pub mod join;
pub mod logs;
pub mod reload;
pub mod show;
pub mod timeline;
pub mod wait;

mod names;
mod reach;
mod table;

pub use reach::{find, runtime_folder, unusable};
