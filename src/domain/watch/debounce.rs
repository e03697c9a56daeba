//! When a burst of changes is over: on the trailing edge, with a maximum.

use std::time::Duration;

use crate::domain::time::Instant;

/// How long a file that is being written may stay so before it counts as it is. A writer
/// that closes it, or renames it into place, ends that at once.
pub const UNSETTLED: Duration = Duration::from_millis(20);

/// How many quiet periods a burst may go on for before it is acted on all the same.
const LONGEST: u32 = 20;

/// A burst is acted on after this long at the latest, however short the quiet period is.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Whether the file is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was closed, or renamed into place.
    Yes,
    /// It is written, made or removed: something else may follow at once.
    No,
}

/// One burst after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debounce {
    quiet: Duration,
    /// When the burst began, its last change came, and the last one that was not whole.
    burst: Option<Burst>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Burst {
    first: Instant,
    last: Instant,
    unsettled: Option<Instant>,
}

impl Debounce {
    /// `quiet`: how long nothing may change before a burst is over.
    #[must_use]
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, burst: None }
    }

    /// Something changed.
    pub fn touch(&mut self, now: Instant, settled: Settled) {
        let burst = self.burst.get_or_insert(Burst {
            first: now,
            last: now,
            unsettled: None,
        });
        burst.last = burst.last.max(now);
        burst.unsettled = match settled {
            Settled::Yes => None,
            Settled::No => Some(now),
        };
    }

    /// When the burst is over, if there is one and nothing else comes.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let burst = self.burst?;
        let quiet = burst.last + self.quiet;
        let whole = burst.unsettled.map_or(quiet, |at| at + UNSETTLED);
        let latest = burst.first + (self.quiet * LONGEST).max(AT_LEAST);
        Some(quiet.max(whole).min(latest.max(burst.first + self.quiet)))
    }

    /// Ends the burst if it is over; when it began, and when its last change came.
    pub fn take(&mut self, now: Instant) -> Option<(Instant, Instant)> {
        let due = self.due()?;
        if due > now {
            return None;
        }
        self.burst.take().map(|burst| (burst.first, burst.last))
    }

    /// Whether there is a burst.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.burst.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    #[test]
    fn the_last_change_of_a_burst_counts() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        debounce.touch(at(0), Settled::Yes);
        debounce.touch(at(90), Settled::Yes);
        assert_eq!(debounce.take(at(189)), None);
        assert_eq!(debounce.take(at(190)), Some((at(0), at(90))));
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn a_burst_without_end_is_acted_on() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        for millis in (0..=5000).step_by(50) {
            debounce.touch(at(millis), Settled::Yes);
        }
        assert_eq!(debounce.due(), Some(at(2000)));
    }

    #[test]
    fn without_a_quiet_period_a_whole_file_counts_at_once() {
        let mut debounce = Debounce::new(Duration::ZERO);
        debounce.touch(at(5), Settled::No);
        assert_eq!(debounce.due(), Some(at(5) + UNSETTLED));
        debounce.touch(at(6), Settled::Yes);
        assert_eq!(debounce.due(), Some(at(6)));
        assert_eq!(debounce.take(at(6)), Some((at(5), at(6))));
    }
}
