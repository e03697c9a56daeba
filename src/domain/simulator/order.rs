//! Who stops before whom, and what was asked for.

use super::check::{Seen, Violation, violation};
use super::drive::Life;
use crate::domain::event::Shutdown;
use crate::domain::id::InstanceId;
use crate::domain::machine::Machine;
use crate::domain::outcome::{Outcome, Skip};
use crate::domain::phase::{Desired, Phase, Rung, Stop};

impl Life<'_> {
    /// What was asked for comes to pass.
    pub fn check_wishes(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let machine = self.machine(id);
        let (name, phase) = (machine.name(), machine.phase());
        let killed = match phase {
            Phase::Starting { .. } | Phase::Running { .. } => false,
            Phase::Stopping { rung, .. } | Phase::Reaping { rung, .. } => *rung == Rung::Killed,
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => true,
        };
        if self.set.shutdown() == Some(Shutdown::Now) && !killed {
            return violation(
                "P5",
                format!("{name} is {phase:?} though all was to be killed"),
            );
        }
        let Phase::Exited(outcome) = phase else {
            return Ok(());
        };
        if self.set.desired(id) == Desired::Down || self.set.verdict().is_some() {
            return Ok(());
        }
        match outcome {
            Outcome::Skipped(Skip::WaitTimeout { on, .. }) => {
                let began = |id: InstanceId| self.set.machine(id).map(Machine::attempt);
                if (on.iter()).any(|&(on, then)| began(on).is_some_and(|now| now > then)) {
                    return violation("revival", format!("{name} stays skipped"));
                }
            }
            Outcome::Skipped(Skip::Dependency { .. }) => {}
            Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped => {
                let was = before.pending.get(&id);
                let stuck = machine.stuck().is_some();
                if was.is_some_and(Stop::renews_budget) && self.set.pending(id).is_none() && !stuck
                {
                    return violation("restart", format!("{name} was to restart: {phase:?}"));
                }
            }
        }
        Ok(())
    }

    /// Dependents stop before their dependencies.
    pub fn check_stop_order(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let machine = self.machine(id);
        let Phase::Stopping { stop, rung, .. } = machine.phase() else {
            return Ok(());
        };
        let began = !before.phases.get(&id).is_some_and(Phase::is_ending);
        let at_once = *rung == Rung::Killed
            && (self.killed_by_command || self.set.shutdown() == Some(Shutdown::Now));
        if !began || at_once {
            return Ok(());
        }
        let all = match stop {
            Stop::Shutdown => true,
            Stop::Requested
            | Stop::Restart
            | Stop::Files(_)
            | Stop::Dependency(_)
            | Stop::Changed
            | Stop::Removed => false,
            Stop::Failed(_) => return Ok(()),
        };
        for other in self.set.instances() {
            let dependent = self.machine(other);
            if other == id || !dependent.phase().is_live() {
                continue;
            }
            let gone = *stop == Stop::Removed && self.set.is_removed(other);
            let depends = if gone {
                let own = &self.machine(id).spec().name;
                let specs = &dependent.spec().depends_on;
                !self.set.no_deps() && specs.iter().any(|on| on.unit == *own)
            } else {
                let needs = self.needs(other);
                needs
                    .iter()
                    .any(|(on, edge)| *on == id && (all || edge.restart))
            };
            if depends {
                let (name, other) = (machine.name(), dependent.name());
                return violation("P5", format!("{name} stops ({stop:?}) before {other}"));
            }
        }
        Ok(())
    }

    /// Who depends by an edge that says `restart: true` does not outlive the run.
    pub fn check_cascade(&self, before: &Seen, id: InstanceId) -> Result<(), Violation> {
        let Some(run) = before.phases.get(&id).and_then(Phase::live_run) else {
            return Ok(());
        };
        let runs_on = |phase: &Phase| {
            matches!(phase, Phase::Starting { .. } | Phase::Running { .. })
                .then(|| phase.live_run())
                .flatten()
        };
        let phase = self.machine(id).phase();
        if phase.live_run() == Some(run) && !phase.is_ending() {
            return Ok(());
        }
        for other in self.set.instances() {
            let restarts =
                || (self.needs(other).iter()).any(|(on, edge)| *on == id && edge.restart);
            let was = before.phases.get(&other).and_then(runs_on);
            if was.is_some()
                && runs_on(self.machine(other).phase()) == was
                && self.set.pending(other).is_none()
                && restarts()
            {
                let (name, other) = (self.machine(id).name(), self.machine(other).name());
                return violation("cascade", format!("{name}'s run ends, {other} goes on"));
            }
        }
        Ok(())
    }
}
