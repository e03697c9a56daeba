//! What a stack is and how it lives, decided without touching the outside world.
//!
//! This floor owns every decision of pk: which unit may start, when it is ready, whether it
//! is restarted, in which order a stack stops. It is synchronous and total. It must not
//! read a clock, the environment, a file or a random device: time and a seeded generator
//! are arguments, so a test replays any history exactly.
//!
//! ```text
//!  spec ──► graph ──► plan ──► set ──step(now, event)──► effects
//!                               │
//!                               └─► snapshot, explain
//! ```
#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod admission;
mod backoff;
pub mod change;
pub mod effect;
pub mod event;
pub mod exec;
pub mod exit;
pub mod explain;
pub mod graph;
pub mod health;
pub mod hook;
pub mod id;
pub mod keys;
pub mod known;
pub mod listening;
pub mod machine;
pub mod notice;
pub mod outcome;
pub mod pace;
pub mod phase;
pub mod plan;
pub mod ports;
pub mod processes;
pub mod restart;
pub mod schedule;
pub mod secret;
pub mod set;
pub mod signal;
#[cfg(test)]
mod simulator;
pub mod snapshot;
pub mod spec;
pub mod stats;
pub mod stop;
pub mod terminal;
pub mod text;
pub mod time;
pub mod timeline;
pub mod verdict;
pub mod watch;
