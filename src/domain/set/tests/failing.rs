//! Timeouts, budgets, backoff, and runs that will not end.

use std::time::Duration;

use super::driver::{Shape as _, Stack, probe, probed, service};
use crate::domain::event::{ProbeRole, Shutdown};
use crate::domain::spec::{Condition, RestartPolicy};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn who_waits_too_long_is_skipped_and_revived_by_a_new_run() {
    let mut stack = Stack::new([
        probed("db"),
        service("api")
            .on("db", Condition::Ready)
            .but(|spec| spec.timeouts.wait = Some(SECOND)),
    ]);
    stack.spawned("db").pass(2000).done();
    assert_eq!(stack.status("api"), "skipped: waited 1s for db");
    // A condition that comes late revives nothing; a new run of the blocker does.
    stack.probed("db", ProbeRole::Readiness, true);
    assert!(stack.done().is_empty());
    let _ = stack.restart("db");
    stack.exits("db", 0).done();
    assert_eq!(stack.ready("db").done(), ["spawn api"]);
}

#[test]
fn who_is_not_ready_in_time_has_failed() {
    let mut stack = Stack::new([
        probed("db").but(|spec| spec.timeouts.ready = Some(SECOND)),
        service("api").on("db", Condition::Ready),
    ]);
    stack
        .spawned("db")
        .probed("db", ProbeRole::Readiness, false);
    stack.pass(1500);
    assert_eq!(stack.done(), ["spawn db", "SIGTERM db"]);
    stack.exits("db", 0);
    let text = "not ready within 1s (refused)";
    assert_eq!(stack.status("db"), format!("failed: {text}"));
    assert_eq!(
        stack.status("api"),
        "skipped: db failed (not ready within 1s)"
    );
}

#[test]
fn who_runs_too_long_has_failed_and_that_counts() {
    let unit = service("it")
        .restarts(RestartPolicy::OnFailure, 1)
        .but(|spec| spec.timeouts.run = Some(SECOND));
    let mut stack = Stack::new([unit]);
    stack.spawned("it").pass(1500).exits("it", 0);
    assert_eq!(
        stack.status("it"),
        "waiting to restart (timed out after 1s)"
    );
    stack.pass(300).spawned("it").pass(1500).exits("it", 0);
    assert_eq!(
        stack.status("it"),
        "failed: timed out after 1s, gave up after 1 restart"
    );
}

#[test]
fn a_liveness_failure_goes_through_the_ladder_and_the_budget() {
    let unit = service("it")
        .restarts(RestartPolicy::OnFailure, 1)
        .but(|spec| spec.liveness = Some(probe()));
    let mut stack = Stack::new([unit]);
    for _ in 0..2 {
        stack.spawned("it").pass(1000);
        stack.probed("it", ProbeRole::Liveness, true).pass(1000);
        stack.probed("it", ProbeRole::Liveness, false);
        stack.exits("it", 143).pass(300);
    }
    let asked = ["spawn it", "SIGTERM it", "spawn it", "SIGTERM it", "finish"];
    assert_eq!(stack.done(), asked);
    assert_eq!(
        stack.status("it"),
        "failed: liveness probe failed (refused), gave up after 1 restart"
    );
}

#[test]
fn backoff_grows_and_health_resets_it() {
    let unit = service("it").restarts(RestartPolicy::Always, 9);
    let mut stack = Stack::new([unit]);
    stack.spawned("it").exits("it", 1).done();
    assert!(stack.pass(199).done().is_empty());
    assert_eq!(stack.pass(2).done(), ["spawn it"]);
    stack.spawned("it").exits("it", 1);
    assert!(stack.pass(398).done().is_empty());
    assert_eq!(stack.pass(4).done(), ["spawn it"]);
    // Healthy for `reset_after`.
    stack.spawned("it").pass(11_000).exits("it", 1);
    assert_eq!(stack.pass(202).done(), ["spawn it"]);
}

#[test]
fn a_run_that_sigkill_does_not_end_is_stuck_and_nothing_overlaps_it() {
    let mut stack = Stack::new([service("it"), service("other")]);
    stack.spawned("it").spawned("other").done();
    let _ = stack.stop("it");
    assert_eq!(stack.pass(10_500).done(), ["SIGTERM it", "kill it"]);
    stack.pass(5000);
    assert_eq!(
        stack.status("it"),
        "failed: stuck: SIGKILL did not end its processes"
    );
    let _ = stack.start("it");
    assert!(stack.done().is_empty());
    assert_eq!(stack.status("it"), "waiting for its stuck run to end");
    assert_eq!(stack.reaped("it").done(), ["spawn it"]);
}

#[test]
fn pipes_that_somebody_holds_are_given_sigkill_before_stuck_is_said() {
    let mut stack = Stack::new([service("it")]);
    stack.spawned("it").leader_exits("it", 0, true).done();
    assert_eq!(stack.status("it"), "ending");
    assert_eq!(stack.pass(5500).done(), ["kill it"]);
    assert_eq!(stack.reaped("it").done(), ["finish"]);
    assert_eq!(stack.status("it"), "completed");
}

#[test]
fn no_grace_means_sigkill_at_once() {
    let mut stack = Stack::new([service("it").but(|spec| spec.shutdown.timeout = Duration::ZERO)]);
    stack.spawned("it").done();
    let _ = stack.shut_down(Shutdown::Graceful);
    assert_eq!(stack.done(), ["kill it"]);
}

#[test]
fn a_stop_that_is_taken_back_holds_nobody_up() {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started).optional(),
        service("web").on("api", Condition::Started),
    ]);
    stack.spawned("db").spawned("api").spawned("web").done();
    let _ = stack.stop("web");
    let _ = stack.stop("api");
    let _ = stack.stop("db");
    assert_eq!(stack.done(), ["SIGTERM web"]);
    assert_eq!(stack.status("db"), "waiting for api to stop first");
    let _ = stack.start("api");
    assert_eq!(stack.done(), ["SIGTERM db"]);
}

#[test]
fn everything_that_is_waited_for_has_a_name() {
    let mut stack = Stack::new([
        probed("db").but(|spec| spec.timeouts.ready = Some(SECOND * 20)),
        service("api").on("db", Condition::Ready),
    ]);
    stack.spawned("db").pass(1000);
    stack.probed("db", ProbeRole::Readiness, false).pass(4000);
    assert_eq!(
        stack.explain("db"),
        [
            "db: not ready (refused) for 5s",
            "waits for its probe: 0 of 1 successes",
            "last check: refused",
            "fails as not ready in 15s"
        ]
    );
    assert_eq!(
        stack.explain("api"),
        [
            "api: waiting for db to be ready (not ready yet) for 5s",
            "waits for db to be ready: not ready yet"
        ]
    );
    let _ = stack.shut_down(Shutdown::Graceful);
    assert_eq!(
        stack.explain("db"),
        [
            "db: stopping for 0us",
            "stops: the stack stops",
            "is killed in 10s"
        ]
    );
}

#[test]
fn a_stuck_run_that_goes_after_the_end_starts_nothing() {
    let mut stack = Stack::new([
        service("it").but(|spec| spec.timeouts.wait = Some(SECOND)),
        service("other"),
    ]);
    stack.spawned("it").spawned("other");
    let _ = stack.stop("it");
    stack.pass(16_000);
    let _ = stack.start("it");
    stack.pass(2000);
    assert_eq!(
        stack.status("it"),
        "skipped: waited 1s for its former run to end"
    );
    stack.exits("other", 0).done();
    assert!(stack.set.verdict().is_some());
    assert!(stack.reaped("it").done().is_empty());
}
