//! What changed files lead to.
//!
//! The watch of a unit decides whether a change counts and what is to be done; here it is
//! done to the unit's instances, and to those who depend on it.

use super::{Instance, UnitSet};
use crate::domain::admission::{Answer, Denial, Reason, combine};
use crate::domain::change::{Change, UnitChange, What};
use crate::domain::effect::Effect;
use crate::domain::id::{InstanceId, RunId, UnitName};
use crate::domain::machine::Input;
use crate::domain::outcome::Outcome;
use crate::domain::phase::{Phase, Stop};
use crate::domain::snapshot::WatchView;
use crate::domain::spec::WatchAction;
use crate::domain::time::Instant;
use crate::domain::watch::{FileChange, Reaction, Step, Told, Watching};

impl UnitSet {
    /// Goes over to the watches of the plan: what stays as it was goes on.
    pub(super) fn install_watches(&mut self, effects: &mut Vec<Effect>) {
        if self.options.no_watch {
            return;
        }
        let plan = std::sync::Arc::clone(&self.plan);
        let mut former = std::mem::take(&mut self.watching);
        for spec in plan.units() {
            let Some(watch) = &spec.watch else {
                continue;
            };
            let kept = former.remove(&spec.name);
            let watching = match kept {
                Some(kept) if kept.spec() == watch => kept,
                Some(mut other) => {
                    self.stand_down(&spec.name, &mut other, effects);
                    Watching::new(watch.clone())
                }
                None => Watching::new(watch.clone()),
            };
            self.watching.insert(spec.name.clone(), watching);
        }
        for (unit, mut watching) in former {
            self.stand_down(&unit, &mut watching, effects);
            if watching.armed {
                effects.push(Effect::Unwatch { unit });
            }
        }
    }

    fn stand_down(&self, unit: &UnitName, watching: &mut Watching, effects: &mut Vec<Effect>) {
        if let Some(Step::CancelBuild { number }) = watching.stand_down() {
            effects.push(Effect::CancelBuild {
                unit: unit.clone(),
                number,
            });
        }
    }

    /// An instance was touched: its unit's files are watched once it is needed, and are of no
    /// concern while nothing of it is to run.
    pub(super) fn update_watch(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get(id).filter(|_| !self.watching.is_empty()) else {
            return;
        };
        let (unit, needed) = (instance.unit.clone(), instance.cache.needed);
        let wanted = self.wants_any(&unit);
        let Some(mut watching) = self.watching.remove(&unit) else {
            return;
        };
        if needed
            && !watching.armed
            && self.shutdown.is_none()
            && let Some(spec) = self.plan.get(unit.as_str())
        {
            watching.armed = true;
            effects.push(Effect::Watch {
                unit: unit.clone(),
                spec: std::sync::Arc::clone(spec),
            });
        }
        let stands_down = !wanted && !watching.is_idle();
        if stands_down {
            self.stand_down(&unit, &mut watching, effects);
        }
        self.watching.insert(unit.clone(), watching);
        if stands_down {
            self.mark_watch_stale(&unit);
        }
    }

    pub(super) fn wants_any(&self, unit: &UnitName) -> bool {
        let instances = self.by_unit.get(unit).into_iter().flatten();
        let over = self.shutdown.is_some() || self.ended.is_some();
        !over && instances.copied().any(|id| self.is_wanted(id))
    }

