//! What happened to each unit, as far as a face has seen it.
//!
//! Fed by changes; a unit that is first met later is filled in from its snapshot as far as
//! that tells. Bounded, however long a stack runs.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::theme::Tone;
use crate::domain::change::{Change, UnitChange, What};
use crate::domain::explain;
use crate::domain::health::Readiness;
use crate::domain::id::{Attempt, InstanceId};
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::UnitKind;
use crate::domain::text::short_duration;
use crate::domain::time::Instant;
use crate::domain::watch::words_of_watch;

/// What a unit is doing, as the timeline tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Idle,
    Waiting,
    /// On its way to being ready, with or without a process.
    Starting,
    /// Of use to others.
    Ready,
    Unwell,
    Stopping,
    Backoff,
    Completed,
    Failed,
    Skipped,
    Stopped,
}

impl State {
    /// How many there are.
    pub const COUNT: usize = Self::Stopped as usize + 1;

    /// Of a unit now.
    #[must_use]
    pub fn of(view: &UnitView) -> Self {
        match view.phase {
            PhaseName::Idle => Self::Idle,
            PhaseName::Waiting => Self::Waiting,
            PhaseName::Starting => Self::Starting,
            PhaseName::Running => match view.readiness {
                Readiness::Ready | Readiness::Unprobed => Self::Ready,
                Readiness::Unhealthy => Self::Unwell,
                Readiness::Unready if view.ready_after.is_some() => Self::Unwell,
                Readiness::Unready => Self::Starting,
            },
            PhaseName::Stopping | PhaseName::Reaping => Self::Stopping,
            PhaseName::Backoff => Self::Backoff,
            PhaseName::Exited => match &view.outcome {
                Some(Outcome::Completed) => Self::Completed,
                Some(Outcome::Failed(_)) => Self::Failed,
                Some(Outcome::Skipped(_)) => Self::Skipped,
                Some(Outcome::Stopped) | None => Self::Stopped,
            },
        }
    }
}

/// From when on it was so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub state: State,
    pub from: Instant,
}

/// Something worth a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    pub at: Instant,
    pub tone: Tone,
    pub text: String,
}

/// Of one instance.
#[derive(Clone, Debug, Default)]
pub struct UnitHistory {
    pub stretches: Vec<Stretch>,
    /// Starts after the first one.
    pub restarts: VecDeque<Instant>,
    pub events: VecDeque<Happened>,
    pub exits: VecDeque<Happened>,
    pub probes: VecDeque<Happened>,
    /// The last restart's number within its window, and how many there may be.
    pub budget: Option<(u32, Option<u32>)>,
    /// It has a probe: a start alone does not make it ready.
    is_probed: bool,
    /// A start was taken to be all, as nothing was known of a probe yet.
    is_assumed: bool,
    /// Of the run that is there.
    attempt: Attempt,
    /// Why that is being stopped.
    stopped_for: Option<String>,
}

const MOST: usize = 64;
const MOST_STRETCHES: usize = 512;

impl UnitHistory {
    /// When it was of use for the first time; of a task: when it was done.
    #[must_use]
    pub fn first_good(&self, kind: UnitKind) -> Option<Instant> {
        let is_good = |state| match kind {
            UnitKind::Service => matches!(state, State::Ready | State::Completed),
            // A task that runs is not done yet.
            UnitKind::Task => state == State::Completed,
        };
        let mut stretches = self.stretches.iter();
        let found = stretches.find(|stretch| is_good(stretch.state));
        found.map(|stretch| stretch.from)
    }

    /// The last thing that happened.
    #[must_use]
    pub fn last(&self) -> Option<&Happened> {
        self.events.back()
    }

    fn enter(&mut self, state: State, from: Instant) {
        if self
            .stretches
            .last()
            .is_some_and(|last| last.state == state)
        {
            return;
        }
        if self.stretches.len() >= MOST_STRETCHES {
            // The start-up stays; what came after it goes.
            self.stretches.drain(MOST_STRETCHES / 4..MOST_STRETCHES / 2);
        }
        self.stretches.push(Stretch { state, from });
    }

