//! The properties of the set, checked after each step against the simulated world and the
//! machines, not against what the set has cached.

use rustc_hash::{FxHashMap, FxHashSet};

use super::drive::Life;
use crate::domain::effect::Effect;
use crate::domain::event::{Command, DeadlineKind, Shutdown};
use crate::domain::health::Readiness;
use crate::domain::id::{InstanceId, RunId, UnitName};
use crate::domain::machine::Machine;
use crate::domain::outcome::{Failed, Outcome, Skip};
use crate::domain::phase::{Desired, Phase, Rung, Stop};
use crate::domain::set::UnitSet;
use crate::domain::spec::{Condition, Dependency};
use crate::domain::verdict::Verdict;

/// Which property does not hold, and how that shows.
#[derive(Clone, Debug)]
pub struct Violation {
    pub property: &'static str,
    pub text: String,
}

pub fn violation<T>(property: &'static str, text: String) -> Result<T, Violation> {
    Err(Violation { property, text })
}

/// What was so before a step.
pub struct Seen {
    phases: FxHashMap<InstanceId, Phase>,
    pending: FxHashMap<InstanceId, Stop>,
    shutdown: Option<Shutdown>,
    ended: bool,
}

impl Seen {
    pub fn before(life: &Life<'_>) -> Self {
        let set = &life.set;
        let phases = set
            .instances()
            .filter_map(|id| Some((id, set.machine(id)?.phase().clone())));
        Self {
            phases: phases.collect(),
            pending: set
                .instances()
                .filter_map(|id| Some((id, set.pending(id)?)))
                .collect(),
            shutdown: set.shutdown(),
            ended: set.verdict().is_some(),
        }
    }
}

/// Automatic restarts, counted by what is seen from outside.
#[derive(Default)]
pub struct Budgets {
    of: FxHashMap<InstanceId, Budget>,
}

#[derive(Default)]
struct Budget {
    automatic: bool,
    spawned: Vec<u64>,
    /// A command renewed it, or may have: it is no longer known exactly.
    commanded: bool,
}

impl Budgets {
    /// A command may renew the budget of what it names and of what that requires.
    pub fn commanded(&mut self, set: &UnitSet, command: &Command) {
        let mut names: Vec<UnitName> = match command {
            Command::Start(names) | Command::Restart(names) | Command::Enable(names) => {
                names.clone()
            }
            Command::Scale { .. } | Command::Reload(_) => {
                (set.plan().units().iter().map(|unit| unit.name.clone())).collect()
            }
            Command::Stop(_)
            | Command::Kill(_)
            | Command::Signal(..)
            | Command::Disable(_)
            | Command::Shutdown(..) => Vec::new(),
        };
        let mut seen = FxHashSet::default();
        while let Some(name) = names.pop() {
            for id in set.instances() {
                let machine = set.machine(id).expect("an instance has a machine");
                let spec = machine.spec();
                if (*machine.name() == name || spec.name == name) && seen.insert(id) {
                    let budget = self.of.entry(id).or_default();
                    *budget = Budget {
                        commanded: true,
                        ..Budget::default()
                    };
                    let required = spec.depends_on.iter().filter(|on| on.required);
                    names.extend(required.map(|on| on.unit.clone()));
                }
            }
        }
    }
}

/// Whether a dependency is as a condition wants it.
fn holds(condition: Condition, on: &Machine) -> bool {
    let (runs, outcome) = match on.phase() {
        Phase::Running { .. } => (true, None),
        Phase::Exited(outcome) => (false, Some(outcome)),
        Phase::Idle
        | Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Stopping { .. }
        | Phase::Reaping { .. }
        | Phase::Backoff { .. } => (false, None),
    };
    let completed = matches!(outcome, Some(Outcome::Completed));
    let exited = match outcome {
        Some(Outcome::Failed(failed)) => failed.failure.is_exit(),
        Some(Outcome::Completed) => true,
        Some(Outcome::Skipped(_) | Outcome::Stopped) | None => false,
    };
    match condition {
        Condition::Started => runs || completed,
        Condition::Ready => runs && on.health().state() == Readiness::Ready,
        Condition::Completed => exited,
        Condition::Succeeded => completed,
        Condition::LogReady => (runs || completed) && on.health().log_matched(),
    }
}

