//! Looks on at what one run writes, until a line matches.
//!
//! A tap that is made before its run's first byte misses nothing, whatever is evicted: it
//! sees the lines where they enter, not where they are kept. It costs the writer one regular
//! expression per line for as long as it waits, and nothing after.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use regex::bytes::Regex;
use tokio::sync::watch;

use super::splitter::Batch;
use crate::domain::id::RunId;

/// Gives out taps.
pub trait TapSource: Send + Sync {
    /// Watches the lines of `run`, also those that it wrote before and that are still kept.
    fn tap(&self, run: RunId, pattern: Regex) -> Tap;
}

/// Waits for a line. Dropping it lets go.
#[derive(Debug)]
pub struct Tap {
    found: watch::Receiver<bool>,
    watcher: Arc<Watcher>,
    taps: Arc<Taps>,
}

impl Tap {
    /// Resolves once a line has matched: at once if one had.
    pub async fn matched(&mut self) {
        // The sender lives in `watcher`, so this does not fail.
        let _ = self.found.wait_for(|&found| found).await;
    }

    /// Whether a line has matched.
    #[must_use]
    pub fn has_matched(&self) -> bool {
        *self.found.borrow()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.taps.remove(&self.watcher);
    }
}

/// One pattern on one run.
#[derive(Debug)]
pub(super) struct Watcher {
    run: RunId,
    pattern: Regex,
    found: watch::Sender<bool>,
}

impl Watcher {
    /// `true`: a line matched, now or before.
    pub fn look(&self, batch: &Batch) -> bool {
        if *self.found.borrow() {
            return true;
        }
        let found = batch.iter().any(|(line, _)| {
            self.pattern.is_match(line)
                || memchr::memchr(0x1b, line)
                    .is_some_and(|_| self.pattern.is_match(&without_colour(line)))
        });
        if found {
            self.found.send_replace(true);
        }
        found
    }
}

/// The taps of all runs.
#[derive(Debug, Default)]
pub(super) struct Taps {
    by_run: Mutex<HashMap<RunId, Vec<Arc<Watcher>>>>,
}

impl Taps {
    pub fn add(self: &Arc<Self>, run: RunId, pattern: Regex) -> (Tap, Arc<Watcher>) {
        let (found, receiver) = watch::channel(false);
        let watcher = Arc::new(Watcher {
            run,
            pattern,
            found,
        });
        let mut taps = self.lock();
        taps.entry(run).or_default().push(Arc::clone(&watcher));
        let tap = Tap {
            found: receiver,
            watcher: Arc::clone(&watcher),
            taps: Arc::clone(self),
        };
        (tap, watcher)
    }

    /// Shows the taps of `run` what it wrote. Matching is done outside the lock.
    pub fn show(&self, run: RunId, batch: &Batch) {
        let watchers = match self.lock().get(&run) {
            Some(watchers) => watchers.clone(),
            None => return,
        };
        for watcher in watchers {
            if watcher.look(batch) {
                self.remove(&watcher);
            }
        }
    }

    /// Whether a tap on `run` has not matched yet.
    pub fn waits(&self, run: RunId) -> bool {
        self.lock().contains_key(&run)
    }

    pub fn remove(&self, watcher: &Arc<Watcher>) {
        let mut taps = self.lock();
        if let Some(watchers) = taps.get_mut(&watcher.run) {
            watchers.retain(|other| !Arc::ptr_eq(other, watcher));
            if watchers.is_empty() {
                taps.remove(&watcher.run);
            }
        }
    }

    #[cfg(test)]
    pub fn waiting(&self) -> Vec<RunId> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Vec<Arc<Watcher>>>> {
        self.by_run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The line as it looks: programs colour words in the middle of what a pattern names. Control
/// sequences are left out (ECMA-48 5.4: `ESC [`, parameters, one final byte).
#[must_use]
pub fn without_colour(line: &[u8]) -> Vec<u8> {
    let mut seen = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = memchr::memmem::find(rest, b"\x1b[") {
        seen.extend_from_slice(&rest[..at]);
        let after = &rest[at + 2..];
        let last = after.iter().position(|b| (0x40..=0x7e).contains(b));
        rest = last.map_or(&[][..], |last| &after[last + 1..]);
    }
    seen.extend_from_slice(rest);
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_do_not_hide_a_word() {
        assert_eq!(
            without_colour(b"\x1b[1;32mready\x1b[0m in \x1b[33m3\x1b[0m ms"),
            b"ready in 3 ms"
        );
        assert_eq!(without_colour(b"cut \x1b["), b"cut ");
        assert_eq!(without_colour(b"plain"), b"plain");
    }
}
