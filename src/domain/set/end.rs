//! When the stack is over, and what is said of it.

use super::UnitSet;
use crate::domain::effect::Effect;
use crate::domain::event::{Shutdown, ShutdownCause};
use crate::domain::health::Readiness;
use crate::domain::id::InstanceId;
use crate::domain::outcome::{Outcome, Skip};
use crate::domain::phase::Phase;
use crate::domain::spec::{Essential, UnitKind};
use crate::domain::verdict::Verdict;

impl UnitSet {
    /// An instance was touched: does its end end the stack?
    pub(super) fn note_exit(&mut self, id: InstanceId) {
        if self.shutdown.is_some() || self.cause.is_some() {
            return;
        }
        let Some(instance) = self.get(id) else {
            return;
        };
        let Phase::Exited(outcome) = instance.machine.phase() else {
            return;
        };
        let name = instance.machine.name();
        let failed = matches!(outcome, Outcome::Failed(_));
        let skipped = matches!(outcome, Outcome::Skipped(_));
        let completed = matches!(outcome, Outcome::Completed);
        let essential = match instance.machine.spec().essential {
            Essential::No => false,
            Essential::Any => failed || skipped || completed,
            Essential::Failure => failed,
            Essential::Skipped => skipped,
            Essential::FailureOrSkipped => failed || skipped,
        };
        let is =
            |unit: &Option<_>| unit.as_ref() == Some(&instance.unit) || unit.as_ref() == Some(name);
        let cause = if is(&self.options.ends_with) {
            ShutdownCause::EndsWith(name.clone())
        } else if essential {
            ShutdownCause::Essential(name.clone())
        } else if self.options.abort_on_failure && (failed || waited_in_vain(outcome)) {
            ShutdownCause::Aborted(name.clone())
        } else {
            return;
        };
        self.cause = Some(cause);
    }

    /// Shuts down if an end called for it, or if all that was asked for is reached.
    pub(super) fn check_end_policies(&mut self, effects: &mut Vec<Effect>) {
        if self.shutdown.is_some() || self.ended.is_some() {
            return;
        }
        if self.cause.is_none()
            && self.options.ends_when_done
            && self.open == 0
            && self.dirty.is_empty()
        {
            self.cause = Some(ShutdownCause::Done);
        }
        if let Some(cause) = self.cause.clone() {
            let _ = self.shut_down(Shutdown::Graceful, cause, effects);
        }
    }

    /// Whether the stack still has to reach something with this instance: a task its end,
    /// a service its readiness.
    pub(super) fn is_open(&self, id: InstanceId) -> bool {
        let Some(instance) = self.get(id).filter(|i| i.is_wanted()) else {
            return false;
        };
        let spec = instance.machine.spec();
        match instance.machine.phase() {
            Phase::Exited(_) => false,
            Phase::Running { .. } => match spec.kind {
                UnitKind::Task => true,
                UnitKind::Service => {
                    spec.can_be_ready() && instance.machine.health().state() != Readiness::Ready
                }
            },
            Phase::Idle => !self.awaits_its_time(instance),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. } => true,
        }
    }

    pub(super) fn finish_if_over(&mut self, effects: &mut Vec<Effect>) {
        if self.active > 0
            || self.ended.is_some()
            || self.is_held_by_watch()
            || self.is_held_by_schedule()
        {
            return;
        }
        if self.options.keep && self.shutdown.is_none() {
            return;
        }
        let verdict = self.sum_up();
        self.ended = Some(verdict.clone());
        effects.push(Effect::Finish(Box::new(verdict)));
    }

    fn sum_up(&self) -> Verdict {
        let mut verdict = Verdict {
            cause: self.cause.clone(),
            ..Verdict::default()
        };
        for &id in &self.order {
            let Some(instance) = self.get(id) else {
                continue;
            };
            let machine = &instance.machine;
            if self
                .options
                .code_from
                .as_ref()
                .is_some_and(|unit| *unit == instance.unit)
            {
                verdict.code_from = machine.overall_status().or(verdict.code_from);
            }
            let Phase::Exited(outcome) = machine.phase() else {
                continue;
            };
            let entry = || (machine.name().clone(), outcome.clone());
            match outcome {
                Outcome::Failed(_) => verdict.failed.push(entry()),
                Outcome::Skipped(_) if !self.is_skipped_on_request(id) => {
                    verdict.skipped.push(entry());
                }
                Outcome::Skipped(_) | Outcome::Completed | Outcome::Stopped => {}
            }
        }
        verdict
    }

    /// Whether at the end of the chain of blockers there is one that somebody stopped.
    fn is_skipped_on_request(&self, id: InstanceId) -> bool {
        let mut at = id;
        loop {
            let Some(Phase::Exited(outcome)) = self.get(at).map(|i| i.machine.phase()) else {
                return false;
            };
            match outcome {
                Outcome::Skipped(Skip::Dependency { on, .. }) => at = *on,
                Outcome::Stopped => return true,
                Outcome::Skipped(Skip::WaitTimeout { .. })
                | Outcome::Completed
                | Outcome::Failed(_) => {
                    return false;
                }
            }
        }
    }
}

/// Whether it was skipped for want of time, which is a failure of its own: what failed or was
/// stopped before it is told of elsewhere.
fn waited_in_vain(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Skipped(Skip::WaitTimeout { .. }))
}
