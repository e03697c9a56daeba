//! How a stack comes to its end, and what is said of it then.

use super::driver::{Shape as _, Stack, probed, service, task};
use crate::domain::event::{Shutdown, ShutdownCause};
use crate::domain::exit::ExitStatus;
use crate::domain::set::Options;
use crate::domain::spec::{Condition, Essential, RestartPolicy};

fn chain() -> Stack {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started),
        service("web").on("api", Condition::Started),
        service("aside"),
    ]);
    stack.spawned("db").spawned("api").spawned("web");
    stack.spawned("aside").done();
    stack
}

#[test]
fn a_stack_stops_in_reverse_order_in_parallel_where_it_can() {
    let mut stack = chain();
    let _ = stack.shut_down(Shutdown::Graceful);
    let mut first = stack.done();
    first.sort();
    assert_eq!(first, ["SIGTERM aside", "SIGTERM web"]);
    assert_eq!(stack.exits("web", 0).done(), ["SIGTERM api"]);
    assert_eq!(stack.exits("api", 143).done(), ["SIGTERM db"]);
    stack.exits("db", 0);
    assert_eq!(stack.exits("aside", 0).done(), ["finish"]);
    assert!(stack.verdict().is_success());
    assert_eq!(stack.verdict().cause, Some(ShutdownCause::Requested));
}

#[test]
fn told_twice_it_kills_everything_at_once() {
    let mut stack = chain();
    let _ = stack.shut_down(Shutdown::Graceful);
    stack.done();
    let _ = stack.shut_down(Shutdown::Now);
    let mut killed = stack.done();
    killed.sort();
    assert_eq!(killed, ["kill api", "kill aside", "kill db", "kill web"]);
}

#[test]
fn nothing_starts_after_a_shutdown() {
    let mut stack = Stack::new([
        service("db").restarts(RestartPolicy::Always, 5),
        service("api").on("db", Condition::Started),
        service("crashes").restarts(RestartPolicy::Always, 5),
    ]);
    stack.spawned("crashes").exits("crashes", 1).done();
    let _ = stack.shut_down(Shutdown::Graceful);
    stack.spawned("db").exits("db", 0).pass(60_000);
    assert_eq!(stack.done(), ["SIGTERM db", "finish"]);
    assert_eq!(stack.status("crashes"), "stopped");
}

#[test]
fn a_stack_of_tasks_ends_when_the_last_is_done() {
    let mut stack = Stack::new([task("one"), task("two").on("one", Condition::Succeeded)]);
    stack.spawned("one").exits("one", 0).spawned("two").done();
    assert_eq!(stack.exits("two", 0).done(), ["finish"]);
    assert!(stack.verdict().is_success());
    assert_eq!(stack.verdict().cause, None);
}

#[test]
fn the_verdict_names_what_failed_and_what_was_skipped() {
    let mut stack = Stack::new([task("one"), task("two").on("one", Condition::Succeeded)]);
    stack.spawned("one").exits("one", 1);
    assert!(!stack.verdict().is_success());
    assert_eq!(stack.losses(), (vec!["one".into()], vec!["two".into()]));
}

#[test]
fn what_is_skipped_because_of_a_stop_by_hand_is_no_loss() {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started),
        service("web").on("api", Condition::Started),
    ]);
    let _ = stack.stop("db");
    stack.spawned("db").exits("db", 0);
    assert_eq!(
        stack.status("web"),
        "skipped: api was skipped, as db was stopped"
    );
    assert!(stack.verdict().is_success());
}

#[test]
fn the_first_failure_aborts_if_that_was_asked_for() {
    let options = Options {
        abort_on_failure: true,
        ..Options::default()
    };
    let mut stack = Stack::with(options, [service("db"), task("test")]);
    stack.spawned("db").spawned("test").done();
    assert_eq!(stack.exits("test", 1).done(), ["SIGTERM db"]);
    stack.exits("db", 0);
    assert_eq!(
        stack.verdict().cause,
        Some(ShutdownCause::Aborted("test".into()))
    );
    assert_eq!(stack.losses().0, ["test"]);
}

#[test]
fn it_ends_when_tasks_are_done_and_services_ready_if_that_was_asked_for() {
    let options = Options {
        ends_when_done: true,
        ..Options::default()
    };
    let units = [probed("db"), task("test").on("db", Condition::Ready)];
    let mut stack = Stack::with(options, units);
    stack.ready("db").spawned("test").done();
    assert_eq!(stack.exits("test", 0).done(), ["SIGTERM db"]);
    assert_eq!(stack.exits("db", 0).done(), ["finish"]);
    assert_eq!(stack.verdict().cause, Some(ShutdownCause::Done));
}

#[test]
fn it_ends_with_a_unit_and_passes_its_code_on() {
    let options = Options {
        ends_with: Some("test".into()),
        code_from: Some("test".into()),
        ..Options::default()
    };
    let mut stack = Stack::with(options, [service("db"), task("test")]);
    stack.spawned("db").spawned("test").done();
    assert_eq!(stack.exits("test", 7).done(), ["SIGTERM db"]);
    stack.exits("db", 0);
    assert_eq!(stack.verdict().code_from, Some(ExitStatus::Code(7)));
    assert_eq!(
        stack.verdict().cause,
        Some(ShutdownCause::EndsWith("test".into()))
    );
}

#[test]
fn essential_units_end_the_stack_each_in_its_way() {
    let stops = |essential: Essential, fails: bool, skipped: bool| {
        let mut unit = task("it").but(|spec| spec.essential = essential);
        if skipped {
            unit = unit.on("gate", Condition::Succeeded);
        }
        let mut stack = Stack::new([service("other"), task("gate"), unit]);
        stack.spawned("other").spawned("gate");
        if skipped {
            stack.exits("gate", 1);
        } else {
            stack.spawned("it").exits("it", i32::from(fails));
        }
        stack.set.shutdown_cause().cloned()
    };
    let cause = || Some(ShutdownCause::Essential("it".into()));
    // (fails, is skipped): completed, failed, skipped.
    let ends = [(false, false), (true, false), (false, true)];
    let all = |essential| ends.map(|(fails, skipped)| stops(essential, fails, skipped));
    assert_eq!(all(Essential::No), [None, None, None]);
    assert_eq!(all(Essential::Any), [cause(), cause(), cause()]);
    assert_eq!(all(Essential::Failure), [None, cause(), None]);
    assert_eq!(all(Essential::Skipped), [None, None, cause()]);
}

#[test]
fn an_essential_unit_may_restart_as_long_as_its_budget_lasts() {
    let unit = service("it")
        .restarts(RestartPolicy::OnFailure, 1)
        .but(|spec| spec.essential = Essential::Any);
    let mut stack = Stack::new([unit, service("other")]);
    stack.spawned("other").spawned("it").exits("it", 1);
    assert_eq!(stack.set.shutdown(), None);
    stack.pass(300).spawned("it").exits("it", 1);
    assert_eq!(stack.set.shutdown(), Some(Shutdown::Graceful));
}
