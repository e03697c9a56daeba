//! Makes real what the domain decides.
//!
//! This floor owns the one event loop, which alone holds the [set of
//! units](crate::domain::set::UnitSet), and one runner per run, which alone holds its
//! processes. It decides nothing: events go into the set, effects come out and are done.
//!
//! ```text
//!  command ─┐                ┌─► host ─► runner ─► facts ─┐
//!  fact ────┼─► inbox ─► step┼─► deadlines ───────────────┼─► inbox
//!  deadline ┤                ├─► builds ─► watch ────────────┤
//!  watch ───┘                └─► publisher ─► snapshots, changes
//! ```
//!
//! Log lines do not come through here: a runner pumps them into the store, and faces pull
//! them from there.

mod alarms;
mod bounds;
mod build;
mod burial;
mod deadlines;
mod event_loop;
mod exec;
mod freshness;
mod handle;
mod hooks;
mod host;
mod inbox;
mod latency;
mod listening;
mod live_groups;
mod ports;
mod processes;
mod publisher;
mod request;
mod runner;
#[cfg(test)]
mod scripted_host;
mod stats;
mod streams;
mod terminal;
#[cfg(test)]
mod tests;
mod unit_log;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::contain::Containment;
use crate::domain::plan::Plan;
use crate::domain::set::{Options, UnitSet};
use crate::logs::LogStore;
use crate::watch::Watcher;

pub use crate::watch::{Backend, Ignored, PathStatus, UnitWatch, Why, WhyUnit};
use burial::Burial;
use exec::Beside;
pub use handle::{Answered, Gone, Handle};
use hooks::Pending;
use host::Runners;
use live_groups::LiveGroups;
pub use ports::AutoPorts;
use runner::Tools;
pub use terminal::{Emulator, Input, TerminalEvent, TerminalStream, Terminals};

/// What a stack runs with.
#[derive(Debug)]
pub struct Settings {
    pub plan: Arc<Plan>,
    pub options: Options,
    pub containment: Containment,
    pub store: Arc<dyn LogStore>,
    /// Of the stack's main file: names of files are shown relative to it.
    pub folder: PathBuf,
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
    let watcher = Watcher::new(settings.folder.clone());
    let told = watcher.clone();
    let tools = Arc::new(Tools {
        containment: settings.containment,
        store: settings.store,
        environment: settings.environment,
        folder: settings.folder,
        groups: LiveGroups::default(),
        terminals: Terminals::default(),
        hooks: Pending::default(),
        burial: Burial::begin(),
        spawns: Arc::new(Semaphore::new(runner::AT_ONCE)),
    });
    let hooks = tools.hooks.clone();
    let containment = tools.containment.clone();
    let beside = Beside {
        tools: Arc::clone(&tools),
        runtime: tokio::runtime::Handle::current(),
    };
    let (groups, terminals) = (tools.groups.clone(), tools.terminals.clone());
    let mut handle = event_loop::spawn(set, watcher, |inbox| Runners::new(inbox, tools, told));
    handle.terminals = terminals;
    handle.groups = groups.clone();
    handle.beside = Some(beside);
    handle.hooks = hooks;
    let looking = handle.looking.clone();
    tokio::spawn(looking.sample(groups, containment, handle.started, handle.snapshots()));
    handle
}
