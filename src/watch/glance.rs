//! When a file was first seen to hold what it holds.
//!
//! A burst of changes is told once it is over. A run that began before that may have read
//! them all, or may not: what was seen at the time of the event tells. If the file holds the
//! same when the burst is over, whatever began in between has read it; if not, nobody knows
//! what it has read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::contents::{self, Held};
use crate::domain::time::Instant;

/// Larger files are not read at each event, in bytes.
const READ_UP_TO: u64 = 256 << 10;

/// How many files are read between two looks for events.
const AT_ONCE: usize = 64;

/// What the files of a burst held when they were seen first.
#[derive(Debug, Default)]
pub(super) struct Glances {
    seen: HashMap<PathBuf, (Held, Instant)>,
    /// To be looked at as soon as no event is left.
    due: Vec<PathBuf>,
}

impl Glances {
    /// Something has happened to a file.
    pub(super) fn want(&mut self, path: &Path) {
        self.seen.remove(path);
        self.due.push(path.to_owned());
    }

    /// Looks at some of them. `now` is asked after each look: from then on it was known.
    pub(super) fn take(&mut self, now: impl Fn() -> Instant) {
        let mut left = AT_ONCE;
        for path in std::mem::take(&mut self.due) {
            if left == 0 || self.seen.contains_key(&path) {
                continue;
            }
            left -= 1;
            if let Some(held) = contents::held(&path, READ_UP_TO) {
                self.seen.insert(path, (held, now()));
            }
        }
    }

    /// Since when a file is known to hold `held`; forgets it. `now`: it is known now.
    pub(super) fn since(&mut self, path: &Path, held: Option<Held>, now: Instant) -> Instant {
        match self.seen.remove(path) {
            Some((seen, at)) if Some(seen) == held => at,
            Some(_) | None => now,
        }
    }
}
