//! When a burst of changes is over: on the trailing edge, with a maximum.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::domain::time::Instant;

/// How long after a file came or went something else may follow that belongs to it: the
/// other half of a rename, the first byte of a new file.
pub const SOON: Duration = Duration::from_millis(20);

/// How long a file that is being written may stay open before it counts as it is. A writer
/// that closes it, or renames it into place, ends that at once; one that was held up in
/// between has not saved half a file.
pub const BEING_WRITTEN: Duration = Duration::from_millis(500);

/// How many quiet periods a burst may go on for before it is acted on all the same.
const LONGEST: u32 = 20;

/// A burst is acted on after this long at the latest, however short the quiet period is.
const AT_LEAST: Duration = Duration::from_secs(1);

/// Whether the file is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It was closed, or renamed into place.
    Yes,
    /// It came or went: something else may follow at once.
    Soon,
    /// Somebody writes to it, and will close it.
    BeingWritten,
}

impl Settled {
    /// How long it may take until the file is whole; `None`: it is.
    fn limit(self) -> Option<Duration> {
        match self {
            Self::Yes => None,
            Self::Soon => Some(SOON),
            Self::BeingWritten => Some(BEING_WRITTEN),
        }
    }
}

/// One burst after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debounce {
    quiet: Duration,
    burst: Option<Burst>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Burst {
    /// When it began.
    first: Instant,
    /// When its last change came.
    last: Instant,
    /// The files that are not whole, and until when that is waited for.
    unsettled: HashMap<PathBuf, Instant>,
}

impl Debounce {
    /// `quiet`: how long nothing may change before a burst is over.
    #[must_use]
    pub fn new(quiet: Duration) -> Self {
        Self { quiet, burst: None }
    }

    /// A file changed.
    pub fn touch(&mut self, now: Instant, file: &Path, settled: Settled) {
        let burst = self.burst.get_or_insert_with(|| Burst {
            first: now,
            last: now,
            unsettled: HashMap::new(),
        });
        burst.last = burst.last.max(now);
        match settled.limit() {
            None => drop(burst.unsettled.remove(file)),
            Some(limit) => drop(burst.unsettled.insert(file.to_owned(), now + limit)),
        }
    }

    /// When the burst is over, if there is one and nothing else comes.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let burst = self.burst.as_ref()?;
        let quiet = burst.last + self.quiet;
        let whole = burst.unsettled.values().copied().max().unwrap_or(quiet);
        let latest = burst.first + (self.quiet * LONGEST).max(AT_LEAST);
        Some(quiet.max(whole).min(latest.max(burst.first + self.quiet)))
    }

    /// Ends the burst if it is over; when it began.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.due()?;
        if due > now {
            return None;
        }
        self.burst.take().map(|burst| burst.first)
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

    fn touch(debounce: &mut Debounce, millis: u64, file: &str, settled: Settled) {
        debounce.touch(at(millis), Path::new(file), settled);
    }

    #[test]
    fn the_last_change_of_a_burst_counts() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        touch(&mut debounce, 0, "a", Settled::Yes);
        touch(&mut debounce, 90, "a", Settled::Yes);
        assert_eq!(debounce.take(at(189)), None);
        assert_eq!(debounce.take(at(190)), Some(at(0)));
        assert_eq!(debounce.due(), None);
    }

    #[test]
    fn a_burst_without_end_is_acted_on() {
        let mut debounce = Debounce::new(Duration::from_millis(100));
        for millis in (0..=5000).step_by(50) {
            touch(&mut debounce, millis, "a", Settled::BeingWritten);
        }
        assert_eq!(debounce.due(), Some(at(2000)));
    }

    #[test]
    fn without_a_quiet_period_a_whole_file_counts_at_once() {
        let mut debounce = Debounce::new(Duration::ZERO);
        touch(&mut debounce, 5, "a", Settled::Soon);
        assert_eq!(debounce.due(), Some(at(5) + SOON));
        touch(&mut debounce, 6, "a", Settled::Yes);
        assert_eq!(debounce.due(), Some(at(6)));
        assert_eq!(debounce.take(at(6)), Some(at(5)));
    }

    #[test]
    fn a_file_that_is_whole_says_nothing_of_one_that_is_still_written() {
        let mut debounce = Debounce::new(Duration::ZERO);
        touch(&mut debounce, 0, "a", Settled::BeingWritten);
        touch(&mut debounce, 10, "b", Settled::Yes);
        assert_eq!(debounce.due(), Some(at(0) + BEING_WRITTEN));
        touch(&mut debounce, 300, "a", Settled::Yes);
        assert_eq!(debounce.take(at(300)), Some(at(0)));
    }

    #[test]
    fn what_is_never_closed_counts_as_it_is() {
        let mut debounce = Debounce::new(Duration::from_millis(10));
        touch(&mut debounce, 0, "log", Settled::BeingWritten);
        assert_eq!(debounce.due(), Some(at(0) + BEING_WRITTEN));
    }
}
