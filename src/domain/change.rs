//! What is published when something changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::ProbeRole;
use super::event::ShutdownCause;
use super::id::{Attempt, InstanceId, UnitName};
use super::outcome::{Failure, Outcome, RunStatus};
use super::phase::Stop;
use super::plan::PlanDifference;
use super::schedule::DueReaction;
use super::text::{duration, opt_duration};
use super::time::Instant;
use super::watch::{FileChange, Reaction};

/// One difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Change {
    pub at: Instant,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Unit {
        instance: InstanceId,
        name: UnitName,
        change: UnitChange,
    },
    /// The stack began to stop.
    ShuttingDown(ShutdownCause),
    /// It was told to stop at once.
    Killing,
    /// A process had moved itself out of every group, and was killed for it.
    Stray { pid: u32, name: String },
    /// Something that those who run the stack should know.
    Notice(String),
    /// It went over to what its files say now.
    Reloaded(Box<PlanDifference>),
    /// Its files were saved, and it stays as it was.
    ReloadRefused { reason: String },
}

/// What changed in a unit.
// What is rare and large is boxed: thousands of these are on their way when a stack starts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitChange {
    Waiting,
    Starting {
        attempt: Attempt,
    },
    Started {
        attempt: Attempt,
        pid: u32,
    },
    /// Ready, or ready again.
    Ready {
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        after: Duration,
    },
    Unready {
        reason: String,
    },
    /// A probe failed for another reason than before; thresholds may still forgive it.
    ProbeFailed {
        role: ProbeRole,
        reason: String,
    },
    Stopping {
        stop: Box<Stop>,
    },
    /// The grace period was over.
    Killed,
    /// Its leader exited.
    Exited {
        status: RunStatus,
    },
    Backoff {
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        delay: Duration,
        /// Of this restart within the window, from 1.
        restart: u32,
        budget: Option<u32>,
        failure: Option<Box<Failure>>,
    },
    Ended {
        outcome: Box<Outcome>,
        /// How long its last run took, if it had one.
        #[serde(default, with = "opt_duration")]
        #[schemars(with = "Option<String>")]
        ran_for: Option<Duration>,
    },
    /// Files that it watches changed.
    FilesChanged {
        files: FileChange,
        reaction: Reaction,
    },
    /// The command that must succeed first has not; the old run goes on.
    BuildFailed {
        files: FileChange,
        failure: String,
    },
    /// It writes this file itself, so the file is not reacted to any more.
    WatchMuted {
        path: String,
    },
    WatchPaused,
    WatchResumed,
    /// It is started by the clock, and the time has come.
    Due {
        reaction: DueReaction,
    },
    /// It was not run: what it makes is up to date, and why.
    UpToDate {
        reason: String,
    },
    /// A reload brought or took it.
    Added,
    Removed,
}
