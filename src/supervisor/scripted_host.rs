//! A host without processes: runs follow a script, on whatever clock the test has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::event_loop::report;
use super::host::Host;
use super::inbox::Inbox;
use crate::domain::effect::Scope;
use crate::domain::event::{Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::hook::Moment;
use crate::domain::id::{RunId, UnitName};
use crate::domain::outcome::RunStatus;
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, UnitSpec};

/// What the runs of one unit do.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    pub exits_after: Option<(Duration, i32)>,
    pub ready_after: Option<Duration>,
    pub ignores_signals: bool,
    /// Never says anything of its spawn.
    pub hangs: bool,
}

/// What was done, with the time since the start: `120ms kill db`.
pub(super) type Record = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
pub(super) struct ScriptedHost {
    inbox: Inbox,
    scripts: HashMap<&'static str, Script>,
    runs: HashMap<RunId, (UnitName, Script)>,
    record: Record,
    started: Instant,
}

impl ScriptedHost {
    pub(super) fn new(
        inbox: Inbox,
        scripts: HashMap<&'static str, Script>,
        record: Record,
    ) -> Self {
        Self {
            inbox,
            scripts,
            runs: HashMap::new(),
            record,
            started: Instant::now(),
        }
    }

    fn note(&self, what: &str, run: RunId) {
        let name = self.runs.get(&run).map_or("?", |(name, _)| name.as_str());
        let line = format!("{}ms {what} {name}", self.started.elapsed().as_millis());
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    fn later(&self, run: RunId, after: Duration, facts: Vec<Fact>) {
        let inbox = self.inbox.clone();
        tokio::spawn(async move {
            sleep(after).await;
            for fact in facts {
                report(&inbox, run, fact);
            }
        });
    }

    fn end(&self, run: RunId, after: Duration, status: ExitStatus) {
        let status = RunStatus::of(status);
        self.later(
            run,
            after,
            vec![
                Fact::LeaderExited {
                    status,
                    empty: true,
                },
                Fact::Reaped,
            ],
        );
    }
}

impl Host for ScriptedHost {
    fn spawn(&mut self, run: RunId, name: &UnitName, _spec: &Arc<UnitSpec>) {
        let script = self.scripts.get(name.as_str()).cloned().unwrap_or_default();
        self.runs.insert(run, (name.clone(), script.clone()));
        self.note("spawn", run);
        if !script.hangs {
            self.later(run, Duration::ZERO, vec![Fact::Spawned { pid: 1 }]);
        }
        if let Some((after, code)) = script.exits_after {
            self.end(run, after, ExitStatus::Code(code));
        }
    }

    fn start_probe(&mut self, run: RunId, role: ProbeRole) {
        if let Some((
            _,
            Script {
                ready_after: Some(after),
                ..
            },
        )) = self.runs.get(&run)
        {
            let result = ProbeResult::Success;
            self.later(run, *after, vec![Fact::Probed { role, result }]);
        }
    }

    fn slow_probe(&mut self, run: RunId, _role: ProbeRole) {
        self.note("slow", run);
    }

    fn stop_probe(&mut self, run: RunId, _role: ProbeRole) {
        self.note("unprobe", run);
    }

    fn signal(&mut self, run: RunId, signal: Signal, _scope: Scope) {
        self.note(&signal.to_string(), run);
        if let Some((_, script)) = self.runs.get(&run)
            && !script.ignores_signals
        {
            self.end(run, Duration::from_millis(1), ExitStatus::Signal(signal));
        }
    }

    fn stop_command(&mut self, run: RunId, _command: Command, _limit: Duration) {
        self.note("command", run);
    }

    fn type_keys(&mut self, run: RunId, _keys: Vec<u8>) {
        self.note("type", run);
    }

    fn kill(&mut self, run: RunId) {
        self.note("kill", run);
        let silent = self.runs.get(&run).is_some_and(|(_, script)| script.hangs);
        if !silent {
            self.end(run, Duration::ZERO, ExitStatus::Signal(Signal::KILL));
        }
    }

    fn watch(&mut self, _unit: &UnitName, _spec: &Arc<UnitSpec>) {}

    fn unwatch(&mut self, _unit: &UnitName) {}

    fn build(&mut self, _unit: &UnitName, _number: u64, _run: RunId, _spec: &Arc<UnitSpec>) {}

    fn cancel_build(&mut self, _unit: &UnitName, _number: u64) {}

    fn hook(&mut self, run: RunId, _name: &UnitName, _spec: &UnitSpec, moment: Moment) {
        self.note(moment.kind.name(), run);
    }

    fn forget(&mut self, run: RunId) {
        self.runs.remove(&run);
    }
}
