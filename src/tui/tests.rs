//! Scripts of keys, pictures of every view in every state, and any size with any names.

mod drive;
mod keys;
mod panes;
mod pictures;
mod sizes;
mod terminals;
