//! One simulated life of a stack, event by event, each followed by every check.

use std::collections::VecDeque;

use super::budget::Budgets;
use super::check::{Seen, Violation, violation};
use super::scenario::{Act, Scenario, plan_of};
use super::world::{Happening, Next, World, is_last, probed};
use crate::domain::admission::Answer;
use crate::domain::effect::Effect;
use crate::domain::event::{Command, CommandId, Deadline, Event, Fact, Shutdown, ShutdownCause};
use crate::domain::id::{Revision, RunId};
use crate::domain::set::{UnitSet, reply_to};
use crate::domain::time::Instant;
use crate::domain::watch::{ChangedFiles, Told};

/// How many events a life may take.
const EVENTS: usize = 60_000;
/// How long a stack may take to stop, in milliseconds: a chain of thirty ladders.
const STOPS_WITHIN: u64 = 600_000;

pub struct Life<'a> {
    scenario: &'a Scenario,
    pub set: UnitSet,
    pub world: World,
    pub budgets: Budgets,
    facts: Vec<(RunId, Fact)>,
    deadlines: Vec<Deadline>,
    epochs: rustc_hash::FxHashSet<(u32, u32)>,
    pub armed: rustc_hash::FxHashMap<(u32, u8), (Deadline, u64)>,
    commands: u64,
    pub latest: u64,
    revision: Revision,
    trace: VecDeque<String>,
    tracing: bool,
    pub killed_by_command: bool,
}

/// Runs a scenario to its end, or to the first violation of a property.
pub fn live(scenario: &Scenario, tracing: bool) -> Result<u64, (Violation, Vec<String>)> {
    let Some(plan) = scenario.plan() else {
        return Ok(0);
    };
    let mut life = Life {
        scenario,
        set: UnitSet::new(&plan, scenario.options.clone(), scenario.seed),
        world: World::new(scenario.seed),
        budgets: Budgets::default(),
        facts: Vec::new(),
        deadlines: Vec::new(),
        epochs: rustc_hash::FxHashSet::default(),
        armed: rustc_hash::FxHashMap::default(),
        commands: 0,
        latest: 0,
        revision: Revision::default(),
        trace: VecDeque::new(),
        tracing,
        killed_by_command: false,
    };
    // The set asserts its oracle's findings; here they are findings like others.
    let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| life.run()));
    let result = lived.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_default();
        violation("P7", format!("panicked: {text}"))
    });
    result.map_err(|violation| (violation, life.trace.into_iter().collect()))
}

