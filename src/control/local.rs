//! The port to a stack in the same process.

use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::port::{ControlPort, PortError, Reply};
use crate::domain::event::Command;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
use crate::logs::LogSource;
use crate::supervisor::Handle;

/// Reaches a supervisor by its handle.
#[derive(Clone, Debug)]
pub struct LocalPort {
    handle: Handle,
    logs: Arc<dyn LogSource>,
}

impl LocalPort {
    /// `logs` is the store that the stack writes to.
    #[must_use]
    pub fn new(handle: Handle, logs: Arc<dyn LogSource>) -> Self {
        Self { handle, logs }
    }
}

impl ControlPort for LocalPort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            let answered = self.handle.ask(command).await;
            answered.map_err(|_| PortError::Gone)
        })
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    fn changes(&self) -> Changes {
        self.handle.changes().into()
    }

    fn now(&self) -> Instant {
        self.handle.now()
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        Arc::clone(&self.logs)
    }
}
