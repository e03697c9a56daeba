//! The properties of the set, checked after each step against the simulated world and the
//! machines, not against what the set has cached.

use rustc_hash::FxHashMap;

use super::drive::Life;
use crate::domain::change::{UnitChange, What};
use crate::domain::effect::Effect;
use crate::domain::event::{DeadlineKind, Shutdown};
use crate::domain::health::Readiness;
use crate::domain::id::{InstanceId, RunId, UnitName};
use crate::domain::machine::Machine;
use crate::domain::outcome::Outcome;
use crate::domain::phase::{Phase, Stop};
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
    pub phases: FxHashMap<InstanceId, Phase>,
    pub pending: FxHashMap<InstanceId, Stop>,
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

/// Whether a dependency that was over is waiting again because of another start, after the
/// one in that place.
fn revived_later(before: &Seen, effects: &[Effect], place: Option<usize>, on: InstanceId) -> bool {
    let later = &effects[place.map_or(0, |place| place + 1)..];
    let revival = later.iter().position(|effect| {
        matches!(effect, Effect::Publish(change)
            if matches!(&change.what, What::Unit { instance, change: UnitChange::Waiting, .. }
                if *instance == on))
    });
    let was_over = before
        .phases
        .get(&on)
        .is_some_and(|phase| !phase.is_active());
    was_over
        && revival.is_some_and(|revival| {
            (later[..revival].iter()).any(|effect| matches!(effect, Effect::Spawn { .. }))
        })
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
        self.world.note_alarms(effects);
        for effect in effects {
            self.check_target(before, effect, ended)?;
            if let Effect::Spawn { run, name, .. } = effect {
                self.check_spawn(before, *run, name, effects)?;
            }
            if let Effect::Finish(verdict) = effect {
                self.check_verdict(verdict)?;
            }
        }
        self.check_publications(effects)?;
        let ids: Vec<InstanceId> = self.set.instances().collect();
        for &id in &ids {
            self.check_wait(id)?;
            self.check_wishes(before, id)?;
            self.budgets.check(&self.set, id, self.latest)?;
            self.check_stop_order(before, id)?;
            self.check_cascade(before, id)?;
        }
        if self.set.shutdown().is_some() && self.set.verdict().is_none() {
            let active = |id: &InstanceId| self.machine(*id).phase().is_active();
            if !ids.iter().any(active) && self.world.builds.is_empty() {
                return violation("P5", "all has stopped and nobody says so".to_owned());
            }
        }
        Ok(())
    }

    pub fn machine(&self, id: InstanceId) -> &Machine {
        self.set.machine(id).expect("an instance has a machine")
    }

    /// What is said of readiness is so.
    fn check_publications(&self, effects: &[Effect]) -> Result<(), Violation> {
        let mut said: FxHashMap<InstanceId, bool> = FxHashMap::default();
        for effect in effects {
            let Effect::Publish(change) = effect else {
                continue;
            };
            if let What::Unit {
                instance, change, ..
            } = &change.what
            {
                if matches!(change, UnitChange::Ready { .. }) {
                    said.insert(*instance, true);
                } else if matches!(change, UnitChange::Unready { .. }) {
                    said.insert(*instance, false);
                }
            }
        }
        for (id, ready) in said {
            let machine = self.machine(id);
            let is = machine.health().state() == Readiness::Ready;
            if matches!(machine.phase(), Phase::Running { .. }) && is != ready {
                let text = format!("{} is said to be ready: {ready}", machine.name());
                return violation("readiness", text);
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
            | Effect::TypeKeys { run, .. }
            | Effect::StartProbe { run, .. }
            | Effect::SlowProbe { run, .. } => (run, false),
            Effect::StopProbe { run, .. } => (run, ended == Some(*run)),
            Effect::Spawn { .. }
            | Effect::Arm(_)
            | Effect::Watch { .. }
            | Effect::Unwatch { .. }
            | Effect::Build { .. }
            | Effect::CancelBuild { .. }
            | Effect::HoldWatch { .. }
            | Effect::Schedule { .. }
            | Effect::Unschedule { .. }
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
            // Starts come last: what else follows from an event may speak against them.
            None if self.set.machine(run.instance).is_some() => {
                violation("start", format!("{run} starts and {effect:?} in one step"))
            }
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
            let hopeless =
                !machine.phase().is_active() || revived_later(before, effects, place, on);
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
        self.budgets.spawned(&self.set, run.instance, now)
    }

    /// The instances that it depends on, by the plan's words.
    pub fn needs(&self, id: InstanceId) -> Vec<(InstanceId, Dependency)> {
        let spec = self.machine(id).spec();
        let plan = self.set.plan();
        // What leaves has the dependencies that it was started with.
        let stays = !self.set.is_removed(id);
        let now = plan.get(spec.name.as_str()).filter(|_| stays);
        let spec = now.unwrap_or(spec);
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
                    || (self.needs(id).iter()).any(|(on, _)| {
                        self.machine(*on).phase().is_active() || self.awaits_its_time(*on)
                    })
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

    /// Whether the clock will start it.
    fn awaits_its_time(&self, id: InstanceId) -> bool {
        let machine = self.machine(id);
        matches!(machine.phase(), Phase::Idle)
            && self.world.alarms.contains_key(&machine.spec().name)
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
