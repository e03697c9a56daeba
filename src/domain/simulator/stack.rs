//! Random units, and random changes to them.

use std::time::Duration;

use fastrand::Rng;

use super::scenario::millis;
use crate::domain::exit::ExitStatus;
use crate::domain::outcome::RunStatus;
use crate::domain::signal::Signal;
use crate::domain::spec::{
    Backoff, Check, Command, Condition, Dependency, Essential, Lifetime, OnFailure, Overlap,
    Pattern, Probe, Program, Restart, RestartPolicy, Schedule, Shutdown, UnitKind, UnitSpec, Watch,
    WatchAction, When,
};

/// So many units, each of which depends on some of those before it.
pub fn random(rng: &mut Rng, size: usize) -> Vec<UnitSpec> {
    let mut units = Vec::with_capacity(size);
    for number in 0..size {
        let unit = random_unit(rng, &format!("u{number}"), &units);
        units.push(unit);
    }
    // The order of the file is not that of the dependencies.
    if rng.bool() {
        rng.shuffle(&mut units);
    }
    units
}

fn random_unit(rng: &mut Rng, name: &str, before: &[UnitSpec]) -> UnitSpec {
    let kind = if rng.u8(..3) == 0 {
        UnitKind::Task
    } else {
        UnitKind::Service
    };
    let program = Program::Command(Command::Exec(vec!["true".into()]));
    let mut unit = UnitSpec::new(name.into(), kind, program, "/".into());
    let one_in = |rng: &mut Rng, n: u8| rng.u8(..n) == 0;
    if one_in(rng, 3) {
        unit.readiness = Some(random_probe(rng));
    }
    if one_in(rng, 6) {
        unit.liveness = Some(random_probe(rng));
    }
    if one_in(rng, 8) {
        unit.startup = Some(random_probe(rng));
    }
    if one_in(rng, 2) {
        unit.restart = random_restart(rng);
    }
    if one_in(rng, 6) {
        unit.timeouts.wait = Some(millis(rng, 1..4000));
    }
    if one_in(rng, 5) {
        unit.timeouts.ready = Some(millis(rng, 1..2000));
    }
    if one_in(rng, 8) {
        unit.timeouts.run = Some(millis(rng, 1..4000));
    }
    if one_in(rng, 2) {
        unit.shutdown = random_shutdown(rng);
    }
    if one_in(rng, 6) {
        unit.lifetime = Lifetime::Group;
    }
    if one_in(rng, 6) {
        unit.replicas = Some(rng.u32(..=4));
    }
    if one_in(rng, 10) {
        unit.profiles = vec!["dev".into()];
    }
    unit.disabled = one_in(rng, 15);
    if one_in(rng, 12) {
        let all = [Essential::Any, Essential::Failure, Essential::Skipped];
        unit.essential = all[rng.usize(..3)];
    }
    if one_in(rng, 6) {
        unit.success_exit_codes.codes = vec![3];
        unit.success_exit_codes.signals = vec![Signal::TERM];
    }
    if one_in(rng, 3) {
        unit.watch = Some(random_watch(rng));
    }
    if kind == UnitKind::Task && one_in(rng, 4) {
        unit.schedule = Some(random_schedule(rng));
    }
    unit.depends_on = random_dependencies(rng, before);
    unit
}

fn random_dependencies(rng: &mut Rng, before: &[UnitSpec]) -> Vec<Dependency> {
    let most = before.len().min(4);
    let mut places: Vec<usize> = (0..before.len()).collect();
    rng.shuffle(&mut places);
    // A degree of 1 or 2 makes chains, which is where order goes wrong.
    let count = match rng.u8(..8) {
        0 => 0,
        1..=4 => 1,
        5 | 6 => 2,
        _ => most,
    };
    places.truncate(count.min(most));
    places
        .into_iter()
        .map(|place| Dependency {
            unit: before[place].name.clone(),
            condition: random_condition(rng, &before[place]),
            restart: rng.u8(..3) == 0,
            required: rng.u8(..6) != 0,
        })
        .collect()
}

/// Mostly one that can hold.
fn random_condition(rng: &mut Rng, on: &UnitSpec) -> Condition {
    if rng.u8(..12) == 0 {
        return Condition::ALL[rng.usize(..Condition::ALL.len())];
    }
    match on.kind {
        UnitKind::Task if rng.u8(..3) > 0 => Condition::Succeeded,
        UnitKind::Task => Condition::Completed,
        UnitKind::Service => {
            let logs = [&on.readiness, &on.liveness, &on.startup]
                .into_iter()
                .flatten()
                .any(|probe| matches!(probe.check, Check::Log(_)));
            if logs && rng.bool() {
                Condition::LogReady
            } else if on.can_be_ready() && rng.u8(..4) > 0 {
                Condition::Ready
            } else {
                Condition::Started
            }
        }
    }
}

