//! Where effects on processes go: the seam between the event loop and the machine it
//! runs on.

use std::collections::HashMap;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::event_loop::Incoming;
use super::listening::Listening;
use super::runner::{self, Ask, Tools};
use crate::contain::{Containment, Scope as ContainScope};
use crate::domain::effect::Scope;
use crate::domain::event::ProbeRole;
use crate::domain::id::{RunId, UnitName};
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, UnitSpec};
use crate::logs::MemoryStore;

/// Does what is to be done to runs. Nothing here waits: what comes of it is reported to the
/// inbox as a fact.
pub(super) trait Host: Send + 'static {
    fn spawn(&mut self, run: RunId, name: &UnitName, spec: &Arc<UnitSpec>);
    fn start_probe(&mut self, run: RunId, role: ProbeRole);
    fn slow_probe(&mut self, run: RunId, role: ProbeRole);
    fn stop_probe(&mut self, run: RunId, role: ProbeRole);
    fn signal(&mut self, run: RunId, signal: Signal, scope: Scope);
    fn stop_command(&mut self, run: RunId, command: Command, limit: Duration);
    fn kill(&mut self, run: RunId);
    /// The run is over: nothing is asked of it any more.
    fn forget(&mut self, run: RunId);
}

/// The real one: a runner for each run.
pub(super) struct Runners {
    inbox: mpsc::UnboundedSender<Incoming>,
    tools: Arc<Tools>,
    runs: HashMap<RunId, mpsc::UnboundedSender<Ask>>,
}

impl Runners {
    pub(super) fn new(
        inbox: mpsc::UnboundedSender<Incoming>,
        containment: Containment,
        store: MemoryStore,
        environment: Vec<(OsString, OsString)>,
        listening: Listening,
    ) -> Self {
        Self {
            inbox,
            tools: Arc::new(Tools {
                containment,
                store,
                environment,
                listening,
            }),
            runs: HashMap::new(),
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

    fn kill(&mut self, run: RunId) {
        self.ask(run, Ask::Kill);
    }

    fn forget(&mut self, run: RunId) {
        self.runs.remove(&run);
    }
}
