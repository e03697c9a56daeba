//! The same face, through either port.

use std::time::Duration;

use pk::control::*;
use pk::domain::admission::{Answer, Denial, Reason};
use pk::domain::change::{UnitChange, What};
use pk::domain::event::{Command as Ask, Shutdown, ShutdownCause};
use pk::domain::outcome::Outcome;
use pk::domain::phase::PhaseName;
use pk::domain::plan::Plan;
use pk::domain::set::Options;
use pk::domain::spec::{Command, Program, UnitKind, UnitSpec};
use pk::logs::{MemoryStore, Selection, Start};
use pk::supervisor::{Settings, start};
use std::path::Path;
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(30);

fn sh(name: &str, kind: UnitKind, script: &str) -> Arc<UnitSpec> {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    let program = Program::Command(Command::Exec(argv));
    Arc::new(UnitSpec::new(name.into(), kind, program, "/".into()))
}

fn run() -> LocalPort {
    let units = vec![
        sh("web", UnitKind::Service, "echo up; exec sleep 1000"),
        sh("once", UnitKind::Task, "printf 'a\\377b\\nlast'"),
    ];
    let store = Arc::new(MemoryStore::default());
    let handle = start(Settings {
        folder: "/".into(),
        plan: Arc::new(Plan::new("test", units).unwrap()),
        options: Options::default(),
        containment: pk::contain::Containment::detect().unwrap(),
        store: store.clone(),
        environment: Vec::new(),
        seed: 1,
    });
    LocalPort::new(handle, store)
}

/// What every face does, in one.
async fn face(port: &dyn ControlPort) {
    let mut snapshots = port.snapshots();
    let mut changes = port.changes();
    let logs = port.logs();
    let mut cursor = logs.cursor(Selection::All, Start::Oldest);
    let settled = |name: &'static str, phase: PhaseName| {
        move |snapshot: &Arc<_>| {
            let snapshot: &pk::domain::snapshot::Snapshot = snapshot;
            snapshot.get(name).is_some_and(|unit| unit.phase == phase)
        }
    };
    let last = snapshots.wait_for(settled("once", PhaseName::Exited)).await;
    let id = last.unwrap().get("once").unwrap().id;
    snapshots
        .wait_for(settled("web", PhaseName::Running))
        .await
        .unwrap();

    // Who is in a group is looked up when it is asked for.
    let web = snapshots.borrow().get("web").unwrap().clone();
    let processes = port.processes(web.id).await.unwrap();
    assert!(
        (processes.iter()).any(|process| Some(process.pid) == web.pid && process.memory > 0),
        "{processes:#?}"
    );
    assert_eq!(port.processes(id).await.unwrap(), []);
    let held = port.held().await.unwrap();
    assert!(!held.mechanism.is_empty() && held.description.starts_with("held"));

    // Whatever the order of the two, and however they come: bytes as they were.
    let mut lines = Vec::new();
    let mut wake = logs.wake();
    while lines.len() < 3 {
        let page = logs.read(&mut cursor, 100);
        if page.is_empty() {
            wake.changed().await.unwrap();
        }
        lines.extend(page.lines);
    }
    let of_once: Vec<_> = lines
        .iter()
        .filter(|line| line.origin.run.instance == id)
        .map(|line| line.bytes.to_vec())
        .collect();
    assert_eq!(of_once, [b"a\xffb".to_vec(), b"last".to_vec()]);
    assert_eq!(logs.tail(id, 1)[0].bytes, "last");

    let ask = |command| async { port.command(command).await.unwrap() };
    let answered = ask(Ask::Restart(vec!["web".into()])).await;
    assert_eq!(answered.answer, Answer::Accepted);
    let again = snapshots
        .wait_for(|snapshot| {
            snapshot.revision >= answered.revision
                && snapshot
                    .get("web")
                    .is_some_and(|unit| unit.attempt.0 == 2 && unit.phase == PhaseName::Running)
        })
        .await
        .is_ok();
    assert!(again);
    let answered = ask(Ask::Start(vec!["web".into()])).await;
    assert_eq!(answered.answer, Answer::Ignored(Reason::AlreadyRunning));
    let answered = ask(Ask::Stop(vec!["nobody".into()])).await;
    assert_eq!(
        answered.answer,
        Answer::Denied(Denial::UnknownUnit("nobody".into()))
    );
    assert!(port.now() >= snapshots.borrow().at);

    let answered = ask(Ask::Shutdown(Shutdown::Graceful, ShutdownCause::Requested)).await;
    assert_eq!(answered.answer, Answer::Accepted);
    let last = snapshots.wait_for(|last| last.verdict.is_some()).await;
    assert!(last.unwrap().verdict.as_ref().unwrap().is_success());
    // All that led to the verdict is there with it.
    let mut seen = Vec::new();
    while let Ok(change) = changes.try_recv() {
        seen.push(change.what);
    }
    let stopped = |what: &What| {
        matches!(what, What::Unit { name, change: UnitChange::Ended { outcome, .. }, .. }
            if name.as_str() == "web" && **outcome == Outcome::Stopped)
    };
    assert!(seen.iter().any(stopped), "{seen:#?}");
}

#[tokio::test]
async fn a_face_works_in_the_same_process() {
    let port = run();
    tokio::time::timeout(PATIENCE, face(&port)).await.unwrap();
}

#[tokio::test]
async fn a_face_works_over_the_socket() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RuntimeFolder::create(dir.path().join("pk")).unwrap();
    let record = Record::new("test", Path::new("/nowhere/pk.yaml"));
    let (session, listener) = Session::open(&folder, record).unwrap();
    let local = run();
    let serving = serve(session, listener, Arc::new(local)).unwrap();
    let socket = running(&folder).unwrap().remove(0).socket;
    let port = RemotePort::connect(socket.clone()).await.unwrap();
    tokio::time::timeout(PATIENCE, face(&port)).await.unwrap();
    tokio::task::spawn_blocking(|| serving.finish())
        .await
        .unwrap();
    assert_eq!(running(&folder).unwrap(), []);
    let late = RemotePort::connect(socket).await;
    assert!(matches!(late, Err(wire::WireError::Gone)));
    let answer = port.command(Ask::Start(Vec::new())).await;
    assert_eq!(answer, Err(PortError::Gone));
}