impl Life<'_> {
    fn run(&mut self) -> Result<u64, Violation> {
        let start = self.world.clock;
        for (place, step) in self.scenario.history.iter().enumerate() {
            self.world.schedule(start + step.at, Next::Act(place));
        }
        let (end, how) = self.scenario.end;
        self.world.schedule(start + end, Next::End);
        let seen = Seen::before(self);
        let mut effects = Vec::new();
        let now = self.now();
        self.set.begin(now, &mut effects);
        self.after(&seen, None, &effects)?;
        let mut after_end = 0;
        for _ in 0..EVENTS {
            let Some(next) = self.world.next() else {
                return self.all_ended();
            };
            if self.set.verdict().is_some() {
                after_end += 1;
            } else if self.world.clock > start + end + STOPS_WITHIN {
                break;
            }
            if after_end > 50 {
                return self.all_ended();
            }
            match next {
                Next::Happens(run, what) => self.world.happen(run, what),
                Next::Fact(run, fact) => self.step(Event::Fact { run, fact })?,
                Next::Deadline(deadline) => self.step(Event::Deadline(deadline))?,
                Next::Act(place) => self.act(&self.scenario.history[place].act.clone())?,
                Next::Watch(unit, told) => self.told_of_files(&unit, told)?,
                Next::End => self.command(&shutdown(how))?,
            }
        }
        violation(
            "P5",
            format!("the stack does not stop: {}", self.standing()),
        )
    }

    fn all_ended(&mut self) -> Result<u64, Violation> {
        if self.set.verdict().is_none() {
            let text = format!(
                "nothing is to come and the stack has not ended: {}",
                self.standing()
            );
            return violation("P3", text);
        }
        match self.set.verify() {
            Ok(()) => Ok(self.facts.len() as u64),
            Err(text) => violation("P7", text),
        }
    }

    pub fn standing(&self) -> String {
        let phases = self.set.instances().filter_map(|id| {
            let machine = self.set.machine(id)?;
            let pending = self.set.pending(id);
            Some(format!(
                "{} {:?} {pending:?}",
                machine.name(),
                machine.phase()
            ))
        });
        phases.collect::<Vec<_>>().join("; ")
    }

    pub fn now(&mut self) -> Instant {
        let now = self.world.now();
        self.latest = self.latest.max(now);
        Instant::from_millis(now)
    }

    fn act(&mut self, act: &Act) -> Result<(), Violation> {
        match act {
            Act::Start(names) => self.command(&Command::Start(names.clone())),
            Act::Stop(names) => self.command(&Command::Stop(names.clone())),
            Act::Restart(names) => self.command(&Command::Restart(names.clone())),
            Act::Kill(names) => self.command(&Command::Kill(names.clone())),
            Act::Signal(names, signal) => self.command(&Command::Signal(names.clone(), *signal)),
            Act::Enable(names) => self.command(&Command::Enable(names.clone())),
            Act::Disable(names) => self.command(&Command::Disable(names.clone())),
            Act::Scale(unit, replicas) => self.command(&Command::Scale {
                unit: unit.clone(),
                replicas: *replicas,
            }),
            Act::Reload(units) => match plan_of(units) {
                Some(plan) => self.command(&Command::Reload(plan)),
                None => Ok(()),
            },
            Act::Shutdown(how) => self.command(&shutdown(*how)),
            Act::Save(unit, file) => {
                let changed = ChangedFiles::one(&format!("file{file}"));
                self.told_of_files(unit, Told::Changed(changed))
            }
            Act::PauseWatch(names) => self.command(&Command::PauseWatch(names.clone())),
            Act::ResumeWatch(names) => self.command(&Command::ResumeWatch(names.clone())),
            Act::Attend(on) => self.command(&Command::Attend(*on)),
            Act::Crash(name, status) => {
                if let Some(run) = self.world.live(name) {
                    let exits = Happening::LeaderExits(status.clone());
                    self.world.happen(run, exits);
                }
                Ok(())
            }
            Act::Lose(name) => {
                if let Some(run) = self.world.live(name) {
                    self.world.happen(run, Happening::Vanish);
                }
                Ok(())
            }
            Act::Says(name, notice) => {
                if let Some(run) = self.world.live(name) {
                    self.world.happen(run, Happening::Says(notice.clone()));
                }
                Ok(())
            }
            Act::Probed(name, role, success) => match self.world.live(name) {
                Some(run) => self.step(Event::Fact {
                    run,
                    fact: probed(*role, *success),
                }),
                None => Ok(()),
            },
            Act::RepeatFact(place) => {
                if self.facts.is_empty() {
                    return Ok(());
                }
                let (run, fact) = self.facts[place % self.facts.len()].clone();
                self.step(Event::Fact { run, fact })
            }
            Act::RepeatDeadline(place) => {
                if self.deadlines.is_empty() {
                    return Ok(());
                }
                let deadline = self.deadlines[place % self.deadlines.len()];
                // One that is still armed would come too early.
                if self.is_armed(deadline) {
                    return Ok(());
                }
                self.step(Event::Deadline(deadline))
            }
            Act::Jump(by) => {
                self.world.skew += by;
                Ok(())
            }
        }
    }

    /// Gives a command, and the same again.
    fn command(&mut self, command: &Command) -> Result<(), Violation> {
        self.budgets.commanded(&self.set, command);
        let views = self.set.fresh_views();
        let answer = self.give(command.clone())?;
        match answer {
            Answer::Accepted => {}
            Answer::Ignored(_) | Answer::Denied(_) => {
                if views != self.set.fresh_views() {
                    let text = format!("{command:?} was answered {answer:?} and changed something");
                    return violation("P8", text);
                }
            }
        }
        match command {
            Command::Start(_)
            | Command::Stop(_)
            | Command::Enable(_)
            | Command::Disable(_)
            | Command::Scale { .. }
            | Command::Reload(_)
            | Command::PauseWatch(_)
            | Command::ResumeWatch(_)
            | Command::Attend(_)
            | Command::Shutdown(..) => {}
            Command::Restart(_) | Command::Kill(_) | Command::Signal(..) => return Ok(()),
        }
        let views = self.set.fresh_views();
        let again = self.give(command.clone())?;
        if again == Answer::Accepted || views != self.set.fresh_views() {
            let text = format!("{command:?} was answered {answer:?}, and again {again:?}");
            return violation("P8", text);
        }
        Ok(())
    }

    fn give(&mut self, command: Command) -> Result<Answer, Violation> {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.killed_by_command = matches!(command, Command::Kill(_));
        let before = Seen::before(self);
        let event = Event::Command { id, command };
        let effects = self.perform(&before, event)?;
        self.killed_by_command = false;
        match reply_to(&effects, id) {
            Some(answer) => Ok(answer.clone()),
            None => violation("P8", "no answer to a command".to_owned()),
        }
    }

    pub fn step(&mut self, event: Event) -> Result<(), Violation> {
        let before = Seen::before(self);
        let stale = match &event {
            Event::Fact { run, .. } => self.world.runs.get(run).is_none_or(|run| run.ended),
            Event::Deadline(deadline) => !self.is_armed(*deadline),
            Event::Watch {
                unit,
                told: Told::Built { number, .. },
            } => self.world.builds.get(unit) != Some(number),
            Event::Watch { .. } | Event::Command { .. } => false,
        };
        let digest = stale.then(|| self.set.digest());
        let text = digest.as_ref().map(|_| format!("{event:?}"));
        let effects = self.perform(&before, event)?;
        if digest.is_some_and(|digest| digest != self.set.digest() || !effects.is_empty()) {
            let text = format!("stale, yet it has effects: {text:?} {effects:?}");
            return violation("P4", text);
        }
        Ok(())
    }

    /// Whether that deadline is due or to come, by what was armed and disarmed.
    fn is_armed(&self, deadline: Deadline) -> bool {
        let key = (deadline.instance.0, deadline.kind as u8);
        let latest = self.armed.get(&key).is_some_and(|(d, _)| *d == deadline);
        latest
            && self
                .set
                .machine(deadline.instance)
                .is_some_and(|machine| machine.deadlines().any(|(kind, _)| kind == deadline.kind))
    }

    fn perform(&mut self, before: &Seen, event: Event) -> Result<Vec<Effect>, Violation> {
        let mut ended = None;
        match &event {
            Event::Fact { run, fact } => {
                self.facts.push((*run, fact.clone()));
                if is_last(fact)
                    && let Some(state) = self.world.runs.get_mut(run)
                    && !std::mem::replace(&mut state.ended, true)
                {
                    ended = Some(*run);
                }
            }
            Event::Deadline(deadline) => {
                if self.is_armed(*deadline) {
                    let key = (deadline.instance.0, deadline.kind as u8);
                    self.armed.remove(&key);
                }
            }
            Event::Watch {
                unit,
                told: Told::Built { number, .. },
            } => {
                if self.world.builds.get(unit) == Some(number) {
                    self.world.builds.remove(unit);
                }
            }
            Event::Watch { .. } | Event::Command { .. } => {}
        }
        let shown = self.tracing.then(|| short_event(&event));
        let now = self.now();
        let mut effects = Vec::new();
        if let Some(shown) = shown {
            self.note(format!("{:>6} {shown}", self.world.now()));
            self.set.step(now, event, &mut effects);
            for effect in &effects {
                self.note(format!("         -> {}", short_effect(effect)));
            }
        } else {
            self.set.step(now, event, &mut effects);
        }
        self.after(before, ended, &effects)?;
        Ok(effects)
    }

    fn note(&mut self, line: String) {
        self.trace.push_back(line);
        if self.trace.len() > 60 {
            self.trace.pop_front();
        }
    }

    /// Checks what a step did, then does what it asks for.
    fn after(
        &mut self,
        before: &Seen,
        ended: Option<RunId>,
        effects: &[Effect],
    ) -> Result<(), Violation> {
        for effect in effects {
            if let Effect::Arm(armed) = effect {
                let deadline = armed.deadline;
                let at = u64::try_from(armed.at.since_start().as_millis()).unwrap_or(u64::MAX);
                let key = (deadline.instance.0, deadline.kind as u8);
                self.armed.insert(key, (deadline, at));
                self.deadlines.push(deadline);
                // Else an old deadline could not be told from a new one.
                if !self.epochs.insert((deadline.instance.0, deadline.epoch.0)) {
                    return violation("P4", format!("{deadline:?} bears an old epoch"));
                }
            }
        }
        self.check(before, ended, effects)?;
        for effect in effects {
            self.world.perform(effect);
        }
        if self.world.clock.is_multiple_of(4) {
            let snapshot = self.set.snapshot();
            if snapshot.revision <= self.revision {
                return violation("views", "the revision does not grow".to_owned());
            }
            self.revision = snapshot.revision;
            let fresh = self.set.fresh_views();
            if let Some((cached, fresh)) = (snapshot.units.iter())
                .zip(&fresh)
                .find(|(cached, fresh)| ***cached != **fresh)
            {
                let text = format!("cached {cached:?}\n  fresh {fresh:?}");
                return violation("views", text);
            }
            if snapshot.units.len() != fresh.len() {
                return violation("views", "another number of views".to_owned());
            }
        }
        Ok(())
    }
}

