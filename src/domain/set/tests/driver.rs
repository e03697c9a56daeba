//! A stack that is told what happens, a line each, and says what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::admission::Answer;
use crate::domain::effect::Effect;
use crate::domain::event::{
    Armed, Command, CommandId, Event, Fact, ProbeResult, ProbeRole, Shutdown, ShutdownCause,
};
use crate::domain::exit::ExitStatus;
use crate::domain::id::{RunId, UnitName};
use crate::domain::outcome::RunStatus;
use crate::domain::plan::Plan;
use crate::domain::schedule::{self, Alarm};
use crate::domain::set::{Options, UnitSet, reply_to};
use crate::domain::spec::{
    Check, Command as Program_, Condition, Dependency, Probe, Program, Restart, RestartPolicy,
    UnitKind, UnitSpec,
};
use crate::domain::time::Instant;
use crate::domain::verdict::Verdict;

pub struct Stack {
    pub set: UnitSet,
    now: Instant,
    armed: Vec<Armed>,
    alarms: BTreeMap<UnitName, (u64, Alarm)>,
    done: Vec<String>,
}

impl Stack {
    pub fn new(units: impl IntoIterator<Item = UnitSpec>) -> Self {
        Self::with(Options::default(), units)
    }

    pub fn with(options: Options, units: impl IntoIterator<Item = UnitSpec>) -> Self {
        let mut stack = Self {
            set: UnitSet::new(&plan(units), options, 1),
            now: Instant::START,
            armed: Vec::new(),
            alarms: BTreeMap::new(),
            done: Vec::new(),
        };
        let mut effects = Vec::new();
        stack.set.begin(stack.now, &mut effects);
        stack.note(&effects);
        stack
    }

    fn note(&mut self, effects: &[Effect]) {
        for effect in effects {
            let name = |run: &RunId| {
                let machine = self.set.machine(run.instance);
                machine.map_or_else(String::new, |m| m.name().to_string())
            };
            let text = match effect {
                Effect::Spawn { name, .. } => format!("spawn {name}"),
                Effect::Signal { run, signal, .. } => format!("{signal} {}", name(run)),
                Effect::StopCommand { run, .. } => format!("stop command {}", name(run)),
                Effect::TypeKeys { run, .. } => format!("type keys {}", name(run)),
                Effect::Kill { run } => format!("kill {}", name(run)),
                Effect::Build { unit, .. } => format!("build {unit}"),
                Effect::CancelBuild { unit, .. } => format!("cancel build {unit}"),
                Effect::Finish(_) => "finish".to_owned(),
                Effect::Arm(armed) => {
                    self.armed.push(*armed);
                    continue;
                }
                Effect::Schedule {
                    unit,
                    number,
                    alarm,
                } => {
                    self.alarms.insert(unit.clone(), (*number, alarm.clone()));
                    continue;
                }
                Effect::Unschedule { unit } => {
                    self.alarms.remove(unit);
                    continue;
                }
                Effect::StartProbe { .. }
                | Effect::SlowProbe { .. }
                | Effect::StopProbe { .. }
                | Effect::Watch { .. }
                | Effect::Unwatch { .. }
                | Effect::HoldWatch { .. }
                | Effect::Reply { .. }
                | Effect::Publish(_) => continue,
            };
            self.done.push(text);
        }
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.set.step(self.now, event, &mut effects);
        self.note(&effects);
        effects
    }

    fn fact(&mut self, name: &str, fact: Fact) -> &mut Self {
        let id = self.set.find(name).expect("a unit of that name");
        let machine = self.set.machine(id).expect("an instance has a machine");
        let attempt = machine.attempt();
        let run = RunId {
            instance: id,
            attempt,
        };
        self.step(Event::Fact { run, fact });
        self
    }

    pub fn spawned(&mut self, name: &str) -> &mut Self {
        self.fact(name, Fact::Spawned { pid: 7 })
    }

    pub fn spawn_fails(&mut self, name: &str) -> &mut Self {
        let error = "no such file".to_owned();
        self.fact(name, Fact::SpawnFailed { error })
    }

    pub fn probed(&mut self, name: &str, role: ProbeRole, success: bool) -> &mut Self {
        let result = if success {
            ProbeResult::Success
        } else {
            ProbeResult::Failure("refused".into())
        };
        self.fact(name, Fact::Probed { role, result })
    }

    /// It is spawned, and its readiness probe succeeds.
    pub fn ready(&mut self, name: &str) -> &mut Self {
        self.spawned(name).probed(name, ProbeRole::Readiness, true)
    }

    pub fn leader_exits(&mut self, name: &str, code: i32, empty: bool) -> &mut Self {
        let status = RunStatus::of(ExitStatus::Code(code));
        self.fact(name, Fact::LeaderExited { status, empty })
    }

    pub fn reaped(&mut self, name: &str) -> &mut Self {
        self.fact(name, Fact::Reaped)
    }

    /// It exits and leaves nothing behind.
    pub fn exits(&mut self, name: &str, code: i32) -> &mut Self {
        self.leader_exits(name, code, true).reaped(name)
    }

