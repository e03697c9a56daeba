//! What the rest of pk holds of a running stack.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::event_loop::Incoming;
use crate::domain::admission::Answer;
use crate::domain::change::Change;
use crate::domain::event::Command;
use crate::domain::snapshot::Snapshot;

/// The event loop has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stack is no longer there")]
pub struct Gone;

/// Reaches a running stack. Cheap to clone; dropping it changes nothing in the stack.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(super) inbox: mpsc::UnboundedSender<Incoming>,
    pub(super) snapshots: watch::Receiver<Arc<Snapshot>>,
    pub(super) changes: broadcast::Sender<Change>,
}

impl Handle {
    /// Asks for something, and waits for the answer whether it is taken.
    ///
    /// # Errors
    /// The stack has ended.
    pub async fn command(&self, command: Command) -> Result<Answer, Gone> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(Incoming::Command(command, reply))
            .map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }

    /// The latest state and those that follow; closes after the one that holds the verdict.
    #[must_use]
    pub fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    /// Each change from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
