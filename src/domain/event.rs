//! What the set of units is told.

use super::id::{Epoch, InstanceId, RunId, UnitName};
use super::notice::Notice;
use super::outcome::{Member, RunStatus};
use super::plan::Plan;
use super::schedule;
use super::signal::Signal;
use super::time::Instant;
use super::watch::Told;

/// Something happened, or somebody wants something.
#[derive(Clone, Debug)]
pub enum Event {
    /// A run reports.
    Fact { run: RunId, fact: Fact },
    /// Its time has come.
    Deadline(Deadline),
    /// The clock of a unit with a schedule reports.
    Schedule {
        unit: UnitName,
        told: schedule::Told,
    },
    /// The watch of a unit reports.
    Watch { unit: UnitName, told: Told },
    /// Somebody asks; the answer is an [`Effect::Reply`](super::effect::Effect::Reply).
    Command { id: CommandId, command: Command },
}

/// What a run reports. A runner reports; it never decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Exec is confirmed.
    Spawned { pid: u32 },
    /// There is no process.
    SpawnFailed { error: String },
    /// One check of a probe.
    Probed {
        role: ProbeRole,
        result: ProbeResult,
    },
    /// The run says something of itself.
    Notified(Notice),
    /// There is no process, and none is needed: what the task makes is up to date, and why.
    UpToDate { reason: String },
    /// The leader, or every stage of a pipeline, has exited.
    LeaderExited {
        status: RunStatus,
        /// Whether no other member was alive then.
        empty: bool,
    },
    /// The kernel has killed a member for want of memory. Comes before the leader's exit.
    OutOfMemory,
    /// Somebody else listens on a port of the unit's: who, in words, and what to do. Comes before
    /// the end of a run that has failed, or could not be started, because of it.
    PortTaken { why: String },
    /// The stop command could not be run, or said that it has failed; or there was nowhere
    /// to type.
    StopCommandFailed,
    /// The group is empty, its pipes are drained, its mechanism is released.
    Reaped,
    /// SIGKILL was sent and these members are still alive.
    Survivors(Vec<Member>),
    /// The runner is gone without having reported the end.
    Lost,
}

/// Which of a unit's probes.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ProbeRole {
    Startup,
    Readiness,
    Liveness,
}

impl ProbeRole {
    pub const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Liveness];
}

impl std::fmt::Display for ProbeRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Startup => "startup",
            Self::Readiness => "readiness",
            Self::Liveness => "liveness",
        })
    }
}

/// What one check of a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum ProbeResult {
    Success,
    /// Why, in words.
    Failure(String),
}

/// What a unit may be waiting for by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeadlineKind {
    /// `timeouts.wait`.
    Wait,
    /// Exec must be confirmed.
    Spawn,
    /// `timeouts.ready`.
    Ready,
    /// `timeouts.run`.
    Run,
    /// The grace period.
    Grace,
    /// SIGKILL must have worked.
    Reap,
    /// The end of a backoff.
    Backoff,
    /// Healthy for `reset_after`.
    Healthy,
}

impl DeadlineKind {
    pub const ALL: [Self; 8] = [
        Self::Wait,
        Self::Spawn,
        Self::Ready,
        Self::Run,
        Self::Grace,
        Self::Reap,
        Self::Backoff,
        Self::Healthy,
    ];
}

/// A point in time at which an instance wants to be told. One per instance and kind: a
/// later one replaces an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    pub instance: InstanceId,
    pub kind: DeadlineKind,
    pub epoch: Epoch,
}

/// Ties an answer to its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What may be asked of a running stack.
#[derive(Clone, Debug)]
pub enum Command {
    /// Start units, and what they require.
    Start(Vec<UnitName>),
    Stop(Vec<UnitName>),
    Restart(Vec<UnitName>),
    /// Stop without grace.
    Kill(Vec<UnitName>),
    Signal(Vec<UnitName>, Signal),
    /// Undo [`Command::Disable`].
    Enable(Vec<UnitName>),
    /// Stop units and let nothing but [`Command::Enable`] or a start by name bring them back.
    Disable(Vec<UnitName>),
    Scale {
        unit: UnitName,
        replicas: u32,
    },
    /// Hold what changed files would do; of no unit by name: of all that watch.
    PauseWatch(Vec<UnitName>),
    /// Undo [`Command::PauseWatch`], and react again to files that were taken for a unit's
    /// own doing.
    ResumeWatch(Vec<UnitName>),
    /// Whether somebody looks on who would see a file change: while so, units that watch
    /// keep the stack up.
    Attend(bool),
    /// Go over to another plan.
    Reload(std::sync::Arc<Plan>),
    Shutdown(Shutdown, ShutdownCause),
}

/// Whether the stack is asked to stop, or told.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Shutdown {
    /// In reverse dependency order, within each unit's grace period.
    Graceful,
    /// Everything at once, without grace.
    Now,
}

/// Why the stack stops.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ShutdownCause {
    Signal(Signal),
    /// By a command.
    Requested,
    /// The face that held it has ended without a word.
    FaceGone,
    /// The guard has ended: nobody would end what is left if the supervisor did.
    GuardGone,
    /// This unit failed, and failures abort.
    Aborted(UnitName),
    /// This essential unit ended.
    Essential(UnitName),
    /// This unit ended, and the stack lives as long as it.
    EndsWith(UnitName),
    /// All tasks are done and all services ready, which is all that was asked for.
    Done,
}

/// An armed deadline and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    pub deadline: Deadline,
    pub at: Instant,
}
