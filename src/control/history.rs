//! The latest changes, kept for clients that come back or fall behind.
//!
//! It follows the stack as a face does and writes down each change once, as JSON, for all
//! clients. Nobody waits for a client: one that comes too late is told how many it missed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::value::RawValue;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;

use super::changes::Changes;
use super::port::ControlPort;
use crate::domain::change::Change;
use crate::domain::snapshot::Snapshot;

/// Changes by number, from 1; shared by all clients.
#[derive(Debug)]
pub(super) struct History {
    /// Tells this life of the stack from an earlier one at the same socket.
    life: String,
    /// How many changes are kept.
    room: usize,
    kept: Mutex<Kept>,
    head: watch::Sender<Head>,
}

#[derive(Debug, Default)]
struct Kept {
    changes: VecDeque<Arc<RawValue>>,
    /// The number of the last one, whether or not it is here.
    last: u64,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub last: u64,
    /// No more will come.
    pub ended: bool,
}

/// Changes after a place.
#[derive(Debug)]
pub(super) struct Batch {
    pub changes: Vec<Arc<RawValue>>,
    /// So many before them are lost.
    pub missed: u64,
    /// The number of the last one of them.
    pub last: u64,
}

impl History {
    pub(super) fn new(life: String, room: usize) -> Self {
        Self {
            life,
            room,
            kept: Mutex::default(),
            head: watch::Sender::default(),
        }
    }

    /// Writes down what comes until the stack has ended.
    pub(super) async fn follow(&self, mut changes: Changes, port: &dyn ControlPort) {
        let mut snapshots = port.snapshots();
        loop {
            tokio::select! {
                biased;
                change = changes.recv() => match change {
                    Ok(change) => self.push(&change),
                    Err(RecvError::Lagged(missed)) => self.skip(missed),
                    Err(RecvError::Closed) => break,
                },
                () = ended(&mut snapshots) => break,
            }
        }
        // What led to the verdict was sent before it.
        loop {
            match changes.try_recv() {
                Ok(change) => self.push(&change),
                Err(TryRecvError::Lagged(missed)) => self.skip(missed),
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        self.head.send_modify(|head| head.ended = true);
    }

    pub(super) fn head(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// As clients write the place after that number.
    pub(super) fn id(&self, number: u64) -> String {
        format!("{}.{number}", self.life)
    }

    /// The number of that place; `None`: it is of another life, or of none.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let (life, number) = id.rsplit_once('.')?;
        let number = number.parse().ok()?;
        (life == self.life && number <= self.lock().last).then_some(number)
    }

    /// At most `max` changes after that number.
    pub(super) fn after(&self, number: u64, max: usize) -> Batch {
        let kept = self.lock();
        let before = kept.last - kept.changes.len() as u64;
        let missed = before.saturating_sub(number);
        let skip = usize::try_from(number.saturating_sub(before)).unwrap_or(usize::MAX);
        let changes: Vec<_> = kept.changes.iter().skip(skip).take(max).cloned().collect();
        let last = number.max(before) + changes.len() as u64;
        Batch {
            changes,
            missed,
            last,
        }
    }

    fn push(&self, change: &Change) {
        // A change that cannot be written would be a mistake in its type; tests hold that.
        let Ok(text) = serde_json::value::to_raw_value(change) else {
            return self.skip(1);
        };
        let mut kept = self.lock();
        if kept.changes.len() >= self.room {
            kept.changes.pop_front();
        }
        kept.changes.push_back(text.into());
        kept.last += 1;
        let last = kept.last;
        drop(kept);
        self.head.send_modify(|head| head.last = last);
    }

    fn skip(&self, missed: u64) {
        let mut kept = self.lock();
        kept.changes.clear();
        kept.last += missed;
        let last = kept.last;
        drop(kept);
        self.head.send_modify(|head| head.last = last);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves once the stack has ended.
pub(super) async fn ended(snapshots: &mut watch::Receiver<Arc<Snapshot>>) {
    // An error says that it is gone, which comes to the same.
    let _ = snapshots.wait_for(|last| last.verdict.is_some()).await;
}

#[cfg(test)]
mod tests {
    const KEPT: usize = 100;

    use super::*;
    use crate::domain::change::What;
    use crate::domain::time::Instant;

    fn change(at: u64) -> Change {
        Change {
            at: Instant::from_millis(at),
            what: What::Killing,
        }
    }

    #[test]
    fn who_comes_back_goes_on_where_it_was() {
        let history = History::new("a".into(), KEPT);
        for at in 1..=3 {
            history.push(&change(at));
        }
        let batch = history.after(1, 10);
        assert_eq!((batch.changes.len(), batch.missed, batch.last), (2, 0, 3));
        let batch = history.after(0, 2);
        assert_eq!((batch.changes.len(), batch.missed, batch.last), (2, 0, 2));
        assert_eq!(history.number(&history.id(2)), Some(2));
        assert_eq!(history.number("b.2"), None);
        assert_eq!(history.number("a.4"), None);
        assert_eq!(history.number(""), None);
    }

    #[test]
    fn who_comes_too_late_is_told() {
        let history = History::new("a".into(), KEPT);
        for at in 0..KEPT as u64 + 5 {
            history.push(&change(at));
        }
        let batch = history.after(2, 1);
        assert_eq!((batch.changes.len(), batch.missed, batch.last), (1, 3, 6));
        history.skip(7);
        let batch = history.after(6, 10);
        assert_eq!(batch.missed, KEPT as u64 + 6);
        assert_eq!((batch.changes.len(), batch.last), (0, KEPT as u64 + 12));
    }
}
