//! A stack's changes in words, one line each.
//!
//! This module owns what is said of a change, and whether anything is: it remembers of each
//! unit what a line needs that the change itself does not hold. It must not know where the
//! words go, nor how they are coloured.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::waits;
use crate::domain::change::{Change, UnitChange, What};
use crate::domain::event::{ProbeRole, ShutdownCause};
use crate::domain::exit::ExitStatus;
use crate::domain::explain;
use crate::domain::id::{Attempt, InstanceId, UnitName};
use crate::domain::outcome::{Failure, Outcome, RunStatus};
use crate::domain::phase::Stop;
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::{Program, UnitKind, UnitSpec};
use crate::domain::text::short_duration;
use crate::domain::time::Instant;
use crate::domain::watch::{Gravity, words_of_watch};

/// A probe that fails so long after the start is worth a line; before, it is a start.
const SLOW_START: Duration = Duration::from_secs(5);

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Warning,
    Bad,
}

impl From<Gravity> for Tone {
    fn from(gravity: Gravity) -> Self {
        match gravity {
            Gravity::Fine => Self::Plain,
            Gravity::Warning => Self::Warning,
            Gravity::Bad => Self::Bad,
        }
    }
}

/// What is said of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// `None`: of the stack as a whole.
    pub who: Option<UnitName>,
    pub tone: Tone,
    pub text: String,
}

/// What is remembered of one instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) spec: Option<Arc<UnitSpec>>,
    pub(super) running: bool,
    pub(super) ready: bool,
    /// It had been ready before in this run.
    was_ready: bool,
    pub(super) outcome: Option<Outcome>,
    started: Instant,
    attempt: Attempt,
    exit: Option<RunStatus>,
    /// Why the run before failed, while the next one is waited for.
    failing: Option<Failure>,
    last_probe: Option<String>,
    /// It was just said to be so.
    up_to_date: bool,
}

#[derive(Debug)]
pub struct Story {
    plan: Arc<Plan>,
    /// Who may run: nobody waits for others.
    wanted: BTreeSet<UnitName>,
    known: BTreeMap<UnitName, Known>,
    names: BTreeMap<InstanceId, UnitName>,
    killing: bool,
}

impl Story {
    #[must_use]
    pub fn new(plan: Arc<Plan>, wanted: BTreeSet<UnitName>) -> Self {
        let mut known = BTreeMap::new();
        for spec in plan.units() {
            for name in spec.instance_names() {
                let spec = Some(Arc::clone(spec));
                known.insert(
                    name,
                    Known {
                        spec,
                        ..Known::default()
                    },
                );
            }
        }
        Self {
            plan,
            wanted,
            known,
            names: BTreeMap::new(),
            killing: false,
        }
    }

    /// What is to be said of the change, if anything.
    pub fn tell(&mut self, change: &Change) -> Option<Said> {
        match &change.what {
            What::Unit {
                instance,
                name,
                change: what,
            } => {
                self.names.insert(*instance, name.clone());
                let (tone, text) = self.unit(change.at, name, what)?;
                Some(Said {
                    who: Some(name.clone()),
                    tone,
                    text,
                })
            }
            What::ShuttingDown(ShutdownCause::Done | ShutdownCause::EndsWith(_))
                if !self.known.values().any(|known| known.running) =>
            {
                None
            }
            What::ShuttingDown(cause) => Some(self.shutting_down(cause)),
            What::Notice(text) => Some(stack(Tone::Warning, text.clone())),
            What::Killing => {
                self.killing = true;
                Some(stack(Tone::Warning, "killing what is left".to_owned()))
            }
            What::Stray { pid, name } => {
                let text =
                    format!("killed {name} (pid {pid}), which had moved itself out of its group");
                Some(stack(Tone::Warning, text))
            }
            What::Reloaded(difference) => {
                let text = format!("reloaded: {}", crate::cli::words::difference(difference));
                Some(stack(Tone::Plain, text))
            }
            What::ReloadRefused { reason } => {
                let text = format!("not reloaded, all stays as it was: {reason}");
                Some(stack(Tone::Bad, text))
            }
        }
    }

    fn unit(
        &mut self,
        at: Instant,
        name: &UnitName,
        change: &UnitChange,
    ) -> Option<(Tone, String)> {
        if let UnitChange::Waiting = change {
            let known = self.known.entry(name.clone()).or_default();
            (known.running, known.ready, known.outcome) = (false, false, None);
            let spec = known.spec.clone()?;
            let text = waits::unmet(&spec, |dependency| {
                !self.wanted.contains(&dependency.unit)
                    || waits::holds(dependency, &self.plan, &self.known)
            })?;
            return Some((Tone::Plain, format!("waiting for {text}")));
        }
        if let UnitChange::Stopping { stop } = change {
            let text = self.stopping(stop);
            let tone = match **stop {
                Stop::Failed(_) => Tone::Bad,
                _ => Tone::Plain,
            };
            return Some((tone, text));
        }
        let killing = self.killing;
        let known = self.known.entry(name.clone()).or_default();
        known.tell(at, change, killing)
    }

