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
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::id::Attempt;
    use crate::domain::spec::{Check, Command, Dependency, Probe, Program};

    fn unit(name: &str, kind: UnitKind, on: &[(&str, Condition)]) -> UnitSpec {
        let program = Program::Command(Command::Exec(vec!["true".into()]));
        let mut spec = UnitSpec::new(name.into(), kind, program, "/".into());
        spec.depends_on = (on.iter())
            .map(|&(unit, condition)| Dependency {
                unit: unit.into(),
                condition,
                restart: false,
                required: true,
            })
            .collect();
        spec
    }

    struct Stack {
        plan: Plan,
        recorder: Recorder,
    }

    impl Stack {
        fn new(specs: Vec<UnitSpec>) -> Self {
            let plan = Plan::new("x", specs.into_iter().map(Arc::new).collect()).unwrap();
            Self {
                plan,
                recorder: Recorder::default(),
            }
        }

        fn tell(&mut self, at: u64, name: &str, change: UnitChange) {
            let place = self.plan.graph().find(name).unwrap();
            self.recorder.observe(&Change {
                at: Instant::from_millis(at),
                what: What::Unit {
                    instance: InstanceId(place.0),
                    name: name.into(),
                    change,
                },
            });
        }

        fn run(&mut self, name: &str, from: u64, to: u64) {
            let attempt = Attempt(1);
            self.tell(from, name, UnitChange::Starting { attempt });
            self.tell(to, name, UnitChange::Started { attempt, pid: 1 });
        }

        fn ready(&mut self, at: u64, name: &str) {
            let after = Duration::from_millis(1);
            self.tell(at, name, UnitChange::Ready { after });
        }

        fn ended(&mut self, at: u64, name: &str, outcome: Outcome) {
            let outcome = Box::new(outcome);
            let ran_for = None;
            self.tell(at, name, UnitChange::Ended { outcome, ran_for });
        }
    }

    /// db is ready at 300, migrate done at 350, cache at 100; api needs all of them.
    fn shop() -> Stack {
        let mut db = unit("db", UnitKind::Service, &[]);
        db.readiness = Some(Probe::new(Check::File("/x".into())));
        let needs = [
            ("cache", Condition::Started),
            ("db", Condition::Ready),
            ("migrate", Condition::Succeeded),
        ];
        let mut stack = Stack::new(vec![
            unit("api", UnitKind::Service, &needs),
            unit("migrate", UnitKind::Task, &[("db", Condition::Ready)]),
            unit("cache", UnitKind::Service, &[]),
            db,
        ]);
        for name in ["api", "migrate", "cache", "db"] {
            stack.tell(10, name, UnitChange::Waiting);
        }
        stack.run("db", 10, 20);
        stack.run("cache", 10, 100);
        stack.ready(300, "db");
        stack.run("migrate", 300, 310);
        stack
    }

    #[test]
    fn the_critical_path_goes_over_what_was_waited_for_last() {
        let mut stack = shop();
        stack.ended(350, "migrate", Outcome::Completed);
        stack.run("api", 350, 360);
        // What comes later is no part of the start-up.
        stack.ready(900, "db");
        stack.ended(1000, "cache", Outcome::Stopped);
        let timeline = stack.recorder.timeline(&stack.plan);
        assert_eq!(timeline.took, Some(Duration::from_millis(350)));
        assert_eq!(
            timeline.critical,
            ["db", "migrate", "api"].map(UnitName::from)
        );
        let api = timeline.units.last().unwrap();
        assert_eq!(api.name.as_str(), "api");
        assert_eq!(api.waited, Some(Duration::from_millis(340)));
        assert_eq!(api.waited_for, Some("migrate".into()));
        assert_eq!(api.reached, Reached::Started);
        let db = timeline.units.iter().find(|span| span.name == "db".into());
        assert_eq!(db.unwrap().own(), Duration::from_millis(290));
        let cache = timeline.units.iter().find(|span| !span.critical).unwrap();
        assert_eq!(cache.reached, Reached::Started);
    }

    #[test]
    fn who_is_on_the_way_leaves_the_end_open() {
        let mut stack = shop();
        let timeline = stack.recorder.timeline(&stack.plan);
        assert_eq!(timeline.took, None);
        assert_eq!(timeline.critical, ["db"].map(UnitName::from));
        let last = timeline.units.last().unwrap();
        assert_eq!((last.name.as_str(), last.waited), ("api", None));
        // Started by hand much later: not what the stack began with.
        stack.tell(5000, "api", UnitChange::Removed);
        stack.tell(6000, "api", UnitChange::Waiting);
        stack.ended(7000, "migrate", Outcome::Stopped);
        let timeline = stack.recorder.timeline(&stack.plan);
        assert_eq!(timeline.units.len(), 3);
        assert_eq!(timeline.units[2].reached, Reached::Failed);
    }

    #[test]
    fn who_ends_before_it_is_there_has_got_somewhere_too() {
        let service = |name: &str| unit(name, UnitKind::Service, &[]);
        let probed = |name: &str| {
            let mut unit = service(name);
            unit.readiness = Some(Probe::new(Check::File("/x".into())));
            unit
        };
        let mut stack = Stack::new(vec![
            service("none"),
            probed("crashes"),
            probed("finishes"),
            probed("slow"),
        ]);
        for name in ["none", "crashes", "finishes", "slow"] {
            stack.tell(0, name, UnitChange::Waiting);
        }
        stack.ended(10, "none", Outcome::Stopped);
        for (name, at) in [("crashes", 20), ("finishes", 30), ("slow", 40)] {
            stack.run(name, at, at + 1);
        }
        stack.ended(50, "crashes", Outcome::Stopped);
        stack.ended(60, "finishes", Outcome::Completed);
        let timeline = stack.recorder.timeline(&stack.plan);
        let reached = |span: &Span| (span.name.to_string(), span.reached, span.own().as_millis());
        assert_eq!(
            timeline.units.iter().map(reached).collect::<Vec<_>>(),
            [
                ("crashes".to_owned(), Reached::Failed, 30),
                ("finishes".to_owned(), Reached::Completed, 30),
                ("slow".to_owned(), Reached::OnItsWay, 0),
                ("none".to_owned(), Reached::Failed, 0),
            ]
        );
    }

    #[test]
    fn a_circle_of_waits_ends() {
        let there = |at| Instant::from_millis(at);
        let units = [("a", there(1)), ("b", there(2))].into_iter();
        let path = critical_path(units, |one| Some(if one == "a" { "b" } else { "a" }));
        assert_eq!(path, ["a", "b"]);
    }
}
