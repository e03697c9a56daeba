//! From a plan to instances and the edges between them.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::{Cache, Edge, EdgeState, Instance, UnitSet};
use crate::domain::change::{Change, UnitChange, What};
use crate::domain::effect::Effect;
use crate::domain::graph::UnitIndex;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::machine::Machine;
use crate::domain::phase::Stop;
use crate::domain::plan::Plan;
use crate::domain::spec::UnitSpec;

impl UnitSet {
    /// Makes the instances of `plan`, keeping those that are there, and wires them.
    pub(super) fn install(&mut self, plan: &Arc<Plan>, effects: &mut Vec<Effect>) {
        self.plan = Arc::clone(plan);
        let asked = self.asked(plan);
        let leavers: Vec<InstanceId> = self.order.clone();
        self.by_unit.clear();
        let mut order = Vec::with_capacity(plan.units().len());
        for (index, spec) in (0..).map(UnitIndex).zip(plan.units()) {
            let names: Vec<UnitName> = spec.instance_names().collect();
            for name in names {
                let id = match self.by_name.get(&name) {
                    Some(&id) => id,
                    None => self.add(name.clone(), spec, effects),
                };
                if let Some(instance) = self.get_mut(id) {
                    instance.unit = spec.name.clone();
                    if std::mem::replace(&mut instance.removed, false) {
                        // It came back before its stop was begun.
                        instance.pending.take_if(|stop| *stop == Stop::Removed);
                    }
                    instance.asked = asked.contains(&index);
                }
                self.by_unit.entry(spec.name.clone()).or_default().push(id);
                order.push(id);
            }
        }
        self.install_watches(effects);
        self.install_schedules(effects);
        self.mark_removed(&leavers, &order);
        self.order = order;
        // Those that still have to stop stay visible, behind the others.
        let staying: Vec<InstanceId> = leavers
            .into_iter()
            .filter(|&id| self.get(id).is_some_and(|i| i.removed))
            .collect();
        self.order.extend(staying);
        self.wire();
    }

    fn asked(&self, plan: &Plan) -> BTreeSet<UnitIndex> {
        let mut selection = self.options.selection.clone();
        // A reload may have taken what was once asked for by name.
        selection.units.retain(|name| plan.get(name).is_some());
        selection.profiles.retain(|profile| {
            plan.units()
                .iter()
                .any(|unit| unit.profiles.contains(profile))
        });
        if selection.units.is_empty() && !self.options.selection.units.is_empty() {
            return BTreeSet::new();
        }
        plan.select(&selection).unwrap_or_default()
    }

    fn add(
        &mut self,
        name: UnitName,
        spec: &Arc<UnitSpec>,
        effects: &mut Vec<Effect>,
    ) -> InstanceId {
        let next = InstanceId(u32::try_from(self.instances.len()).unwrap_or(u32::MAX));
        let (id, attempt, epoch) =
            self.retired
                .remove(&name)
                .unwrap_or((next, Default::default(), Default::default()));
        if id == next {
            self.instances.push(None);
        }
        let spec_of_it = Arc::clone(spec);
        let machine = Machine::resume(id, name.clone(), spec_of_it, attempt, epoch, self.now);
        self.instances[id.index()] = Some(Instance {
            machine,
            unit: spec.name.clone(),
            asked: false,
            hold: None,
            removed: false,
            pending: None,
            edges: Vec::new(),
            dependents: Vec::new(),
            cache: Cache::default(),
            run: None,
            queued: false,
            lined_up: false,
            due: spec
                .schedule
                .as_ref()
                .is_some_and(|schedule| schedule.at_start),
            stale: true,
        });
        self.stale_views.push(id);
        if self.begun {
            effects.push(Effect::Publish(Change {
                at: self.now,
                what: What::Unit {
                    instance: id,
                    name: name.clone(),
                    change: UnitChange::Added,
                },
            }));
        }
        self.by_name.insert(name, id);
        self.touched.push_back(id);
        id
    }

