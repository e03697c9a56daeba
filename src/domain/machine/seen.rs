//! What can be seen of a machine.

use std::sync::Arc;
use std::time::Duration;

use super::Machine;
use crate::domain::event::DeadlineKind;
use crate::domain::health::Health;
use crate::domain::id::{Attempt, Epoch, InstanceId, RunId, UnitName};
use crate::domain::outcome::{Failure, RunStatus};
use crate::domain::phase::{End, Phase};
use crate::domain::spec::UnitSpec;
use crate::domain::time::Instant;

impl Machine {
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    #[must_use]
    pub fn name(&self) -> &UnitName {
        &self.name
    }

    /// Of the live run, or of the next one.
    #[must_use]
    pub fn spec(&self) -> &Arc<UnitSpec> {
        &self.spec
    }

    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Since when it is in its phase.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }

    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Of the deadline that was armed last.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Whether the run that ends is followed by another one if nobody objects.
    #[must_use]
    pub fn comes_back(&self) -> bool {
        match &self.phase {
            Phase::Stopping { stop, .. }
            | Phase::Reaping {
                end: End::Stopped(stop, _),
                ..
            } => self.again || stop.is_followed_by_run(),
            Phase::Reaping {
                end: End::Exited(_),
                ..
            } => self.again,
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => false,
        }
    }

    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Of the leader, while there is a run.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// When the last run was spawned.
    #[must_use]
    pub fn spawned_at(&self) -> Option<Instant> {
        self.spawned_at
    }

    /// From spawn to first ready, of the last run.
    #[must_use]
    pub fn ready_after(&self) -> Option<Duration> {
        self.ready_after
    }

    /// How the leader of the last run exited, if it did.
    #[must_use]
    pub fn last_status(&self) -> Option<&RunStatus> {
        self.last_status.as_ref()
    }

    /// Why its last run failed, unless a later one was ready or stayed up for long enough.
    #[must_use]
    pub fn failing(&self) -> Option<&Failure> {
        self.failing.as_ref()
    }

    /// Why its last start found nothing to do, if it did.
    #[must_use]
    pub fn up_to_date(&self) -> Option<&str> {
        self.up_to_date.as_deref()
    }

    /// Automatic restarts so far.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The run that SIGKILL has not ended.
    #[must_use]
    pub fn stuck(&self) -> Option<RunId> {
        self.stuck
    }

    /// Deadlines that are armed, with their times.
    pub fn deadlines(&self) -> impl Iterator<Item = (DeadlineKind, Instant)> + '_ {
        DeadlineKind::ALL
            .into_iter()
            .filter_map(|kind| self.armed.at(kind).map(|at| (kind, at)))
    }
}
