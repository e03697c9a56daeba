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
mod listening;
mod ports;
mod publisher;
mod request;
mod runner;
#[cfg(test)]
mod scripted_host;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::sync::Arc;

use crate::contain::Containment;
use crate::domain::plan::Plan;
use crate::domain::set::{Options, UnitSet};
use crate::logs::MemoryStore;

pub use handle::{Answered, Gone, Handle};
use host::Runners;
use listening::Listening;
pub use ports::AutoPorts;

/// What a stack runs with.
#[derive(Debug)]
pub struct Settings {
    pub plan: Arc<Plan>,
    pub options: Options,
    pub containment: Containment,
    pub store: MemoryStore,
    /// Variables that every unit gets unless it has them from the file.
    pub environment: Vec<(OsString, OsString)>,
    /// Drives the jitter of backoff.
    pub seed: u64,
}

/// Starts a stack, and returns at once. Must be called within a tokio runtime.
#[must_use]
pub fn start(mut settings: Settings) -> Handle {
    let name = settings.plan.name().into();
    settings.environment.push(("PK_STACK".into(), name));
    let set = UnitSet::new(&settings.plan, settings.options, settings.seed);
    let listening = Listening::default();
    let shared = listening.clone();
    let mut handle = event_loop::spawn(set, |inbox| {
        Runners::new(
            inbox,
            settings.containment,
            settings.store,
            settings.environment,
            shared,
        )
    });
    handle.listening = listening;
    handle
}
