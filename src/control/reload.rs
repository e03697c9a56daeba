//! Going over to what the files of a stack say now.
//!
//! ```text
//!  ask ─► read (the injected [`Reload`]) ─► keep what was scaled by hand ─► difference
//!                  │ wrong                                                      │
//!                  └─► refused, nothing changes          Command::Reload ◄──────┘ unless shown only
//! ```
//!
//! The files are read by the process that runs the stack, so that its environment counts,
//! not that of whoever asks. One reload at a time: the last one to begin is the last to be
//! done, and has read last.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::port::PortError;
use crate::domain::admission::{Answer, Denial};
use crate::domain::change::What;
use crate::domain::event::Command;
use crate::domain::id::Revision;
use crate::domain::plan::{Plan, PlanDifference};
use crate::supervisor::Handle;

/// Reads the files of the stack anew.
pub trait Reload: Send + Sync + std::fmt::Debug {
    /// Blocks for as long as reading takes.
    ///
    /// # Errors
    /// The files are wrong.
    fn read(&self, ask: &ReloadAsk) -> Result<Read, BadFiles>;
}

/// What the files say.
#[derive(Clone, Debug)]
pub struct Read {
    pub plan: Arc<Plan>,
    /// As shown to a person; empty: none.
    pub warnings: String,
}

/// The files are wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BadFiles {
    /// In one line.
    pub summary: String,
    /// Every mistake, as shown to a person.
    pub report: String,
}

/// What is asked of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadAsk {
    /// Show what it would do, and do nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Of a process-compose file or a Procfile: how many of these processes there are from now
    /// on, whatever the file says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, u32>,
}

/// What it does, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Reloaded {
    pub difference: PlanDifference,
    /// `false`: it was only to be shown, or there is no difference.
    pub applied: bool,
    /// What the files use that is worth a word, as shown to a person.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub warnings: String,
    /// From which state on its effect is seen.
    pub revision: Revision,
}

/// Why nothing was reloaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    #[error("{}", .0.summary)]
    BadFiles(Box<BadFiles>),
    #[error("{0}")]
    Denied(Denial),
    #[error("{0}")]
    Port(#[from] PortError),
}

/// The answer to a reload, when it comes.
pub type ReloadReply<'a> = Pin<Box<dyn Future<Output = Result<Reloaded, ReloadError>> + Send + 'a>>;

/// Reloads a stack in this process.
#[derive(Debug)]
pub(super) struct Reloader {
    source: Arc<dyn Reload>,
    /// What the files said when they were read the last time, and were taken.
    read: Mutex<Arc<Plan>>,
    turn: tokio::sync::Mutex<()>,
}

impl Reloader {
    pub(super) fn new(source: Arc<dyn Reload>, read: Arc<Plan>) -> Self {
        Self {
            source,
            read: Mutex::new(read),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) async fn reload(
        &self,
        handle: &Handle,
        ask: ReloadAsk,
    ) -> Result<Reloaded, ReloadError> {
        let _turn = self.turn.lock().await;
        let source = Arc::clone(&self.source);
        let dry_run = ask.dry_run;
        let read = tokio::task::spawn_blocking(move || source.read(&ask)).await;
        let Read { plan, warnings } = read
            .map_err(|_| PortError::Refused("reading the files was interrupted".to_owned()))?
            .map_err(|bad| ReloadError::BadFiles(Box::new(bad)))?;
        let (now, before) = (handle.plan(), Arc::clone(&self.lock()));
        let wanted = Arc::new(now.keep_scale(&before, &plan));
        let difference = now.difference(&wanted);
        let mut reloaded = Reloaded {
            applied: false,
            warnings,
            revision: handle.snapshots().borrow().revision,
            difference,
        };
        if dry_run {
            return Ok(reloaded);
        }
        let answered = handle
            .ask(Command::Reload(wanted))
            .await
            .map_err(|_| PortError::Gone)?;
        reloaded.revision = answered.revision;
        match answered.answer {
            Answer::Denied(denial) => return Err(ReloadError::Denied(denial)),
            Answer::Ignored(_) => {}
            Answer::Accepted => {
                reloaded.applied = true;
                handle.announce(What::Reloaded(Box::new(reloaded.difference.clone())));
            }
        }
        *self.lock() = plan;
        Ok(reloaded)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Plan>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
