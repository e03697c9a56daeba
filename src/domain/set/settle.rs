//! The two phases of a step, repeated until nothing changes.

use super::edge::evaluate;
use super::{EdgeState, Instance, Shown, UnitSet};
use crate::domain::effect::Effect;
use crate::domain::explain;
use crate::domain::id::InstanceId;
use crate::domain::machine::Input;
use crate::domain::outcome::{Outcome, Skip};
use crate::domain::phase::{Phase, Stop};
use crate::domain::spec::Condition;

impl UnitSet {
    pub(super) fn settle(&mut self, effects: &mut Vec<Effect>) {
        if !self.begun {
            return;
        }
        loop {
            while let Some(id) = self.touched.pop_back() {
                self.update(id, effects);
            }
            if self.unwired {
                self.wire();
                continue;
            }
            if let Some(id) = self.dirty.pop_front() {
                if let Some(instance) = self.get_mut(id) {
                    instance.queued = false;
                }
                self.act(id, effects);
                continue;
            }
            // After the skips, so that those who lost their dependency are said to have.
            self.check_end_policies(effects);
            if !self.touched.is_empty() {
                continue;
            }
            // Starts come last: what else follows may take their ground away.
            match self.lined_up.pop_front() {
                Some(id) => self.go(id, effects),
                None => break,
            }
        }
        self.finish_if_over(effects);
    }

    fn go(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let wanted = self.is_wanted(id);
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        instance.lined_up = false;
        let waits = matches!(instance.machine.phase(), Phase::Waiting);
        let free = instance.machine.stuck().is_none() && instance.cache.unmet == 0;
        if wanted && waits && free {
            self.drive(id, Input::Go, effects);
        }
    }

    fn line_up(&mut self, id: InstanceId) {
        if let Some(instance) = self.get_mut(id)
            && !std::mem::replace(&mut instance.lined_up, true)
        {
            self.lined_up.push_back(id);
        }
    }

    fn mark_dirty(&mut self, id: InstanceId) {
        if let Some(instance) = self.get_mut(id)
            && !std::mem::replace(&mut instance.queued, true)
        {
            self.dirty.push_back(id);
        }
    }

    /// What was touched last is acted on first, while it is at hand.
    fn mark_dirty_next(&mut self, id: InstanceId) {
        if let Some(instance) = self.get_mut(id)
            && !std::mem::replace(&mut instance.queued, true)
        {
            self.dirty.push_front(id);
        }
    }

    pub(super) fn mark_stale(&mut self, id: InstanceId) {
        if let Some(instance) = self.get_mut(id)
            && !std::mem::replace(&mut instance.stale, true)
        {
            self.stale_views.push(id);
        }
    }

    /// Phase A: an instance was touched; what follows for what is cached?
    fn update(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get(id) else {
            return;
        };
        if instance.removed
            && !instance.machine.phase().is_active()
            && instance.machine.stuck().is_none()
        {
            return self.retire(id, effects);
        }
        self.mark_stale(id);
        self.update_liveness(id);
        self.update_activity(id);
        self.update_own_cascade(id);
        self.update_ending(id);
        self.update_dependents(id);
        self.mark_dirty_next(id);
        self.note_exit(id);
        self.update_watch(id, effects);
        self.update_schedule(id, effects);
    }

