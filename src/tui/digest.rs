//! What is worked out of a snapshot once, for all frames until the next one. Pure.
//!
//! A frame must cost the same however many units there are: what takes a look at each of them
//! is looked up here.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::fit;
use super::history::State;
use super::model::is_failing;
use crate::domain::id::InstanceId;
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::{Port, Tty};

#[derive(Debug, Default)]
pub struct Digest {
    /// Of what it was made; none yet.
    snapshot: Option<Arc<Snapshot>>,
    plan: Option<Arc<Plan>>,
    /// Where the units stand in the snapshot.
    places: FxHashMap<InstanceId, usize>,
    /// How many units are in each state, by its number.
    counts: [usize; State::COUNT],
    /// The places of those whose last run failed and did not come back, latest first.
    pub failing: Vec<usize>,
    /// Columns of the longest name.
    pub widest_name: usize,
    /// Of the longest list of ports.
    pub widest_ports: usize,
    /// Some unit has a terminal.
    pub has_ttys: bool,
    /// Some unit was restarted.
    pub has_restarts: bool,
}

impl Digest {
    /// Brings it in line; at once if nothing is new.
    pub fn take(&mut self, snapshot: &Arc<Snapshot>, plan: Option<&Arc<Plan>>) {
        let same_plan = match (&self.plan, plan) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let old = self.snapshot.take();
        let is_same = old.as_ref().is_some_and(|old| Arc::ptr_eq(old, snapshot));
        self.snapshot = Some(Arc::clone(snapshot));
        if is_same && same_plan {
            return;
        }
        let units = &snapshot.units;
        let same_units = old.is_some_and(|old| {
            old.units.len() == units.len()
                && old
                    .units
                    .iter()
                    .zip(units)
                    .all(|(old, new)| old.id == new.id)
        });
        if !same_units || !same_plan {
            self.meet(units, plan);
        }
        self.counts = [0; State::COUNT];
        self.failing.clear();
        (self.has_restarts, self.has_ttys) = (false, false);
        for (place, unit) in units.iter().enumerate() {
            self.counts[State::of(unit) as usize] += 1;
            self.has_restarts |= unit.restarts > 0;
            self.has_ttys |= unit.tty == Tty::Full;
            if is_failing(unit) {
                self.failing.push(place);
            }
        }
        let since = |place: &usize| std::cmp::Reverse(units[*place].since);
        self.failing.sort_by_key(since);
    }

    /// What stays while the units do.
    fn meet(&mut self, units: &[Arc<UnitView>], plan: Option<&Arc<Plan>>) {
        self.plan = plan.cloned();
        self.places = units
            .iter()
            .enumerate()
            .map(|(place, unit)| (unit.id, place))
            .collect();
        let names = units.iter().map(|unit| fit::width(unit.name.as_str()));
        self.widest_name = names.max().unwrap_or(0);
        let ports = units.iter().map(|unit| fit::width(&ports(plan, unit)));
        self.widest_ports = ports.max().unwrap_or(0);
    }

    #[must_use]
    pub fn place(&self, id: InstanceId) -> Option<usize> {
        self.places.get(&id).copied()
    }

    #[must_use]
    pub fn count(&self, state: State) -> usize {
        self.counts[state as usize]
    }
}

/// The ports that the file fixes, or that were picked for its unit: further instances have
/// others.
#[must_use]
pub fn ports(plan: Option<&Arc<Plan>>, unit: &UnitView) -> String {
    let Some(spec) = plan.and_then(|plan| plan.get(unit.unit.as_str())) else {
        return String::new();
    };
    if spec.ports.is_empty() {
        return String::new();
    }
    let is_first = spec.instance_names().next().as_ref() == Some(&unit.name);
    let known = spec.ports.values().filter_map(|port| match port {
        Port::Fixed(number) => Some(number),
        Port::Auto(picked) => picked.as_ref().filter(|_| is_first),
    });
    let known: Vec<String> = known.map(|number| format!(":{number}")).collect();
    known.join(" ")
}
