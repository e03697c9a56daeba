//! Going over to another plan while units run.

use std::sync::Arc;

use super::UnitSet;
use crate::domain::admission::{Answer, Denial, Reason};
use crate::domain::effect::Effect;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::machine::Input;
use crate::domain::phase::{Phase, Stop};
use crate::domain::plan::{Plan, same_run};
use crate::domain::spec::Port;

impl UnitSet {
    /// What changed restarts; what did not is not touched; what is gone stops in order.
    pub(super) fn reload(&mut self, plan: &Arc<Plan>, effects: &mut Vec<Effect>) -> Answer {
        if self.plan.difference(plan).is_empty() && self.plan.name() == plan.name() {
            return Answer::Ignored(Reason::Unchanged);
        }
        let by_hand: Vec<InstanceId> = self.asked_by_hand();
        self.install(plan, effects);
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

    fn apply_spec(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        if instance.removed {
            if instance.machine.phase().is_active() {
                instance.pending = Some(Stop::Removed);
                self.touched.push(id);
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
            return;
        }
        match instance.machine.phase() {
            Phase::Idle => {}
            Phase::Exited(_) => {
                if self.is_wanted(id) {
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
                self.touched.push(id);
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
            Ok(plan) => self.reload(&Arc::new(plan), effects),
            // The names and edges are those of a plan that was valid.
            Err(_) => Answer::Ignored(Reason::Unchanged),
        }
    }
}