fn random_probe(rng: &mut Rng) -> Probe {
    let check = match rng.u8(..5) {
        0 => Check::Log(Pattern("up".into())),
        1 => Check::Notify,
        _ => Check::Tcp {
            host: "localhost".into(),
            port: 1,
        },
    };
    Probe {
        interval: millis(rng, 100..2000),
        initial_delay: millis(rng, 0..200),
        success_threshold: rng.u32(1..=2),
        failure_threshold: rng.u32(1..=3),
        on_failure: if rng.bool() {
            OnFailure::Wait
        } else {
            OnFailure::Restart
        },
        ..Probe::new(check)
    }
}

fn random_restart(rng: &mut Rng) -> Restart {
    let policies = [
        RestartPolicy::No,
        RestartPolicy::OnFailure,
        RestartPolicy::Always,
    ];
    let initial = millis(rng, 0..500);
    Restart {
        policy: policies[rng.usize(..3)],
        backoff: Backoff {
            initial,
            max: initial + millis(rng, 0..3000),
            factor: 1.0 + rng.f64() * 2.0,
            jitter: rng.f64() * 0.5,
        },
        max_restarts: (rng.u8(..5) > 0).then(|| rng.u32(..=3)),
        window: (rng.u8(..4) > 0).then(|| millis(rng, 100..10_000)),
        reset_after: millis(rng, 10..3000),
    }
}

fn random_watch(rng: &mut Rng) -> Watch {
    Watch {
        paths: vec!["/src".into()],
        ignore: Vec::new(),
        debounce: Duration::ZERO,
        run: (rng.u8(..3) == 0).then(|| Command::Exec(vec!["build".into()])),
        action: if rng.u8(..4) == 0 {
            WatchAction::Signal(Signal::HUP)
        } else {
            WatchAction::Restart
        },
        cascade: rng.u8(..3) == 0,
        gitignore: true,
    }
}

fn random_schedule(rng: &mut Rng) -> Schedule {
    let overlaps = [Overlap::Skip, Overlap::Queue, Overlap::Restart];
    Schedule {
        when: if rng.bool() {
            When::Every(millis(rng, 100..5000))
        } else {
            When::Cron {
                expression: "* * * * *".into(),
                timezone: None,
            }
        },
        overlap: overlaps[rng.usize(..3)],
        at_start: rng.u8(..3) == 0,
    }
}

fn random_shutdown(rng: &mut Rng) -> Shutdown {
    Shutdown {
        command: (rng.u8(..5) == 0).then(|| Command::Exec(vec!["stop".into()])),
        timeout: if rng.u8(..5) == 0 {
            Duration::ZERO
        } else {
            millis(rng, 1..2000)
        },
        leader_only: rng.u8(..4) == 0,
        ..Shutdown::default()
    }
}

pub fn random_status(rng: &mut Rng) -> RunStatus {
    RunStatus::of(match rng.u8(..6) {
        0 | 1 => ExitStatus::SUCCESS,
        2 => ExitStatus::Code(3),
        3 => ExitStatus::Signal(Signal::TERM),
        _ => ExitStatus::Code(1),
    })
}

/// A few changes, as somebody makes them between two saves of a file.
pub fn mutate(rng: &mut Rng, units: &mut Vec<UnitSpec>) {
    for _ in 0..rng.usize(1..=3) {
        match rng.u8(..11) {
            10 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                let is_task = units[place].kind == UnitKind::Task;
                units[place].schedule = (is_task && rng.bool()).then(|| random_schedule(rng));
            }
            9 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].watch = rng.bool().then(|| random_watch(rng));
            }
            8 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].disabled = !units[place].disabled;
            }
            0 if !units.is_empty() => remove_unit(units, rng.usize(..units.len())),
            1 => {
                let number = rng.u32(100..110);
                let name = format!("u{number}");
                if units.iter().all(|unit| unit.name.as_str() != name) {
                    let unit = random_unit(rng, &name, units);
                    units.push(unit);
                }
            }
            2 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].replicas = (rng.u8(..4) > 0).then(|| rng.u32(..=4));
            }
            3 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].depends_on.clear();
            }
            4 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].description = Some(format!("changed {}", rng.u8(..)));
            }
            5 if !units.is_empty() => {
                let place = rng.usize(..units.len());
                for dependency in &mut units[place].depends_on {
                    dependency.restart = !dependency.restart;
                }
            }
            _ if !units.is_empty() => {
                let place = rng.usize(..units.len());
                units[place].working_dir = format!("/{}", rng.u8(..)).into();
                units[place].timeouts.wait = (rng.bool()).then(|| millis(rng, 1..4000));
            }
            _ => {}
        }
    }
}

/// Takes a unit out, and what others say of it.
pub fn remove_unit(units: &mut Vec<UnitSpec>, place: usize) {
    let gone = units.remove(place).name;
    for unit in units {
        unit.depends_on.retain(|dependency| dependency.unit != gone);
    }
}