    fn seed(&mut self, view: &UnitView) {
        self.is_probed = view.readiness != Readiness::Unprobed;
        if let Some(spawned) = view.spawned_at {
            if view.attempt == Attempt(1) {
                self.enter(State::Waiting, Instant::START);
            }
            match view.ready_after {
                Some(after) => {
                    self.enter(State::Starting, spawned);
                    self.enter(State::Ready, spawned + after);
                }
                None if view.readiness == Readiness::Unprobed => self.enter(State::Ready, spawned),
                None => self.enter(State::Starting, spawned),
            }
        }
        self.attempt = view.attempt;
        // Those of earlier runs were seen by whoever looked then.
        if let Some(exit) = view.exit.as_ref().filter(|_| view.pid.is_none()) {
            let (tone, at) = (Tone::Plain, view.since);
            let text = format!("run {}: {exit}", view.attempt);
            push(&mut self.exits, Happened { at, tone, text });
            if let Some(failure) = &view.last_failure {
                self.judge(&failure.to_string());
            }
        }
        let state = State::of(view);
        let known = self
            .stretches
            .last()
            .map_or(Instant::START, |last| last.from);
        self.enter(state, view.since.max(known));
    }
}

/// Of all instances.
#[derive(Clone, Debug, Default)]
pub struct History {
    units: FxHashMap<InstanceId, UnitHistory>,
    names: FxHashMap<InstanceId, String>,
}

impl History {
    #[must_use]
    pub fn get(&self, id: InstanceId) -> Option<&UnitHistory> {
        self.units.get(&id)
    }

    /// Meets the units of a snapshot that it does not know yet; forgets those that are gone.
    /// `missed`: changes were lost, so what is known of all of them is brought up to it.
    pub fn meet(&mut self, snapshot: &Snapshot, missed: bool) {
        for view in &snapshot.units {
            match self.units.get_mut(&view.id) {
                None => {
                    self.names.insert(view.id, view.name.to_string());
                    let mut unit = UnitHistory::default();
                    unit.seed(view);
                    self.units.insert(view.id, unit);
                }
                Some(unit) => {
                    unit.is_probed = view.readiness != Readiness::Unprobed;
                    if State::of(view) == State::Starting {
                        unit.not_yet();
                    }
                    if missed {
                        unit.enter(State::of(view), view.since);
                    }
                }
            }
        }
        if self.units.len() > snapshot.units.len() {
            let there: std::collections::BTreeSet<_> =
                snapshot.units.iter().map(|view| view.id).collect();
            self.units.retain(|id, _| there.contains(id));
            self.names.retain(|id, _| there.contains(id));
        }
    }

    /// Takes note of a change.
    pub fn note(&mut self, change: &Change) {
        let What::Unit {
            instance,
            name,
            change: what,
        } = &change.what
        else {
            return;
        };
        self.names
            .entry(*instance)
            .or_insert_with(|| name.to_string());
        let names = &self.names;
        let name_of = |id| {
            let known: Option<&String> = names.get(&id);
            known
                .cloned()
                .unwrap_or_else(|| "its dependency".to_owned())
        };
        let unit = self.units.entry(*instance).or_default();
        let at = change.at;
        if let Some((tone, text)) = unit.told(at, what, name_of) {
            push(&mut unit.events, Happened { at, tone, text });
        }
    }
}

