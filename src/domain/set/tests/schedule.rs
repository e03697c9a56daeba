//! Tasks that start by the clock.

use std::time::Duration;

use super::driver::{Shape as _, Stack, service, task};
use crate::domain::admission::{Answer, Reason};
use crate::domain::event::{Command, Shutdown};
use crate::domain::plan::Selection;
use crate::domain::schedule::{Alarm, Told};
use crate::domain::set::Options;
use crate::domain::spec::{Condition, Overlap, RestartPolicy, Schedule, UnitSpec, When};
use crate::domain::time::Instant;

fn every(seconds: u64, overlap: Overlap) -> UnitSpec {
    task("nightly").but(|spec| {
        spec.schedule = Some(Schedule {
            when: When::Every(Duration::from_secs(seconds)),
            overlap,
            at_start: false,
        });
    })
}

#[test]
fn it_starts_when_its_time_has_come_and_keeps_the_stack_up() {
    let mut stack = Stack::new([every(10, Overlap::Skip)]);
    assert!(stack.done().is_empty());
    assert_eq!(stack.status("nightly"), "scheduled");
    assert_eq!(
        stack.explain("nightly"),
        ["nightly: scheduled for 0us", "next run in 10s"]
    );
    stack.pass(9_999);
    assert!(stack.done().is_empty());
    stack.pass(1);
    assert_eq!(stack.done(), ["spawn nightly"]);
    stack.spawned("nightly").exits("nightly", 0).pass(4_000);
    assert_eq!(
        stack.explain("nightly")[..2],
        ["nightly: completed, 4s ago", "next run in 6s"]
    );
    stack.pass(6_000);
    assert_eq!(stack.done(), ["spawn nightly"]);
    let _ = stack.shut_down(Shutdown::Graceful);
    stack.spawned("nightly").exits("nightly", 0);
    assert!(stack.verdict().is_success());
    stack.done();
    stack.pass(60_000);
    assert!(stack.done().is_empty());
}

#[test]
fn a_run_that_still_lives_is_left_followed_or_replaced() {
    let reach = |overlap| {
        let mut stack = Stack::new([every(10, overlap)]);
        stack.pass(10_000).spawned("nightly").done();
        // Two of its times come.
        stack.pass(20_000);
        stack
    };
    let mut left = reach(Overlap::Skip);
    left.exits("nightly", 0);
    assert!(left.done().is_empty());
    assert_eq!(left.pass(10_000).done(), ["spawn nightly"]);

    let mut queued = reach(Overlap::Queue);
    assert!(queued.done().is_empty());
    queued.exits("nightly", 0);
    assert_eq!(queued.done(), ["spawn nightly"], "once, not twice");
    queued.spawned("nightly").exits("nightly", 0);
    assert!(queued.done().is_empty());

    let mut replaced = Stack::new([every(10, Overlap::Restart)]);
    replaced.pass(10_000).spawned("nightly").done();
    replaced.pass(10_000);
    assert_eq!(replaced.done(), ["SIGTERM nightly"]);
    replaced.exits("nightly", 143);
    assert_eq!(replaced.done(), ["spawn nightly"]);
}

#[test]
fn a_failure_is_restarted_as_the_file_says_and_forgotten_by_the_next_time() {
    let spec = every(60, Overlap::Skip).restarts(RestartPolicy::OnFailure, 1);
    let mut stack = Stack::new([spec]);
    stack.pass(60_000).spawned("nightly").exits("nightly", 1);
    stack.pass(1_000).spawned("nightly").exits("nightly", 1);
    assert_eq!(stack.done(), ["spawn nightly", "spawn nightly"]);
    assert!(stack.status("nightly").starts_with("failed"), "gave up");
    stack.pass(59_000).spawned("nightly").exits("nightly", 1);
    stack.pass(1_000).spawned("nightly").exits("nightly", 0);
    assert_eq!(stack.done(), ["spawn nightly", "spawn nightly"]);
    assert_eq!(stack.status("nightly"), "completed");
}

