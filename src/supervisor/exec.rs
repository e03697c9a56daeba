//! Programs that a person runs beside a unit: `pk exec`.
//!
//! The program is the person's own process, in the terminal that it was started from. It is
//! taken into the group `UNIT.aux`, so that the unit is empty without it, and the end of the
//! stack is its own.

use std::ffi::OsString;
use std::sync::Arc;

use super::live_groups::LiveGroups;
use super::request;
use super::runner::Tools;
use crate::contain::{Group, Scope};
use crate::domain::exec::ExecContext;
use crate::domain::id::InstanceId;
use crate::domain::signal::Signal;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::UnitSpec;
use tokio::sync::watch;

/// What it takes to run them.
#[derive(Clone, Debug)]
pub(super) struct Beside {
    pub tools: Arc<Tools>,
    /// Of the event loop.
    pub runtime: tokio::runtime::Handle,
}

impl Beside {
    /// Takes the process `pid` in beside an instance, and says what it is to run with.
    ///
    /// # Errors
    /// In words: it could not be taken in.
    pub fn enter(
        &self,
        view: &UnitView,
        spec: &UnitSpec,
        pid: u32,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Result<ExecContext, String> {
        let name = format!("{}.aux", view.name);
        let group = {
            // The group asks the runtime to tell it of its members.
            let _runtime = self.runtime.enter();
            let group = self.tools.containment.named_group(&name);
            group.adopt(pid).map_err(|error| error.to_string())?;
            group
        };
        self.runtime.spawn(hold(group, snapshots));
        let environment = live_environment(&self.tools.groups, view.id)
            .unwrap_or_else(|| request::environment(&self.tools.environment, &view.name, spec));
        Ok(context(spec, &environment))
    }
}

/// Keeps the group until it is empty, and ends it with the stack.
async fn hold(group: Group, mut snapshots: watch::Receiver<Arc<Snapshot>>) {
    let ends = snapshots.wait_for(|last| last.shutdown.is_some() || last.verdict.is_some());
    tokio::select! {
        _ = group.emptied() => return,
        _ = ends => {}
    }
    // As when its terminal goes: shells end by it, which ignore SIGTERM.
    for signal in [Signal::HUP, Signal::TERM] {
        let _ = group.signal(signal, Scope::Group);
    }
    tokio::select! {
        _ = group.emptied() => {}
        _ = snapshots.wait_for(|last| last.verdict.is_some()) => {
            let _ = group.kill();
        }
    }
}

fn live_environment(groups: &LiveGroups, id: InstanceId) -> Option<Vec<(OsString, OsString)>> {
    groups.environment(id).map(|shared| shared.to_vec())
}

fn context(spec: &UnitSpec, own: &[(OsString, OsString)]) -> ExecContext {
    let mut context = ExecContext {
        working_dir: spec.working_dir.clone(),
        umask: spec.umask,
        nice: spec.nice,
        nofile: spec.limits.and_then(|limits| limits.nofile),
        user: spec.user.clone(),
        ..ExecContext::default()
    };
    for (name, value) in std::env::vars_os().chain(own.iter().cloned()) {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                context.environment.insert(name, value);
            }
            (Ok(name), Err(_)) => context.left_out.push(name),
            (Err(name), _) => context.left_out.push(name.to_string_lossy().into_owned()),
        }
    }
    context
}
