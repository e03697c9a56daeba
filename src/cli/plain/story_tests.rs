use super::*;
use crate::domain::outcome::{Failed, Failure, Skip};
use crate::domain::spec::{Command, Condition, Dependency, Stage, UnitKind};

fn exec() -> Program {
    Program::Command(Command::Exec(vec!["true".into()]))
}

fn unit(name: &str, kind: UnitKind, on: &[(&str, Condition)]) -> UnitSpec {
    let mut spec = UnitSpec::new(name.into(), kind, exec(), "/".into());
    spec.depends_on = on
        .iter()
        .map(|&(unit, condition)| Dependency {
            unit: unit.into(),
            condition,
            restart: false,
            required: true,
        })
        .collect();
    spec
}

fn story() -> Story {
    let mut job = unit("job", UnitKind::Task, &[]);
    job.program = Program::Pipeline(
        ["read", "sort"]
            .map(|name| Stage {
                name: name.into(),
                command: Command::Exec(vec!["true".into()]),
                environment: BTreeMap::new(),
                working_dir: None,
            })
            .to_vec(),
    );
    let api = [("db", Condition::Ready), ("seed", Condition::Succeeded)];
    let units = [
        unit("db", UnitKind::Service, &[]),
        unit("seed", UnitKind::Task, &[("db", Condition::Started)]),
        unit("api", UnitKind::Service, &api),
        job,
    ];
    let plan = Plan::new("shop", units.map(Arc::new).to_vec()).unwrap();
    let wanted = plan.units().iter().map(|unit| unit.name.clone()).collect();
    Story::new(Arc::new(plan), wanted)
}

fn say(story: &mut Story, millis: u64, name: &str, change: UnitChange) -> Option<String> {
    let change = Change {
        at: Instant::from_millis(millis),
        what: What::Unit {
            instance: InstanceId(7),
            name: name.into(),
            change,
        },
    };
    story.tell(&change).map(|said| said.text)
}

fn said(story: &mut Story, name: &str, change: UnitChange) -> String {
    say(story, 100, name, change).unwrap()
}

fn start(story: &mut Story, name: &str, attempt: u32) -> String {
    let attempt = Attempt(attempt);
    assert_eq!(
        say(story, 100, name, UnitChange::Starting { attempt }),
        None
    );
    said(story, name, UnitChange::Started { attempt, pid: 42 })
}

#[test]
fn a_wait_names_what_is_not_there_yet() {
    let mut story = story();
    assert_eq!(say(&mut story, 0, "db", UnitChange::Waiting), None);
    assert_eq!(
        said(&mut story, "api", UnitChange::Waiting),
        "waiting for db to be ready, seed to succeed"
    );
    assert_eq!(start(&mut story, "db", 1), "started, pid 42");
    let after = Duration::from_millis(120);
    assert_eq!(
        said(&mut story, "db", UnitChange::Ready { after }),
        "ready after 120ms"
    );
    assert_eq!(
        said(&mut story, "api", UnitChange::Waiting),
        "waiting for seed to succeed"
    );
    assert_eq!(say(&mut story, 0, "seed", UnitChange::Waiting), None);
}

#[test]
fn ends_say_why() {
    let mut story = story();
    let failed = Outcome::Failed(Failed {
        failure: Failure::Exit(ExitStatus::Code(3)),
        gave_up_after: Some(5),
    });
    let ended = |outcome: &Outcome, millis: Option<u64>| UnitChange::Ended {
        outcome: Box::new(outcome.clone()),
        ran_for: millis.map(Duration::from_millis),
    };
    assert_eq!(
        said(&mut story, "db", ended(&failed, Some(3200))),
        "failed after 3.2s: exit code 3, gave up after 5 restarts"
    );
    let skipped = Outcome::Skipped(Skip::Dependency {
        on: InstanceId(0),
        name: "db".into(),
        reason: "failed (exit code 3)".into(),
        because: None,
    });
    assert_eq!(
        said(&mut story, "api", ended(&skipped, None)),
        "skipped: db failed (exit code 3)"
    );
    assert_eq!(
        said(&mut story, "seed", ended(&Outcome::Completed, Some(12))),
        "completed in 12ms"
    );
}

