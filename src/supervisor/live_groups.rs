//! The groups of the live runs: one list, for whoever looks at what they use or hold.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contain::Group;
use crate::domain::id::{RunId, UnitName};

type Groups = BTreeMap<RunId, (UnitName, Arc<Group>)>;

/// The groups of the live runs, put here by their runners.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveGroups(Arc<Mutex<Groups>>);

impl LiveGroups {
    pub(super) fn all(&self) -> Vec<(RunId, UnitName, Arc<Group>)> {
        (self.lock().iter())
            .map(|(&run, (name, group))| (run, name.clone(), Arc::clone(group)))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Groups> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is among them until this is dropped.
#[derive(Debug)]
pub(super) struct LiveRun {
    groups: LiveGroups,
    run: RunId,
}

impl LiveRun {
    pub(super) fn new(groups: &LiveGroups, run: RunId, name: &str, group: &Arc<Group>) -> Self {
        let entry = (UnitName::new(name), Arc::clone(group));
        groups.lock().insert(run, entry);
        Self {
            groups: groups.clone(),
            run,
        }
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        self.groups.lock().remove(&self.run);
    }
}