impl Life<'_> {
    pub fn check(
        &mut self,
        before: &Seen,
        ended: Option<RunId>,
        effects: &[Effect],
    ) -> Result<(), Violation> {
        for effect in effects {
            self.check_target(before, effect, ended)?;
            if let Effect::Spawn { run, name, .. } = effect {
                self.check_spawn(before, *run, name, effects)?;
            }
            if let Effect::Finish(verdict) = effect {
                self.check_verdict(verdict)?;
            }
        }
        let ids: Vec<InstanceId> = self.set.instances().collect();
        for &id in &ids {
            self.check_wait(id)?;
            self.check_wishes(before, id)?;
            self.check_budget(id)?;
            self.check_stop_order(before, id)?;
            self.check_cascade(before, id)?;
        }
        if self.set.shutdown().is_some() && self.set.verdict().is_none() {
            let active = |id: &InstanceId| self.machine(*id).phase().is_active();
            if !ids.iter().any(active) {
                return violation("P5", "all has stopped and nobody says so".to_owned());
            }
        }
        Ok(())
    }

    fn machine(&self, id: InstanceId) -> &Machine {
        self.set.machine(id).expect("an instance has a machine")
    }

    /// What was asked for comes to pass.
    fn check_wishes(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let machine = self.machine(id);
        let (name, phase) = (machine.name(), machine.phase());
        let killed = match phase {
            Phase::Starting { .. } | Phase::Running { .. } => false,
            Phase::Stopping { rung, .. } | Phase::Reaping { rung, .. } => *rung == Rung::Killed,
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => true,
        };
        if self.set.shutdown() == Some(Shutdown::Now) && !killed {
            return violation(
                "P5",
                format!("{name} is {phase:?} though all was to be killed"),
            );
        }
        let Phase::Exited(outcome) = phase else {
            return Ok(());
        };
        if self.set.desired(id) == Desired::Down || self.set.verdict().is_some() {
            return Ok(());
        }
        match outcome {
            Outcome::Skipped(Skip::WaitTimeout { on, .. }) => {
                let began = |id: InstanceId| self.set.machine(id).map(Machine::attempt);
                if (on.iter()).any(|&(on, then)| began(on).is_some_and(|now| now > then)) {
                    return violation("revival", format!("{name} stays skipped"));
                }
            }
            Outcome::Skipped(Skip::Dependency { .. }) => {}
            Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped => {
                let was = before.pending.get(&id);
                let stuck = machine.stuck().is_some();
                if was.is_some_and(Stop::renews_budget) && self.set.pending(id).is_none() && !stuck
                {
                    return violation("restart", format!("{name} was to restart: {phase:?}"));
                }
            }
        }
        Ok(())
    }

    /// Every effect on a run is on one that is alive, as far as the set can know.
    fn check_target(
        &self,
        before: &Seen,
        effect: &Effect,
        ended: Option<RunId>,
    ) -> Result<(), Violation> {
        let (run, late) = match effect {
            Effect::Signal { run, .. }
            | Effect::Kill { run }
            | Effect::StopCommand { run, .. }
            | Effect::StartProbe { run, .. }
            | Effect::SlowProbe { run, .. } => (run, false),
            Effect::StopProbe { run, .. } => (run, ended == Some(*run)),
            Effect::Spawn { .. }
            | Effect::Arm(_)
            | Effect::Reply { .. }
            | Effect::Publish(_)
            | Effect::Finish(_) => return Ok(()),
        };
        let probes = matches!(effect, Effect::StartProbe { .. } | Effect::SlowProbe { .. });
        let phase = before.phases.get(&run.instance);
        if probes && phase.is_some_and(Phase::is_ending) {
            return violation("target", format!("{effect:?} in {phase:?}"));
        }
        match self.world.runs.get(run) {
            Some(state) if !state.ended || late => Ok(()),
            Some(_) => violation("target", format!("{effect:?} of a run that has ended")),
            // A start and a stop in one step.
            None if self.set.machine(run.instance).is_some() => Ok(()),
            None => violation("target", format!("{effect:?} of no run")),
        }
    }

    fn check_spawn(
        &mut self,
        before: &Seen,
        run: RunId,
        name: &UnitName,
        effects: &[Effect],
    ) -> Result<(), Violation> {
        let former = (self.world.runs.iter()).find(|(id, other)| {
            (id.instance == run.instance || other.name == *name) && !other.ended
        });
        if let Some((id, _)) = former {
            return violation("P1", format!("{name} starts as {run} while {id} lives"));
        }
        if self.world.runs.contains_key(&run) {
            return violation("P1", format!("{run} starts a second time"));
        }
        let begun = effects
            .iter()
            .position(|effect| matches!(effect, Effect::Publish(change) if matches!(change.what, crate::domain::change::What::ShuttingDown(_))));
        let place = effects
            .iter()
            .position(|effect| matches!(effect, Effect::Spawn { run: r, .. } if *r == run));
        if before.shutdown.is_some() || before.ended || (begun.is_some() && begun < place) {
            return violation("P5", format!("{name} starts after shutdown"));
        }
        for (on, dependency) in self.needs(run.instance) {
            let machine = self.machine(on);
            let ends = machine.phase().is_ending()
                || (self.set.pending(on).is_some() && self.set.shutdown().is_none());
            let met = holds(dependency.condition, machine) && !ends;
            let hopeless = !machine.phase().is_active();
            if !met && (dependency.required || !hopeless) {
                let text = format!(
                    "{name} starts though {} is not {}: {:?}",
                    machine.name(),
                    dependency.condition,
                    machine.phase()
                );
                return violation("P2", text);
            }
        }
        let now = self.latest;
        let restart = self.machine(run.instance).spec().restart;
        let budget = self.budgets.of.entry(run.instance).or_default();
        if std::mem::take(&mut budget.automatic) {
            budget.spawned.push(now);
            let count = budget.within(now, restart.window);
            if restart.max_restarts.is_some_and(|max| count > max as usize) {
                return violation("P6", format!("{name}: restart {count} within the window"));
            }
        }
        Ok(())
    }

    /// The instances that it depends on, by the plan's words.
    fn needs(&self, id: InstanceId) -> Vec<(InstanceId, Dependency)> {
        let spec = self.machine(id).spec();
        let plan = self.set.plan();
        let spec = plan.get(spec.name.as_str()).unwrap_or(spec);
        let mut needs = Vec::new();
        for dependency in &spec.depends_on {
            let Some(unit) = plan.get(dependency.unit.as_str()) else {
                continue;
            };
            for name in unit.instance_names() {
                if let Some(on) = self.set.find(name.as_str())
                    && self.set.has_edge(id, on)
                {
                    needs.push((on, dependency.clone()));
                }
            }
        }
        needs
    }

    fn check_wait(&self, id: InstanceId) -> Result<(), Violation> {
        let machine = self.machine(id);
        let armed = |wanted: DeadlineKind| {
            machine.deadlines().any(|(kind, _)| kind == wanted)
                && self.armed.contains_key(&(id.0, wanted as u8))
        };
        let alive = |run: &RunId| self.world.runs.get(run).is_none_or(|state| !state.ended);
        let moves = match machine.phase() {
            Phase::Idle | Phase::Exited(_) => true,
            Phase::Waiting => {
                machine.stuck().is_some_and(|run| alive(&run))
                    || (self.needs(id).iter()).any(|(on, _)| self.machine(*on).phase().is_active())
            }
            Phase::Starting { run } => alive(run) && armed(DeadlineKind::Spawn),
            Phase::Running { run, .. } => alive(run),
            Phase::Stopping { run, .. } | Phase::Reaping { run, .. } => {
                alive(run) && (armed(DeadlineKind::Grace) || armed(DeadlineKind::Reap))
            }
            Phase::Backoff { .. } => armed(DeadlineKind::Backoff),
        };
        let wait = machine.spec().timeouts.wait;
        let limited = !matches!(machine.phase(), Phase::Waiting)
            || wait.is_none()
            || armed(DeadlineKind::Wait);
        let unready = match machine.phase() {
            Phase::Starting { .. } => true,
            Phase::Running { .. } => !machine.health().ever_ready(),
            Phase::Idle
            | Phase::Waiting
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => false,
        };
        let spec = machine.spec();
        let readies = !unready
            || !spec.can_be_ready()
            || spec.timeouts.ready.is_none()
            || armed(DeadlineKind::Ready);
        let lives = matches!(
            machine.phase(),
            Phase::Starting { .. } | Phase::Running { .. }
        );
        let runs = !lives || spec.timeouts.run.is_none() || armed(DeadlineKind::Run);
        if moves && limited && readies && runs {
            Ok(())
        } else {
            let text = format!("{} waits for nobody: {:?}", machine.name(), machine.phase());
            violation("P3", text)
        }
    }

    fn check_budget(&mut self, id: InstanceId) -> Result<(), Violation> {
        let now = self.latest;
        let machine = self.set.machine(id).expect("an instance has a machine");
        let budget = self.budgets.of.entry(id).or_default();
        match machine.phase() {
            Phase::Backoff { .. } => budget.automatic = true,
            Phase::Exited(outcome) => {
                budget.automatic = false;
                if let Outcome::Failed(Failed {
                    gave_up_after: Some(restarts),
                    ..
                }) = outcome
                    && machine.since().0.as_millis() == u128::from(now)
                    && !budget.commanded
                {
                    let count = budget.within(now, machine.spec().restart.window);
                    if count != *restarts as usize {
                        let name = machine.name();
                        let text = format!("{name} gave up after {restarts}; there were {count}");
                        return violation("P6", text);
                    }
                }
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. } => {}
        }
        if !budget.commanded && machine.restarts() as usize != budget.spawned.len() {
            let (name, count) = (machine.name(), budget.spawned.len());
            let text = format!("{name} counts {} restarts of {count}", machine.restarts());
            return violation("P6", text);
        }
        Ok(())
    }

    /// Dependents stop before their dependencies.
    fn check_stop_order(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let machine = self.machine(id);
        let Phase::Stopping { stop, rung, .. } = machine.phase() else {
            return Ok(());
        };
        let began = !before.phases.get(&id).is_some_and(Phase::is_ending);
        let at_once = *rung == Rung::Killed
            && (self.killed_by_command || self.set.shutdown() == Some(Shutdown::Now));
        if !began || at_once {
            return Ok(());
        }
        let all = match stop {
            Stop::Shutdown => true,
            Stop::Requested
            | Stop::Restart
            | Stop::Dependency(_)
            | Stop::Changed
            | Stop::Removed => false,
            Stop::Failed(_) => return Ok(()),
        };
        for other in self.set.instances() {
            let dependent = self.machine(other);
            if other == id || !dependent.phase().is_live() {
                continue;
            }
            let gone = *stop == Stop::Removed && self.set.is_removed(other);
            let depends = if gone {
                let own = &self.machine(id).spec().name;
                let specs = &dependent.spec().depends_on;
                !self.set.no_deps() && specs.iter().any(|on| on.unit == *own)
            } else {
                let needs = self.needs(other);
                needs
                    .iter()
                    .any(|(on, edge)| *on == id && (all || edge.restart))
            };
            if depends {
                let (name, other) = (machine.name(), dependent.name());
                return violation("P5", format!("{name} stops ({stop:?}) before {other}"));
            }
        }
        Ok(())
    }

    /// Who depends by an edge that says `restart: true` does not outlive the run.
    fn check_cascade(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let Some(run) = before.phases.get(&id).and_then(Phase::live_run) else {
            return Ok(());
        };
        let runs_on = |phase: &Phase| {
            matches!(phase, Phase::Starting { .. } | Phase::Running { .. })
                .then(|| phase.live_run())
                .flatten()
        };
        let phase = self.machine(id).phase();
        if phase.live_run() == Some(run) && !phase.is_ending() {
            return Ok(());
        }
        for other in self.set.instances() {
            let restarts =
                || (self.needs(other).iter()).any(|(on, edge)| *on == id && edge.restart);
            let was = before.phases.get(&other).and_then(runs_on);
            if was.is_some()
                && runs_on(self.machine(other).phase()) == was
                && self.set.pending(other).is_none()
                && restarts()
            {
                let (name, other) = (self.machine(id).name(), self.machine(other).name());
                return violation("cascade", format!("{name}'s run ends, {other} goes on"));
            }
        }
        Ok(())
    }

    fn check_verdict(&self, verdict: &Verdict) -> Result<(), Violation> {
        let mut failed = Vec::new();
        let mut any_skipped = false;
        let mut any_stopped = false;
        for id in self.set.instances() {
            let machine = self.machine(id);
            let name = machine.name();
            match machine.phase() {
                Phase::Idle => {}
                Phase::Exited(outcome) => match outcome {
                    Outcome::Failed(_) => failed.push(name.clone()),
                    Outcome::Skipped(_) => any_skipped = true,
                    Outcome::Stopped => any_stopped = true,
                    Outcome::Completed => {
                        let bad = machine
                            .last_status()
                            .and_then(|s| s.failure(machine.spec()));
                        if let Some(bad) = bad {
                            return violation("verdict", format!("{name} completed with {bad}"));
                        }
                    }
                },
                Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. } => {
                    return violation("P5", format!("the end, and {name} is active"));
                }
            }
        }
        let said: Vec<UnitName> = verdict
            .failed
            .iter()
            .map(|(name, _)| name.clone())
            .collect();
        if said != failed {
            return violation("verdict", format!("failed {failed:?}, said {said:?}"));
        }
        let silent = any_skipped && !any_stopped && verdict.skipped.is_empty();
        if silent || verdict.is_success() != (failed.is_empty() && verdict.skipped.is_empty()) {
            return violation("verdict", format!("not the truth: {verdict:?}"));
        }
        Ok(())
    }
}

impl Budget {
    fn within(&self, now: u64, window: Option<std::time::Duration>) -> usize {
        let age = |at: &&u64| u128::from(now.saturating_sub(**at));
        (self.spawned.iter())
            .filter(|at| window.is_none_or(|window| age(at) < window.as_millis()))
            .count()
    }
}
