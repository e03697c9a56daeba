//! The read model: what a face may know of a running stack.
//!
//! A snapshot shares what did not change with the one before it, so that publishing one
//! costs little however large the stack is.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Shutdown, ShutdownCause};
use super::health::Readiness;
use super::id::{Attempt, InstanceId, Revision, UnitName};
use super::outcome::{Failure, Outcome, RunStatus};
use super::phase::{Desired, PhaseName, Stop};
use super::spec::{Condition, Tty, UnitKind};
use super::text::opt_duration;
use super::time::Instant;
use super::verdict::Verdict;
use super::watch::{BuildFailure, FileChange, Trigger};

/// The whole stack at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Snapshot {
    pub revision: Revision,
    /// Of the stack.
    pub name: String,
    pub at: Instant,
    /// In the order of the file.
    pub units: Vec<Arc<UnitView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<ShutdownCause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl Snapshot {
    /// How many changes a follower must be able to take at one moment, as when all units
    /// start or stop in one step.
    #[must_use]
    pub fn changes_at_once(&self) -> usize {
        (self.units.len() * 8).max(2048)
    }

    /// The instance of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<UnitView>> {
        self.units.iter().find(|unit| unit.name.as_str() == name)
    }
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitView {
    /// Stays the same while the stack runs, also across reloads.
    pub id: InstanceId,
    /// The instance's.
    pub name: UnitName,
    /// The unit's; the same unless there are replicas.
    pub unit: UnitName,
    pub kind: UnitKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub desired: Desired,
    pub phase: PhaseName,
    /// The unit's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// When it came to this phase.
    pub since: Instant,
    pub readiness: Readiness,
    /// Of the last run; 0 if there was none.
    pub attempt: Attempt,
    /// Automatic restarts.
    pub restarts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spawned_at: Option<Instant>,
    #[serde(
        default,
        with = "opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub ready_after: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Why its last run failed, unless a later one has proved itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<Failure>,
    /// The exit status of each stage of the last run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<RunStatus>,
    /// Why it was not run: what it makes is up to date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_to_date: Option<String>,
    /// What its run says of itself (`sd_notify(3)`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// Of a unit that is started by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleView>,
    /// Of a unit that watches files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<WatchView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Whether it has a terminal: `full` is one that a face can show and type into.
    #[serde(default, skip_serializing_if = "Tty::is_no")]
    pub tty: Tty,
    /// It takes over the terminal of the face that starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub foreground: bool,
    /// Whether what is typed for it is passed on, with or without a terminal.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_input: bool,
    /// All in words.
    pub status: String,
}

/// When a unit is started by the clock.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct ScheduleView {
    /// The next start, as far as known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Instant>,
    /// It is stopped or disabled, so that no start comes.
    pub paused: bool,
}

/// What is known of a unit's watch; what it watches is asked for by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WatchView {
    /// By command.
    pub paused: bool,
    /// Files that are not reacted to, because the unit writes them itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted: Vec<String>,
    /// What the build that runs is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub building: Option<FileChange>,
    /// Why the last build failed: what runs is older than the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_failure: Option<BuildFailure>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Trigger>,
}

/// What a unit waits for: every wait has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// For conditions of dependencies.
    Dependencies(Vec<WaitFor>),
    /// For a former run that SIGKILL has not ended.
    StuckRun,
    /// For exec.
    Spawn,
    /// For its probe: successes so far and needed, and what the last check said.
    Ready {
        progress: Option<(u32, u32)>,
        last_failure: Option<String>,
        until: Option<Instant>,
    },
    /// For these dependents to stop first.
    Dependents(Vec<UnitName>),
    /// For its processes to end, before they are killed.
    Grace {
        stop: Option<Stop>,
        until: Option<Instant>,
    },
    /// For SIGKILL to work.
    Kill { until: Option<Instant> },
    /// For its pipes to be read to their end.
    Drain,
    /// For the next attempt.
    Backoff {
        until: Instant,
        failure: Option<Failure>,
    },
}

/// One dependency that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WaitFor {
    pub name: UnitName,
    pub condition: Condition,
    /// How far it is, in words.
    pub state: String,
}
