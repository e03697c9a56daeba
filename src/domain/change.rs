//! What is published when something changes.

use std::time::Duration;

use serde::Serialize;

use super::event::ProbeRole;
use super::event::ShutdownCause;
use super::id::{Attempt, InstanceId, UnitName};
use super::outcome::{Failure, Outcome, RunStatus};
use super::phase::Stop;
use super::text::serialize_duration;
use super::time::Instant;

/// One difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    pub at: Instant,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Unit {
        #[serde(skip)]
        instance: InstanceId,
        name: UnitName,
        change: UnitChange,
    },
    /// The stack began to stop.
    ShuttingDown(ShutdownCause),
    /// It was told to stop at once.
    Killing,
}

/// What changed in a unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
        #[serde(serialize_with = "serialize_duration")]
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
        stop: Stop,
    },
    /// The grace period was over.
    Killed,
    /// Its leader exited.
    Exited {
        status: RunStatus,
    },
    Backoff {
        #[serde(serialize_with = "serialize_duration")]
        delay: Duration,
        /// Of this restart within the window, from 1.
        restart: u32,
        budget: Option<u32>,
        failure: Option<Failure>,
    },
    Ended {
        outcome: Outcome,
        /// How long its last run took, if it had one.
        ran_for: Option<Duration>,
    },
    /// A reload brought or took it.
    Added,
    Removed,
}
