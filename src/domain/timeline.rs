//! The start-up of a stack: who waited for what, and what it all took.
//!
//! A [`Recorder`] writes down, from the changes as they are published, when each instance
//! first came to its marks; it holds one line per instance, however long the stack runs. A
//! [`Timeline`] is computed from that and from the plan when somebody asks.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::change::{Change, UnitChange, What};
use super::id::{InstanceId, UnitName};
use super::outcome::Outcome;
use super::plan::Plan;
use super::spec::{Condition, UnitKind, UnitSpec};
use super::text::opt_duration;
use super::time::Instant;

/// When one instance first came to its marks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Marks {
    name: UnitName,
    /// When anything was first told of it.
    seen: Instant,
    /// Its first spawn was begun.
    starting: Option<Instant>,
    /// Exec was confirmed.
    started: Option<Instant>,
    ready: Option<Instant>,
    /// Its first end, and whether that was a success.
    ended: Option<(Instant, bool)>,
    /// Attempts until it ran, and until it was ready or had ended.
    attempts_to_run: u32,
    attempts: u32,
}

/// Writes down what the timeline needs.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    marks: BTreeMap<InstanceId, Marks>,
    /// When the first thing was told of any.
    began: Option<Instant>,
}

impl Recorder {
    /// Takes one change. Only what is the first of its kind counts.
    pub fn observe(&mut self, change: &Change) {
        let What::Unit {
            instance,
            name,
            change: what,
        } = &change.what
        else {
            return;
        };
        let at = change.at;
        self.began.get_or_insert(at);
        let marks = self.marks.entry(*instance).or_insert_with(|| Marks {
            name: name.clone(),
            seen: at,
            starting: None,
            started: None,
            ready: None,
            ended: None,
            attempts_to_run: 0,
            attempts: 0,
        });
        match what {
            UnitChange::Starting { .. } => {
                marks.starting.get_or_insert(at);
                if marks.started.is_none() {
                    marks.attempts_to_run += 1;
                }
                if marks.ready.is_none() && marks.ended.is_none() {
                    marks.attempts += 1;
                }
            }
            UnitChange::Started { .. } => {
                marks.started.get_or_insert(at);
            }
            UnitChange::Ready { .. } => {
                marks.ready.get_or_insert(at);
            }
            UnitChange::Ended { outcome, .. } => {
                let success = **outcome == Outcome::Completed;
                marks.ended.get_or_insert((at, success));
            }
            UnitChange::Removed => {
                self.marks.remove(instance);
            }
            UnitChange::Waiting
            | UnitChange::Unready { .. }
            | UnitChange::ProbeFailed { .. }
            | UnitChange::Stopping { .. }
            | UnitChange::Killed
            | UnitChange::Exited { .. }
            | UnitChange::Backoff { .. }
            | UnitChange::FilesChanged { .. }
            | UnitChange::BuildFailed { .. }
            | UnitChange::WatchMuted { .. }
            | UnitChange::WatchPaused
            | UnitChange::WatchResumed
            | UnitChange::Due { .. }
            | UnitChange::UpToDate { .. }
            | UnitChange::Added => {}
        }
    }

    /// The start-up of those that the stack began with, in the order in which they started.
    #[must_use]
    pub fn timeline(&self, plan: &Plan) -> Timeline {
        let began = self.began.unwrap_or_default();
        let mut specs: BTreeMap<UnitName, &UnitSpec> = BTreeMap::new();
        for spec in plan.units() {
            for name in spec.instance_names() {
                specs.insert(name, spec);
            }
        }
        let mut spans: Vec<Span> = (self.marks.values())
            .filter(|marks| marks.seen == began)
            .filter_map(|marks| {
                let spec = specs.get(&marks.name)?;
                Some(self.span(marks, spec, plan, began))
            })
            .collect();
        spans.sort_by_key(|span| (span.starting.is_none(), span.starting, span.there));
        let critical = critical(&spans);
        for span in &mut spans {
            span.critical = critical.contains(&span.name);
        }
        let all_there = spans.iter().all(|span| span.there.is_some());
        let last = spans.iter().filter_map(|span| span.there).max();
        Timeline {
            took: last.filter(|_| all_there).map(|last| last.since(began)),
            began,
            critical,
            units: spans,
        }
    }

