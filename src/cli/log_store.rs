//! Where the logs of a stack go: to its state folder, or into memory where that cannot be.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::args::LogBudget;
use super::output::reason;
use crate::domain::plan::Plan;
use crate::logs::{
    Budget, DiskStore, LogStore, MemoryStore, Pumps, RunRecord, RunUnit, state_folder,
};

/// How long the last lines may take to be written, once the stack has ended.
const LAST: Duration = Duration::from_millis(1500);

/// The store of a stack that runs.
#[derive(Debug)]
pub struct Store {
    pub logs: Arc<dyn LogStore>,
    /// What is to be said of it before the first unit starts.
    pub note: Option<String>,
    disk: Option<DiskStore>,
}

/// Where the logs of the stack of that name in that folder are.
#[must_use]
pub fn place(stack: &str, folder: &Path) -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME");
    state_folder(state, std::env::var_os("HOME"), stack, folder)
}

/// Makes the store of the stack that `file` describes.
///
/// # Errors
/// There is no thread to be had.
pub fn open(
    plan: &Plan,
    file: &Path,
    task: Option<&str>,
    budget: LogBudget,
) -> std::io::Result<Store> {
    let pumps = Arc::new(Pumps::start()?);
    let file = (file.canonicalize()).unwrap_or_else(|_| file.to_owned());
    let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
    let place = place(plan.name(), &folder);
    let memory = usize::try_from(budget.log_memory).unwrap_or(usize::MAX);
    let record = RunRecord {
        stack: plan.name().to_owned(),
        folder,
        started: Timestamp::now(),
        pid: std::process::id(),
        task: task.map(str::to_owned),
        units: (plan.units().iter())
            .flat_map(|unit| {
                unit.instance_names().map(|name| RunUnit {
                    name: name.to_string(),
                    unit: unit.name.to_string(),
                    profiles: unit.profiles.iter().map(ToString::to_string).collect(),
                })
            })
            .collect(),
        file,
    };
    let why = match place {
        None => "neither HOME nor XDG_STATE_HOME is set".to_owned(),
        Some(place) => {
            let budget = Budget {
                memory,
                disk: budget.log_disk,
            };
            match DiskStore::begin(&place, &record, budget, Arc::clone(&pumps)) {
                Ok(disk) => {
                    return Ok(Store {
                        logs: Arc::new(disk.clone()),
                        note: None,
                        disk: Some(disk),
                    });
                }
                Err(error) => {
                    let reason = reason(&error);
                    format!("{}: {reason}", place.display())
                }
            }
        }
    };
    let note = format!("logs are kept in memory only, and are gone with the stack: {why}");
    let memory = MemoryStore::new(memory).with_pumps(pumps);
    Ok(Store {
        logs: Arc::new(memory),
        note: Some(note),
        disk: None,
    })
}

impl Store {
    /// No line is taken any more, and what is left is written meanwhile.
    pub fn close(&self) {
        if let Some(disk) = &self.disk {
            disk.close();
        }
    }

    /// Waits until all is written. What is to be said of it when all is over.
    #[must_use]
    pub fn finish(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let masked = self.logs.masked();
        if masked > 0 {
            let places = if masked == 1 { "place" } else { "places" };
            notes.push(format!("masked in the logs: {masked} {places}"));
        }
        notes.extend(self.disk.iter().flat_map(|disk| disk.finish(LAST)));
        notes
    }
}
