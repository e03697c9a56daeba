//! The whole table: every phase × every input, in one snapshot. A rule that changes is a
//! difference to review.

mod said;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::{Context, Input, Machine};
use crate::domain::change::{UnitChange, What};
use crate::domain::effect::{Effect, Scope};
use crate::domain::event::{DeadlineKind, Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::health::Readiness;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::notice::Notice;
use crate::domain::outcome::{Failure, Member, Outcome, RunStatus, Skip};
use crate::domain::phase::{End, Phase, Rung, Stop};
use crate::domain::signal::Signal;
use crate::domain::spec::{
    Check, Command, Lifetime, Pattern, Probe, Program, Restart, RestartPolicy, UnitKind, UnitSpec,
};
use crate::domain::time::Instant;
use crate::domain::watch::FileChange;

fn spec(change: impl FnOnce(&mut UnitSpec)) -> Arc<UnitSpec> {
    let program = Program::Command(Command::Exec(vec!["serve".into()]));
    let mut spec = UnitSpec::new("api".into(), UnitKind::Service, program, "/".into());
    let probe = || Probe {
        interval: Duration::from_secs(1),
        failure_threshold: 1,
        ..Probe::new(Check::Tcp {
            host: "localhost".into(),
            port: 80,
        })
    };
    spec.readiness = Some(probe());
    spec.liveness = Some(probe());
    spec.restart = Restart {
        policy: RestartPolicy::OnFailure,
        ..Restart::default()
    };
    spec.timeouts.wait = Some(Duration::from_secs(60));
    spec.timeouts.ready = Some(Duration::from_secs(20));
    spec.timeouts.run = Some(Duration::from_secs(600));
    change(&mut spec);
    Arc::new(spec)
}

/// A machine and what it was told so far.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) machine: Machine,
    now: u64,
}

impl Bench {
    pub(super) fn new(change: impl FnOnce(&mut UnitSpec)) -> Self {
        let machine = Machine::new(InstanceId(0), "api".into(), spec(change), Instant::START);
        Self { machine, now: 0 }
    }

    fn on(&mut self, wanted: bool, input: Input) -> Vec<Effect> {
        self.now += 2000;
        let mut effects = Vec::new();
        self.machine.on(
            input,
            &mut Context {
                now: Instant::from_millis(self.now),
                wanted,
                rng: &mut fastrand::Rng::with_seed(1),
                effects: &mut effects,
            },
        );
        effects
    }

    pub(super) fn after(mut self, inputs: &[Input]) -> Self {
        for input in inputs {
            self.on(true, input.clone());
        }
        self
    }
}

pub(super) fn exits(code: i32, empty: bool) -> Input {
    Input::Fact(Fact::LeaderExited {
        status: RunStatus::of(ExitStatus::Code(code)),
        empty,
    })
}

fn probed(role: ProbeRole, success: bool) -> Input {
    let result = if success {
        ProbeResult::Success
    } else {
        ProbeResult::Failure("refused".into())
    };
    Input::Fact(Fact::Probed { role, result })
}

fn notified(notice: Notice) -> Input {
    Input::Fact(Fact::Notified(notice))
}