    fn update_liveness(&mut self, id: InstanceId) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        let live = instance.machine.phase().is_live();
        if std::mem::replace(&mut instance.cache.live, live) == live {
            return;
        }
        for place in 0..instance.edges.len() {
            let Some(on) = self.get(id).map(|i| i.edges[place].on) else {
                return;
            };
            let Some(dependency) = self.get_mut(on) else {
                continue;
            };
            if live {
                dependency.cache.live_dependents += 1;
            } else {
                dependency.cache.live_dependents -= 1;
                if dependency.pending.is_some() {
                    self.mark_dirty(on);
                }
            }
        }
    }

    fn update_activity(&mut self, id: InstanceId) {
        let open = self.is_open(id);
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        let active = instance.machine.phase().is_active();
        let was_active = std::mem::replace(&mut instance.cache.active, active);
        let was_open = std::mem::replace(&mut instance.cache.open, open);
        self.active = self.active + usize::from(active) - usize::from(was_active);
        self.open = self.open + usize::from(open) - usize::from(was_open);
    }

    /// A dependency may be ending while nothing but this instance has changed: somebody
    /// took back its stop.
    fn update_own_cascade(&mut self, id: InstanceId) {
        let Some(instance) = self.get(id).filter(|i| i.is_running_on()) else {
            return;
        };
        let cause = instance
            .edges
            .iter()
            .find(|edge| edge.restart && self.get(edge.on).is_some_and(Instance::is_ending))
            .map(|edge| edge.on);
        if let (Some(on), Some(instance)) = (cause, self.get_mut(id)) {
            instance.pending = Some(Stop::Dependency(on));
        }
    }

    /// One that no longer ends though it lives stands in nobody's way.
    fn update_ending(&mut self, id: InstanceId) {
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        let ending = instance.is_ending();
        let was = std::mem::replace(&mut instance.cache.ending, ending);
        if was && !ending && instance.cache.live {
            for place in 0..instance.edges.len() {
                let Some(on) = self.get(id).map(|i| i.edges[place].on) else {
                    return;
                };
                if self.get(on).is_some_and(|on| on.pending.is_some()) {
                    self.mark_dirty(on);
                }
            }
        }
    }

    /// Tells the dependents, if there is anything new for them.
    fn update_dependents(&mut self, id: InstanceId) {
        let wanted = self.may_start(id);
        let Some(instance) = self.get_mut(id) else {
            return;
        };
        // A run may be over without having been seen to end: its runner was lost, or it
        // outlived its leader.
        let run = instance.machine.phase().live_run();
        let over = std::mem::replace(&mut instance.run, run).is_some_and(|old| run != Some(old));
        let ending = over || instance.is_ending();
        let shown = Some(Shown {
            edges: Condition::ALL.map(|condition| evaluate(instance, wanted, condition)),
            attempt: instance.machine.attempt(),
            ending,
        });
        if std::mem::replace(&mut instance.cache.shown, shown) == shown {
            return;
        }
        for place in 0..instance.dependents.len() {
            let Some(instance) = self.get(id) else {
                return;
            };
            let (dependent, edge) = instance.dependents[place];
            let edge = edge as usize;
            let Some(other) = self.get(dependent) else {
                continue;
            };
            let state = evaluate(instance, wanted, other.edges[edge].condition);
            let changed = state != other.edges[edge].state;
            let cascades = ending && other.edges[edge].restart && other.is_running_on();
            let skipped = matches!(other.machine.phase(), Phase::Exited(Outcome::Skipped(_)));
            let Some(other) = self.get_mut(dependent) else {
                continue;
            };
            if changed {
                set_edge(other, edge, state);
            }
            if cascades {
                other.pending = Some(Stop::Dependency(id));
                self.touched.push_back(dependent);
            }
            if changed || cascades || skipped {
                self.mark_dirty(dependent);
            }
        }
    }

    /// Phase B: what does its state call for?
    fn act(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        if self.act_on_pending_stop(id, effects) {
            return;
        }
        // A stuck run may still go after the end; nothing comes of it.
        if self.ended.is_some() {
            return;
        }
        let wanted = self.is_wanted(id);
        let Some(instance) = self.get(id) else {
            return;
        };
        let input = match instance.machine.phase() {
            Phase::Idle if wanted && !self.awaits_its_time(instance) => {
                Input::Wait { renew: false }
            }
            Phase::Exited(_) if wanted && instance.due => Input::Wait { renew: true },
            Phase::Exited(Outcome::Skipped(skip)) if wanted && self.is_revived(instance, skip) => {
                Input::Wait { renew: false }
            }
            Phase::Waiting | Phase::Backoff { .. } if !wanted => {
                Input::Stop(self.stop_reason(instance))
            }
            Phase::Waiting if instance.machine.stuck().is_some() => return,
            Phase::Waiting if instance.cache.unmet == 0 => return self.line_up(id),
            Phase::Waiting => match self.skip_reason(instance) {
                Some(skip) => Input::Skip(skip),
                None => return,
            },
            Phase::Idle
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => return,
        };
        if matches!(input, Input::Wait { .. })
            && let Some(instance) = self.get_mut(id)
        {
            instance.due = false;
        }
        self.drive(id, input, effects);
    }

    /// Whether a stop was due and could be begun.
    fn act_on_pending_stop(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> bool {
        let Some(instance) = self.get(id) else {
            return false;
        };
        let Some(stop) = instance.pending.clone() else {
            return false;
        };
        if instance.machine.phase().is_live()
            && !instance.machine.phase().is_ending()
            && self.is_blocked(instance)
        {
            return false;
        }
        if let Some(instance) = self.get_mut(id) {
            instance.pending = None;
        }
        self.drive(id, Input::Stop(stop), effects);
        true
    }

    /// Whether a dependent that is to stop, too, has to go first.
    pub(super) fn is_blocked(&self, instance: &Instance) -> bool {
        if instance.cache.live_dependents == 0 {
            return false;
        }
        if self.shutdown.is_some() {
            return true;
        }
        instance
            .dependents
            .iter()
            .filter_map(|&(dependent, _)| self.get(dependent))
            .any(Instance::is_ending)
    }

    fn stop_reason(&self, instance: &Instance) -> Stop {
        if self.shutdown.is_some() {
            Stop::Shutdown
        } else if instance.removed {
            Stop::Removed
        } else {
            Stop::Requested
        }
    }

    fn is_revived(&self, instance: &Instance, skip: &Skip) -> bool {
        match skip {
            Skip::Dependency { .. } => instance.cache.hopeless == 0,
            // What it waited for was a former run of its own.
            Skip::WaitTimeout { on, .. } if on.is_empty() => instance.machine.stuck().is_none(),
            // A new run of what it waited for, or a reload after which it need not wait.
            Skip::WaitTimeout { on, .. } => on.iter().any(|&(on, attempt)| {
                self.attempt(on) > attempt || instance.edges.iter().all(|edge| edge.on != on)
            }),
        }
    }

    fn skip_reason(&self, instance: &Instance) -> Option<Skip> {
        if instance.cache.hopeless == 0 {
            return None;
        }
        let edge = instance.edges.iter().find(|edge| edge.is_hopeless())?;
        let blocker = self.get(edge.on)?;
        let because = if let Phase::Exited(Outcome::Skipped(skip)) = blocker.machine.phase() {
            Some(skip.root())
        } else {
            None
        };
        Some(Skip::Dependency {
            on: edge.on,
            name: blocker.machine.name().clone(),
            reason: explain::why_hopeless(&blocker.machine, edge.condition),
            because,
        })
    }
}

/// Writes an edge's state and keeps the counters true.
fn set_edge(instance: &mut Instance, place: usize, state: EdgeState) {
    let edge = &mut instance.edges[place];
    let (held, hopeless) = (edge.holds_back(), edge.is_hopeless());
    edge.state = state;
    let cache = &mut instance.cache;
    cache.unmet = cache.unmet + u32::from(edge.holds_back()) - u32::from(held);
    cache.hopeless = cache.hopeless + u32::from(edge.is_hopeless()) - u32::from(hopeless);
}
