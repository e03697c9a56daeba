//! What changed files mean for one unit: decided without seeing a file.
//!
//! This module owns, per unit, whether a change is acted on at once, built first, held or
//! ignored. It must not know how files are seen, nor what a restart is: the
//! [set](super::set) does what [`Step`] says.
//!
//! ```text
//!  changed ─┬─ paused ──► held ── resume ─┐
//!           ├─ a loop ──► put off, then muted with the file named
//!           └─────────────────────────────┴─► build? ─ succeeded ─► act
//!                                               │ └─── failed ────► the old run stays
//!                                               └─ changed again: cancelled, built anew
//! ```

mod debounce;
mod loops;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use debounce::{Debounce, Settled};
use loops::{Judgement, Loops};

use super::spec::Watch;
use super::time::Instant;

/// Files that changed, as a line can show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileChange {
    /// The first of them, relative to the stack's folder where it is below it.
    pub path: String,
    /// How many more changed with it.
    pub others: u32,
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match self.others {
            0 => Ok(()),
            1 => f.write_str(" and 1 other"),
            more => write!(f, " and {more} others"),
        }
    }
}

/// Files that changed within one quiet period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFiles {
    /// Each once, the first seen first; at most [`ChangedFiles::NAMED`].
    pub paths: Vec<String>,
    /// How many changed beyond these.
    pub more: u32,
    /// How long ago the first of them was seen.
    pub age: Duration,
    /// How long ago the last of them was.
    pub quiet: Duration,
}

impl ChangedFiles {
    /// How many files are named at most.
    pub const NAMED: usize = 32;

    /// One file, just now.
    #[must_use]
    pub fn one(path: &str) -> Self {
        Self {
            paths: vec![path.to_owned()],
            more: 0,
            age: Duration::ZERO,
            quiet: Duration::ZERO,
        }
    }

    fn summary(&self) -> Option<FileChange> {
        let path = self.paths.first()?.clone();
        let named = u32::try_from(self.paths.len() - 1).unwrap_or(u32::MAX);
        Some(FileChange {
            path,
            others: named.saturating_add(self.more),
        })
    }

    fn merge(&mut self, later: Self) {
        for path in later.paths {
            if self.paths.contains(&path) {
                continue;
            }
            if self.paths.len() < Self::NAMED {
                self.paths.push(path);
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
        self.more = self.more.max(later.more);
    }
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    Restart,
    Signal(super::signal::Signal),
    /// The command that must succeed first was started.
    Build,
    /// The same, after the one before it was cancelled.
    BuildAnew,
    /// Nothing yet: the watch is paused.
    Held,
    /// Nothing yet: it may be the unit itself that writes the file.
    PutOff,
}

/// The last change that counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trigger {
    pub files: FileChange,
    pub at: Instant,
    pub reaction: Reaction,
}

/// What the watch of a unit is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Changed(ChangedFiles),
    /// The build of that number has ended; why it failed, in words.
    Built {
        number: u64,
        result: Result<(), String>,
    },
    /// What was put off is due.
    HoldOver {
        number: u64,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Restart or signal the unit.
    Act(FileChange),
    Build {
        number: u64,
        files: FileChange,
        anew: bool,
    },
    /// Its end is told as that of any other build.
    CancelBuild {
        number: u64,
    },
    /// Tell [`Told::HoldOver`] after so long.
    Hold {
        number: u64,
        files: FileChange,
        limit: Duration,
    },
    /// A change was noted for later, while the watch is paused.
    Held(FileChange),
    BuildFailed {
        files: FileChange,
        failure: String,
    },
    /// This file is not reacted to any more: the unit writes it.
    Muted(String),
}

/// A build that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Build {
    number: u64,
    files: ChangedFiles,
    /// It was told to end.
    ending: bool,
    /// What changed since it began.
    next: Option<ChangedFiles>,
    /// That was counted as one of its own doings.
    struck: bool,
}

/// Why the last build failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BuildFailure {
    pub files: FileChange,
    /// In words.
    pub failure: String,
}

