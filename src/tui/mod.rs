//! The dashboard: a stack on a terminal.
//!
//! This floor owns what a person sees of a stack on a whole screen, and what their keys do.
//! It sees and steers a stack through [`ControlPort`](crate::control::ControlPort) alone; it
//! must not start, signal or read anything else, which is why whoever starts it brings
//! [`Hooks`].
//!
//! ```text
//!  keys, mouse, resize ─┐                                    ┌─► ask the stack
//!  snapshots, changes ──┼─► Msg ─► update(&mut Model) ─► Effect ─► fetch lines, search
//!  lines, answers, time ┘              │                     └─► clipboard, editor, suspend
//!                                      ▼
//!                               view(&Model) ─► buffer ─► what differs ─► terminal
//! ```
//!
//! `update` and `view` are pure: a script of keys drives the one, a buffer shows the other.
//! Only `run` and `terminal` touch the world.

mod asked;
mod clock;
mod digest;
mod fit;
mod graph_plan;
mod history;
mod key;
mod keymap;
mod known;
mod layout;
pub mod log;
mod model;
mod msg;
mod palette;
mod panes;
mod run;
mod table;
mod terminal;
mod theme;
mod tty;
mod update;
mod usage;
mod view;
mod words;

pub use keymap::{Action, BindError, Keymap};
pub use model::{Model, Pages, Role, Start};
pub use msg::{Effect, Msg};
pub use run::{Done, Hooks, Left, start};
pub use terminal::gone;
pub use theme::{Theme, ThemeName};
pub use update::update;
pub use view::{draw, view};

#[cfg(test)]
mod tests;
