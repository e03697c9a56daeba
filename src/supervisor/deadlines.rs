//! The deadlines that are armed, soonest first.

use std::collections::{BTreeSet, HashMap};

use crate::domain::event::{Armed, Deadline, DeadlineKind};
use crate::domain::id::InstanceId;
use crate::domain::time::Instant;

/// At most one per instance and kind: a later one replaces an earlier one, as the set
/// would ignore that anyway.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    soonest: BTreeSet<(Instant, Deadline)>,
    by_kind: HashMap<(InstanceId, DeadlineKind), (Instant, Deadline)>,
}

impl Deadlines {
    pub(super) fn arm(&mut self, armed: Armed) {
        let entry = (armed.at, armed.deadline);
        let key = (armed.deadline.instance, armed.deadline.kind);
        if let Some(former) = self.by_kind.insert(key, entry) {
            self.soonest.remove(&former);
        }
        self.soonest.insert(entry);
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.soonest.first().map(|&(at, _)| at)
    }

    /// Takes one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Deadline> {
        let &(at, deadline) = self.soonest.first()?;
        if at > now {
            return None;
        }
        self.soonest.pop_first();
        self.by_kind.remove(&(deadline.instance, deadline.kind));
        Some(deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::Epoch;

    fn armed(kind: DeadlineKind, epoch: u32, at: u64) -> Armed {
        Armed {
            deadline: Deadline {
                instance: InstanceId(0),
                kind,
                epoch: Epoch(epoch),
            },
            at: Instant::from_millis(at),
        }
    }

    #[test]
    fn a_later_one_replaces_an_earlier_one_of_its_kind() {
        let mut deadlines = Deadlines::default();
        deadlines.arm(armed(DeadlineKind::Grace, 1, 10));
        deadlines.arm(armed(DeadlineKind::Run, 2, 30));
        deadlines.arm(armed(DeadlineKind::Grace, 3, 20));
        assert_eq!(deadlines.next(), Some(Instant::from_millis(20)));
        assert_eq!(deadlines.pop_due(Instant::from_millis(19)), None);
        let due = |deadlines: &mut Deadlines| {
            deadlines
                .pop_due(Instant::from_millis(40))
                .map(|d| d.epoch.0)
        };
        assert_eq!(due(&mut deadlines), Some(3));
        assert_eq!(due(&mut deadlines), Some(2));
        assert_eq!(due(&mut deadlines), None);
    }
}
