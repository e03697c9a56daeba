//! Recognises a unit that writes what it watches.
//!
//! Nobody says who wrote a file. But what a restart or a build writes comes right after it,
//! each time, once, and always the same. So a file that changed so several times in a row is
//! put to the test: the next restart is held back for a while, each time for longer. If the
//! file changes meanwhile, with nothing that was started in between, somebody else writes
//! it. If it waits for the restart, time after time, it is the unit's own, and is not
//! reacted to any more.
//!
//! Who saves in answer to a restart looks like a loop for a while. That other files change
//! with it now and then makes it much less of one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ChangedFiles;
use crate::domain::time::Instant;

/// How soon after a start a change may come of it.
pub(super) const NEAR: Duration = Duration::from_secs(2);

/// What a change tells against a file if the same files changed the last time.
const SAME: u32 = 4;

/// The same, if others did.
const OTHER: u32 = 1;

/// From then on it is put to the test.
const SUSPECTED: u32 = 5 * SAME;

/// From then on it is its own.
const PROVED: u32 = 13 * SAME;

/// How long the first test takes; each further one takes twice as long.
const TEST: Duration = Duration::from_millis(250);

/// How often the time of a test is doubled at most.
const DOUBLED: u32 = 3;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loops {
    /// By file, what changes in a row that followed what was done about the one before tell
    /// against it.
    strikes: BTreeMap<String, u32>,
    /// By file, how many tests in a row it did not stand: somebody else writes it, or it
    /// changes all the time. What is restarted for it is restarted less often.
    restless: BTreeMap<String, u32>,
    /// What changed at the last strike, and the start that this followed.
    last: Option<(Vec<String>, Option<Instant>)>,
    muted: BTreeSet<String>,
}

/// What is to be done about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Fine,
    /// Hold it back for so long.
    PutOff(Duration),
    Muted(String),
}

impl Loops {
    /// These changed after what was done about the change before them, and may come of it.
    /// `start`: what they followed, for which a file counts once.
    pub(super) fn strike(&mut self, changed: &ChangedFiles, start: Option<Instant>) {
        let mut paths = changed.paths.clone();
        paths.sort_unstable();
        let weight = match &self.last {
            Some((_, before)) if start.is_some() && *before == start => return,
            Some((before, _)) if *before != paths => OTHER,
            Some(_) | None => SAME,
        };
        // Only what changes every time is in a row.
        self.strikes.retain(|path, _| paths.contains(path));
        for path in &paths {
            *self.strikes.entry(path.clone()).or_default() += weight;
        }
        self.last = Some((paths, start));
    }

    /// A change came that was nobody's doing here.
    pub(super) fn acquit(&mut self) {
        self.strikes.clear();
        self.restless.clear();
        self.last = None;
    }

    pub(super) fn judge(&mut self, changed: &ChangedFiles) -> Judgement {
        let strikes = |path: &&String| self.strikes.get(*path).copied().unwrap_or(0);
        let Some(worst) = changed.paths.iter().max_by_key(strikes) else {
            return Judgement::Fine;
        };
        match strikes(&worst) {
            PROVED.. => {
                self.strikes.clear();
                self.muted.insert(worst.clone());
                Judgement::Muted(worst.clone())
            }
            strikes @ SUSPECTED.. => {
                let before = self.restless.get(worst).copied().unwrap_or(0);
                let doubled = (strikes - SUSPECTED) / SAME + before;
                Judgement::PutOff(TEST * 2_u32.pow(doubled.min(DOUBLED)))
            }
            0.. => Judgement::Fine,
        }
    }

    /// These changed while they were put to the test.
    pub(super) fn failed_test(&mut self, changed: &ChangedFiles) {
        for path in &changed.paths {
            if self.strikes.remove(path).is_some() {
                let times = self.restless.entry(path.clone()).or_default();
                *times = times.saturating_add(1);
            }
        }
    }

    /// Whether one of these is near to being recognised.
    pub(super) fn suspects(&self, changed: &ChangedFiles) -> bool {
        let strikes = |path| self.strikes.get(path).copied().unwrap_or(0);
        (changed.paths.iter()).any(|path| strikes(path) >= SUSPECTED)
    }

    pub(super) fn leave_out_muted(&self, changed: &mut ChangedFiles) {
        if !self.muted.is_empty() {
            changed.paths.retain(|path| !self.muted.contains(path));
        }
    }

    /// Forgets all. `true`: something was muted.
    pub(super) fn forget(&mut self) -> bool {
        self.acquit();
        !std::mem::take(&mut self.muted).is_empty()
    }

    pub(super) fn muted(&self) -> impl Iterator<Item = &str> {
        self.muted.iter().map(String::as_str)
    }
}
