//! What is told of a start.

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
