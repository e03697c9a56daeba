//! What is said of units that wait, run and have ended.

use std::sync::Arc;

use super::*;
use crate::domain::id::{Attempt, InstanceId, Revision};
use crate::domain::outcome::Failed;
use crate::domain::phase::Desired;
use crate::domain::spec::{Tty, UnitKind};
use crate::domain::watch::{BuildFailure, FileChange};

fn view(id: u32, name: &str, phase: PhaseName, wait: Option<Wait>) -> UnitView {
    let mut view = UnitView {
        id: InstanceId(id),
        name: name.into(),
        unit: name.into(),
        kind: UnitKind::Service,
        description: None,
        profiles: Vec::new(),
        desired: Desired::Up,
        phase,
        since: Instant::from_millis(1_000),
        readiness: Readiness::Unprobed,
        attempt: Attempt(1),
        restarts: 0,
        pid: None,
        spawned_at: None,
        ready_after: None,
        outcome: None,
        last_failure: None,
        exit: None,
        up_to_date: None,
        said: None,
        schedule: None,
        watch: None,
        wait,
        tty: Tty::No,
        foreground: false,
        takes_input: false,
        status: String::new(),
    };
    view.status = status(&view);
    view
}

/// Four seconds after it came to its phase, beside `db`.
fn told(view: &UnitView) -> Vec<String> {
    let db = view_of_db();
    let snapshot = Snapshot {
        revision: Revision(1),
        name: "shop".to_owned(),
        at: Instant::from_millis(5_000),
        units: vec![Arc::new(view.clone()), Arc::new(db)],
        shutdown: None,
        cause: None,
        verdict: None,
    };
    explain(view, &snapshot)
}

fn view_of_db() -> UnitView {
    view(1, "db", PhaseName::Running, None)
}

#[test]
fn every_wait_has_its_words() {
    let until = Some(Instant::from_millis(7_000));
    let waits = [
        (
            PhaseName::Waiting,
            Wait::StuckRun,
            "waiting for its stuck run to end for 4s",
            "waits for a former run that SIGKILL has not ended",
        ),
        (
            PhaseName::Starting,
            Wait::Spawn,
            "starting for 4s",
            "waits for its command to be executed",
        ),
        (
            PhaseName::Running,
            Wait::Dependents(vec!["web".into()]),
            "waiting for web to stop first for 4s",
            "waits for web to stop first",
        ),
        (
            PhaseName::Stopping,
            Wait::Grace {
                stop: Some(Stop::Dependency(InstanceId(1))),
                until,
            },
            "stopping for 4s",
            "stops: db ends\nis killed in 2s",
        ),
        (
            PhaseName::Stopping,
            Wait::Grace {
                stop: Some(Stop::Dependency(InstanceId(9))),
                until: None,
            },
            "stopping for 4s",
            "stops: its dependency ends",
        ),
        (
            PhaseName::Reaping,
            Wait::Kill { until },
            "stopping what its leader left for 4s",
            "was sent SIGKILL\nis given up as stuck in 2s",
        ),
        (
            PhaseName::Reaping,
            Wait::Drain,
            "ending for 4s",
            "waits for the rest of its output",
        ),
        (
            PhaseName::Backoff,
            Wait::Backoff {
                until: Instant::from_millis(5_250),
                failure: Some(Failure::Lost),
            },
            "waiting to restart (its end was not seen) for 4s",
            "restarts in 250ms",
        ),
    ];
    for (phase, wait, state, lines) in waits {
        let told = told(&view(0, "api", phase, Some(wait)));
        assert_eq!(told[0], format!("api: {state}"));
        assert_eq!(told[1..].join("\n"), lines);
    }
}

#[test]
fn a_stop_tells_who_wants_it() {
    let name_of = |_| "db".to_owned();
    let files = FileChange {
        path: "src/a".into(),
        others: 0,
    };
    for (stop, words) in [
        (Stop::Requested, "asked to"),
        (Stop::Restart, "to restart"),
        (Stop::Files(files), "src/a changed"),
        (Stop::Changed, "its definition changed"),
        (Stop::Removed, "it is no longer in the file"),
        (Stop::Shutdown, "the stack stops"),
    ] {
        assert_eq!(stop_reason(&stop, name_of), words);
    }
}

#[test]
fn what_was_before_is_told_too() {
    let mut api = view(0, "api", PhaseName::Exited, None);
    api.restarts = 2;
    api.outcome = Some(Outcome::Failed(Failed {
        failure: Failure::Lost,
        gave_up_after: None,
    }));
    api.up_to_date = Some("its outputs are newer".to_owned());
    let files = FileChange {
        path: "src/a".into(),
        others: 1,
    };
    api.watch = Some(WatchView {
        muted: vec!["out.txt".to_owned()],
        build_failure: Some(BuildFailure {
            files,
            failure: "exit code 1".to_owned(),
        }),
        ..WatchView::default()
    });
    api.status = status(&api);
    assert_eq!(
        told(&api),
        [
            "api: up to date; build failed: exit code 1; ignores out.txt, which it writes \
             itself, 4s ago",
            "restarted 2 times",
            "was not run: its outputs are newer",
            "runs what was built before src/a and 1 other changed",
            "ignores out.txt: it changed after each of its starts; `pk watch resume` undoes \
             that",
        ]
    );
    let mut sick = view(0, "api", PhaseName::Running, None);
    sick.readiness = Readiness::Unhealthy;
    assert_eq!(status(&sick), "unhealthy");
}
