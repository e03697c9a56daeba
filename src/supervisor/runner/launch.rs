//! From a spec to processes in their group.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::super::{bounds, request};
use super::launched::at;
use super::{Ask, Runner};
use crate::contain::{Group, Running, SpawnError, SpawnRequest};
use crate::domain::spec::{Program, Tty, UnitSpec};
use crate::domain::terminal::TerminalSize;

const INTERRUPTED: &str = "the spawn was interrupted";

/// How many may be on their way to exec at once. Each takes a thread: where processes are few,
/// those of a whole stack would take the room of its units.
pub const AT_ONCE: usize = 8;

/// One that takes longer hangs, and lets others pass.
const HANGS: Duration = Duration::from_millis(250);

impl Runner {
    /// What the run is to be started as, and the group that is to hold it.
    async fn prepare(&self) -> Result<(SpawnRequest, Arc<Group>), String> {
        let size = match self.spec.tty {
            Tty::Full => self.tools.terminals.screen(self.run.instance).begin(),
            Tty::No | Tty::Output => TerminalSize::DEFAULT,
        };
        let (spec, tools) = (Arc::clone(&self.spec), Arc::clone(&self.tools));
        let (name, environment) = (self.group_name.clone(), self.environment.clone());
        // Users are looked up in files, and limits are written to some.
        let reads = spec.user.is_some() || spec.limits.is_some();
        let prepare = move || {
            let (options, mut warnings) = bounds::options(&spec, size)?;
            let request = request::spawn_request(&spec, &environment).with_options(options);
            let (group, unenforced) = bounds::group(&tools.containment, &name, &spec)?;
            warnings.extend(unenforced);
            Ok((request, Arc::new(group), warnings))
        };
        let (request, group, warnings) = if reads {
            let prepared = tokio::task::spawn_blocking(prepare).await;
            prepared.unwrap_or_else(|_| Err(INTERRUPTED.to_owned()))?
        } else {
            prepare()?
        };
        for warning in warnings {
            self.note(&format!("warning: {warning}"));
        }
        Ok((request, group))
    }

    /// Spawning holds its thread up until exec is done, so it has one of its own. An exec may
    /// hang (a file system that does not answer): a kill ends it, everything else that is
    /// asked meanwhile is done when it is over.
    pub(super) async fn execute(&mut self) -> Result<(Arc<Group>, Running), String> {
        let (request, group) = self.prepare().await?;
        let (spawns, spawning) = (Arc::clone(&self.tools.spawns), Arc::clone(&group));
        let spawned = async move {
            let turn = spawns.acquire_owned().await;
            let mut spawned = tokio::task::spawn_blocking(move || spawning.spawn(&request));
            match timeout(HANGS, &mut spawned).await {
                Ok(spawned) => spawned,
                Err(_) => {
                    drop(turn);
                    spawned.await
                }
            }
        };
        tokio::pin!(spawned);
        let mut later = Vec::new();
        let mut heard = true;
        let spawned = loop {
            let survivors = self.name_survivors_at;
            tokio::select! {
                spawned = &mut spawned => break spawned,
                ask = self.asked.recv(), if heard => match ask {
                    Some(Ask::Kill) => self.answer(Ask::Kill, &group),
                    Some(ask) => later.push(ask),
                    None => {
                        heard = false;
                        let _ = group.kill();
                    }
                },
                () = at(survivors) => {
                    self.name_survivors_at = None;
                    self.name_survivors(&group).await;
                }
            }
        };
        match spawned {
            Ok(Ok(running)) => {
                for ask in later {
                    self.answer(ask, &group);
                }
                Ok((group, running))
            }
            Ok(Err(error)) => Err(spawn_error(&error, &self.spec)),
            Err(_) => Err(INTERRUPTED.to_owned()),
        }
    }
}

/// Why there is no process; a stage goes by the name that the file gives it.
fn spawn_error(error: &SpawnError, spec: &UnitSpec) -> String {
    match &spec.program {
        Program::Pipeline(stages) => {
            let place = || (error.stage + 1).to_string();
            let stage = stages.get(error.stage);
            let name = stage.map_or_else(place, |stage| stage.name.clone());
            format!("stage {name}: {}", error.cause)
        }
        Program::Command(_) => error.to_string(),
    }
}
