//! A stack shown as merged lines, for plain terminals, pipes and CI.
//!
//! ```text
//!  changes ─► order ─► story (words) ─► screen (columns, colours) ─► printer ─► stdout
//!  lines ────►  └─────► escape (safe for a terminal) ─►┘
//! ```
//!
//! All but the [`Face`], which waits, and the printer, which writes, is pure.

mod escape;
mod face;
mod open_rows;
mod order;
mod printer;
mod progress;
mod screen;
mod story;
pub mod summary;
pub mod waits;

pub use face::{Face, Look, TaskOutput};
pub use open_rows::OpenRows;
pub use printer::{Printer, WriteError};
pub use progress::Progress;
pub use screen::{COLUMNS, Screen};
pub use story::Story;
