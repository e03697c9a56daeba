//! Where effects on processes go: the seam between the event loop and the machine it
//! runs on.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::build::Builds;
use super::event_loop::Incoming;
use super::hooks::Hooks;
use super::inbox::Inbox;
use super::runner::{self, Ask, Tools};
use crate::contain::Scope as ContainScope;
use crate::domain::effect::Scope;
use crate::domain::event::ProbeRole;
use crate::domain::hook::Moment;
use crate::domain::id::{RunId, UnitName};
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, UnitSpec};
use crate::domain::watch::Told;
use crate::watch::{Report, Watcher};

/// Does what is to be done to runs. Nothing here waits: what comes of it is reported to the
/// inbox as a fact.
pub(super) trait Host: Send + 'static {
    fn spawn(&mut self, run: RunId, name: &UnitName, spec: &Arc<UnitSpec>);
    fn start_probe(&mut self, run: RunId, role: ProbeRole);
    fn slow_probe(&mut self, run: RunId, role: ProbeRole);
    fn stop_probe(&mut self, run: RunId, role: ProbeRole);
    fn signal(&mut self, run: RunId, signal: Signal, scope: Scope);
    fn stop_command(&mut self, run: RunId, command: Command, limit: Duration);
    fn type_keys(&mut self, run: RunId, keys: Vec<u8>);
    fn kill(&mut self, run: RunId);
    fn watch(&mut self, unit: &UnitName, spec: &Arc<UnitSpec>);
    fn unwatch(&mut self, unit: &UnitName);
    fn build(&mut self, unit: &UnitName, number: u64, run: RunId, spec: &Arc<UnitSpec>);
    fn cancel_build(&mut self, unit: &UnitName, number: u64);
    fn hook(&mut self, run: RunId, name: &UnitName, spec: &UnitSpec, moment: Moment);
    /// The run is over: nothing is asked of it any more.
    fn forget(&mut self, run: RunId);
}

/// The real one: a runner for each run.
pub(super) struct Runners {
    inbox: Inbox,
    tools: Arc<Tools>,
    runs: HashMap<RunId, mpsc::UnboundedSender<Ask>>,
    watcher: Watcher,
    builds: Builds,
    hooks: Hooks,
}

impl Runners {
    pub(super) fn new(inbox: Inbox, tools: Arc<Tools>, watcher: Watcher) -> Self {
        let reports = inbox.clone();
        // Once the loop is gone nobody needs to know.
        watcher.report_to(move |report| {
            let _ = reports.send(match report {
                Report::Changed(unit, changed) => Incoming::Watch(unit, Told::Changed(changed)),
                Report::Notice(text) => Incoming::Notice(text),
            });
        });
        Self {
            hooks: Hooks::new(Arc::clone(&tools)),
            builds: Builds::new(inbox.clone(), Arc::clone(&tools)),
            inbox,
            tools,
            runs: HashMap::new(),
            watcher,
        }
    }

    fn ask(&self, run: RunId, ask: Ask) {
        if let Some(runner) = self.runs.get(&run) {
            // A runner that is gone has reported the end of its run.
            let _ = runner.send(ask);
        }
    }
}

impl Host for Runners {
    fn spawn(&mut self, run: RunId, name: &UnitName, spec: &Arc<UnitSpec>) {
        let (asks, asked) = mpsc::unbounded_channel();
        self.runs.insert(run, asks);
        runner::spawn(
            run,
            name,
            Arc::clone(spec),
            Arc::clone(&self.tools),
            self.inbox.clone(),
            asked,
        );
    }

    fn start_probe(&mut self, run: RunId, role: ProbeRole) {
        self.ask(run, Ask::StartProbe(role));
    }

    fn slow_probe(&mut self, run: RunId, role: ProbeRole) {
        self.ask(run, Ask::SlowProbe(role));
    }

    fn stop_probe(&mut self, run: RunId, role: ProbeRole) {
        self.ask(run, Ask::StopProbe(role));
    }

    fn signal(&mut self, run: RunId, signal: Signal, scope: Scope) {
        let scope = match scope {
            Scope::Group => ContainScope::Group,
            Scope::Leader => ContainScope::Leader,
        };
        self.ask(run, Ask::Signal(signal, scope));
    }

    fn stop_command(&mut self, run: RunId, command: Command, limit: Duration) {
        self.ask(run, Ask::StopCommand(command, limit));
    }

    fn type_keys(&mut self, run: RunId, keys: Vec<u8>) {
        self.ask(run, Ask::TypeKeys(keys));
    }

    fn kill(&mut self, run: RunId) {
        self.ask(run, Ask::Kill);
    }

    fn watch(&mut self, unit: &UnitName, spec: &Arc<UnitSpec>) {
        if let Some(watch) = &spec.watch {
            self.watcher.watch(unit, watch, spec.logs.file.as_deref());
        }
    }

    fn unwatch(&mut self, unit: &UnitName) {
        self.watcher.unwatch(unit);
    }

    fn build(&mut self, unit: &UnitName, number: u64, run: RunId, spec: &Arc<UnitSpec>) {
        self.builds.start(unit, number, run, spec);
    }

    fn cancel_build(&mut self, unit: &UnitName, number: u64) {
        self.builds.cancel(unit, number);
    }

    fn hook(&mut self, run: RunId, name: &UnitName, spec: &UnitSpec, moment: Moment) {
        self.hooks.run(run, name, spec, moment);
    }

    fn forget(&mut self, run: RunId) {
        self.runs.remove(&run);
    }
}
