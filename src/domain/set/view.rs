//! From the set to its read model.

use std::sync::Arc;

use super::{Instance, UnitSet};
use crate::domain::event::DeadlineKind;
use crate::domain::explain;
use crate::domain::health::Readiness;
use crate::domain::id::{InstanceId, Revision, UnitName};
use crate::domain::phase::{End, Phase, Rung};
use crate::domain::snapshot::{Snapshot, UnitView, Wait, WaitFor};
use crate::domain::time::Instant;

impl UnitSet {
    /// The state of everything now, under the next revision. Views of instances that were
    /// not touched are shared with the snapshot before.
    pub fn snapshot(&mut self) -> Snapshot {
        let mut stale = std::mem::take(&mut self.stale_views);
        for place in 0..stale.len() {
            let Some(instance) = self.get(stale[place]) else {
                continue;
            };
            // What a unit waits for is seen in the unit, but changes with its dependency,
            // or, where it waits to be stopped, with its dependent.
            let waiting = instance.dependents.iter().map(|&(id, _)| id);
            stale.extend(waiting.filter(|&id| {
                self.get(id)
                    .is_some_and(|i| matches!(i.machine.phase(), Phase::Waiting))
            }));
            let stopping = instance.edges.iter().map(|edge| edge.on);
            stale.extend(stopping.filter(|&id| self.get(id).is_some_and(|i| i.pending.is_some())));
        }
        // One that waits for many is made anew once.
        stale.sort_unstable();
        stale.dedup();
        for id in stale {
            self.refresh(id);
        }
        self.revision = Revision(self.revision.0 + 1);
        Snapshot {
            revision: self.revision,
            name: self.plan.name().to_owned(),
            at: self.now,
            units: self
                .order
                .iter()
                .filter_map(|id| self.views.get(id.index()).cloned().flatten())
                .collect(),
            shutdown: self.shutdown,
            cause: self.cause.clone(),
            verdict: self.ended.clone(),
        }
    }

    fn refresh(&mut self, id: InstanceId) {
        let view = self
            .get(id)
            .map(|instance| Arc::new(self.view(id, instance)));
        if let Some(instance) = self.get_mut(id) {
            instance.stale = false;
        }
        if self.views.len() <= id.index() {
            self.views.resize(id.index() + 1, None);
        }
        self.views[id.index()] = view;
    }

    /// All views, whatever is cached.
    #[cfg(test)]
    pub(in crate::domain) fn fresh_views(&self) -> Vec<UnitView> {
        (self.order.iter())
            .filter_map(|&id| Some(self.view(id, self.get(id)?)))
            .collect()
    }

    fn view(&self, id: InstanceId, instance: &Instance) -> UnitView {
        let machine = &instance.machine;
        let spec = machine.spec();
        let live = machine.phase().is_live();
        let mut view = UnitView {
            id,
            name: machine.name().clone(),
            unit: instance.unit.clone(),
            kind: spec.kind,
            description: spec.description.clone(),
            profiles: spec.profiles.clone(),
            desired: self.desired(id),
            phase: machine.phase().name(),
            since: machine.since(),
            readiness: if live {
                machine.health().state()
            } else {
                Readiness::Unprobed
            },
            attempt: machine.attempt(),
            restarts: machine.restarts(),
            pid: machine.pid(),
            spawned_at: machine.spawned_at(),
            ready_after: machine.ready_after(),
            outcome: match machine.phase() {
                Phase::Exited(outcome) => Some(outcome.clone()),
                Phase::Idle
                | Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. } => None,
            },
            last_failure: machine.failing().cloned(),
            exit: machine.last_status().cloned(),
            up_to_date: machine.up_to_date().map(str::to_owned),
            said: machine.said(),
            schedule: (!instance.removed)
                .then(|| self.schedule_view(&instance.unit))
                .flatten(),
            // One that leaves is no longer of the unit that watches.
            watch: (!instance.removed)
                .then(|| self.watch_view(&instance.unit))
                .flatten(),
            wait: self.wait(instance),
            tty: spec.tty,
            foreground: spec.foreground,
            takes_input: spec.takes_input(),
            status: String::new(),
        };
        view.status = explain::status(&view);
        view
    }

    fn wait(&self, instance: &Instance) -> Option<Wait> {
        let machine = &instance.machine;
        if instance.pending.is_some() && machine.phase().is_live() {
            let dependents = self.stop_blockers(instance);
            if !dependents.is_empty() {
                return Some(Wait::Dependents(dependents));
            }
        }
        let until = |wanted: DeadlineKind| -> Option<Instant> {
            machine
                .deadlines()
                .find(|&(kind, _)| kind == wanted)
                .map(|(_, at)| at)
        };
        match machine.phase() {
            Phase::Waiting if machine.stuck().is_some() => Some(Wait::StuckRun),
            Phase::Waiting => Some(Wait::Dependencies(self.waits_for(instance))),
            Phase::Starting { .. } => Some(Wait::Spawn),
            Phase::Running { .. } => {
                (machine.health().state() == Readiness::Unready).then(|| Wait::Ready {
                    progress: machine.health().progress(machine.spec()),
                    last_failure: machine.health().last_failure().map(str::to_owned),
                    until: until(DeadlineKind::Ready),
                })
            }
            Phase::Stopping {
                rung: Rung::Killed, ..
            }
            | Phase::Reaping {
                rung: Rung::Killed, ..
            } => Some(Wait::Kill {
                until: until(DeadlineKind::Reap),
            }),
            Phase::Stopping { stop, .. } => Some(Wait::Grace {
                stop: Some(stop.clone()),
                until: until(DeadlineKind::Grace),
            }),
            Phase::Reaping {
                rung: Rung::None, ..
            } => Some(Wait::Drain),
            Phase::Reaping { end, .. } => Some(Wait::Grace {
                stop: match end {
                    End::Exited(_) => None,
                    End::Stopped(stop, _) => Some(stop.clone()),
                },
                until: until(DeadlineKind::Grace),
            }),
            Phase::Backoff { until, failure } => Some(Wait::Backoff {
                until: *until,
                failure: failure.clone(),
            }),
            Phase::Idle | Phase::Exited(_) => None,
        }
    }

    fn waits_for(&self, instance: &Instance) -> Vec<WaitFor> {
        instance
            .unmet_edges()
            .filter_map(|edge| {
                let on = self.get(edge.on)?;
                Some(WaitFor {
                    name: on.machine.name().clone(),
                    condition: edge.condition,
                    state: explain::how_far(&on.machine, edge.condition),
                })
            })
            .collect()
    }

    fn stop_blockers(&self, instance: &Instance) -> Vec<UnitName> {
        let mut names: Vec<UnitName> = instance
            .dependents
            .iter()
            .filter_map(|&(dependent, _)| self.get(dependent))
            .filter(|dependent| {
                dependent.machine.phase().is_live()
                    && (self.shutdown.is_some() || dependent.is_ending())
            })
            .map(|dependent| dependent.machine.name().clone())
            .collect();
        names.dedup();
        names
    }
}
