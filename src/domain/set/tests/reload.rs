//! Going over to another plan.

use super::driver::{Shape as _, Stack, plan, service};
use crate::domain::admission::{Answer, Denial, Reason};
use crate::domain::event::Command;
use crate::domain::spec::{Condition, UnitSpec};

fn changed(spec: UnitSpec) -> UnitSpec {
    spec.but(|spec| spec.working_dir = "/elsewhere".into())
}

fn reload(stack: &mut Stack, units: impl IntoIterator<Item = UnitSpec>) -> Answer {
    stack.command(Command::Reload(plan(units)))
}

#[test]
fn what_did_not_change_is_not_touched() {
    let units = || [service("db"), service("api").on("db", Condition::Started)];
    let mut stack = Stack::new(units());
    stack.spawned("db").spawned("api").done();
    assert_eq!(
        reload(&mut stack, units()),
        Answer::Ignored(Reason::Unchanged)
    );
    let [db, api] = units();
    let described = db.but(|spec| spec.description = Some("the database".into()));
    assert_eq!(reload(&mut stack, [described, api]), Answer::Accepted);
    assert!(stack.done().is_empty());
}

#[test]
fn what_changed_restarts() {
    let mut stack = Stack::new([service("db"), service("api")]);
    stack.spawned("db").spawned("api").done();
    let _ = reload(&mut stack, [changed(service("db")), service("api")]);
    assert_eq!(stack.done(), ["SIGTERM db"]);
    assert_eq!(stack.exits("db", 0).done(), ["spawn db"]);
}

#[test]
fn what_changed_back_in_time_goes_on() {
    let units = || {
        [
            service("db"),
            service("api").on("db", Condition::Started).restarting(),
        ]
    };
    let mut stack = Stack::new(units());
    stack.spawned("db").spawned("api").done();
    let [db, api] = units();
    let _ = reload(&mut stack, [changed(db), api]);
    assert_eq!(stack.done(), ["SIGTERM api"]);
    let _ = reload(&mut stack, units());
    assert_eq!(stack.exits("api", 0).done(), ["spawn api"]);
}

#[test]
fn what_is_gone_stops_in_order_and_leaves() {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started),
        service("other"),
    ]);
    stack.spawned("db").spawned("api").spawned("other").done();
    let _ = reload(&mut stack, [service("other")]);
    assert_eq!(stack.done(), ["SIGTERM api"]);
    // It is none any more, though its run is.
    assert_eq!(
        stack.start("api"),
        Answer::Denied(Denial::UnknownUnit("api".into()))
    );
    assert_eq!(stack.exits("api", 0).done(), ["SIGTERM db"]);
    stack.exits("db", 0);
    assert!(stack.set.find("db").is_none());
    assert_eq!(stack.set.snapshot().units.len(), 1);
}

#[test]
fn what_is_new_starts_when_its_conditions_hold() {
    let mut stack = Stack::new([service("db")]);
    stack.done();
    let api = || service("api").on("db", Condition::Started);
    let _ = reload(&mut stack, [service("db"), api()]);
    assert!(stack.done().is_empty());
    assert_eq!(stack.spawned("db").done(), ["spawn api"]);
}

#[test]
fn further_replicas_of_what_was_started_by_hand_start_too() {
    let web = |replicas| {
        service("web").but(|spec| {
            spec.replicas = Some(replicas);
            spec.disabled = true;
        })
    };
    let mut stack = Stack::new([web(1), service("other")]);
    assert_eq!(stack.done(), ["spawn other"]);
    let _ = stack.start("web");
    let _ = reload(&mut stack, [web(2), service("other")]);
    assert_eq!(stack.done(), ["spawn web-1", "spawn web-2"]);
}
