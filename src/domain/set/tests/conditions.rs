//! When a unit may start, and when it is skipped.

use super::driver::{Shape as _, Stack, probe, probed, service, task};
use crate::domain::event::{Command, ProbeRole};
use crate::domain::plan::Selection;
use crate::domain::set::Options;
use crate::domain::spec::{Check, Condition, Pattern};

#[test]
fn started_holds_when_exec_is_confirmed() {
    let mut stack = Stack::new([service("db"), service("api").on("db", Condition::Started)]);
    assert_eq!(stack.done(), ["spawn db"]);
    assert_eq!(stack.spawned("db").done(), ["spawn api"]);
}

#[test]
fn ready_holds_when_the_probe_has_succeeded() {
    let mut stack = Stack::new([probed("db"), service("api").on("db", Condition::Ready)]);
    assert_eq!(stack.spawned("db").done(), ["spawn db"]);
    assert_eq!(
        stack.status("api"),
        "waiting for db to be ready (not ready yet)"
    );
    stack.probed("db", ProbeRole::Readiness, true);
    assert_eq!(stack.done(), ["spawn api"]);
}

#[test]
fn ready_without_readiness_is_the_end_of_startup() {
    let db = service("db").but(|spec| spec.startup = Some(probe()));
    let mut stack = Stack::new([db, service("api").on("db", Condition::Ready)]);
    stack.spawned("db").done();
    assert_eq!(
        stack.probed("db", ProbeRole::Startup, true).done(),
        ["spawn api"]
    );
}

#[test]
fn succeeded_holds_after_success_only() {
    let units = || {
        [
            task("migrate"),
            service("api").on("migrate", Condition::Succeeded),
            task("report").on("migrate", Condition::Completed),
        ]
    };
    let mut stack = Stack::new(units());
    stack.spawned("migrate").done();
    assert_eq!(
        stack.exits("migrate", 0).done(),
        ["spawn api", "spawn report"]
    );
    let mut stack = Stack::new(units());
    stack.spawned("migrate").done();
    assert_eq!(stack.exits("migrate", 1).done(), ["spawn report"]);
    assert_eq!(stack.status("api"), "skipped: migrate failed (exit code 1)");
}

#[test]
fn log_ready_holds_from_the_line_on_and_after_success() {
    let log = |spec: &mut crate::domain::spec::UnitSpec| {
        spec.readiness = Some(crate::domain::spec::Probe::new(Check::Log(Pattern(
            "up".into(),
        ))));
    };
    let mut stack = Stack::new([
        task("seed").but(log),
        service("api").on("seed", Condition::LogReady),
    ]);
    stack.spawned("seed").done();
    stack.probed("seed", ProbeRole::Readiness, true);
    assert_eq!(stack.done(), ["spawn api"]);
}

#[test]
fn losing_a_condition_later_stops_nothing() {
    let mut stack = Stack::new([probed("db"), service("api").on("db", Condition::Ready)]);
    stack.ready("db").spawned("api").done();
    stack
        .pass(2000)
        .probed("db", ProbeRole::Readiness, false)
        .exits("db", 1);
    assert!(stack.done().is_empty());
    assert_eq!(stack.status("api"), "running");
}

#[test]
fn skips_travel_along_the_chain_with_their_reasons_and_are_revived() {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started),
        service("web").on("api", Condition::Started),
        service("far").on("web", Condition::Started),
        service("other"),
    ]);
    stack.spawned("other").spawn_fails("db").done();
    assert_eq!(stack.status("api"), "skipped: db failed (no such file)");
    assert_eq!(
        stack.status("web"),
        "skipped: api was skipped, as db failed (no such file)"
    );
    assert_eq!(
        stack.status("far"),
        "skipped: web was skipped, as db failed (no such file)"
    );
    let _ = stack.start("db");
    assert_eq!(stack.done(), ["spawn db"]);
    assert_eq!(
        stack.status("web"),
        "waiting for api to be started (waiting)"
    );
    assert_eq!(stack.spawned("db").done(), ["spawn api"]);
    assert_eq!(stack.spawned("api").done(), ["spawn web"]);
}