#[test]
fn a_stop_pauses_it_and_a_start_runs_it_now() {
    let mut stack = Stack::new([every(10, Overlap::Skip), service("db")]);
    stack.spawned("db").done();
    assert_eq!(stack.stop("nightly"), Answer::Accepted);
    assert_eq!(
        stack.stop("nightly"),
        Answer::Ignored(Reason::NotRunning),
        "it is paused"
    );
    stack.pass(60_000);
    assert!(stack.done().is_empty());
    assert_eq!(stack.start("nightly"), Answer::Accepted);
    assert_eq!(stack.done(), ["spawn nightly"]);
    stack.spawned("nightly").exits("nightly", 0);
    // The beat counts from the start.
    assert_eq!(stack.pass(10_000).done(), ["spawn nightly"]);
    stack.spawned("nightly").exits("nightly", 0);
    assert_eq!(stack.stop("nightly"), Answer::Accepted);
    assert_eq!(stack.status("nightly"), "completed; schedule paused");

    let names = || vec!["nightly".into()];
    assert_eq!(stack.command(Command::Disable(names())), Answer::Accepted);
    assert!(stack.pass(60_000).done().is_empty());
    // Enabled it waits for its time.
    assert_eq!(stack.command(Command::Enable(names())), Answer::Accepted);
    assert!(stack.pass(9_000).done().is_empty());
    assert_eq!(stack.pass(1_000).done(), ["spawn nightly"]);
}

#[test]
fn who_depends_on_it_waits_for_its_first_run() {
    let mut stack = Stack::new([
        every(10, Overlap::Skip),
        service("report").on("nightly", Condition::Succeeded),
    ]);
    assert_eq!(
        stack.status("report"),
        "waiting for nightly to be succeeded (waits for its time)"
    );
    stack.pass(10_000).spawned("nightly").exits("nightly", 0);
    assert_eq!(stack.done(), ["spawn nightly", "spawn report"]);
    // Further runs are of no concern to it.
    stack.spawned("report").pass(10_000).spawned("nightly");
    stack.exits("nightly", 1);
    assert_eq!(stack.done(), ["spawn nightly"]);
}

#[test]
fn what_is_asked_for_by_name_or_with_the_stack_runs_at_once() {
    let options = Options {
        selection: Selection {
            units: vec!["nightly".into()],
            ..Selection::default()
        },
        ..Options::default()
    };
    let mut stack = Stack::with(options.clone(), [every(10, Overlap::Skip)]);
    assert_eq!(stack.done(), ["spawn nightly"]);
    let at_start = every(10, Overlap::Skip).but(|spec| {
        if let Some(schedule) = &mut spec.schedule {
            schedule.at_start = true;
        }
    });
    assert_eq!(Stack::new([at_start]).done(), ["spawn nightly"]);

    let without = Options {
        no_clock: true,
        ..options
    };
    let mut stack = Stack::with(without, [every(10, Overlap::Skip)]);
    stack.spawned("nightly").exits("nightly", 0);
    assert_eq!(stack.done(), ["spawn nightly", "finish"]);
}

#[test]
fn a_stack_that_ends_when_all_is_done_does_not_wait_for_the_clock() {
    let options = Options {
        ends_when_done: true,
        ..Options::default()
    };
    let mut stack = Stack::with(options, [every(10, Overlap::Skip), task("build")]);
    stack.spawned("build").exits("build", 0);
    assert_eq!(stack.done(), ["spawn build", "finish"]);
}

#[test]
fn an_alarm_that_was_replaced_is_not_heard_and_one_that_never_comes_keeps_nobody() {
    let cron = || {
        task("nightly").but(|spec| {
            spec.schedule = Some(Schedule {
                when: When::Cron {
                    expression: "0 0 30 2 *".into(),
                    timezone: None,
                },
                overlap: Overlap::Skip,
                at_start: false,
            });
        })
    };
    let mut stack = Stack::new([cron()]);
    let (number, alarm) = stack.alarm("nightly");
    assert!(matches!(alarm, Alarm::Cron { .. }));
    stack.told_of_time("nightly", Told::Due { number: number + 7 });
    assert!(stack.done().is_empty());
    let at = Some(Instant::from_millis(90_000));
    stack.told_of_time("nightly", Told::Next { number, at });
    assert_eq!(stack.explain("nightly")[1], "next run in 1m30s");
    stack.told_of_time("nightly", Told::Next { number, at: None });
    assert_eq!(stack.done(), ["finish"]);

    let mut stack = Stack::new([
        cron(),
        service("report").on("nightly", Condition::Succeeded),
    ]);
    let (number, _) = stack.alarm("nightly");
    stack.told_of_time("nightly", Told::Next { number, at: None });
    assert_eq!(stack.status("report"), "skipped: nightly is not started");
}
