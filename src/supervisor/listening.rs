//! What the live runs listen on, looked up when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::contain::Group;
use crate::domain::id::{RunId, UnitName};
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::probe::sockets;

type Runs = BTreeMap<RunId, (UnitName, Arc<Group>)>;

/// The groups of the live runs, put here by their runners.
#[derive(Clone, Debug, Default)]
pub(super) struct Listening(Arc<Mutex<Runs>>);

impl Listening {
    /// Counts the run among them until what it returns is dropped.
    pub(super) fn enter(&self, run: RunId, name: &str, group: &Arc<Group>) -> Entered {
        let entry = (UnitName::new(name), Arc::clone(group));
        self.lock().insert(run, entry);
        Entered {
            among: self.clone(),
            run,
        }
    }

    /// Where each of them listens now. One whose members cannot be told is left out.
    pub(super) async fn look(&self) -> Vec<UnitPorts> {
        let runs: Vec<_> = self
            .lock()
            .iter()
            .map(|(&run, of)| (run, of.clone()))
            .collect();
        let mut members = Vec::with_capacity(runs.len());
        for (run, (name, group)) in runs {
            if let Ok(of_run) = group.members().await {
                let pids: Vec<u32> = of_run.iter().map(|member| member.pid).collect();
                members.push((run, name, pids));
            }
        }
        let looked = tokio::task::spawn_blocking(move || {
            let all = sockets::listeners();
            let ports = |pids: &[u32]| {
                let mut ports: Vec<ListeningPort> = sockets::held_by(&all, pids)
                    .into_iter()
                    .map(|listener| ListeningPort {
                        port: listener.port,
                        address: listener.address.to_string(),
                    })
                    .collect();
                ports.sort_unstable();
                ports.dedup();
                ports
            };
            let units = members.into_iter().map(|(run, name, pids)| UnitPorts {
                instance: run.instance,
                name,
                listening: ports(&pids),
            });
            units.collect()
        });
        looked.await.unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Runs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that is counted.
#[derive(Debug)]
pub(super) struct Entered {
    among: Listening,
    run: RunId,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.among.lock().remove(&self.run);
    }
}
