//! What is to be done about what happened.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Answer;
use super::change::Change;
use super::event::{Armed, CommandId, ProbeRole};
use super::id::{RunId, UnitName};
use super::schedule::Alarm;
use super::signal::Signal;
use super::spec::{Command, UnitSpec};
use super::verdict::Verdict;

/// One thing that the supervisor does, in the order given.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Start a run; it answers with `Spawned` or `SpawnFailed`.
    Spawn {
        run: RunId,
        /// The instance's.
        name: UnitName,
        spec: Arc<UnitSpec>,
    },
    /// Begin to check; each check is a fact.
    StartProbe {
        run: RunId,
        role: ProbeRole,
    },
    /// The probe has what it needs: go on at its interval.
    SlowProbe {
        run: RunId,
        role: ProbeRole,
    },
    StopProbe {
        run: RunId,
        role: ProbeRole,
    },
    Signal {
        run: RunId,
        signal: Signal,
        scope: Scope,
    },
    /// Run a stop command beside the run, for at most `limit`.
    StopCommand {
        run: RunId,
        command: Command,
        limit: Duration,
    },
    /// Type this into the terminal of the run, which should make it end.
    TypeKeys {
        run: RunId,
        keys: Vec<u8>,
    },
    /// SIGKILL to the whole group.
    Kill {
        run: RunId,
    },
    /// Tell the set when the time has come; replaces the former one of that kind.
    Arm(Armed),
    /// Tell [`Told::Due`](super::schedule::Told) when its time has come; replaces the former
    /// alarm of that unit.
    Schedule {
        unit: UnitName,
        number: u64,
        alarm: Alarm,
    },
    Unschedule {
        unit: UnitName,
    },
    /// Watch what the spec names; replaces what was watched for that unit.
    Watch {
        unit: UnitName,
        spec: Arc<UnitSpec>,
    },
    Unwatch {
        unit: UnitName,
    },
    /// Run the command that must succeed before changed files are acted on; its end is told
    /// by [`Told::Built`](super::watch::Told).
    Build {
        unit: UnitName,
        number: u64,
        /// Whose log takes its output.
        run: RunId,
        spec: Arc<UnitSpec>,
    },
    /// End it at once.
    CancelBuild {
        unit: UnitName,
        number: u64,
    },
    /// Tell [`Told::HoldOver`](super::watch::Told) after so long.
    HoldWatch {
        unit: UnitName,
        number: u64,
        limit: Duration,
    },
    Reply {
        id: CommandId,
        answer: Answer,
    },
    Publish(Change),
    /// No unit runs or can run any more.
    Finish(Box<Verdict>),
}

/// Who of a group gets a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Group,
    Leader,
}
