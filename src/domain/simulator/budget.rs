//! The restart budget, counted from outside.

use rustc_hash::{FxHashMap, FxHashSet};

use super::check::{Violation, violation};
use crate::domain::event::Command;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::outcome::{Failed, Outcome};
use crate::domain::phase::Phase;
use crate::domain::set::UnitSet;

/// Automatic restarts, counted by what is seen from outside.
#[derive(Default)]
pub struct Budgets {
    of: FxHashMap<InstanceId, Budget>,
}

#[derive(Default)]
struct Budget {
    automatic: bool,
    spawned: Vec<u64>,
    /// A command renewed it, or may have: it is no longer known exactly.
    commanded: bool,
}

impl Budgets {
    /// A command may renew the budget of what it names and of what that requires.
    pub fn commanded(&mut self, set: &UnitSet, command: &Command) {
        let mut names: Vec<UnitName> = match command {
            Command::Start(names) | Command::Restart(names) | Command::Enable(names) => {
                names.clone()
            }
            Command::Scale { .. } | Command::Reload(_) => {
                (set.plan().units().iter().map(|unit| unit.name.clone())).collect()
            }
            Command::ResumeWatch(names) => {
                for name in names {
                    self.touched_by_files(set, name);
                }
                Vec::new()
            }
            Command::PauseWatch(_)
            | Command::Attend(_)
            | Command::Stop(_)
            | Command::Kill(_)
            | Command::Signal(..)
            | Command::Disable(_)
            | Command::Shutdown(..) => Vec::new(),
        };
        let mut seen = FxHashSet::default();
        while let Some(name) = names.pop() {
            for id in set.instances() {
                let machine = set.machine(id).expect("an instance has a machine");
                let spec = machine.spec();
                if (*machine.name() == name || spec.name == name) && seen.insert(id) {
                    let budget = self.of.entry(id).or_default();
                    *budget = Budget {
                        commanded: true,
                        ..Budget::default()
                    };
                    let required = spec.depends_on.iter().filter(|on| on.required);
                    names.extend(required.map(|on| on.unit.clone()));
                }
            }
        }
    }

    /// Files changed: the unit and, by a cascade, those who depend on it start afresh.
    pub fn touched_by_files(&mut self, set: &UnitSet, name: &UnitName) {
        let mut names = vec![name.clone()];
        let mut next = 0;
        while let Some(name) = names.get(next).cloned() {
            next += 1;
            for unit in set.plan().units() {
                let depends = unit.depends_on.iter().any(|on| on.unit == name);
                if depends && !names.contains(&unit.name) {
                    names.push(unit.name.clone());
                }
            }
        }
        for id in set.instances() {
            let machine = set.machine(id).expect("an instance has a machine");
            let concerned = names.contains(&machine.spec().name) || names.contains(machine.name());
            if concerned {
                *self.of.entry(id).or_default() = Budget {
                    commanded: true,
                    ..Budget::default()
                };
            }
        }
    }

    /// Its time has come: the unit starts afresh.
    pub fn started_by_clock(&mut self, set: &UnitSet, name: &UnitName) {
        for id in set.instances() {
            let machine = set.machine(id).expect("an instance has a machine");
            if machine.spec().name == *name {
                *self.of.entry(id).or_default() = Budget {
                    commanded: true,
                    ..Budget::default()
                };
            }
        }
    }

    /// A run of that instance was spawned.
    pub fn spawned(&mut self, set: &UnitSet, id: InstanceId, now: u64) -> Result<(), Violation> {
        let spec = set.machine(id).expect("an instance has a machine").spec();
        let (restart, has_clock) = (spec.restart, spec.schedule.is_some());
        let budget = self.of.entry(id).or_default();
        if !budget.automatic && has_clock {
            // It may have waited for the end of the run before.
            budget.commanded = true;
            budget.spawned.clear();
        }
        if std::mem::take(&mut budget.automatic) {
            budget.spawned.push(now);
            let count = budget.within(now, restart.window);
            if restart.max_restarts.is_some_and(|max| count > max as usize) {
                return violation("P6", format!("{id:?}: restart {count} within the window"));
            }
        }
        Ok(())
    }

    /// What is counted outside is what is counted inside.
    pub fn check(&mut self, set: &UnitSet, id: InstanceId, now: u64) -> Result<(), Violation> {
        let machine = set.machine(id).expect("an instance has a machine");
        let budget = self.of.entry(id).or_default();
        match machine.phase() {
            Phase::Backoff { .. } => budget.automatic = true,
            Phase::Exited(outcome) => {
                budget.automatic = false;
                if let Outcome::Failed(Failed {
                    gave_up_after: Some(restarts),
                    ..
                }) = outcome
                    && machine.since().since_start().as_millis() == u128::from(now)
                    && !budget.commanded
                {
                    let count = budget.within(now, machine.spec().restart.window);
                    if count != *restarts as usize {
                        let name = machine.name();
                        let text = format!("{name} gave up after {restarts}; there were {count}");
                        return violation("P6", text);
                    }
                }
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. } => {}
        }
        if !budget.commanded && machine.restarts() as usize != budget.spawned.len() {
            let (name, count) = (machine.name(), budget.spawned.len());
            let text = format!("{name} counts {} restarts of {count}", machine.restarts());
            return violation("P6", text);
        }
        Ok(())
    }
}

impl Budget {
    fn within(&self, now: u64, window: Option<std::time::Duration>) -> usize {
        let age = |at: &&u64| u128::from(now.saturating_sub(**at));
        (self.spawned.iter())
            .filter(|at| window.is_none_or(|window| age(at) < window.as_millis()))
            .count()
    }
}