#[test]
fn a_stop_tells_how_it_ended_only_if_not_as_asked() {
    let stopped = |status: ExitStatus| {
        let mut story = story();
        start(&mut story, "db", 1);
        let status = RunStatus::of(status);
        assert_eq!(
            say(&mut story, 0, "db", UnitChange::Exited { status }),
            None
        );
        let outcome = Box::new(Outcome::Stopped);
        said(
            &mut story,
            "db",
            UnitChange::Ended {
                outcome,
                ran_for: None,
            },
        )
    };
    assert_eq!(stopped(ExitStatus::SUCCESS), "stopped");
    assert_eq!(stopped(ExitStatus::Code(143)), "stopped");
    assert_eq!(stopped(ExitStatus::Signal(Signal::TERM)), "stopped");
    assert_eq!(stopped(ExitStatus::Code(1)), "stopped (exit code 1)");
    assert_eq!(
        stopped(ExitStatus::Signal(Signal::KILL)),
        "stopped (SIGKILL)"
    );
}

#[test]
fn restarts_are_counted() {
    let mut story = story();
    let backoff = |budget| UnitChange::Backoff {
        delay: Duration::from_millis(400),
        restart: 2,
        budget,
        failure: Some(Box::new(Failure::Exit(ExitStatus::Code(1)))),
    };
    assert_eq!(
        said(&mut story, "db", backoff(Some(5))),
        "restart 2/5 in 400ms: exit code 1"
    );
    assert_eq!(
        said(&mut story, "db", backoff(None)),
        "restart 2 in 400ms: exit code 1"
    );
    assert_eq!(start(&mut story, "db", 2), "started again, pid 42");
}

#[test]
fn a_start_is_not_disturbed_by_its_probes() {
    let mut story = story();
    start(&mut story, "db", 1);
    let refused = || UnitChange::ProbeFailed {
        role: ProbeRole::Readiness,
        reason: "connection refused".into(),
    };
    assert_eq!(say(&mut story, 200, "db", refused()), None);
    let slow = say(&mut story, 5200, "db", refused());
    assert_eq!(slow.unwrap(), "not ready yet: connection refused");
    assert_eq!(say(&mut story, 6200, "db", refused()), None);
    let after = Duration::from_secs(7);
    said(&mut story, "db", UnitChange::Ready { after });
    assert_eq!(
        said(&mut story, "db", refused()),
        "readiness probe failed: connection refused"
    );
    let reason = "connection refused".to_owned();
    assert_eq!(
        said(&mut story, "db", UnitChange::Unready { reason }),
        "no longer ready: connection refused"
    );
    assert_eq!(
        said(&mut story, "db", UnitChange::Ready { after }),
        "ready again"
    );
}

#[test]
fn stages_are_shown_by_name() {
    let mut story = story();
    let status = RunStatus(vec![ExitStatus::Signal(Signal::PIPE), ExitStatus::Code(2)]);
    assert_eq!(
        said(&mut story, "job", UnitChange::Exited { status }),
        "stages ended: read SIGPIPE | sort 2"
    );
}

#[test]
fn a_kill_says_whether_it_was_due() {
    let mut story = story();
    assert_eq!(
        said(&mut story, "db", UnitChange::Killed),
        "killed: did not stop within 10s"
    );
    let killing = Change {
        at: Instant::START,
        what: What::Killing,
    };
    assert_eq!(story.tell(&killing).unwrap().text, "killing what is left");
    assert_eq!(said(&mut story, "db", UnitChange::Killed), "killed");
}

#[test]
fn the_stack_says_why_it_stops() {
    let text = |cause| {
        let at = Instant::START;
        let what = What::ShuttingDown(cause);
        story().tell(&Change { at, what }).unwrap().text
    };
    assert_eq!(
        text(ShutdownCause::Signal(Signal::INT)),
        "stopping; Ctrl-C again kills what is left"
    );
    assert_eq!(
        text(ShutdownCause::Signal(Signal::HUP)),
        "stopping (SIGHUP); a second signal kills what is left"
    );
    assert_eq!(
        text(ShutdownCause::Aborted("db".into())),
        "stopping: db failed"
    );
    let mut story = story();
    let stop = |stop| UnitChange::Stopping {
        stop: Box::new(stop),
    };
    assert_eq!(said(&mut story, "api", stop(Stop::Shutdown)), "stopping");
    assert_eq!(
        said(&mut story, "api", stop(Stop::Dependency(InstanceId(7)))),
        "stopping: api ends"
    );
}
