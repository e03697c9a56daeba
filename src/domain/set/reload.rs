//! Going over to another plan while units run.

use std::sync::Arc;

use super::UnitSet;
use crate::domain::admission::{Answer, Denial, Reason};
use crate::domain::effect::Effect;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::machine::Input;
use crate::domain::phase::{Phase, Stop};
use crate::domain::plan::{Plan, same_run};
use crate::domain::spec::{MAX_REPLICAS, Port};

impl UnitSet {
    /// What changed restarts; what did not is not touched; what is gone stops in order.
    pub(super) fn reload(&mut self, plan: &Arc<Plan>, effects: &mut Vec<Effect>) -> Answer {
        if self.plan.difference(plan).is_empty() && self.plan.name() == plan.name() {
            return Answer::Ignored(Reason::Unchanged);
        }
        let by_hand: Vec<InstanceId> = self.asked_by_hand();
        let whole = self.wholly_among(&by_hand);
        self.install(plan, effects);
        // Further instances of a unit that was started by hand are started, too.
        let more = whole
            .iter()
            .filter_map(|unit| self.by_unit.get(unit))
            .flatten();
        let by_hand: Vec<InstanceId> = by_hand.iter().chain(more).copied().collect();
        for id in by_hand {
            if let Some(instance) = self.get_mut(id)
                && !instance.removed
            {
                instance.asked = true;
                self.need(id);
            }
        }
        let ids: Vec<InstanceId> = self.order.clone();
        for id in ids {
            self.apply_spec(id, effects);
        }
        Answer::Accepted
    }

    /// Instances that a command asked for though the selection did not.
    fn asked_by_hand(&self) -> Vec<InstanceId> {
        let selected = self
            .plan
            .select(&self.options.selection)
            .unwrap_or_default();
        self.order
            .iter()
            .copied()
            .filter(|&id| {
                self.get(id).is_some_and(|instance| {
                    let unit = self.plan.graph().find(instance.unit.as_str());
                    instance.asked && unit.is_none_or(|unit| !selected.contains(&unit))
                })
            })
            .collect()
    }

    /// The units all of whose instances are among `ids`, and that have any.
    fn wholly_among(&self, ids: &[InstanceId]) -> Vec<UnitName> {
        let ids: rustc_hash::FxHashSet<InstanceId> = ids.iter().copied().collect();
        let whole = self.by_unit.iter().filter(|(_, instances)| {
            !instances.is_empty() && instances.iter().all(|id| ids.contains(id))
        });
        whole.map(|(unit, _)| unit.clone()).collect()
    }

    fn apply_spec(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        if instance.removed {
            if instance.machine.phase().is_active() {
                instance.pending = Some(Stop::Removed);
                self.touched.push_back(id);
            }
            return;
        }
        let unit = instance.unit.clone();
        let Some(spec) = self.plan.get(unit.as_str()).cloned() else {
            return;
        };
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        let keep = same_run(instance.machine.spec(), &spec);
        instance.machine.set_spec(spec, keep);
        if keep {
            // It was changed and changed back before it was stopped.
            instance.pending.take_if(|stop| *stop == Stop::Changed);
            self.touched.push_back(id);
            return;
        }
        match instance.machine.phase() {
            Phase::Idle => {}
            Phase::Exited(_) => {
                let has_clock = self
                    .get(id)
                    .is_some_and(|instance| self.is_scheduled(instance));
                if self.is_wanted(id) && !has_clock {
                    self.drive(id, Input::Wait { renew: true }, effects);
                }
            }
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. } => {
                // A stop that somebody asked for before stays what it was.
                instance.pending.get_or_insert(Stop::Changed);
                self.touched.push_back(id);
            }
        }
    }

    /// Another number of instances of one unit.
    pub(super) fn scale(
        &mut self,
        name: &UnitName,
        replicas: u32,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let Some(spec) = self.plan.get(name.as_str()) else {
            return Answer::Denied(match self.by_name.get(name) {
                Some(_) => Denial::NotAUnit(name.clone()),
                None => Denial::UnknownUnit(name.clone()),
            });
        };
        let Some(current) = spec.replicas else {
            return Answer::Denied(Denial::NoReplicas(name.clone()));
        };
        let fixed = spec
            .ports
            .values()
            .any(|port| matches!(port, Port::Fixed(_)));
        if fixed && replicas > 1 {
            return Answer::Denied(Denial::FixedPort { unit: name.clone() });
        }
        if replicas > MAX_REPLICAS {
            return Answer::Denied(Denial::TooMany {
                unit: name.clone(),
                most: MAX_REPLICAS,
            });
        }
        if current == replicas {
            return Answer::Ignored(Reason::Unchanged);
        }
        let units = self
            .plan
            .units()
            .iter()
            .map(|unit| {
                if unit.name == *name {
                    let mut scaled = (**unit).clone();
                    scaled.replicas = Some(replicas);
                    Arc::new(scaled)
                } else {
                    Arc::clone(unit)
                }
            })
            .collect();
        match Plan::new(self.plan.name(), units) {
            Ok(plan) => {
                let answer = self.reload(&Arc::new(plan), effects);
                if current == 0 {
                    self.ask_for_all(name);
                }
                answer
            }
            // The edges are those of a plan that was valid.
            Err(_) => Answer::Denied(Denial::NameTaken(name.clone())),
        }
    }
    /// From none to some: whoever asks for instances wants them to run.
    fn ask_for_all(&mut self, unit: &UnitName) {
        for id in self.by_unit.get(unit).cloned().unwrap_or_default() {
            if let Some(instance) = self.get_mut(id) {
                instance.asked = true;
            }
            self.need(id);
        }
    }
}
