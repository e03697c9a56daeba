//! Makes real what the domain decides.
//!
//! This floor owns the one event loop, which alone holds the [set of
//! units](crate::domain::set::UnitSet), and one runner per run, which alone holds its
//! processes. It decides nothing: events go into the set, effects come out and are done.
//!
//! ```text
//!  command ─┐                ┌─► host ─► runner ─► facts ─┐
//!  fact ────┼─► inbox ─► step┼─► deadlines ───────────────┼─► inbox
//!  deadline ┘                └─► publisher ─► snapshots, changes
//! ```
//!
//! Log lines do not come through here: a runner pumps them into the store, and faces pull
//! them from there.

mod deadlines;
mod event_loop;
mod handle;
mod host;
mod publisher;
mod request;
mod runner;
#[cfg(test)]
mod scripted_host;
#[cfg(test)]
mod tests;
mod unit_log;

use std::ffi::OsString;
use std::sync::Arc;

use crate::contain::Containment;
use crate::domain::plan::Plan;
use crate::domain::set::{Options, UnitSet};
use crate::logs::LogStore;

pub use handle::{Answered, Gone, Handle};
use host::Runners;

/// What a stack runs with.
#[derive(Debug)]
pub struct Settings {
    pub plan: Arc<Plan>,
    pub options: Options,
    pub containment: Containment,
    pub store: Arc<dyn LogStore>,
    /// Variables that every unit gets unless it has them from the file.
    pub environment: Vec<(OsString, OsString)>,
    /// Drives the jitter of backoff.
    pub seed: u64,
}

/// Starts a stack, and returns at once. Must be called within a tokio runtime.
#[must_use]
pub fn start(settings: Settings) -> Handle {
    let set = UnitSet::new(&settings.plan, settings.options, settings.seed);
    event_loop::spawn(set, |inbox| {
        Runners::new(
            inbox,
            settings.containment,
            settings.store,
            settings.environment,
        )
    })
}
