//! The event loop on a paused clock, with a scripted host.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::event_loop;
use super::handle::Handle;
use super::scripted_host::{Record, Script, ScriptedHost};
use crate::domain::admission::{Answer, Denial};
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::plan::Plan;
use crate::domain::set::{Options, UnitSet};
use crate::domain::snapshot::Snapshot;
use crate::domain::spec::Command as Run;
use crate::domain::spec::{Check, Condition, Dependency, Probe, Program, UnitKind, UnitSpec};
use crate::watch::Watcher;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn service(name: &str, on: &[(&str, Condition)]) -> UnitSpec {
    let program = Program::Command(Run::Exec(vec!["true".into()]));
    let mut spec = UnitSpec::new(name.into(), UnitKind::Service, program, "/".into());
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

fn probed(name: &str) -> UnitSpec {
    let mut spec = service(name, &[]);
    spec.readiness = Some(Probe::new(Check::File("/ready".into())));
    spec
}

struct Stack {
    handle: Handle,
    record: Record,
}

impl Stack {
    fn start(specs: Vec<UnitSpec>, scripts: HashMap<&'static str, Script>) -> Self {
        let plan = Arc::new(Plan::new("test", specs.into_iter().map(Arc::new).collect()).unwrap());
        let set = UnitSet::new(&plan, Options::default(), 1);
        let record = Record::default();
        let handle = event_loop::spawn(set, Watcher::new("/".into()), |inbox| {
            ScriptedHost::new(inbox, scripts, Arc::clone(&record))
        });
        Self { handle, record }
    }

    async fn until(&self, holds: impl FnMut(&Arc<Snapshot>) -> bool) -> Arc<Snapshot> {
        let mut snapshots = self.handle.snapshots();
        Arc::clone(&*snapshots.wait_for(holds).await.unwrap())
    }

    async fn until_status(&self, name: &str, status: &str) -> Arc<Snapshot> {
        self.until(|snapshot| snapshot.get(name).is_some_and(|unit| unit.status == status))
            .await
    }

    async fn end(&self) -> Arc<Snapshot> {
        self.until(|snapshot| snapshot.verdict.is_some()).await
    }

    async fn shut_down(&self, how: Shutdown) -> Answer {
        let command = Command::Shutdown(how, ShutdownCause::Requested);
        self.handle.command(command).await.unwrap()
    }

    fn record(&self) -> Vec<String> {
        self.record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[tokio::test(start_paused = true)]
async fn dependents_start_when_their_condition_holds_and_stop_first() {
    let stack = Stack::start(
        vec![probed("db"), service("api", &[("db", Condition::Ready)])],
        HashMap::from([(
            "db",
            Script {
                ready_after: Some(ms(30)),
                ..Script::default()
            },
        )]),
    );
    stack.until_status("api", "running").await;
    assert_eq!(stack.shut_down(Shutdown::Graceful).await, Answer::Accepted);
    let last = stack.end().await;
    assert!(last.verdict.as_ref().unwrap().is_success());
    let ready_after = last.get("db").unwrap().ready_after.unwrap();
    assert!((ms(30)..=ms(32)).contains(&ready_after), "{ready_after:?}");
    let record = stack.record();
    let what: Vec<&str> = record
        .iter()
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(
        what,
        [
            "spawn db",
            "slow db",
            "spawn api",
            "SIGTERM api",
            "unprobe db",
            "SIGTERM db"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn who_ignores_the_signal_is_killed_after_its_grace() {
    let stack = Stack::start(
        vec![service("deaf", &[])],
        HashMap::from([(
            "deaf",
            Script {
                ignores_signals: true,
                ..Script::default()
            },
        )]),
    );
    stack.until_status("deaf", "running").await;
    let _ = stack.shut_down(Shutdown::Graceful).await;
    let began = tokio::time::Instant::now();
    stack.end().await;
    let took = began.elapsed();
    assert!(took >= ms(10_000) && took < ms(10_050), "{took:?}");
    assert!(stack.record().last().unwrap().ends_with("kill deaf"));
}

#[tokio::test(start_paused = true)]
async fn a_second_shutdown_kills_at_once() {
    let stack = Stack::start(
        vec![service("deaf", &[])],
        HashMap::from([(
            "deaf",
            Script {
                ignores_signals: true,
                ..Script::default()
            },
        )]),
    );
    stack.until_status("deaf", "running").await;
    let _ = stack.shut_down(Shutdown::Graceful).await;
    let began = tokio::time::Instant::now();
    assert_eq!(stack.shut_down(Shutdown::Now).await, Answer::Accepted);
    stack.end().await;
    assert!(began.elapsed() < ms(50));
}

#[tokio::test(start_paused = true)]
async fn a_spawn_that_never_comes_is_given_up_and_does_not_hold_the_stack() {
    let stack = Stack::start(
        vec![
            service("hung", &[]),
            service("after", &[("hung", Condition::Started)]),
        ],
        HashMap::from([(
            "hung",
            Script {
                hangs: true,
                ..Script::default()
            },
        )]),
    );
    let last = stack.end().await;
    let verdict = last.verdict.clone().unwrap();
    assert_eq!(verdict.failed.len(), 1);
    assert_eq!(verdict.skipped.len(), 1);
    assert_eq!(
        last.get("hung").unwrap().status,
        "failed: stuck: SIGKILL did not end its processes"
    );
}

#[tokio::test(start_paused = true)]
async fn after_the_end_a_command_is_refused() {
    let stack = Stack::start(
        vec![service("task", &[])],
        HashMap::from([(
            "task",
            Script {
                exits_after: Some((ms(5), 0)),
                ..Script::default()
            },
        )]),
    );
    stack.end().await;
    let answer = stack
        .handle
        .command(Command::Start(vec!["task".into()]))
        .await;
    assert!(
        matches!(answer, Err(_) | Ok(Answer::Denied(Denial::Ended))),
        "{answer:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn snapshots_are_coalesced_and_their_revision_grows() {
    let specs: Vec<UnitSpec> = (0..200).map(|n| service(&format!("u{n}"), &[])).collect();
    let stack = Stack::start(specs, HashMap::new());
    let mut snapshots = stack.handle.snapshots();
    let mut seen = Vec::new();
    while !snapshots
        .borrow()
        .units
        .iter()
        .all(|unit| unit.status == "running")
        || seen.is_empty()
    {
        snapshots.changed().await.unwrap();
        seen.push(snapshots.borrow_and_update().revision);
    }
    assert!(seen.len() < 10, "{} snapshots for 200 units", seen.len());
    assert!(seen.is_sorted());
}