    fn span(&self, marks: &Marks, spec: &UnitSpec, plan: &Plan, began: Instant) -> Span {
        let failed = marks.ended.filter(|&(_, success)| !success);
        let (there, how) = match (spec.kind, spec.can_be_ready()) {
            (UnitKind::Service, true) => match (marks.ready, marks.ended) {
                (Some(at), _) => (Some(at), Reached::Ready),
                (None, Some((at, false))) => (Some(at), Reached::Failed),
                (None, Some((at, true))) => (Some(at), Reached::Completed),
                (None, None) => (None, Reached::OnItsWay),
            },
            (UnitKind::Service, false) => match (marks.started, failed) {
                (Some(at), _) => (Some(at), Reached::Started),
                (None, Some((at, _))) => (Some(at), Reached::Failed),
                (None, None) => (None, Reached::OnItsWay),
            },
            (UnitKind::Task, _) => match marks.ended {
                Some((at, true)) => (Some(at), Reached::Completed),
                Some((at, false)) => (Some(at), Reached::Failed),
                None => (None, Reached::OnItsWay),
            },
        };
        let since = |from: Option<Instant>, to: Option<Instant>| Some(to?.since(from?));
        Span {
            name: marks.name.clone(),
            waited: marks.starting.map(|at| at.since(began)),
            waited_for: self.waited_for(marks, spec, plan),
            spawning: since(marks.starting, marks.started),
            getting_there: since(marks.started, there),
            starting: marks.starting,
            there,
            reached: how,
            attempts: match how {
                Reached::Started => marks.attempts_to_run,
                Reached::OnItsWay | Reached::Ready | Reached::Completed | Reached::Failed => {
                    marks.attempts
                }
            },
            critical: false,
        }
    }

    /// The dependency whose condition came to hold last before it was started.
    fn waited_for(&self, marks: &Marks, spec: &UnitSpec, plan: &Plan) -> Option<UnitName> {
        let started = marks.starting?;
        let instances = |unit: &UnitName| {
            let names: Vec<UnitName> = plan
                .get(unit.as_str())
                .map_or_else(Vec::new, |spec| spec.instance_names().collect());
            self.marks
                .values()
                .filter(move |other| names.contains(&other.name))
        };
        let held = spec.depends_on.iter().flat_map(|edge| {
            instances(&edge.unit).filter_map(move |other| {
                let at = match edge.condition {
                    Condition::Started => other.started,
                    Condition::Ready | Condition::LogReady => other.ready,
                    Condition::Completed | Condition::Succeeded => other.ended.map(|(at, _)| at),
                }?;
                (at <= started).then(|| (at, other.name.clone()))
            })
        });
        held.max_by_key(|(at, _)| *at).map(|(_, name)| name)
    }
}

fn critical(spans: &[Span]) -> Vec<UnitName> {
    let there = spans
        .iter()
        .filter_map(|span| Some((&span.name, span.there?)));
    let path = critical_path(there, |name| {
        let span = spans.iter().find(|span| span.name == *name)?;
        spans.iter().find_map(|other| {
            (Some(&other.name) == span.waited_for.as_ref()).then_some(&other.name)
        })
    });
    path.into_iter().cloned().collect()
}

/// What a start-up took as long as it took for: from the one that was `there` last, back over
/// what each waited for last, which `waited_for` says. In the order of the start.
pub fn critical_path<K: Copy + PartialEq>(
    there: impl Iterator<Item = (K, Instant)>,
    waited_for: impl Fn(K) -> Option<K>,
) -> Vec<K> {
    let mut path = Vec::new();
    let mut next = there.max_by_key(|&(_, at)| at).map(|(one, _)| one);
    while let Some(one) = next {
        // A dependency that was restarted by hand meanwhile could lead in a circle.
        if path.contains(&one) {
            break;
        }
        path.push(one);
        next = waited_for(one);
    }
    path.reverse();
    path
}

/// The start-up of a stack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Timeline {
    pub began: Instant,
    /// Until the last one was there; `None`: some are still on their way.
    #[serde(
        default,
        with = "opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub took: Option<Duration>,
    /// What it would have to be faster in for the stack to be there sooner, in order.
    pub critical: Vec<UnitName>,
    /// In the order in which they were started.
    pub units: Vec<Span>,
}

/// The start-up of one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Span {
    pub name: UnitName,
    /// When its first spawn was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starting: Option<Instant>,
    /// When it had reached what its dependents wait for by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<Instant>,
    pub reached: Reached,
    /// For its dependencies, from the beginning of the stack.
    #[serde(
        default,
        with = "opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub waited: Option<Duration>,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<UnitName>,
    /// Until exec was confirmed.
    #[serde(
        default,
        with = "opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub spawning: Option<Duration>,
    /// From there until it was there.
    #[serde(
        default,
        with = "opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub getting_there: Option<Duration>,
    /// How many it took.
    pub attempts: u32,
    /// It is on the critical path.
    pub critical: bool,
}

impl Span {
    /// From its spawn on.
    #[must_use]
    pub fn own(&self) -> Duration {
        match (self.starting, self.there) {
            (Some(from), Some(to)) => to.since(from),
            (None, _) | (_, None) => Duration::ZERO,
        }
    }
}

/// How far the start of an instance has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reached {
    OnItsWay,
    /// It runs, and has no probe.
    Started,
    Ready,
    Completed,
    /// It ended in another way.
    Failed,
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
