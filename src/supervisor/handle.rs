//! What the rest of pk holds of a running stack.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::event_loop::Incoming;
use super::exec::Beside;
use super::hooks::Pending;
use super::live_groups::LiveGroups;
use super::stats::Looking;
use super::terminal::Terminals;
use crate::domain::admission::Answer;
use crate::domain::change::{Change, What};
use crate::domain::event::Command;
use crate::domain::exec::ExecContext;
use crate::domain::id::{InstanceId, Revision};
use crate::domain::listening::UnitPorts;
use crate::domain::plan::Plan;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::time;
use crate::domain::timeline::{Recorder, Timeline};
use crate::watch::Watcher;

/// The event loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack is no longer there")]
pub struct Gone;

/// An answer, and where its effect is seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Answered {
    pub answer: Answer,
    /// A snapshot of this revision or a later one was made after the command.
    pub revision: Revision,
}

/// Reaches a running stack. Cheap to clone; dropping it changes nothing in the stack.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) inbox: mpsc::UnboundedSender<Incoming>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) changes: broadcast::Sender<Change>,
    pub(super) started: tokio::time::Instant,
    pub(super) watcher: Watcher,
    pub(super) plan: watch::Receiver<Arc<Plan>>,
    pub(super) looking: Looking,
    pub(super) terminals: Terminals,
    pub(super) recorder: Arc<Mutex<Recorder>>,
    pub(super) groups: LiveGroups,
    /// `None`: nothing is real.
    pub(super) beside: Option<Beside>,
    pub(super) hooks: Pending,
}

impl Handle {
    /// Asks for something, and waits for the answer whether it is taken.
    ///
    /// # Errors
    /// The stack has ended.
    pub async fn command(&self, command: Command) -> Result<Answer, Gone> {
        self.ask(command).await.map(|answered| answered.answer)
    }

    /// The same, and from which snapshot on the effect is seen.
    ///
    /// # Errors
    /// The stack has ended.
    pub async fn ask(&self, command: Command) -> Result<Answered, Gone> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(Incoming::Command(command, reply))
            .map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// Tells the faces of something that no unit did.
    pub fn announce(&self, what: What) {
        let at = self.now();
        // Nobody listens: nobody misses it.
        let _ = self.changes.send(Change { at, what });
    }

    /// What is run at the moment.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan.borrow())
    }

    /// How the stack started.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        let recorder = self.recorder.lock();
        let recorder = recorder.unwrap_or_else(PoisonError::into_inner).clone();
        recorder.timeline(&self.plan.borrow())
    }

    /// Where the units listen now.
    pub async fn listening(&self) -> Vec<UnitPorts> {
        super::listening::look(&self.groups).await
    }

    /// The living processes of an instance.
    pub async fn processes(&self, instance: InstanceId) -> Vec<UnitProcess> {
        super::processes::look(&self.groups, instance).await
    }

    /// By what processes are held; `None` where none are real.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        let containment = &self.beside.as_ref()?.tools.containment;
        Some(Held {
            mechanism: containment.short().to_owned(),
            description: containment.describe(),
        })
    }

    /// The time in the stack. A snapshot's own is that of the last event before it.
    #[must_use]
    pub fn now(&self) -> time::Instant {
        time::Instant::after_start(self.started.elapsed())
    }

    /// The latest state and those that follow; closes after the one that holds the verdict.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// What is watched, and what would count.
    #[must_use]
    pub fn watcher(&self) -> &Watcher {
        &self.watcher
    }

    /// What the live runs use. It is sampled for as long as anybody holds such a receiver:
    /// at once, and then about once a second.
    #[must_use]
    pub fn stats(&self) -> watch::Receiver<Arc<StackStats>> {
        self.looking.subscribe()
    }

    /// Takes the process `pid` in beside an instance, and says what it is to run with.
    ///
    /// # Errors
    /// In words: there is no such instance, or it could not be taken in.
    pub fn exec(&self, instance: InstanceId, pid: u32) -> Result<ExecContext, String> {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let view = snapshot.units.iter().find(|view| view.id == instance);
        let spec = view.and_then(|view| self.plan().get(view.unit.as_str()).cloned());
        let (Some(view), Some(spec)) = (view, spec) else {
            return Err("it is not part of the stack".to_owned());
        };
        match &self.beside {
            _ if snapshot.shutdown.is_some() => Err("the stack is stopping".to_owned()),
            Some(beside) => beside.enter(view, &spec, pid, self.snapshots()),
            None => Err("it cannot be entered".to_owned()),
        }
    }

    /// Waits until no command of `on` runs or is to run.
    pub async fn hooks_done(&self) {
        self.hooks.none().await;
    }

    /// What the units' terminals show, and the way to type for them.
    #[must_use]
    pub fn terminals(&self) -> &Terminals {
        &self.terminals
    }

    /// Each change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
