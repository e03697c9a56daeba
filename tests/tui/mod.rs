//! The dashboard as a person has it: the binary, in a terminal that tmux keeps.

mod prompts;
mod screen;
mod searching;
mod sessions;
mod terminals;

use screen::Screen;
