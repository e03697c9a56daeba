//! Commands and their answers.

use super::driver::{Shape as _, Stack, probed, service};
use crate::domain::admission::{Answer, Denial, Reason};
use crate::domain::event::{Command, Shutdown};
use crate::domain::signal::Signal;
use crate::domain::spec::{Condition, Port, RestartPolicy};

#[test]
fn a_repeated_command_is_ignored() {
    let mut stack = Stack::new([service("db"), service("api").on("db", Condition::Started)]);
    stack.spawned("db").spawned("api");
    assert_eq!(stack.start("db"), Answer::Ignored(Reason::AlreadyRunning));
    assert_eq!(stack.stop("db"), Answer::Accepted);
    assert_eq!(stack.stop("db"), Answer::Ignored(Reason::AlreadyStopping));
    assert_eq!(stack.start("db"), Answer::Accepted);
    assert_eq!(stack.start("db"), Answer::Ignored(Reason::AlreadyStarting));
    stack.exits("db", 0);
    assert_eq!(stack.start("db"), Answer::Ignored(Reason::AlreadyStarting));
    let disable = || Command::Disable(vec!["db".into()]);
    assert_eq!(stack.command(disable()), Answer::Accepted);
    assert_eq!(
        stack.command(disable()),
        Answer::Ignored(Reason::AlreadyDisabled)
    );
}

#[test]
fn unknown_names_deny_the_whole_command() {
    let mut stack = Stack::new([service("db")]);
    stack.spawned("db").done();
    let stop = Command::Stop(vec!["db".into(), "dp".into()]);
    assert_eq!(
        stack.command(stop),
        Answer::Denied(Denial::UnknownUnit("dp".into()))
    );
    assert!(stack.done().is_empty());
}

#[test]
fn a_stopped_unit_stays_down_and_its_dependents_are_skipped() {
    let mut stack = Stack::new([
        service("db").restarts(RestartPolicy::Always, 5),
        probed("slow"),
        service("api")
            .on("slow", Condition::Ready)
            .on("db", Condition::Started),
    ]);
    stack.spawned("db").done();
    let _ = stack.stop("db");
    stack.exits("db", 0);
    assert_eq!(stack.status("db"), "stopped");
    assert_eq!(stack.status("api"), "skipped: db was stopped");
    assert!(!stack.done().contains(&"spawn db".to_owned()));
}

#[test]
fn a_disabled_unit_comes_back_by_enable_or_by_name() {
    let mut stack = Stack::new([service("db"), service("other")]);
    stack.spawned("db").spawned("other").done();
    let disable = || Command::Disable(vec!["db".into()]);
    let _ = stack.command(disable());
    stack.exits("db", 0).done();
    let enable = || Command::Enable(vec!["db".into()]);
    assert_eq!(stack.command(enable()), Answer::Accepted);
    assert_eq!(stack.done(), ["spawn db"]);
    assert_eq!(
        stack.command(enable()),
        Answer::Ignored(Reason::NotDisabled)
    );
    let _ = stack.command(disable());
    stack.exits("db", 0).done();
    assert_eq!(stack.start("db"), Answer::Accepted);
    assert_eq!(stack.done(), ["spawn db"]);
}

#[test]
fn a_restart_never_overlaps() {
    let mut stack = Stack::new([service("api")]);
    stack.spawned("api").done();
    assert_eq!(stack.restart("api"), Answer::Accepted);
    assert_eq!(stack.leader_exits("api", 0, false).done(), ["SIGTERM api"]);
    assert_eq!(stack.reaped("api").done(), ["spawn api"]);
}

#[test]
fn a_restart_is_not_lost_when_the_run_vanishes_first() {
    let mut stack = Stack::new([
        service("db"),
        service("api").on("db", Condition::Started).restarting(),
    ]);
    stack.spawned("db").spawned("api").done();
    let _ = stack.restart("db");
    // Nothing but its empty group is reported of it, while it waits for `api` to stop.
    stack.reaped("db");
    assert_eq!(stack.done(), ["SIGTERM api", "spawn db"]);
}