    pub(super) fn told_of_files(&mut self, unit: &UnitName, told: Told, effects: &mut Vec<Effect>) {
        let wanted = self.wants_any(unit);
        let own = self.wanted_instances(unit);
        let spawned = own
            .iter()
            .filter_map(|&id| self.get(id)?.machine.spawned_at());
        let spawned = spawned.max();
        let now = self.now;
        let has_read = match &told {
            Told::Changed(changed) => self.has_read(unit, &own, now - changed.quiet),
            Told::Built { .. } | Told::HoldOver { .. } => false,
        };
        let Some(watching) = self.watching.get_mut(unit) else {
            return;
        };
        let steps = match told {
            // Who stopped a unit does not want it back for a file.
            Told::Changed(_) if !wanted => return,
            Told::Changed(changed) if has_read => watching.read(changed),
            Told::Changed(changed) => watching.changed(now, changed, spawned),
            Told::Built { number, result } => {
                let was_building = watching.is_building();
                let steps = watching.built(now, number, result);
                // The end of a build may be all that the stack waits for.
                if was_building && !watching.is_building() {
                    self.mark_watch_stale(unit);
                }
                steps
            }
            Told::HoldOver { number } => watching.hold_over(number),
        };
        self.take_steps(unit, steps, effects);
    }

    /// Whether all that runs was started when the files held already what they hold. `since`:
    /// from when on they are known to.
    fn has_read(&self, unit: &UnitName, own: &[InstanceId], since: Instant) -> bool {
        let builds = (self.watching.get(unit)).is_some_and(|w| w.spec().run.is_some());
        let is_newer = |&id: &InstanceId| {
            let machine = self.get(id).map(|instance| &instance.machine);
            machine.is_some_and(|machine| {
                matches!(
                    machine.phase(),
                    Phase::Starting { .. } | Phase::Running { .. }
                ) && machine.spawned_at().is_some_and(|at| at > since)
            })
        };
        !builds && !own.is_empty() && own.iter().all(is_newer)
    }

    fn take_steps(&mut self, unit: &UnitName, steps: Vec<Step>, effects: &mut Vec<Effect>) {
        if steps.is_empty() {
            return;
        }
        for step in steps {
            match step {
                Step::Act(files) => self.act_on_files(unit, &files, effects),
                Step::Build {
                    number,
                    files,
                    anew,
                } => {
                    let reaction = if anew {
                        Reaction::BuildAnew
                    } else {
                        Reaction::Build
                    };
                    self.note_trigger(unit, &files, reaction, effects);
                    self.start_build(unit, number, effects);
                }
                Step::CancelBuild { number } => effects.push(Effect::CancelBuild {
                    unit: unit.clone(),
                    number,
                }),
                Step::Hold {
                    number,
                    files,
                    limit,
                } => {
                    let reaction = Reaction::PutOff;
                    self.publish_of(unit, UnitChange::FilesChanged { files, reaction }, effects);
                    effects.push(Effect::HoldWatch {
                        unit: unit.clone(),
                        number,
                        limit,
                    });
                }
                Step::Held(files) => {
                    let reaction = Reaction::Held;
                    self.publish_of(unit, UnitChange::FilesChanged { files, reaction }, effects);
                }
                Step::Read(files) => {
                    let reaction = Reaction::Read;
                    self.publish_of(unit, UnitChange::FilesChanged { files, reaction }, effects);
                }
                Step::BuildFailed { files, failure } => {
                    self.publish_of(unit, UnitChange::BuildFailed { files, failure }, effects);
                }
                Step::Muted(path) => {
                    self.publish_of(unit, UnitChange::WatchMuted { path }, effects);
                }
            }
        }
        self.mark_watch_stale(unit);
    }

    fn start_build(&mut self, unit: &UnitName, number: u64, effects: &mut Vec<Effect>) {
        let first = self.wanted_instances(unit).first().copied();
        if let (Some(id), Some(spec)) = (first, self.plan.get(unit.as_str())) {
            effects.push(Effect::Build {
                unit: unit.clone(),
                number,
                run: RunId {
                    instance: id,
                    attempt: self.attempt(id),
                },
                spec: std::sync::Arc::clone(spec),
            });
        }
    }

    /// The instances that a change of files concerns, in order.
    fn wanted_instances(&self, unit: &UnitName) -> Vec<InstanceId> {
        let instances = self.by_unit.get(unit).into_iter().flatten().copied();
        instances.filter(|&id| self.is_wanted(id)).collect()
    }

