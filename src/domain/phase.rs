//! Where a unit stands.
//!
//! ```text
//!  idle ─► waiting ─► starting ─► running ─► stopping ─► reaping ─► exited(outcome)
//!             ▲  │        │          └───────────────────►│  │          │
//!             │  │        └──(nothing was spawned)────────┼──┼─────────►│
//!             │  └──(skipped)─────────────────────────────┼──┼─────────►│
//!             ├───────────────────── backoff ◄────────────┘◄─┘          │
//!             └─────────────────────────────────────────────────────────┘
//! ```

use serde::{Deserialize, Serialize};

use super::id::{InstanceId, RunId};
use super::outcome::{Failure, Outcome, RunStatus};
use super::time::Instant;
use super::watch::FileChange;

/// The observed state of one instance. What is wanted of it is kept apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nobody has asked for it yet.
    Idle,
    /// For its conditions to hold.
    Waiting,
    /// Until exec is confirmed.
    Starting {
        run: RunId,
    },
    Running {
        run: RunId,
        /// The leader's, when the run outlives it.
        status: Option<RunStatus>,
    },
    Stopping {
        run: RunId,
        stop: Stop,
        rung: Rung,
    },
    /// The leader is gone, stragglers and pipes are not yet.
    Reaping {
        run: RunId,
        end: End,
        rung: Rung,
    },
    /// Until the next attempt.
    Backoff {
        until: Instant,
        failure: Option<Failure>,
    },
    Exited(Outcome),
}

/// The steps of the stop ladder that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// Nothing was to be asked: the group was empty.
    None,
    /// By command, keys or signal; the grace period runs.
    Asked,
    Killed,
}

/// Why a run is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// By a command.
    Requested,
    /// By a command, to be started again.
    Restart,
    /// Files that it watches changed.
    Files(FileChange),
    /// The run of a dependency ends, and the edge says `restart: true`.
    Dependency(InstanceId),
    /// The file says something else of the unit now.
    Changed,
    /// The unit is no longer in the file.
    Removed,
    /// The stack stops.
    Shutdown,
    /// The run has failed though its leader lives.
    Failed(Failure),
}

impl Stop {
    /// Whether the unit starts again at no cost to its budget.
    #[must_use]
    pub fn is_followed_by_run(&self) -> bool {
        match self {
            Self::Restart | Self::Files(_) | Self::Dependency(_) | Self::Changed => true,
            Self::Requested | Self::Removed | Self::Shutdown | Self::Failed(_) => false,
        }
    }

    /// Whether the wish of a person or of the file is behind it, which forgets old failures.
    #[must_use]
    pub fn renews_budget(&self) -> bool {
        match self {
            Self::Restart | Self::Files(_) | Self::Changed => true,
            Self::Requested
            | Self::Dependency(_)
            | Self::Removed
            | Self::Shutdown
            | Self::Failed(_) => false,
        }
    }
}

/// What ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its leader exited by itself.
    Exited(RunStatus),
    /// It was stopped; the status if the leader's exit was seen.
    Stopped(Stop, Option<RunStatus>),
}

impl Phase {
    /// The run that has or may have processes.
    #[must_use]
    pub fn live_run(&self) -> Option<RunId> {
        match self {
            Self::Starting { run }
            | Self::Running { run, .. }
            | Self::Stopping { run, .. }
            | Self::Reaping { run, .. } => Some(*run),
            Self::Idle | Self::Waiting | Self::Backoff { .. } | Self::Exited(_) => None,
        }
    }

    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live_run().is_some()
    }

    /// Whether its run is on its way out.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        match self {
            Self::Stopping { .. } | Self::Reaping { .. } => true,
            Self::Idle
            | Self::Waiting
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Backoff { .. }
            | Self::Exited(_) => false,
        }
    }

    /// Whether something is still to come without anybody's doing.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self {
            Self::Waiting
            | Self::Starting { .. }
            | Self::Running { .. }
            | Self::Stopping { .. }
            | Self::Reaping { .. }
            | Self::Backoff { .. } => true,
            Self::Idle | Self::Exited(_) => false,
        }
    }

    /// The phase's name.
    #[must_use]
    pub fn name(&self) -> PhaseName {
        match self {
            Self::Idle => PhaseName::Idle,
            Self::Waiting => PhaseName::Waiting,
            Self::Starting { .. } => PhaseName::Starting,
            Self::Running { .. } => PhaseName::Running,
            Self::Stopping { .. } => PhaseName::Stopping,
            Self::Reaping { .. } => PhaseName::Reaping,
            Self::Backoff { .. } => PhaseName::Backoff,
            Self::Exited(_) => PhaseName::Exited,
        }
    }
}

/// A [`Phase`] without what it holds.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PhaseName {
    Idle,
    Waiting,
    Starting,
    Running,
    Stopping,
    Reaping,
    Backoff,
    Exited,
}

impl PhaseName {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Reaping => "reaping",
            Self::Backoff => "backoff",
            Self::Exited => "exited",
        }
    }
}

/// What is wanted of a unit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Desired {
    Up,
    #[default]
    Down,
}
