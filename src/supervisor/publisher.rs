//! Tells the faces: snapshots, coalesced, and changes, each.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use crate::domain;
use crate::domain::change::Change;
use crate::domain::id::Revision;
use crate::domain::set::UnitSet;
use crate::domain::snapshot::Snapshot;
use crate::domain::timeline::Recorder;

/// The shortest time between two snapshots: a screen shows no more than 60 a second.
const PACE: Duration = Duration::from_micros(16_667);

#[derive(Debug)]
pub(super) struct Publisher {
    snapshots: watch::Sender<Arc<Snapshot>>,
    changes: broadcast::Sender<Change>,
    /// When the snapshot may be published that is due.
    due: Option<Instant>,
    last: Option<Instant>,
    recorder: Arc<Mutex<Recorder>>,
}

impl Publisher {
    pub(super) fn new(first: Snapshot) -> Self {
        Self {
            changes: broadcast::Sender::new(first.changes_at_once()),
            snapshots: watch::Sender::new(Arc::new(first)),
            due: None,
            last: None,
            recorder: Arc::default(),
        }
    }

    pub(super) fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    pub(super) fn change_sender(&self) -> broadcast::Sender<Change> {
        self.changes.clone()
    }

    /// What is written down of the start-up.
    pub(super) fn recorder(&self) -> Arc<Mutex<Recorder>> {
        Arc::clone(&self.recorder)
    }

    pub(super) fn change(&mut self, change: Change) {
        self.recorder
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .observe(&change);
        // Nobody listens: nobody misses it.
        let _ = self.changes.send(change);
    }

    /// Of the latest snapshot.
    pub(super) fn last(&self) -> Revision {
        self.snapshots.borrow().revision
    }

    /// Of the one that follows it.
    pub(super) fn next(&self) -> Revision {
        Revision(self.last().0 + 1)
    }

    /// Something has changed: a snapshot is due, at once or when its time has come.
    pub(super) fn mark(&mut self, now: Instant) {
        let at = self.last.map_or(now, |last| (last + PACE).max(now));
        self.due.get_or_insert(at);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn publish_if_due(
        &mut self,
        now: Instant,
        passed: domain::time::Instant,
        set: &mut UnitSet,
    ) {
        if self.due.is_some_and(|due| due <= now) {
            self.publish(now, passed, set);
        }
    }

    /// `passed` is `now` as the set counts it.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        passed: domain::time::Instant,
        set: &mut UnitSet,
    ) {
        self.due = None;
        self.last = Some(now);
        set.advance(passed);
        self.snapshots.send_replace(Arc::new(set.snapshot()));
    }
}