    fn mark_removed(&mut self, before: &[InstanceId], now: &[InstanceId]) {
        let stays: rustc_hash::FxHashSet<InstanceId> = now.iter().copied().collect();
        for &id in before {
            if !stays.contains(&id)
                && let Some(instance) = self.get_mut(id)
            {
                instance.removed = true;
                instance.asked = false;
                self.touched.push_back(id);
            }
        }
    }

    /// Builds all edges anew, and everything that is cached about them.
    pub(super) fn wire(&mut self) {
        self.unwired = false;
        let instances = &self.instances;
        self.order.retain(|id| instances[id.index()].is_some());
        let ids: Vec<InstanceId> = self.order.clone();
        let mut edges_of: Vec<(InstanceId, Vec<Edge>)> = Vec::with_capacity(ids.len());
        let mut leaving: FxHashMap<UnitName, Vec<InstanceId>> = FxHashMap::default();
        for (&id, instance) in ids.iter().filter_map(|id| Some((id, self.get(*id)?))) {
            if instance.removed {
                leaving.entry(instance.unit.clone()).or_default().push(id);
            }
        }
        for &id in &ids {
            edges_of.push((id, self.edges_for(id, &leaving)));
            if let Some(instance) = self.get_mut(id) {
                instance.dependents.clear();
                instance.cache = Cache::default();
            }
        }
        for (id, edges) in edges_of {
            for (place, edge) in (0..).zip(&edges) {
                if let Some(on) = self.get_mut(edge.on) {
                    on.dependents.push((id, place));
                }
            }
            if let Some(instance) = self.get_mut(id) {
                instance.edges = edges;
                instance.cache.unmet = u32::try_from(instance.edges.len()).unwrap_or(u32::MAX);
            }
        }
        self.active = 0;
        self.open = 0;
        for &id in &ids {
            if self.get(id).is_some_and(|i| i.asked && !i.removed) {
                self.need(id);
            }
        }
        self.touch_all();
    }

    fn edges_for(
        &self,
        id: InstanceId,
        leaving: &FxHashMap<UnitName, Vec<InstanceId>>,
    ) -> Vec<Edge> {
        let Some(instance) = self.get(id) else {
            return Vec::new();
        };
        // A unit that is gone from the plan still has the dependencies it was started with.
        let spec = self
            .plan
            .get(instance.unit.as_str())
            .filter(|_| !instance.removed);
        let spec = spec.unwrap_or_else(|| instance.machine.spec());
        let mut edges = Vec::with_capacity(spec.depends_on.len());
        for dependency in &spec.depends_on {
            let on = self.by_unit.get(&dependency.unit).into_iter().flatten();
            // What leaves stops in order, too.
            let left = leaving.get(&dependency.unit).filter(|_| instance.removed);
            for &on in on.chain(left.into_iter().flatten()) {
                let ignored =
                    self.options.selection.no_deps && !self.get(on).is_some_and(|i| i.asked);
                if on != id && !ignored {
                    edges.push(Edge {
                        on,
                        condition: dependency.condition,
                        restart: dependency.restart,
                        required: dependency.required,
                        state: EdgeState::Pending,
                    });
                }
            }
        }
        edges
    }

    /// An instance became needed: so did what it requires.
    pub(super) fn need(&mut self, id: InstanceId) {
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let Some(instance) = self.get_mut(id) else {
                continue;
            };
            if std::mem::replace(&mut instance.cache.needed, true) {
                continue;
            }
            let required: Vec<InstanceId> = instance
                .edges
                .iter()
                .filter(|e| e.required)
                .map(|e| e.on)
                .collect();
            self.touched.push_back(id);
            for on in required {
                stack.push(on);
            }
        }
    }

    /// Takes an instance out that is gone from the plan and of which nothing runs.
    pub(super) fn retire(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.instances[id.index()].take() else {
            return;
        };
        let name = instance.machine.name().clone();
        self.by_name.remove(&name);
        self.retired.insert(
            name.clone(),
            (id, instance.machine.attempt(), instance.machine.epoch()),
        );
        effects.push(Effect::Publish(Change {
            at: self.now,
            what: What::Unit {
                instance: id,
                name,
                change: UnitChange::Removed,
            },
        }));
        self.unwired = true;
    }
}
