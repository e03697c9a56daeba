//! Files that change, and what they must lead to.

use super::check::{Violation, violation};
use super::drive::Life;
use crate::domain::event::Event;
use crate::domain::id::{InstanceId, RunId, UnitName};
use crate::domain::phase::{Desired, Phase};
use crate::domain::spec::WatchAction;
use crate::domain::watch::Told;

impl Life<'_> {
    /// A change, or what came of one before. What it restarts has a fresh budget.
    pub fn told_of_files(&mut self, unit: &UnitName, told: Told) -> Result<(), Violation> {
        self.budgets.touched_by_files(&self.set, unit);
        let is_change = matches!(told, Told::Changed(_));
        let before = if is_change && self.reacts_at_once(unit) {
            self.runs_of(unit)
        } else {
            Vec::new()
        };
        self.step(Event::Watch {
            unit: unit.clone(),
            told,
        })?;
        if let Some(unit) = &self.world.overlap {
            return violation("build", format!("two builds of {unit} at a time"));
        }
        // Suspected of writing its own files, it is put off.
        let trusted =
            self.set.watches().get(unit).is_some_and(|watching| {
                !watching.is_put_off() && watching.muted().next().is_none()
            });
        if trusted && self.runs_of(unit).iter().any(|run| before.contains(run)) {
            return violation("save", format!("{unit} goes on with what it had read"));
        }
        Ok(())
    }

    /// The unit's runs that go on, and nothing says that they shall not.
    fn runs_of(&self, unit: &UnitName) -> Vec<RunId> {
        let runs_on = |id: InstanceId| {
            let machine = self.machine(id);
            let goes_on = matches!(
                machine.phase(),
                Phase::Starting { .. } | Phase::Running { .. }
            );
            (machine.spec().name == *unit && goes_on && self.set.pending(id).is_none())
                .then(|| machine.phase().live_run())
                .flatten()
        };
        self.set.instances().filter_map(runs_on).collect()
    }

    /// Whether a change must restart the unit in the very step.
    fn reacts_at_once(&self, unit: &UnitName) -> bool {
        let Some(watching) = self.set.watches().get(unit) else {
            return false;
        };
        let spec = watching.spec();
        let fast = spec.action == WatchAction::Restart && spec.run.is_none();
        let mut instances = self.set.instances().filter(|&id| {
            let machine = self.machine(id);
            machine.spec().name == *unit
        });
        let all_wanted = instances.all(|id| self.set.desired(id) == Desired::Up);
        fast && all_wanted && !watching.is_paused() && self.set.verdict().is_none()
    }
}