/// What is known of the watch of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    spec: Watch,
    /// The outside has been told what to watch.
    pub armed: bool,
    paused: bool,
    held: Option<ChangedFiles>,
    /// The number of the hold that is on.
    hold: Option<u64>,
    build: Option<Build>,
    failure: Option<BuildFailure>,
    last: Option<Trigger>,
    loops: Loops,
    /// Of the last build or hold.
    number: u64,
    /// When the last build ended.
    built_at: Option<Instant>,
}

impl Watching {
    #[must_use]
    pub fn new(spec: Watch) -> Self {
        Self {
            spec,
            armed: false,
            paused: false,
            held: None,
            hold: None,
            build: None,
            failure: None,
            last: None,
            loops: Loops::default(),
            number: 0,
            built_at: None,
        }
    }

    #[must_use]
    pub fn spec(&self) -> &Watch {
        &self.spec
    }

    /// Files changed. `spawned`: when the last run of the unit began.
    pub fn changed(
        &mut self,
        now: Instant,
        mut changed: ChangedFiles,
        spawned: Option<Instant>,
    ) -> Vec<Step> {
        self.loops.leave_out_muted(&mut changed);
        let Some(files) = changed.summary() else {
            return Vec::new();
        };
        if self.paused {
            self.hold_back(changed);
            return vec![Step::Held(files)];
        }
        if self.hold.is_some() {
            // So long after the last start it is no answer to that.
            if !self.may_be_own(now, &changed, spawned) {
                self.loops.clear(&changed);
            }
            self.hold_back(changed);
            return Vec::new();
        }
        if let Some(build) = &mut self.build {
            // However often it changes during one build, that is once in a row.
            if !std::mem::replace(&mut build.struck, true) {
                self.loops.strike(&changed);
            }
            return self.go(changed);
        }
        if self.may_be_own(now, &changed, spawned) {
            self.loops.strike(&changed);
        } else {
            self.loops.acquit();
        }
        self.judge(changed)
    }

    fn judge(&mut self, mut changed: ChangedFiles) -> Vec<Step> {
        let Some(files) = changed.summary() else {
            return Vec::new();
        };
        match self.loops.judge(&changed) {
            Judgement::Fine => self.go(changed),
            Judgement::PutOff(limit) => {
                self.number += 1;
                self.hold = Some(self.number);
                self.hold_back(changed);
                vec![Step::Hold {
                    number: self.number,
                    files,
                    limit,
                }]
            }
            Judgement::Muted(path) => {
                let mut steps = vec![Step::Muted(path)];
                self.loops.leave_out_muted(&mut changed);
                if !changed.paths.is_empty() {
                    steps.extend(self.go(changed));
                }
                steps
            }
        }
    }

    /// Whether the change may come of what was done about the one before it.
    fn may_be_own(&self, now: Instant, changed: &ChangedFiles, spawned: Option<Instant>) -> bool {
        let Some(last) = &self.last else {
            return false;
        };
        let seen = now - changed.age;
        let until = spawned.max(self.built_at).max(Some(last.at));
        seen >= last.at && until.is_some_and(|until| seen <= until + loops::NEAR)
    }

    fn hold_back(&mut self, changed: ChangedFiles) {
        match &mut self.held {
            Some(held) => held.merge(changed),
            None => self.held = Some(changed),
        }
    }

    /// A change counts: build first, or act.
    fn go(&mut self, changed: ChangedFiles) -> Vec<Step> {
        let Some(files) = changed.summary() else {
            return Vec::new();
        };
        if self.spec.run.is_none() {
            return vec![Step::Act(files)];
        }
        let suspected = self.loops.suspects(&changed);
        match &mut self.build {
            None => self.start_build(changed, false),
            Some(build) => {
                match &mut build.next {
                    Some(next) => next.merge(changed),
                    None => build.next = Some(changed),
                }
                // What a build writes itself must not cancel it for ever.
                if build.ending || suspected {
                    return Vec::new();
                }
                build.ending = true;
                vec![Step::CancelBuild {
                    number: build.number,
                }]
            }
        }
    }