    /// Time passes, and what was armed comes due.
    pub fn pass(&mut self, millis: u64) -> &mut Self {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let place = (0..self.armed.len())
                .filter(|&place| self.armed[place].at <= end)
                .min_by_key(|&place| self.armed[place].at);
            let rings = self.alarms.iter().filter_map(|(unit, (number, alarm))| {
                let Alarm::At(at) = *alarm else {
                    return None;
                };
                (at <= end).then(|| (at, unit.clone(), *number))
            });
            let rings = rings.min();
            let deadline = place.map(|place| self.armed[place].at);
            match (place, rings) {
                (_, Some((at, unit, number))) if deadline.is_none_or(|first| at <= first) => {
                    self.now = self.now.max(at);
                    self.alarms.remove(&unit);
                    self.told_of_time(unit.as_str(), schedule::Told::Due { number });
                }
                (Some(place), _) => {
                    let armed = self.armed.remove(place);
                    self.now = self.now.max(armed.at);
                    self.step(Event::Deadline(armed.deadline));
                }
                (None, _) => break,
            }
        }
        self.now = end;
        self.set.advance(end);
        self
    }

    pub fn told_of_time(&mut self, unit: &str, told: schedule::Told) {
        let unit = unit.into();
        self.step(Event::Schedule { unit, told });
    }

    /// The alarm that a unit has set.
    pub fn alarm(&self, unit: &str) -> (u64, Alarm) {
        let alarm = self.alarms.get(&UnitName::from(unit));
        alarm.expect("an alarm").clone()
    }

    pub fn command(&mut self, command: Command) -> Answer {
        let id = CommandId(1);
        let effects = self.step(Event::Command { id, command });
        reply_to(&effects, id).expect("an answer").clone()
    }

    pub fn start(&mut self, name: &str) -> Answer {
        self.command(Command::Start(vec![name.into()]))
    }

    pub fn stop(&mut self, name: &str) -> Answer {
        self.command(Command::Stop(vec![name.into()]))
    }

    pub fn restart(&mut self, name: &str) -> Answer {
        self.command(Command::Restart(vec![name.into()]))
    }

    pub fn shut_down(&mut self, how: Shutdown) -> Answer {
        self.command(Command::Shutdown(how, ShutdownCause::Requested))
    }

    /// What was done since this was asked last.
    pub fn done(&mut self) -> Vec<String> {
        std::mem::take(&mut self.done)
    }

    pub fn status(&mut self, name: &str) -> String {
        let snapshot = self.set.snapshot();
        snapshot
            .get(name)
            .map_or_else(String::new, |view| view.status.clone())
    }

    pub fn explain(&mut self, name: &str) -> Vec<String> {
        let snapshot = self.set.snapshot();
        let view = snapshot.get(name).expect("a unit of that name");
        crate::domain::explain::explain(view, &snapshot)
    }

    pub fn verdict(&self) -> &Verdict {
        self.set.verdict().expect("the stack has ended")
    }

    /// The names of what failed and of what was skipped.
    pub fn losses(&self) -> (Vec<String>, Vec<String>) {
        let names =
            |list: &[(UnitName, _)]| list.iter().map(|(name, _)| name.to_string()).collect();
        let verdict = self.verdict();
        (names(&verdict.failed), names(&verdict.skipped))
    }
}

pub fn plan(units: impl IntoIterator<Item = UnitSpec>) -> Arc<Plan> {
    let units = units.into_iter().map(Arc::new).collect();
    Arc::new(Plan::new("test", units).expect("a plan"))
}

fn unit(name: &str, kind: UnitKind) -> UnitSpec {
    let program = Program::Command(Program_::Exec(vec!["run".into()]));
    UnitSpec::new(name.into(), kind, program, "/".into())
}

pub fn service(name: &str) -> UnitSpec {
    unit(name, UnitKind::Service)
}

pub fn task(name: &str) -> UnitSpec {
    unit(name, UnitKind::Task)
}

/// A service with a readiness probe.
pub fn probed(name: &str) -> UnitSpec {
    let mut spec = service(name);
    spec.readiness = Some(probe());
    spec
}

pub fn probe() -> Probe {
    Probe {
        interval: Duration::from_secs(1),
        failure_threshold: 1,
        ..Probe::new(Check::Tcp {
            host: "localhost".into(),
            port: 80,
        })
    }
}

/// Short forms of what the examples are about.
pub trait Shape: Sized {
    fn on(self, unit: &str, condition: Condition) -> Self;
    fn last(self, change: impl FnOnce(&mut Dependency)) -> Self;
    fn but(self, change: impl FnOnce(&mut UnitSpec)) -> Self;

    fn restarting(self) -> Self {
        self.last(|edge| edge.restart = true)
    }

    fn optional(self) -> Self {
        self.last(|edge| edge.required = false)
    }

    fn restarts(self, policy: RestartPolicy, max: u32) -> Self {
        self.but(|spec| {
            spec.restart = Restart {
                policy,
                max_restarts: Some(max),
                ..Restart::default()
            };
            spec.restart.backoff.jitter = 0.0;
        })
    }
}

impl Shape for UnitSpec {
    fn on(mut self, unit: &str, condition: Condition) -> Self {
        self.depends_on.push(Dependency {
            unit: unit.into(),
            condition,
            restart: false,
            required: true,
        });
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Dependency)) -> Self {
        change(self.depends_on.last_mut().expect("a dependency"));
        self
    }

    fn but(mut self, change: impl FnOnce(&mut UnitSpec)) -> Self {
        change(&mut self);
        self
    }
}
