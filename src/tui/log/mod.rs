//! The log on the screen.
//!
//! ```text
//!  pane (pure: where it looks) ──Request──► fetch (a LogSource) ──Fetched──► pane
//!                              ──ScanRequest, Seek──► scan, step by step (its search)
//!                                                       ──ScanReport──► pane
//! ```
//!
//! A pane holds no more lines than it shows, and some around them: a frame costs the same
//! however long the log is. While it follows, it asks for the end of the log and for nothing
//! between, so a flood costs no more than a trickle.

mod ansi;
mod fetch;
mod pane;
mod rows;
mod scan;

pub use ansi::{Piece, pieces};
pub use fetch::{Fetched, Request, Want, fetch};
pub use pane::{Entry, LogPane, Position, Scope, Search, Times, Wanted};
pub use rows::{Laid, Shape, lay};
pub use scan::{Pattern, Scan, ScanReport, ScanRequest, Seek};