#[test]
fn what_is_not_required_is_neither_activated_nor_a_reason_to_skip() {
    let idle = service("cache").but(|spec| spec.disabled = true);
    let mut stack = Stack::new([
        idle,
        service("mail"),
        service("api")
            .on("cache", Condition::Started)
            .optional()
            .on("mail", Condition::Started)
            .optional(),
    ]);
    // It is waited for only while it can come.
    assert_eq!(stack.done(), ["spawn mail"]);
    assert_eq!(stack.spawn_fails("mail").done(), ["spawn api"]);
    assert_eq!(stack.status("cache"), "not started");
}

#[test]
fn a_restart_edge_follows_the_dependency() {
    let mut stack = Stack::new([
        service("other"),
        probed("db"),
        service("api").on("db", Condition::Ready).restarting(),
    ]);
    stack.spawned("other");
    stack.ready("db").spawned("api").done();
    // By itself: the dependent stops after it, and comes back with it.
    stack.leader_exits("db", 1, true);
    assert_eq!(stack.done(), ["SIGTERM api"]);
    stack.reaped("db").exits("api", 0).done();
    assert_eq!(stack.status("api"), "skipped: db failed (exit code 1)");
    let _ = stack.start("db");
    stack.ready("db").spawned("api").done();
    // By command: the dependent stops before it.
    let _ = stack.restart("db");
    assert_eq!(stack.done(), ["SIGTERM api"]);
    assert_eq!(stack.status("db"), "waiting for api to stop first");
    assert_eq!(stack.exits("api", 0).done(), ["SIGTERM db"]);
    assert_eq!(stack.exits("db", 0).done(), ["spawn db"]);
    assert_eq!(stack.ready("db").done(), ["spawn api"]);
    assert_eq!(
        stack
            .set
            .machine(stack.set.find("api").unwrap())
            .unwrap()
            .restarts(),
        0
    );
}

#[test]
fn a_restart_edge_follows_a_run_that_outlived_its_leader() {
    let mut stack = Stack::new([
        service("db").but(|spec| spec.lifetime = crate::domain::spec::Lifetime::Group),
        service("api").on("db", Condition::Started).restarting(),
    ]);
    stack
        .spawned("db")
        .spawned("api")
        .leader_exits("db", 0, false)
        .done();
    assert_eq!(stack.status("api"), "running");
    assert_eq!(stack.reaped("db").done(), ["SIGTERM api"]);
}

#[test]
fn profiles_and_names_select() {
    let units = || {
        [
            service("debug").but(|spec| spec.profiles = vec!["dev".into()]),
            service("db").but(|spec| spec.profiles = vec!["dev".into()]),
            service("api").on("db", Condition::Started),
            service("web").on("api", Condition::Started),
        ]
    };
    let options = |units: &[&str], profiles: &[&str], no_deps| Options {
        selection: Selection {
            units: units.iter().map(ToString::to_string).collect(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            no_deps,
        },
        ..Options::default()
    };
    // What is required is activated whatever its profile.
    assert_eq!(Stack::new(units()).done(), ["spawn db"]);
    let mut dev = Stack::with(options(&[], &["dev"], false), units());
    assert_eq!(dev.done(), ["spawn debug", "spawn db"]);
    let mut api = Stack::with(options(&["api"], &[], false), units());
    assert_eq!(
        api.spawned("db").spawned("api").done(),
        ["spawn db", "spawn api"]
    );
    assert_eq!(api.status("web"), "not started");
    let mut alone = Stack::with(options(&["api"], &[], true), units());
    assert_eq!(alone.done(), ["spawn api"]);
}

#[test]
fn depending_on_replicas_means_all_of_them() {
    let mut stack = Stack::new([
        service("web").but(|spec| spec.replicas = Some(2)),
        service("proxy").on("web", Condition::Started),
    ]);
    assert_eq!(stack.done(), ["spawn web-1", "spawn web-2"]);
    assert!(stack.spawned("web-1").done().is_empty());
    assert_eq!(stack.spawned("web-2").done(), ["spawn proxy"]);
}

#[test]
fn a_start_brings_back_what_it_requires() {
    let mut stack = Stack::new([service("db"), service("api").on("db", Condition::Started)]);
    stack.spawned("db").spawned("api").done();
    let _ = stack.command(Command::Stop(vec!["db".into(), "api".into()]));
    assert_eq!(stack.done(), ["SIGTERM api"]);
    assert_eq!(stack.exits("api", 0).done(), ["SIGTERM db"]);
    let _ = stack.start("api");
    assert_eq!(stack.exits("db", 0).done(), ["spawn db"]);
    assert_eq!(stack.spawned("db").done(), ["spawn api"]);
}
