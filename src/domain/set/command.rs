//! Commands: admission, then what they ask for.

use super::{Hold, UnitSet};
use crate::domain::admission::{self, Answer, Denial, Reason};
use crate::domain::change::{Change, What};
use crate::domain::effect::Effect;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::machine::Input;
use crate::domain::phase::{Phase, Stop};
use crate::domain::signal::Signal;

impl UnitSet {
    pub(super) fn command(&mut self, command: Command, effects: &mut Vec<Effect>) -> Answer {
        if let Command::Shutdown(how, cause) = command {
            return self.shut_down(how, cause, effects);
        }
        if let Some(denial) = admission::stack(self.shutdown, self.ended.is_some()) {
            return Answer::Denied(denial);
        }
        match command {
            Command::Start(names) => self.each(&names, |set, id| set.start(id, effects)),
            Command::Stop(names) => self.each(&names, |set, id| set.stop(id, Hold::Stopped)),
            Command::Restart(names) => self.each(&names, |set, id| set.restart(id, effects)),
            Command::Kill(names) => self.each(&names, |set, id| set.kill(id, effects)),
            Command::Signal(names, signal) => {
                self.each(&names, |set, id| set.signal(id, signal, effects))
            }
            Command::Enable(names) => self.each(&names, |set, id| set.enable(id, effects)),
            Command::Disable(names) => self.each(&names, super::UnitSet::disable),
            Command::Scale { unit, replicas } => self.scale(&unit, replicas, effects),
            Command::Reload(plan) => self.reload(&plan, effects),
            Command::Shutdown(..) => Answer::Ignored(Reason::Unchanged),
        }
    }

    /// Applies a command to all instances that `names` name, or to none of them.
    fn each(
        &mut self,
        names: &[UnitName],
        mut apply: impl FnMut(&mut Self, InstanceId) -> Answer,
    ) -> Answer {
        let mut ids = Vec::new();
        for name in names {
            match self.by_name.get(name) {
                Some(&id) => ids.push(id),
                None => match self.by_unit.get(name) {
                    Some(instances) => ids.extend(instances),
                    None => return Answer::Denied(Denial::UnknownUnit(name.clone())),
                },
            }
        }
        let answers: Vec<Answer> = ids.into_iter().map(|id| apply(self, id)).collect();
        admission::combine(answers)
    }

    fn start(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        let answer = admission::start(instance.machine.phase(), instance.pending.is_some());
        instance.hold = None;
        instance.pending = None;
        instance.asked = true;
        self.need(id);
        self.touched.push(id);
        if answer == Answer::Accepted {
            self.drive(id, Input::Wait { renew: true }, effects);
        }
        self.release_dependencies(id, effects);
        answer
    }

    /// What a start requires is started as well, where it could otherwise not come.
    fn release_dependencies(&mut self, id: InstanceId, effects: &mut Vec<Effect>) {
        let mut seen = rustc_hash::FxHashSet::default();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            let Some(instance) = self.get(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            let required: Vec<_> = instance
                .edges
                .iter()
                .filter(|e| e.required)
                .copied()
                .collect();
            for edge in required {
                let Some(on) = self.get_mut(edge.on) else {
                    continue;
                };
                let held = on.hold.take().is_some();
                let stopping = held && on.pending.take().is_some();
                let ended = matches!(on.machine.phase(), Phase::Exited(_)) && edge.is_hopeless();
                let ending = on.machine.phase().is_ending();
                if ended || (held && ending) {
                    self.drive(edge.on, Input::Wait { renew: true }, effects);
                } else if held || stopping {
                    self.touched.push(edge.on);
                }
                stack.push(edge.on);
            }
        }
    }

    fn stop(&mut self, id: InstanceId, hold: Hold) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        let answer = admission::stop(instance.machine.phase(), instance.hold.is_some(), false);
        if answer == Answer::Accepted {
            instance.hold.get_or_insert(hold);
            instance.pending = Some(Stop::Requested);
            self.touched.push(id);
        }
        answer
    }

    fn restart(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        match instance.machine.phase() {
            Phase::Idle | Phase::Exited(_) => self.start(id, effects),
            Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. } => {
                instance.hold = None;
                instance.asked = true;
                instance.pending = Some(Stop::Restart);
                self.need(id);
                self.touched.push(id);
                Answer::Accepted
            }
        }
    }

    fn kill(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        let answer = admission::stop(instance.machine.phase(), instance.hold.is_some(), true);
        if answer == Answer::Accepted {
            instance.hold.get_or_insert(Hold::Stopped);
            instance.pending = None;
            self.drive(id, Input::Kill(Stop::Requested), effects);
        }
        answer
    }

    fn signal(&mut self, id: InstanceId, signal: Signal, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        match instance.machine.phase() {
            Phase::Running { .. } | Phase::Stopping { .. } | Phase::Reaping { .. } => {
                self.drive(id, Input::Signal(signal), effects);
                Answer::Accepted
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {
                Answer::Denied(Denial::NotRunning(instance.machine.name().clone()))
            }
        }
    }

    fn enable(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        if instance.hold != Some(Hold::Disabled) {
            return Answer::Ignored(Reason::NotDisabled);
        }
        instance.hold = None;
        instance.pending = None;
        self.touched.push(id);
        if self.is_wanted(id) {
            self.drive(id, Input::Wait { renew: true }, effects);
        }
        Answer::Accepted
    }

    fn disable(&mut self, id: InstanceId) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        if instance.hold == Some(Hold::Disabled) {
            return Answer::Ignored(Reason::AlreadyDisabled);
        }
        instance.hold = Some(Hold::Disabled);
        if instance.machine.phase().is_active() {
            instance.pending = Some(Stop::Requested);
        }
        self.touched.push(id);
        Answer::Accepted
    }

    pub(super) fn shut_down(
        &mut self,
        how: Shutdown,
        cause: ShutdownCause,
        effects: &mut Vec<Effect>,
    ) -> Answer {
        let answer = admission::shutdown(self.shutdown, how, self.ended.is_some());
        if answer != Answer::Accepted {
            return answer;
        }
        if self.shutdown.replace(how).is_none() {
            effects.push(Effect::Publish(Change {
                at: self.now,
                what: What::ShuttingDown(cause.clone()),
            }));
        }
        self.cause.get_or_insert(cause);
        let ids: Vec<InstanceId> = self.order.clone();
        match how {
            Shutdown::Graceful => {
                for id in ids {
                    if let Some(instance) = self.get_mut(id)
                        && instance.machine.phase().is_active()
                    {
                        instance.pending = Some(Stop::Shutdown);
                    }
                    self.touched.push(id);
                }
            }
            Shutdown::Now => {
                effects.push(Effect::Publish(Change {
                    at: self.now,
                    what: What::Killing,
                }));
                for id in ids {
                    if let Some(instance) = self.get_mut(id) {
                        instance.pending = None;
                    }
                    self.drive(id, Input::Kill(Stop::Shutdown), effects);
                }
            }
        }
        answer
    }
}
