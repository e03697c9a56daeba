//! Recognises a unit that writes what it watches.
//!
//! Nobody says who wrote a file. But what a restart or a build writes comes right after it,
//! each time, and never otherwise. So a file that changed so several times in a row is put
//! to the test: the next restart is held back for a while. If the file changes meanwhile,
//! somebody else writes it. If it waits for the restart, time after time, it is the unit's
//! own, and is not reacted to any more.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ChangedFiles;

/// How soon after a start a change may come of it.
pub(super) const NEAR: Duration = Duration::from_secs(1);

/// How many such changes in a row raise the suspicion.
const SUSPECTED: u32 = 5;

/// How many end it.
const PROVED: u32 = 9;

/// How long the first test takes; each further one takes twice as long.
const TEST: Duration = Duration::from_millis(250);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Loops {
    /// By file, how many changes in a row followed what was done about the one before.
    strikes: BTreeMap<String, u32>,
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
    pub(super) fn strike(&mut self, changed: &ChangedFiles) {
        // Only what changes every time is in a row.
        self.strikes.retain(|path, _| changed.paths.contains(path));
        for path in &changed.paths {
            *self.strikes.entry(path.clone()).or_default() += 1;
        }
    }

    /// A change came that was nobody's doing here.
    pub(super) fn acquit(&mut self) {
        self.strikes.clear();
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
            strikes @ SUSPECTED.. => Judgement::PutOff(TEST * 2_u32.pow(strikes - SUSPECTED)),
            0.. => Judgement::Fine,
        }
    }

    /// These were written by somebody else.
    pub(super) fn clear(&mut self, changed: &ChangedFiles) {
        for path in &changed.paths {
            self.strikes.remove(path);
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
        self.strikes.clear();
        !std::mem::take(&mut self.muted).is_empty()
    }

    pub(super) fn muted(&self) -> impl Iterator<Item = &str> {
        self.muted.iter().map(String::as_str)
    }
}