    fn start_build(&mut self, changed: ChangedFiles, anew: bool) -> Vec<Step> {
        let Some(files) = changed.summary() else {
            return Vec::new();
        };
        self.number += 1;
        self.build = Some(Build {
            number: self.number,
            files: changed,
            ending: false,
            next: None,
            struck: false,
        });
        vec![Step::Build {
            number: self.number,
            files,
            anew,
        }]
    }

    /// A build has ended.
    pub fn built(&mut self, now: Instant, number: u64, result: Result<(), String>) -> Vec<Step> {
        let Some(build) = self.build.take_if(|build| build.number == number) else {
            return Vec::new();
        };
        self.built_at = Some(now);
        let mut files = build.files;
        if build.ending {
            return match build.next {
                Some(next) => {
                    files.merge(next);
                    self.start_build(files, true)
                }
                None => Vec::new(),
            };
        }
        let mut steps = Vec::new();
        if let Some(summary) = files.summary() {
            match result {
                Ok(()) => {
                    self.failure = None;
                    steps.push(Step::Act(summary));
                }
                Err(failure) => {
                    self.failure = Some(BuildFailure {
                        files: summary.clone(),
                        failure: failure.clone(),
                    });
                    steps.push(Step::BuildFailed {
                        files: summary,
                        failure,
                    });
                }
            }
        }
        if let Some(next) = build.next {
            steps.extend(self.judge(next));
        }
        steps
    }

    /// What was put off is due.
    pub fn hold_over(&mut self, number: u64) -> Vec<Step> {
        if self.hold.take_if(|hold| *hold == number).is_none() || self.paused {
            return Vec::new();
        }
        self.held.take().map_or_else(Vec::new, |held| self.go(held))
    }

    /// `false`: it is paused already.
    pub fn pause(&mut self) -> bool {
        !std::mem::replace(&mut self.paused, true)
    }

    /// What changed meanwhile counts once. `None`: it is neither paused nor muted.
    pub fn resume(&mut self) -> Option<Vec<Step>> {
        let was_paused = std::mem::replace(&mut self.paused, false);
        let had_muted = self.loops.forget();
        if !was_paused && !had_muted {
            return None;
        }
        if self.hold.is_some() {
            return Some(Vec::new());
        }
        let held = self.held.take();
        Some(held.map_or_else(Vec::new, |held| self.go(held)))
    }

    /// The unit is not to run any more: nothing that changed before concerns it.
    pub fn stand_down(&mut self) -> Option<Step> {
        self.held = None;
        self.hold = None;
        self.failure = None;
        let build = self.build.as_mut()?;
        build.next = None;
        (!std::mem::replace(&mut build.ending, true)).then_some(Step::CancelBuild {
            number: build.number,
        })
    }

    /// Nothing of what changed is left to be done or said.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let builds =
            (self.build.as_ref()).is_some_and(|build| !build.ending || build.next.is_some());
        self.held.is_none() && self.hold.is_none() && self.failure.is_none() && !builds
    }

    /// Something was done about a change.
    pub fn note(&mut self, files: FileChange, at: Instant, reaction: Reaction) {
        self.last = Some(Trigger {
            files,
            at,
            reaction,
        });
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// What changed waits to see who writes it.
    #[must_use]
    pub fn is_put_off(&self) -> bool {
        self.hold.is_some()
    }

    #[must_use]
    pub fn is_building(&self) -> bool {
        self.build.is_some()
    }

    /// What the build that runs is for.
    #[must_use]
    pub fn building(&self) -> Option<FileChange> {
        self.build.as_ref()?.files.summary()
    }

    #[must_use]
    pub fn failure(&self) -> Option<&BuildFailure> {
        self.failure.as_ref()
    }

    #[must_use]
    pub fn last(&self) -> Option<&Trigger> {
        self.last.as_ref()
    }

    /// The files that are not reacted to, because the unit writes them itself.
    pub fn muted(&self) -> impl Iterator<Item = &str> {
        self.loops.muted()
    }
}