/// A way to each phase that there is, and to each rung of those with one.
fn phases() -> Vec<(&'static str, Bench)> {
    let plain = || Bench::new(|_| {});
    let wait = Input::Wait { renew: false };
    let spawned = Input::Fact(Fact::Spawned { pid: 7 });
    let reaped = Input::Fact(Fact::Reaped);
    let up = [wait.clone(), Input::Go, spawned];
    let running = || plain().after(&up);
    let ready = || running().after(&[probed(ProbeRole::Readiness, true)]);
    let again = [
        exits(1, true),
        reaped.clone(),
        Input::Deadline(DeadlineKind::Backoff),
    ];
    let restarted = || ready().after(&again).after(&up[1..]);
    let restarted = || restarted().after(&[probed(ProbeRole::Readiness, true)]);
    let stopping = || running().after(&[Input::Stop(Stop::Requested)]);
    let killed = || running().after(&[Input::Kill(Stop::Requested)]);
    vec![
        ("idle", plain()),
        ("waiting", plain().after(&up[..1])),
        ("starting", plain().after(&up[..2])),
        ("running, not ready", running()),
        ("running, ready", ready()),
        ("running, ready after a restart", restarted()),
        (
            "running, its leader gone (lifetime: group)",
            Bench::new(|spec| spec.lifetime = Lifetime::Group)
                .after(&up)
                .after(&[exits(1, false)]),
        ),
        ("stopping as requested, asked", stopping()),
        ("stopping as requested, killed", killed()),
        (
            "stopping to restart, asked",
            running().after(&[Input::Stop(Stop::Restart)]),
        ),
        (
            "stopping as failed, asked by command",
            Bench::new(|spec| {
                spec.shutdown.command = Some(Command::Exec(vec!["halt".into()]));
            })
            .after(&up)
            .after(&[Input::Stop(Stop::Failed(Failure::Unhealthy("no".into())))]),
        ),
        (
            "reaping after exit code 1, empty",
            running().after(&[exits(1, true)]),
        ),
        (
            "reaping after exit code 0, stragglers asked",
            running().after(&[exits(0, false)]),
        ),
        (
            "reaping after a stop as requested, killed",
            killed().after(&[exits(137, false)]),
        ),
        (
            "backoff",
            running().after(&[exits(1, true), reaped.clone()]),
        ),
        (
            "exited: completed",
            running().after(&[exits(0, true), reaped]),
        ),
        (
            "exited: skipped",
            plain().after(&[wait, Input::Skip(skip())]),
        ),
        (
            "exited: stuck",
            killed().after(&[Input::Deadline(DeadlineKind::Reap)]),
        ),
    ]
}

fn skip() -> Skip {
    Skip::Dependency {
        on: InstanceId(9),
        name: UnitName::from("db"),
        reason: "failed".into(),
        because: None,
    }
}

/// Every input; of stops, signals and facts every kind.
fn inputs() -> Vec<(String, Option<bool>, Input)> {
    let mut inputs = vec![
        ("wait".to_owned(), Some(true), Input::Wait { renew: false }),
        (
            "wait, renewed".to_owned(),
            Some(true),
            Input::Wait { renew: true },
        ),
        ("go".to_owned(), Some(true), Input::Go),
        ("skip".to_owned(), Some(true), Input::Skip(skip())),
    ];
    let stops = [
        ("requested", false, Stop::Requested),
        ("restart", true, Stop::Restart),
        (
            "files",
            true,
            Stop::Files(FileChange {
                path: "main.rs".into(),
                others: 0,
            }),
        ),
        ("dependency", true, Stop::Dependency(InstanceId(9))),
        ("changed", true, Stop::Changed),
        ("removed", false, Stop::Removed),
        ("shutdown", false, Stop::Shutdown),
        (
            "failed",
            true,
            Stop::Failed(Failure::Unhealthy("no".into())),
        ),
    ];
    for (name, wanted, stop) in stops {
        inputs.push((format!("stop: {name}"), Some(wanted), Input::Stop(stop)));
    }
    inputs.push(("kill".to_owned(), Some(false), Input::Kill(Stop::Requested)));
    inputs.push(("signal".to_owned(), Some(true), Input::Signal(Signal::INT)));
    let member = Member {
        pid: 8,
        name: "sleeper".into(),
    };
    let error = "no such file".to_owned();
    let facts = [
        ("spawned", Input::Fact(Fact::Spawned { pid: 7 })),
        ("spawn failed", Input::Fact(Fact::SpawnFailed { error })),
        (
            "up to date",
            Input::Fact(Fact::UpToDate {
                reason: "no change".into(),
            }),
        ),
        ("readiness good", probed(ProbeRole::Readiness, true)),
        ("readiness bad", probed(ProbeRole::Readiness, false)),
        ("liveness good", probed(ProbeRole::Liveness, true)),
        ("liveness bad", probed(ProbeRole::Liveness, false)),
        ("startup good", probed(ProbeRole::Startup, true)),
        ("says ready", notified(Notice::Ready)),
        ("says reloading", notified(Notice::Reloading)),
        ("says stopping", notified(Notice::Stopping)),
        (
            "says something",
            notified(Notice::Status(Some("7 clients".into()))),
        ),
        ("says alive", notified(Notice::Alive)),
        ("says unwell", notified(Notice::Unwell)),
        (
            "asks for time",
            notified(Notice::Extend(Duration::from_secs(60))),
        ),
        ("exit 0, empty", exits(0, true)),
        ("exit 1, empty", exits(1, true)),
        ("exit 1, stragglers", exits(1, false)),
        ("out of memory", Input::Fact(Fact::OutOfMemory)),
        (
            "port taken",
            Input::Fact(Fact::PortTaken {
                why: "port 5432 is taken".into(),
            }),
        ),
        ("stop command failed", Input::Fact(Fact::StopCommandFailed)),
        ("reaped", Input::Fact(Fact::Reaped)),
        ("survivors", Input::Fact(Fact::Survivors(vec![member]))),
        ("lost", Input::Fact(Fact::Lost)),
    ];
    for (name, fact) in facts {
        inputs.push((name.to_owned(), None, fact));
    }
    for kind in DeadlineKind::ALL {
        inputs.push((
            format!("deadline: {kind:?}"),
            Some(true),
            Input::Deadline(kind),
        ));
    }
    inputs
}

