//! The dashboard as a person has it: the binary, in a terminal that tmux keeps.

mod screen;
mod sessions;
mod terminals;

use screen::Screen;
