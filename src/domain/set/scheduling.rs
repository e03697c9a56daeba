//! What the clock leads to.

use std::sync::Arc;

use super::{Instance, UnitSet};
use crate::domain::change::UnitChange;
use crate::domain::effect::Effect;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::machine::Input;
use crate::domain::phase::{Phase, Stop};
use crate::domain::schedule::{DueReaction, Timetable, Told};
use crate::domain::snapshot::ScheduleView;
use crate::domain::spec::Overlap;

impl UnitSet {
    /// Goes over to the schedules of the plan: what stays as it was goes on.
    pub(super) fn install_schedules(&mut self, effects: &mut Vec<Effect>) {
        if self.options.no_clock {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let mut former = std::mem::take(&mut self.timetables);
        for spec in plan.units() {
            let Some(schedule) = &spec.schedule else {
                continue;
            };
            let kept = former.remove(&spec.name);
            let timetable = match kept {
                Some(kept) if kept.spec() == schedule => kept,
                Some(other) => {
                    stand_down(&spec.name, &other, effects);
                    Timetable::new(schedule.clone())
                }
                None => Timetable::new(schedule.clone()),
            };
            self.timetables.insert(spec.name.clone(), timetable);
        }
        for (unit, timetable) in former {
            stand_down(&unit, &timetable, effects);
        }
    }

    /// What was asked for by name runs at once.
    pub(super) fn note_named(&mut self) {
        for name in self.options.selection.units.clone() {
            for id in self.by_unit.get(name.as_str()).cloned().unwrap_or_default() {
                if let Some(instance) = self.get_mut(id) {
                    instance.due = true;
                }
            }
        }
    }

    /// An instance was touched: its unit's clock runs while something of it is wanted.
    pub(super) fn update_schedule(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        if self.timetables.is_empty() {
            return;
        }
        let Some(unit) = self.get(id).map(|instance| instance.unit.clone()) else {
            return;
        };
        let wanted = self.wants_any(&unit);
        let Some(timetable) = self.timetables.get_mut(&unit) else {
            return;
        };
        match (wanted, timetable.is_armed()) {
            (true, false) => self.arm(&unit, effects),
            (false, true) => {
                timetable.pause();
                effects.push(Effect::Unschedule { unit: unit.clone() });
                self.mark_schedule_stale(&unit);
            }
            (true, true) | (false, false) => {}
        }
    }

    fn arm(&mut self, unit: &UnitName, effects: &mut Vec<Effect>) {
        self.alarms += 1;
        let (number, now) = (self.alarms, self.now);
        if let Some(timetable) = self.timetables.get_mut(unit) {
            effects.push(Effect::Schedule {
                unit: unit.clone(),
                number,
                alarm: timetable.arm(number, now),
            });
        }
        self.mark_schedule_stale(unit);
    }

    pub(super) fn told_of_time(&mut self, unit: &UnitName, told: &Told, effects: &mut Vec<Effect>) {
        let Some(timetable) = self.timetables.get_mut(unit) else {
            return;
        };
        match *told {
            Told::Next { number, at } if timetable.counts(number) => {
                timetable.expect(at);
                self.mark_schedule_stale(unit);
                self.touch_unit(unit);
            }
            Told::Due { number } if timetable.counts(number) => {
                let overlap = timetable.spec().overlap;
                self.arm(unit, effects);
                for id in self.by_unit.get(unit).cloned().unwrap_or_default() {
                    if self.is_wanted(id) {
                        self.due(id, overlap, effects);
                    }
                }
            }
            Told::Next { .. } | Told::Due { .. } => {}
        }
    }

    fn due(&mut self, id: InstanceId, overlap: Overlap, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        let comes_back = match &instance.pending {
            Some(stop) => stop.is_followed_by_run(),
            None => instance.machine.comes_back(),
        };
        let reaction = match (instance.machine.phase(), overlap) {
            (Phase::Idle | Phase::Exited(_), _) => {
                instance.due = true;
                DueReaction::Start
            }
            // A start is on its way.
            (Phase::Waiting, _) => return,
            _ if comes_back => return,
            (_, Overlap::Skip) => DueReaction::Skip,
            (Phase::Backoff { .. }, Overlap::Restart) => {
                self.drive(id, Input::Wait { renew: true }, effects);
                DueReaction::Start
            }
            (Phase::Starting { .. } | Phase::Running { .. }, Overlap::Restart) => {
                instance.pending.get_or_insert(Stop::Restart);
                DueReaction::Restart
            }
            (
                Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. },
                Overlap::Queue | Overlap::Restart,
            ) => {
                instance.due = true;
                DueReaction::Queue
            }
        };
        self.publish_of_one(id, UnitChange::Due { reaction }, effects);
        self.touched.push_back(id);
    }

    /// Whether it is not started by itself before its time has come.
    pub(super) fn awaits_its_time(&self, instance: &Instance) -> bool {
        !instance.due && self.is_scheduled(instance)
    }

    /// Whether it may still start: it is wanted, and its time may come.
    pub(super) fn may_start(&self, id: InstanceId) -> bool {
        let never = |instance: &Instance| {
            self.awaits_its_time(instance)
                && (self.timetables.get(&instance.unit)).is_some_and(Timetable::never_comes)
        };
        self.is_wanted(id) && !self.get(id).is_some_and(never)
    }

    pub(super) fn is_scheduled(&self, instance: &Instance) -> bool {
        !self.timetables.is_empty() && self.timetables.contains_key(&instance.unit)
    }

    /// Whether the stack goes on though nothing runs: something will be started by the clock.
    pub(super) fn is_held_by_schedule(&self) -> bool {
        self.shutdown.is_none() && self.timetables.values().any(Timetable::has_next)
    }

    pub(super) fn schedule_view(&self, unit: &UnitName) -> Option<ScheduleView> {
        let timetable = self.timetables.get(unit);
        // Of a stack that stops there is nothing to come.
        let timetable = timetable.filter(|_| self.shutdown.is_none())?;
        Some(ScheduleView {
            next: timetable.next(),
            paused: !timetable.is_armed(),
        })
    }

    fn touch_unit(&mut self, unit: &UnitName) {
        let ids = self.by_unit.get(unit).into_iter().flatten();
        self.touched.extend(ids.copied());
    }

    fn mark_schedule_stale(&mut self, unit: &UnitName) {
        for id in self.by_unit.get(unit).cloned().unwrap_or_default() {
            self.mark_stale(id);
        }
    }
}

fn stand_down(unit: &UnitName, timetable: &Timetable, effects: &mut Vec<Effect>) {
    if timetable.is_armed() {
        effects.push(Effect::Unschedule { unit: unit.clone() });
    }
}
