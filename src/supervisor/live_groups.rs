//! The groups of the live runs: one list, for whoever looks at what they use or hold.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contain::Group;
use crate::domain::id::{InstanceId, RunId, UnitName};

/// A run that lives.
#[derive(Clone, Debug)]
struct Live {
    name: UnitName,
    group: Arc<Group>,
    environment: Arc<[(OsString, OsString)]>,
}

type Groups = BTreeMap<RunId, Live>;

/// The groups of the live runs, put here by their runners.
#[derive(Clone, Debug, Default)]
pub(super) struct LiveGroups(Arc<Mutex<Groups>>);

impl LiveGroups {
    pub(super) fn all(&self) -> Vec<(RunId, UnitName, Arc<Group>)> {
        (self.lock().iter())
            .map(|(&run, live)| (run, live.name.clone(), Arc::clone(&live.group)))
            .collect()
    }

    /// Of the live run of that instance: its variables beyond those of the operating system.
    pub(super) fn environment(&self, id: InstanceId) -> Option<Arc<[(OsString, OsString)]>> {
        let all = self.lock();
        let live = all.iter().rev().find(|(run, _)| run.instance == id);
        live.map(|(_, live)| Arc::clone(&live.environment))
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
    pub(super) fn new(
        groups: &LiveGroups,
        run: RunId,
        name: &str,
        group: &Arc<Group>,
        environment: &[(OsString, OsString)],
    ) -> Self {
        let entry = Live {
            name: UnitName::new(name),
            group: Arc::clone(group),
            environment: environment.into(),
        };
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