fn shutdown(how: Shutdown) -> Command {
    Command::Shutdown(how, ShutdownCause::Requested)
}

fn short_event(event: &Event) -> String {
    match event {
        Event::Fact { run, fact } => format!("{run} {fact:?}"),
        Event::Deadline(deadline) => format!("{:?} of {}", deadline.kind, deadline.instance.0),
        Event::Watch { unit, told } => format!("{unit} {told:?}"),
        Event::Command { command, .. } => match command {
            Command::Reload(_) => "Reload".to_owned(),
            Command::Start(_)
            | Command::Stop(_)
            | Command::Restart(_)
            | Command::Kill(_)
            | Command::Signal(..)
            | Command::Enable(_)
            | Command::Disable(_)
            | Command::Scale { .. }
            | Command::PauseWatch(_)
            | Command::ResumeWatch(_)
            | Command::Attend(_)
            | Command::Shutdown(..) => format!("{command:?}"),
        },
    }
}

fn short_effect(effect: &Effect) -> String {
    match effect {
        Effect::Spawn { run, name, .. } => format!("Spawn {run} {name}"),
        Effect::Arm(armed) => format!(
            "Arm {:?} of {} at {}",
            armed.deadline.kind,
            armed.deadline.instance.0,
            armed.at.since_start().as_millis()
        ),
        Effect::Publish(change) => format!("{:?}", change.what),
        Effect::StartProbe { .. }
        | Effect::SlowProbe { .. }
        | Effect::StopProbe { .. }
        | Effect::Signal { .. }
        | Effect::StopCommand { .. }
        | Effect::TypeKeys { .. }
        | Effect::Kill { .. }
        | Effect::Unwatch { .. }
        | Effect::CancelBuild { .. }
        | Effect::HoldWatch { .. }
        | Effect::Reply { .. }
        | Effect::Finish(_) => format!("{effect:?}"),
        Effect::Watch { unit, .. } => format!("Watch {unit}"),
        Effect::Build { unit, number, .. } => format!("Build {unit} {number}"),
    }
}