#[test]
fn signals_go_to_what_runs_only() {
    let mut stack = Stack::new([service("db"), service("api").on("db", Condition::Started)]);
    let signal = |names: &[&str]| {
        Command::Signal(names.iter().map(|&name| name.into()).collect(), Signal::HUP)
    };
    stack.spawned("db").done();
    assert_eq!(
        stack.command(signal(&["db", "api"])),
        Answer::Denied(Denial::NotRunning("api".into()))
    );
    assert!(stack.done().is_empty());
    assert_eq!(stack.command(signal(&["db"])), Answer::Accepted);
    assert_eq!(stack.done(), ["SIGHUP db"]);
}

#[test]
fn scaling_renames_and_restarts_none() {
    let mut stack = Stack::new([service("web").but(|spec| spec.replicas = Some(2))]);
    stack.spawned("web-1").spawned("web-2").done();
    let scale = |replicas| Command::Scale {
        unit: "web".into(),
        replicas,
    };
    assert_eq!(stack.command(scale(3)), Answer::Accepted);
    assert_eq!(stack.done(), ["spawn web-3"]);
    assert_eq!(stack.command(scale(3)), Answer::Ignored(Reason::Unchanged));
    stack.spawned("web-3");
    let _ = stack.command(scale(1));
    assert_eq!(stack.done(), ["SIGTERM web-2", "SIGTERM web-3"]);
    stack.exits("web-2", 0).exits("web-3", 0);
    let names: Vec<String> = (stack.set.snapshot().units.iter())
        .map(|view| view.name.to_string())
        .collect();
    assert_eq!(names, ["web-1"]);
    // One that comes back goes on counting its attempts.
    let _ = stack.command(scale(2));
    let id = stack.set.find("web-2").unwrap();
    assert_eq!(stack.set.machine(id).unwrap().attempt().0, 2);
}

#[test]
fn scaling_is_denied_where_it_makes_no_sense() {
    let mut stack = Stack::new([
        service("db"),
        service("web").but(|spec| {
            spec.replicas = Some(1);
            spec.ports.insert("http".into(), Port::Fixed(80));
        }),
        service("api").but(|spec| spec.replicas = Some(1)),
        service("api-2"),
    ]);
    let mut scale = |unit: &str, replicas| {
        stack.command(Command::Scale {
            unit: unit.into(),
            replicas,
        })
    };
    let name = crate::domain::id::UnitName::from;
    assert_eq!(
        scale("db", 2),
        Answer::Denied(Denial::NoReplicas(name("db")))
    );
    assert_eq!(
        scale("web-1", 2),
        Answer::Denied(Denial::NotAUnit(name("web-1")))
    );
    assert_eq!(
        scale("web", 2),
        Answer::Denied(Denial::FixedPort { unit: name("web") })
    );
    assert_eq!(
        scale("api", 2),
        Answer::Denied(Denial::NameTaken(name("api")))
    );
    assert_eq!(
        scale("api", 1001),
        Answer::Denied(Denial::TooMany {
            unit: name("api"),
            most: 1000
        })
    );
}

#[test]
fn a_stopping_stack_takes_no_command_but_a_harder_stop() {
    let mut stack = Stack::new([service("db")]);
    stack.spawned("db");
    assert_eq!(stack.shut_down(Shutdown::Graceful), Answer::Accepted);
    assert_eq!(stack.start("db"), Answer::Denied(Denial::ShuttingDown));
    assert_eq!(
        stack.shut_down(Shutdown::Graceful),
        Answer::Ignored(Reason::AlreadyStopping)
    );
    assert_eq!(stack.shut_down(Shutdown::Now), Answer::Accepted);
    stack.exits("db", 137);
    assert_eq!(stack.start("db"), Answer::Denied(Denial::Ended));
}