    fn act_on_files(&mut self, unit: &UnitName, files: &FileChange, effects: &mut Vec<Effect>) {
        let Some(watch) = self.watching.get(unit).map(Watching::spec) else {
            return;
        };
        let (action, cascade) = (watch.action, watch.cascade);
        let own = self.wanted_instances(unit);
        let mut done = None;
        for &id in &own {
            let reaction = self.react(id, files, action, effects);
            done = done.or(reaction);
            if let Some(reaction) = reaction {
                let files = files.clone();
                self.publish_of_one(id, UnitChange::FilesChanged { files, reaction }, effects);
            }
        }
        if let Some(reaction) = done {
            let now = self.now;
            if let Some(watching) = self.watching.get_mut(unit) {
                watching.note(files.clone(), now, reaction);
            }
        }
        if cascade {
            self.cascade(&own, effects);
        }
    }

    fn react(
        &mut self,
        id: InstanceId,
        files: &FileChange,
        action: WatchAction,
        effects: &mut Vec<Effect>,
    ) -> Option<Reaction> {
        let instance = self.get_mut(id)?;
        match (instance.machine.phase(), action) {
            // Its turn has not come: what it waits for is not in the files.
            (Phase::Idle | Phase::Exited(Outcome::Skipped(_)), _) => None,
            (Phase::Running { .. }, WatchAction::Signal(signal)) if instance.pending.is_none() => {
                self.drive(id, Input::Signal(signal), effects);
                Some(Reaction::Signal(signal))
            }
            // It has read no file yet, and has a fresh budget.
            (Phase::Waiting, _) => {
                self.drive(id, Input::Stop(Stop::Files(files.clone())), effects);
                None
            }
            (
                Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. }
                | Phase::Exited(Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped),
                _,
            ) => {
                // What is due already leads to a new run as well.
                instance.pending.get_or_insert(Stop::Files(files.clone()));
                self.touched.push_back(id);
                Some(Reaction::Restart)
            }
        }
    }

    /// Who depends on these restarts with them: stops before, starts after.
    fn cascade(&mut self, own: &[InstanceId], effects: &mut Vec<Effect>) {
        let mut seen: Vec<InstanceId> = own.to_vec();
        let mut next = 0;
        while let Some(&on) = seen.get(next) {
            next += 1;
            let dependents = self.get(on).map(|instance| instance.dependents.clone());
            for (id, _) in dependents.unwrap_or_default() {
                if seen.contains(&id) {
                    continue;
                }
                seen.push(id);
                if self.is_wanted(id) {
                    self.cascade_to(id, on, effects);
                }
            }
        }
    }

    fn cascade_to(&mut self, id: InstanceId, on: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        match instance.machine.phase() {
            Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. } => {
                instance.pending.get_or_insert(Stop::Dependency(on));
                self.touched.push_back(id);
            }
            Phase::Exited(Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped) => {
                self.drive(id, Input::Wait { renew: true }, effects);
            }
            // These wait already, or begin to when what they were skipped for comes back.
            Phase::Idle
            | Phase::Waiting
            | Phase::Backoff { .. }
            | Phase::Exited(Outcome::Skipped(_)) => {}
        }
    }

    fn note_trigger(
        &mut self,
        unit: &UnitName,
        files: &FileChange,
        reaction: Reaction,
        effects: &mut Vec<Effect>,
    ) {
        let now = self.now;
        if let Some(watching) = self.watching.get_mut(unit) {
            watching.note(files.clone(), now, reaction);
        }
        let files = files.clone();
        self.publish_of(unit, UnitChange::FilesChanged { files, reaction }, effects);
    }

    /// Of the unit as a whole: its first instance stands for it.
    fn publish_of(&self, unit: &UnitName, change: UnitChange, effects: &mut Vec<Effect>) {
        if let Some(&id) = self.by_unit.get(unit).and_then(|ids| ids.first()) {
            self.publish_of_one(id, change, effects);
        }
    }

    pub(super) fn publish_of_one(
        &self,
        id: InstanceId,
        change: UnitChange,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(instance) = self.get(id) {
            effects.push(Effect::Publish(Change {
                at: self.now,
                what: What::Unit {
                    instance: id,
                    name: instance.machine.name().clone(),
                    change,
                },
            }));
        }
    }

    fn mark_watch_stale(&mut self, unit: &UnitName) {
        for id in self.by_unit.get(unit).cloned().unwrap_or_default() {
            self.mark_stale(id);
        }
    }

    pub(super) fn watch_view(&self, unit: &UnitName) -> Option<WatchView> {
        let watching = self.watching.get(unit)?;
        Some(WatchView {
            paused: watching.is_paused(),
            muted: watching.muted().map(str::to_owned).collect(),
            building: watching.building(),
            build_failure: watching.failure().cloned(),
            last: watching.last().cloned(),
        })
    }

    /// Whether the stack goes on though nothing runs: something is built, or may be started
    /// by a file that changes.
    pub(super) fn is_held_by_watch(&self) -> bool {
        let kept = self.options.kept_by_watch || self.attended;
        (self.watching.iter()).any(|(unit, watching)| {
            watching.is_building() || (kept && self.shutdown.is_none() && self.wants_any(unit))
        })
    }

    pub(super) fn attend(&mut self, on: bool) -> Answer {
        if std::mem::replace(&mut self.attended, on) == on {
            Answer::Ignored(Reason::Unchanged)
        } else {
            Answer::Accepted
        }
    }

    pub(super) fn pause_watch(&mut self, names: &[UnitName], effects: &mut Vec<Effect>) -> Answer {
        self.each_watching(names, |set, unit| {
            let Some(watching) = set.watching.get_mut(unit) else {
                return Answer::Ignored(Reason::Unchanged);
            };
            if !watching.pause() {
                return Answer::Ignored(Reason::AlreadyPaused);
            }
            set.publish_of(unit, UnitChange::WatchPaused, effects);
            set.mark_watch_stale(unit);
            Answer::Accepted
        })
    }

    pub(super) fn resume_watch(&mut self, names: &[UnitName], effects: &mut Vec<Effect>) -> Answer {
        self.each_watching(names, |set, unit| {
            let Some(steps) = set.watching.get_mut(unit).and_then(Watching::resume) else {
                return Answer::Ignored(Reason::NotPaused);
            };
            set.publish_of(unit, UnitChange::WatchResumed, effects);
            set.mark_watch_stale(unit);
            set.take_steps(unit, steps, effects);
            Answer::Accepted
        })
    }

    fn each_watching(
        &mut self,
        names: &[UnitName],
        mut apply: impl FnMut(&mut Self, &UnitName) -> Answer,
    ) -> Answer {
        let mut units: Vec<UnitName> = Vec::new();
        for name in names {
            let unit = match (self.by_unit.contains_key(name), self.by_name.get(name)) {
                (true, _) => Some(name.clone()),
                (false, Some(&id)) => self
                    .get(id)
                    .map(|instance: &Instance| instance.unit.clone()),
                (false, None) => None,
            };
            let Some(unit) = unit else {
                return Answer::Denied(Denial::UnknownUnit(name.clone()));
            };
            if !self.watching.contains_key(&unit) {
                return Answer::Denied(Denial::NotWatching(unit));
            }
            if !units.contains(&unit) {
                units.push(unit);
            }
        }
        if names.is_empty() {
            units = self.watching.keys().cloned().collect();
        }
        combine(units.iter().map(|unit| apply(self, unit)))
    }

    #[cfg(test)]
    pub(in crate::domain) fn watches(&self) -> &std::collections::BTreeMap<UnitName, Watching> {
        &self.watching
    }
}
