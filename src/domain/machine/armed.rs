//! The deadlines of one machine.

use crate::domain::event::DeadlineKind;
use crate::domain::id::Epoch;
use crate::domain::time::Instant;

const KINDS: usize = DeadlineKind::ALL.len();

/// Which deadlines are armed, under which epoch, for when.
///
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArmedDeadlines {
    /// The default epoch, which no deadline gets, stands for none.
    epochs: [Epoch; KINDS],
    at: [Instant; KINDS],
}

impl ArmedDeadlines {
    pub fn arm(&mut self, kind: DeadlineKind, epoch: Epoch, at: Instant) {
        self.epochs[kind as usize] = epoch;
        self.at[kind as usize] = at;
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
        self.epoch(kind).map(|_| self.at[kind as usize])
    }
}