    fn shutting_down(&self, cause: &ShutdownCause) -> Said {
        let (tone, text) = match cause {
            ShutdownCause::Signal(Signal::INT) => (
                Tone::Plain,
                "stopping; Ctrl-C again kills what is left".to_owned(),
            ),
            ShutdownCause::Signal(signal) => (
                Tone::Plain,
                format!("stopping ({signal}); a second signal kills what is left"),
            ),
            ShutdownCause::Requested => (Tone::Plain, "stopping".to_owned()),
            ShutdownCause::FaceGone => (
                Tone::Bad,
                "stopping: the `pk up` that held the stack is gone".to_owned(),
            ),
            ShutdownCause::GuardGone => (
                Tone::Bad,
                "stopping: the guard of this stack was killed".to_owned(),
            ),
            ShutdownCause::Aborted(name) => (Tone::Bad, format!("stopping: {name} failed")),
            ShutdownCause::Essential(name) => {
                let outcome = self
                    .known
                    .get(name)
                    .and_then(|known| known.outcome.as_ref());
                let ended = match outcome {
                    Some(Outcome::Skipped(_)) => "was skipped",
                    Some(Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped) | None => {
                        "ended"
                    }
                };
                let text = format!("stopping: {name} {ended}, and it is essential");
                (Tone::Warning, text)
            }
            ShutdownCause::EndsWith(name) => (Tone::Plain, format!("stopping: {name} ended")),
            ShutdownCause::Done => (Tone::Good, format!("stopping: {}", self.done())),
        };
        stack(tone, text)
    }

    /// All that was asked for, in words: of a service without a probe nobody knows more than
    /// that it was started.
    fn done(&self) -> String {
        let services = (self.plan.units().iter())
            .filter(|unit| unit.kind == UnitKind::Service && self.wanted.contains(&unit.name));
        let (probed, bare): (Vec<_>, Vec<_>) = services.partition(|unit| unit.can_be_ready());
        let services = match (probed.is_empty(), bare.is_empty()) {
            (_, true) => "all services ready",
            (true, false) => "all services started",
            (false, false) => "all services ready, or started where they have no probe",
        };
        let has_tasks = (self.plan.units().iter())
            .any(|unit| unit.kind == UnitKind::Task && self.wanted.contains(&unit.name));
        if has_tasks {
            format!("all tasks are done and {services}")
        } else {
            services.to_owned()
        }
    }

    /// How the stages of the unit's last run ended, if it is a pipeline.
    #[must_use]
    pub fn stages_of(&self, unit: &UnitView) -> Option<String> {
        let spec = self.known.get(&unit.name)?.spec.as_ref()?;
        stages(spec, unit.exit.as_ref()?)
    }

    fn stopping(&self, stop: &Stop) -> String {
        match stop {
            // The line before it has named the files.
            Stop::Shutdown | Stop::Files(_) => "stopping".to_owned(),
            stop => {
                let name_of = |id| {
                    let name = self.names.get(&id).map(ToString::to_string);
                    name.unwrap_or_else(|| "its dependency".to_owned())
                };
                format!("stopping: {}", explain::stop_reason(stop, name_of))
            }
        }
    }
}

