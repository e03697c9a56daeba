//! The dashboard as a person has it: the binary, in a terminal that tmux keeps.

mod crashes;
mod leaving;
mod prompts;
mod readme;
mod screen;
mod searching;
mod sessions;
mod svg;
mod terminals;

use screen::Screen;
