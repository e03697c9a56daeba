//! The deadlines of one machine.

use crate::domain::event::DeadlineKind;
use crate::domain::id::Epoch;
use crate::domain::time::Instant;
use std::time::Duration;

const KINDS: usize = DeadlineKind::ALL.len();

/// Which deadlines are armed, under which epoch, for when.
///
/// There is one of these for every instance and hardly ever more than two in it are armed:
/// times are kept as nanoseconds, so that thousands of instances fit a processor's cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArmedDeadlines {
    /// The default epoch, which no deadline gets, stands for none.
    epochs: [Epoch; KINDS],
    nanos: [u64; KINDS],
}

impl ArmedDeadlines {
    pub fn arm(&mut self, kind: DeadlineKind, epoch: Epoch, at: Instant) {
        self.epochs[kind as usize] = epoch;
        self.nanos[kind as usize] = u64::try_from(at.0.as_nanos()).unwrap_or(u64::MAX);
    }

    pub fn disarm(&mut self, kind: DeadlineKind) {
        self.epochs[kind as usize] = Epoch::default();
    }

    pub fn disarm_all(&mut self) {
        self.epochs = [Epoch::default(); KINDS];
    }

    /// The epoch of the one that is armed.
    pub fn epoch(&self, kind: DeadlineKind) -> Option<Epoch> {
        let epoch = self.epochs[kind as usize];
        (epoch != Epoch::default()).then_some(epoch)
    }

    /// When the one that is armed is due.
    pub fn at(&self, kind: DeadlineKind) -> Option<Instant> {
        let nanos = self.nanos[kind as usize];
        self.epoch(kind)
            .map(|_| Instant(Duration::from_nanos(nanos)))
    }
}