#[test]
fn every_phase_times_every_input() {
    let mut table = String::new();
    for (name, bench) in phases() {
        let _ = writeln!(table, "{name}");
        let mut without_effect = Vec::new();
        for (input_name, wanted, input) in inputs() {
            let cell = |wanted| cell(&bench, wanted, &input);
            let cells = match wanted {
                Some(wanted) => vec![(input_name, cell(wanted))],
                None if cell(true) == cell(false) => vec![(input_name, cell(true))],
                // What is not wanted any more ends otherwise.
                None => vec![
                    (format!("{input_name}, wanted"), cell(true)),
                    (format!("{input_name}, unwanted"), cell(false)),
                ],
            };
            for (name, cell) in cells {
                match cell {
                    Some(cell) => {
                        let _ = writeln!(table, "  {name:<28} {cell}");
                    }
                    None => without_effect.push(name),
                }
            }
        }
        let _ = writeln!(table, "  nothing: {}\n", without_effect.join(" · "));
    }
    insta::assert_snapshot!(table);
}

/// What an input does there, unless it does nothing.
fn cell(bench: &Bench, wanted: bool, input: &Input) -> Option<String> {
    let mut bench = bench.clone();
    let before = bench.machine.clone();
    let effects = bench.on(wanted, input.clone());
    if effects.is_empty() && bench.machine == before {
        return None;
    }
    let after = if bench.machine.phase() == before.phase() {
        "same".to_owned()
    } else {
        phase(bench.machine.phase())
    };
    let effects: Vec<String> = effects.iter().map(effect).collect();
    Some(if effects.is_empty() {
        format!("{after} (noted)")
    } else {
        format!("{after} | {}", effects.join(", "))
    })
}

fn phase(phase: &Phase) -> String {
    let stop = |stop: &Stop| match stop {
        Stop::Failed(failure) => format!("failed: {failure}"),
        Stop::Files(_) => "files".to_owned(),
        Stop::Requested
        | Stop::Restart
        | Stop::Dependency(_)
        | Stop::Changed
        | Stop::Removed
        | Stop::Shutdown => format!("{stop:?}").to_lowercase(),
    };
    let rung = |rung: &Rung| format!("{rung:?}").to_lowercase();
    match phase {
        Phase::Idle => "idle".into(),
        Phase::Waiting => "waiting".into(),
        Phase::Starting { run } => format!("starting #{}", run.attempt),
        Phase::Running { status: None, .. } => "running".into(),
        Phase::Running {
            status: Some(_), ..
        } => "running, leader gone".into(),
        Phase::Stopping {
            stop: s, rung: r, ..
        } => format!("stopping ({}) {}", stop(s), rung(r)),
        Phase::Reaping { end, rung: r, .. } => match end {
            End::Exited(status) => format!("reaping ({status}) {}", rung(r)),
            End::Stopped(s, _) => format!("reaping ({}) {}", stop(s), rung(r)),
        },
        Phase::Backoff { .. } => "backoff".into(),
        Phase::Exited(outcome) => match outcome {
            Outcome::Completed | Outcome::Failed(_) | Outcome::Skipped(_) | Outcome::Stopped => {
                format!("exited: {outcome}")
            }
        },
    }
}

fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Spawn { .. } => "Spawn".into(),
        Effect::StartProbe { role, .. } => format!("StartProbe {role}"),
        Effect::SlowProbe { role, .. } => format!("SlowProbe {role}"),
        Effect::StopProbe { role, .. } => format!("StopProbe {role}"),
        Effect::Signal { signal, scope, .. } => match scope {
            Scope::Group => format!("{signal} to all"),
            Scope::Leader => format!("{signal} to leader"),
        },
        Effect::StopCommand { .. } => "StopCommand".into(),
        Effect::TypeKeys { .. } => "TypeKeys".into(),
        Effect::Kill { .. } => "Kill".into(),
        Effect::Arm(armed) => format!("Arm {:?}", armed.deadline.kind),
        Effect::Publish(change) => match &change.what {
            What::Unit { change, .. } => format!("+{}", publication(change)),
            What::ShuttingDown(_)
            | What::Killing
            | What::Stray { .. }
            | What::Notice(_)
            | What::Reloaded(_)
            | What::ReloadRefused { .. } => "of the set".into(),
        },
        Effect::Watch { .. }
        | Effect::Unwatch { .. }
        | Effect::Build { .. }
        | Effect::CancelBuild { .. }
        | Effect::HoldWatch { .. }
        | Effect::Schedule { .. }
        | Effect::Unschedule { .. }
        | Effect::Reply { .. }
        | Effect::Finish(_) => "of the set".into(),
    }
}

fn publication(change: &UnitChange) -> &'static str {
    match change {
        UnitChange::Waiting => "waiting",
        UnitChange::Starting { .. } => "starting",
        UnitChange::Started { .. } => "started",
        UnitChange::Ready { .. } => "ready",
        UnitChange::Unready { .. } => "unready",
        UnitChange::ProbeFailed { .. } => "probe failed",
        UnitChange::Stopping { .. } => "stopping",
        UnitChange::Killed => "killed",
        UnitChange::Exited { .. } => "exited",
        UnitChange::Backoff { .. } => "backoff",
        UnitChange::Ended { .. } => "ended",
        UnitChange::FilesChanged { .. } => "files changed",
        UnitChange::BuildFailed { .. } => "build failed",
        UnitChange::WatchMuted { .. } => "watch muted",
        UnitChange::WatchPaused => "watch paused",
        UnitChange::WatchResumed => "watch resumed",
        UnitChange::Due { .. } => "due",
        UnitChange::UpToDate { .. } => "up to date",
        UnitChange::Added => "added",
        UnitChange::Removed => "removed",
    }
}

/// A group that outlives its leader may do so before exec was confirmed.
#[test]
fn a_daemon_that_forks_at_once_is_probed_all_the_same() {
    let mut bench = Bench::new(|spec| spec.lifetime = Lifetime::Group).after(&[
        Input::Wait { renew: false },
        Input::Go,
        exits(0, false),
    ]);
    let effects = bench.on(true, Input::Fact(Fact::Spawned { pid: 7 }));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::StartProbe { .. }))
    );
    bench.on(true, probed(ProbeRole::Readiness, true));
    assert_eq!(bench.machine.health().state(), Readiness::Ready);
}

/// A program may write its line before its spawn is confirmed, or while it still starts up.
#[test]
fn a_line_that_came_too_soon_counts_once_it_may() {
    let early = |change: fn(&mut UnitSpec)| {
        let mut bench = Bench::new(|spec| {
            spec.readiness = Some(Probe::new(Check::Log(Pattern("up".into()))));
            change(spec);
        })
        .after(&[Input::Wait { renew: false }, Input::Go]);
        bench.on(true, probed(ProbeRole::Readiness, true));
        bench.on(true, Input::Fact(Fact::Spawned { pid: 7 }));
        bench
    };
    let is = |bench: &Bench| bench.machine.health().state();
    assert_eq!(is(&early(|_| {})), Readiness::Ready);
    let mut slow = early(|spec| spec.startup = Some(Probe::new(Check::File("/x".into()))));
    assert_eq!(is(&slow), Readiness::Unready);
    slow.on(true, probed(ProbeRole::Startup, true));
    assert_eq!(is(&slow), Readiness::Ready);
    // What passes again is no line.
    let port = early(|spec| spec.readiness = Some(Probe::new(Check::File("/x".into()))));
    assert_eq!(is(&port), Readiness::Unready);
}
