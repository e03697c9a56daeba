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
            Command::Stop(names) => self.each_even_leaving(&names, Self::stop),
            Command::Restart(names) => self.each(&names, |set, id| set.restart(id, effects)),
            Command::Kill(names) => self.each_even_leaving(&names, |set, id| set.kill(id, effects)),
            Command::Signal(names, signal) => self.signal(&names, signal, effects),
            Command::Enable(names) => self.each(&names, |set, id| set.enable(id, effects)),
            Command::Disable(names) => self.each(&names, super::UnitSet::disable),
            Command::Scale { unit, replicas } => self.scale(&unit, replicas, effects),
            Command::PauseWatch(names) => self.pause_watch(&names, effects),
            Command::ResumeWatch(names) => self.resume_watch(&names, effects),
            Command::Attend(on) => self.attend(on),
            Command::Reload(plan) => self.reload(&plan, effects),
            Command::Shutdown(..) => Answer::Ignored(Reason::Unchanged),
        }
    }

    /// The instances that `names` name, each once.
    fn named(&self, names: &[UnitName]) -> Result<Vec<InstanceId>, Denial> {
        let mut ids = Vec::new();
        for name in names {
            let named = match (self.by_name.get(name), self.by_unit.get(name)) {
                (Some(id), _) => std::slice::from_ref(id),
                (None, Some(instances)) => instances,
                (None, None) => return Err(Denial::UnknownUnit(name.clone())),
            };
            for &id in named {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        Ok(ids)
    }

    /// Applies a command to all instances that `names` name, or to none of them. One that
    /// a reload took away is none any more, though its run may still have to stop.
    fn each(
        &mut self,
        names: &[UnitName],
        apply: impl FnMut(&mut Self, InstanceId) -> Answer,
    ) -> Answer {
        let left = names.iter().find(|name| {
            let id = self.by_name.get(*name);
            id.is_some_and(|&id| self.get(id).is_some_and(|instance| instance.removed))
        });
        match left {
            Some(name) => Answer::Denied(Denial::UnknownUnit(name.clone())),
            None => self.each_even_leaving(names, apply),
        }
    }

    fn each_even_leaving(
        &mut self,
        names: &[UnitName],
        mut apply: impl FnMut(&mut Self, InstanceId) -> Answer,
    ) -> Answer {
        match self.named(names) {
            Ok(ids) => {
                let answers: Vec<Answer> = ids.into_iter().map(|id| apply(self, id)).collect();
                admission::combine(answers)
            }
            Err(denial) => Answer::Denied(denial),
        }
    }

    fn start(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let was_wanted = self.is_wanted(id);
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        let pending = instance.pending.as_ref();
        let follows = match pending {
            Some(stop) => stop.is_followed_by_run(),
            None => instance.machine.comes_back(),
        };
        let mut answer = admission::start(
            instance.machine.phase(),
            pending.is_some(),
            follows && instance.hold.is_none(),
        );
        instance.hold = None;
        instance.asked = true;
        if answer == Answer::Accepted {
            instance.pending = None;
        }
        self.need(id);
        self.touched.push_back(id);
        if answer == Answer::Accepted {
            self.drive(id, Input::Wait { renew: true }, effects);
        }
        let released = self.release_dependencies(id, effects);
        if released || !was_wanted {
            answer = Answer::Accepted;
        }
        answer
    }

    /// What a start requires is started as well, where it could otherwise not come.
    fn release_dependencies(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> bool {
        let mut released = false;
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
                // Its clock never starts it.
                let never = matches!(on.machine.phase(), Phase::Idle) && edge.is_hopeless();
                on.due |= never;
                released |= ended || held || never;
                if ended || (held && ending) {
                    self.drive(edge.on, Input::Wait { renew: true }, effects);
                } else if held || stopping || never {
                    self.touched.push_back(edge.on);
                }
                stack.push(edge.on);
            }
        }
        released
    }

    fn stop(&mut self, id: InstanceId) -> Answer {
        let has_clock = self
            .get(id)
            .is_some_and(|instance| self.is_scheduled(instance));
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        let mut answer = admission::stop(instance.machine.phase(), instance.hold.is_some(), false);
        // Nothing runs, but something would be started.
        if has_clock && instance.hold.is_none() && !instance.machine.phase().is_active() {
            answer = Answer::Accepted;
        }
        if answer == Answer::Accepted {
            instance.due = false;
            instance.hold.get_or_insert(Hold::Stopped);
            instance.pending = Some(Stop::Requested);
            self.touched.push_back(id);
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
                self.touched.push_back(id);
                // It would stop, and never come back for want of what was stopped before.
                self.release_dependencies(id, effects);
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
            instance.due = false;
            instance.hold.get_or_insert(Hold::Stopped);
            instance.pending = None;
            self.drive(id, Input::Kill(Stop::Requested), effects);
        }
        answer
    }

    /// To all of them, or, if one has no process, to none.
    fn signal(&mut self, names: &[UnitName], signal: Signal, effects: &mut Vec<Effect>) -> Answer {
        let ids = match self.named(names) {
            Ok(ids) => ids,
            Err(denial) => return Answer::Denied(denial),
        };
        let without_process = |id: &InstanceId| {
            let machine = &self.get(*id)?.machine;
            match machine.phase() {
                Phase::Running { .. } | Phase::Stopping { .. } | Phase::Reaping { .. } => None,
                Phase::Idle
                | Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Backoff { .. }
                | Phase::Exited(_) => Some(machine.name().clone()),
            }
        };
        if let Some(name) = ids.iter().find_map(without_process) {
            return Answer::Denied(Denial::NotRunning(name));
        }
        if ids.is_empty() {
            return Answer::Ignored(Reason::Unchanged);
        }
        for id in ids {
            self.drive(id, Input::Signal(signal), effects);
        }
        Answer::Accepted
    }

    fn enable(&mut self, id: InstanceId, effects: &mut Vec<Effect>) -> Answer {
        let Some(instance) = self.get_mut(id) else {
            return Answer::Ignored(Reason::Unchanged);
        };
        if instance.hold != Some(Hold::Disabled) {
            return Answer::Ignored(Reason::NotDisabled);
        }
        instance.hold = None;
        // Its stop is taken back, but not what else is due.
        instance.pending.take_if(|stop| *stop == Stop::Requested);
        self.touched.push_back(id);
        // What is started by the clock waits for its time again.
        let has_clock = self
            .get(id)
            .is_some_and(|instance| self.is_scheduled(instance));
        if self.is_wanted(id) && !has_clock {
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
        instance.due = false;
        instance.hold = Some(Hold::Disabled);
        if instance.machine.phase().is_active() {
            instance.pending = Some(Stop::Requested);
        }
        self.touched.push_back(id);
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
                    self.touched.push_back(id);
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
