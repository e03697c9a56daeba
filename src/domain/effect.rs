//! What is to be done about what happened.

use std::sync::Arc;
use std::time::Duration;

use super::admission::Answer;
use super::change::Change;
use super::event::{Armed, CommandId, ProbeRole};
use super::id::{RunId, UnitName};
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
    /// SIGKILL to the whole group.
    Kill {
        run: RunId,
    },
    /// Tell the set when the time has come; replaces the former one of that kind.
    Arm(Armed),
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