impl Known {
    fn tell(&mut self, at: Instant, change: &UnitChange, killing: bool) -> Option<(Tone, String)> {
        match change {
            // Said by the set as a whole, which knows the others.
            UnitChange::Waiting | UnitChange::Stopping { .. } => None,
            // A moment before `started`, or before the reason why there is none.
            UnitChange::Starting { attempt } => {
                let (spec, attempt) = (self.spec.take(), *attempt);
                *self = Self {
                    spec,
                    attempt,
                    started: at,
                    ..Self::default()
                };
                None
            }
            UnitChange::Started { attempt, pid } => {
                self.running = true;
                self.attempt = *attempt;
                let again = if attempt.0 > 1 { " again" } else { "" };
                Some((Tone::Plain, format!("started{again}, pid {pid}")))
            }
            UnitChange::Ready { after } => {
                self.ready = true;
                let text = if std::mem::replace(&mut self.was_ready, true) {
                    "ready again".to_owned()
                } else {
                    format!("ready after {}", short_duration(*after))
                };
                Some((Tone::Good, text))
            }
            UnitChange::Unready { reason } => {
                self.ready = false;
                Some((Tone::Warning, format!("no longer ready: {reason}")))
            }
            UnitChange::ProbeFailed { role, reason } => self.probe_failed(at, *role, reason),
            UnitChange::Killed => Some((Tone::Warning, self.killed(killing))),
            UnitChange::Exited { status } => {
                self.exit = Some(status.clone());
                let spec = self.spec.as_ref()?;
                let text = stages(spec, status)?;
                Some((Tone::Plain, text))
            }
            UnitChange::Backoff {
                delay,
                restart,
                budget,
                failure,
            } => {
                (self.running, self.ready) = (false, false);
                (self.exit, self.failing) = (None, failure.as_deref().cloned());
                let text = explain::backoff(*delay, *restart, *budget, failure.as_deref());
                Some((Tone::Warning, text))
            }
            UnitChange::Ended { outcome, ran_for } => {
                (self.running, self.ready) = (false, false);
                self.outcome = Some((**outcome).clone());
                if std::mem::take(&mut self.up_to_date) {
                    return None;
                }
                Some(self.ended(outcome, *ran_for))
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
                self.up_to_date = true;
                Some((Tone::Good, format!("up to date, not run: {reason}")))
            }
            UnitChange::Added => Some((Tone::Plain, "added to the stack".to_owned())),
            UnitChange::Removed => Some((Tone::Plain, "removed from the stack".to_owned())),
        }
    }

    fn probe_failed(
        &mut self,
        at: Instant,
        role: ProbeRole,
        reason: &str,
    ) -> Option<(Tone, String)> {
        let is_start = !self.was_ready && role != ProbeRole::Liveness;
        if is_start {
            let is_news = self.last_probe.as_deref() != Some(reason);
            if at.since(self.started) < SLOW_START || !is_news {
                return None;
            }
            self.last_probe = Some(reason.to_owned());
            return Some((Tone::Warning, format!("not ready yet: {reason}")));
        }
        Some((Tone::Warning, format!("{role} probe failed: {reason}")))
    }

    fn killed(&self, killing: bool) -> String {
        match &self.spec {
            Some(spec) if !killing && !spec.shutdown.timeout.is_zero() => {
                let grace = short_duration(spec.shutdown.timeout);
                format!("killed: did not stop within {grace}")
            }
            Some(_) | None => "killed".to_owned(),
        }
    }

    fn ended(&self, outcome: &Outcome, ran_for: Option<Duration>) -> (Tone, String) {
        let after = |word: &str| {
            ran_for.map_or_else(String::new, |time| {
                format!(" {word} {}", short_duration(time))
            })
        };
        match outcome {
            Outcome::Completed => (Tone::Good, format!("completed{}", after("in"))),
            Outcome::Failed(failed) => (Tone::Bad, format!("failed{}: {failed}", after("after"))),
            Outcome::Skipped(skip) => (Tone::Warning, format!("skipped: {skip}")),
            Outcome::Stopped => {
                let how = self.exit.as_ref().and_then(|exit| self.odd_exit(exit));
                let failing = self.failing.as_ref();
                let how = how.or_else(|| failing.map(|failure| format!("was failing: {failure}")));
                let how = how.map_or_else(String::new, |how| format!(" ({how})"));
                (Tone::Plain, format!("stopped{how}"))
            }
        }
    }

    /// The exit of a stopped run, unless it is what being asked to stop leads to.
    fn odd_exit(&self, exit: &RunStatus) -> Option<String> {
        let signal = self
            .spec
            .as_ref()
            .map_or(Signal::TERM, |spec| spec.shutdown.signal);
        let as_asked = |status: &ExitStatus| {
            status.shell_code() == 0 || status.shell_code() == 128 + signal.number()
        };
        (!exit.0.iter().all(as_asked)).then(|| exit.to_string())
    }
}

/// The exit of each stage of a pipeline, by name.
fn stages(spec: &UnitSpec, status: &RunStatus) -> Option<String> {
    let Program::Pipeline(stages) = &spec.program else {
        return None;
    };
    let each: Vec<String> = stages
        .iter()
        .zip(&status.0)
        .map(|(stage, status)| match status {
            ExitStatus::Code(code) => format!("{} {code}", stage.name),
            ExitStatus::Signal(signal) => format!("{} {signal}", stage.name),
        })
        .collect();
    Some(format!("stages ended: {}", each.join(" | ")))
}

fn stack(tone: Tone, text: String) -> Said {
    Said {
        who: None,
        tone,
        text,
    }
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;
