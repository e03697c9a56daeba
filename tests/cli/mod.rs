//! The commands that start nothing, and the arguments of all.

mod arguments;
mod doctor;
mod init;
mod inspect;
