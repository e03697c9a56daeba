//! Everything that needs more than one module: one binary, one link.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helper functions"
)]

mod architecture;
mod cli;
mod config;
mod contain;
mod control;
mod examples;
mod foreign;
mod harness;
mod logs;
mod probe;
mod processes;
mod stored;
mod trial;
mod tui;
mod up;
mod vm;
mod watch;
