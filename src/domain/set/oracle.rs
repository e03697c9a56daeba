//! Everything that is cached, computed again from its definition.

use super::UnitSet;
use super::edge::evaluate;
use crate::domain::id::InstanceId;
use crate::domain::outcome::Outcome;
use crate::domain::phase::Phase;

/// A larger set is checked after some steps only.
const SMALL: usize = 64;

impl UnitSet {
    pub(super) fn check_sampled(&self) {
        if self.order.len() <= SMALL || self.steps.is_multiple_of(self.order.len() as u64) {
            let checked = self.verify();
            assert!(checked.is_ok(), "{}", checked.err().unwrap_or_default());
        }
    }

    /// Compares what is cached with what it stands for, and looks for acts left undone.
    pub(in crate::domain) fn verify(&self) -> Result<(), String> {
        let needed = self.needed_by_definition();
        let mut live_dependents = vec![0; self.instances.len()];
        for instance in self.order.iter().filter_map(|&id| self.get(id)) {
            if instance.machine.phase().is_live() {
                for edge in &instance.edges {
                    live_dependents[edge.on.index()] += 1;
                }
            }
        }
        let mut active = 0;
        let mut open = 0;
        for &id in &self.order {
            let Some(instance) = self.get(id) else {
                return Err(format!("{id:?} is in the order but not in the set"));
            };
            let name = instance.machine.name();
            let fail = |what: &str| {
                Err(format!(
                    "{name}: {what}: {:?} {:?}",
                    instance.machine.phase(),
                    instance.cache
                ))
            };
            if instance.cache.needed != needed[id.index()] {
                return fail("needed");
            }
            let mut unmet = 0;
            let mut hopeless = 0;
            for edge in &instance.edges {
                let Some(on) = self.get(edge.on) else {
                    return fail("edge to nothing");
                };
                if edge.state != evaluate(on, self.may_start(edge.on), edge.condition) {
                    return fail("edge state");
                }
                unmet += u32::from(edge.holds_back());
                hopeless += u32::from(edge.is_hopeless());
            }
            if (instance.cache.unmet, instance.cache.hopeless) != (unmet, hopeless) {
                return fail("edge counters");
            }
            if instance.cache.live_dependents != live_dependents[id.index()] {
                return fail("live dependents");
            }
            let phase = instance.machine.phase();
            if (instance.cache.live, instance.cache.active) != (phase.is_live(), phase.is_active())
            {
                return fail("liveness");
            }
            active += usize::from(phase.is_active());
            open += usize::from(self.is_open(id));
            if let Some(left) = self.left_undone(id) {
                return fail(left);
            }
        }
        if (self.active, self.open) != (active, open) {
            return Err(format!(
                "counted {} active, {} open; there are {active}, {open}",
                self.active, self.open
            ));
        }
        Ok(())
    }

    fn needed_by_definition(&self) -> Vec<bool> {
        let mut needed = vec![false; self.instances.len()];
        let mut stack: Vec<InstanceId> = self
            .order
            .iter()
            .copied()
            .filter(|&id| self.get(id).is_some_and(|i| i.asked && !i.removed))
            .collect();
        while let Some(id) = stack.pop() {
            if std::mem::replace(&mut needed[id.index()], true) {
                continue;
            }
            if let Some(instance) = self.get(id) {
                stack.extend(instance.edges.iter().filter(|e| e.required).map(|e| e.on));
            }
        }
        needed
    }

    /// What the state calls for though nobody did it.
    fn left_undone(&self, id: InstanceId) -> Option<&'static str> {
        if self.ended.is_some() {
            return None;
        }
        let instance = self.get(id)?;
        let wanted = self.is_wanted(id);
        let stoppable = instance.machine.phase().is_live() && !instance.machine.phase().is_ending();
        if instance.pending.is_some() && !(stoppable && self.is_blocked(instance)) {
            return Some("a stop is due and nothing holds it back");
        }
        let cascades = instance.edges.iter().any(|edge| {
            edge.restart
                && instance.is_running_on()
                && self.get(edge.on).is_some_and(super::Instance::is_ending)
        });
        if cascades {
            return Some("a dependency ends and it goes on");
        }
        match instance.machine.phase() {
            Phase::Idle if wanted && !self.awaits_its_time(instance) => Some("wanted and idle"),
            Phase::Exited(_) if wanted && instance.due => Some("its time has come and it is over"),
            Phase::Waiting | Phase::Backoff { .. } if !wanted => {
                Some("waits for what is not wanted")
            }
            Phase::Waiting if instance.machine.stuck().is_none() && instance.cache.unmet == 0 => {
                Some("its conditions hold and it waits")
            }
            Phase::Waiting if instance.machine.stuck().is_none() && instance.cache.hopeless > 0 => {
                Some("it waits for what cannot come")
            }
            Phase::Exited(Outcome::Skipped(skip)) if wanted => match skip {
                crate::domain::outcome::Skip::Dependency { .. } if instance.cache.hopeless == 0 => {
                    Some("skipped though nothing stands against it")
                }
                crate::domain::outcome::Skip::Dependency { .. }
                | crate::domain::outcome::Skip::WaitTimeout { .. } => None,
            },
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => None,
        }
    }
}

/// What only a test may look at.
#[cfg(test)]
impl UnitSet {
    /// Everything that a stale event must leave as it is.
    pub(in crate::domain) fn digest(&self) -> impl PartialEq + use<> {
        let instances: Vec<_> = (self.order.iter())
            .filter_map(|&id| self.get(id))
            .map(|i| (i.machine.clone(), i.pending.clone(), i.due))
            .collect();
        (instances, self.watching.clone(), self.timetables.clone())
    }

    pub(in crate::domain) fn pending(&self, id: InstanceId) -> Option<crate::domain::phase::Stop> {
        self.get(id)?.pending.clone()
    }

    pub(in crate::domain) fn is_removed(&self, id: InstanceId) -> bool {
        self.get(id).is_some_and(|instance| instance.removed)
    }

    /// With `no_deps` not all dependencies are edges; without, all are.
    pub(in crate::domain) fn has_edge(&self, id: InstanceId, on: InstanceId) -> bool {
        !self.options.selection.no_deps
            || self
                .get(id)
                .is_some_and(|instance| instance.edges.iter().any(|edge| edge.on == on))
    }

    pub(in crate::domain) fn no_deps(&self) -> bool {
        self.options.selection.no_deps
    }
}