impl UnitHistory {
    fn told(
        &mut self,
        at: Instant,
        change: &UnitChange,
        name_of: impl Fn(InstanceId) -> String,
    ) -> Option<(Tone, String)> {
        match change {
            UnitChange::Waiting => {
                self.enter(State::Waiting, at);
                None
            }
            UnitChange::Starting { attempt } => {
                self.enter(State::Starting, at);
                if attempt.0 > 1 {
                    push(&mut self.restarts, at);
                }
                (self.attempt, self.stopped_for) = (*attempt, None);
                self.is_assumed = false;
                None
            }
            UnitChange::Started { attempt, pid } => {
                if !self.is_probed {
                    self.enter(State::Ready, at);
                    self.is_assumed = true;
                }
                let again = if attempt.0 > 1 { " again" } else { "" };
                Some((Tone::Plain, format!("started{again}, pid {pid}")))
            }
            UnitChange::Ready { after } => {
                self.not_yet();
                self.enter(State::Ready, at);
                let text = format!("ready after {}", short_duration(*after));
                Some((Tone::Good, text))
            }
            UnitChange::Unready { reason } => {
                self.enter(State::Unwell, at);
                self.probe(at, Tone::Warning, format!("no longer ready: {reason}"));
                Some((Tone::Warning, format!("no longer ready: {reason}")))
            }
            UnitChange::ProbeFailed { role, reason } => {
                let text = format!("{role} probe: {reason}");
                self.probe(at, Tone::Warning, text.clone());
                Some((Tone::Dim, text))
            }
            UnitChange::Stopping { stop } => {
                self.enter(State::Stopping, at);
                let reason = explain::stop_reason(stop, name_of);
                let text = format!("stopping: {reason}");
                self.stopped_for = Some(reason);
                Some((Tone::Plain, text))
            }
            UnitChange::Killed => Some((Tone::Warning, "killed: grace was over".to_owned())),
            UnitChange::Exited { status } => {
                let number = self.attempt;
                let text = match self.stopped_for.take() {
                    Some(reason) => format!("run {number}: {status}, stopped: {reason}"),
                    None => format!("run {number}: {status}"),
                };
                let tone = Tone::Plain;
                push(&mut self.exits, Happened { at, tone, text });
                Some((Tone::Plain, format!("ended: {status}")))
            }
            UnitChange::Backoff {
                delay,
                restart,
                budget,
                failure,
            } => {
                self.enter(State::Backoff, at);
                self.budget = Some((*restart, *budget));
                if let Some(failure) = failure {
                    self.judge(&failure.to_string());
                }
                let text = explain::backoff(*delay, *restart, *budget, failure.as_deref());
                Some((Tone::Warning, text))
            }
            UnitChange::Ended { outcome, ran_for } => {
                let took = ran_for.map_or_else(String::new, |time| {
                    format!(" after {}", short_duration(time))
                });
                let (state, tone) = match &**outcome {
                    Outcome::Completed => (State::Completed, Tone::Good),
                    Outcome::Failed(_) => (State::Failed, Tone::Bad),
                    Outcome::Skipped(_) => (State::Skipped, Tone::Warning),
                    Outcome::Stopped => (State::Stopped, Tone::Plain),
                };
                self.enter(state, at);
                if let Outcome::Failed(failed) = &**outcome {
                    self.judge(&failed.to_string());
                }
                let text = match &**outcome {
                    Outcome::Failed(failed) => format!("failed{took}: {failed}"),
                    Outcome::Completed => format!("completed{took}"),
                    Outcome::Skipped(_) | Outcome::Stopped => outcome.to_string(),
                };
                Some((tone, text))
            }
            UnitChange::FilesChanged { .. }
            | UnitChange::BuildFailed { .. }
            | UnitChange::WatchMuted { .. }
            | UnitChange::WatchPaused
            | UnitChange::WatchResumed => {
                let (gravity, text) = words_of_watch(change)?;
                Some((gravity.into(), text))
            }
            UnitChange::Due { reaction } => Some((Tone::Plain, reaction.words().to_owned())),
            UnitChange::UpToDate { reason } => {
                Some((Tone::Good, format!("up to date, not run: {reason}")))
            }
            UnitChange::Added => Some((Tone::Plain, "added by a reload".to_owned())),
            UnitChange::Removed => Some((Tone::Plain, "taken out by a reload".to_owned())),
        }
    }

    /// There is a probe after all: what was taken for the end of its start was none.
    fn not_yet(&mut self) {
        let is_assumed = std::mem::take(&mut self.is_assumed);
        if let Some(last) = self
            .stretches
            .pop_if(|last| is_assumed && last.state == State::Ready)
        {
            self.enter(State::Starting, last.from);
        }
    }

    /// The last run has failed, for that reason.
    fn judge(&mut self, reason: &str) {
        if let Some(exit) = self.exits.back_mut() {
            exit.tone = Tone::Bad;
            // A reason that is the status itself was told.
            let told = exit
                .text
                .split_once(": ")
                .is_some_and(|(_, told)| reason.starts_with(told) || told.contains(reason));
            if !told {
                exit.text.push_str(&format!(", failed: {reason}"));
            }
        }
    }

    fn probe(&mut self, at: Instant, tone: Tone, text: String) {
        push(&mut self.probes, Happened { at, tone, text });
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    if queue.len() >= MOST {
        queue.pop_front();
    }
    queue.push_back(item);
}
