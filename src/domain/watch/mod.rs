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
mod files;
mod loops;
#[cfg(test)]
mod tests;
mod told;
mod words;

pub use debounce::{Debounce, Settled};
pub use files::{ChangedFiles, FileChange};
use loops::{Judgement, Loops};
pub use told::{BuildFailure, Reaction, Step, Told, Trigger};

use super::spec::Watch;
use super::time::Instant;

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
            let concerns_test = self.held.as_ref().is_none_or(|held| held.shares(&changed));
            // Nothing was started since, so it is no answer to a start.
            self.loops.failed_test(&changed);
            self.hold_back(changed);
            if concerns_test {
                return Vec::new();
            }
            // It leads to a restart by itself, and takes along what waits for one.
            self.hold = None;
            let held = self.held.take();
            return held.map_or_else(Vec::new, |held| self.go(held));
        }
        if let Some(build) = &mut self.build {
            // However often it changes during one build, that is once in a row.
            if !std::mem::replace(&mut build.struck, true) {
                self.loops.strike(&changed, None);
            }
            return self.go(changed);
        }
        if self.may_be_own(now, &changed, spawned) {
            let start = match &self.last {
                // A signal starts nothing: it is what a change may follow.
                Some(last) if matches!(last.reaction, Reaction::Signal(_)) => Some(last.at),
                Some(_) | None => spawned,
            };
            self.loops.strike(&changed, start);
        } else {
            self.loops.acquit();
        }
        self.judge(changed)
    }

    /// Files changed, but what runs was started after that.
    pub fn read(&mut self, mut changed: ChangedFiles) -> Vec<Step> {
        self.loops.leave_out_muted(&mut changed);
        changed.summary().map(Step::Read).into_iter().collect()
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
