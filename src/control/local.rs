//! The port to a stack in the same process.

use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use super::port::{ControlPort, PortError, Reply};
use crate::domain::change::Change;
use crate::domain::event::Command;
use crate::domain::snapshot::Snapshot;
use crate::logs::{LogSource, MemoryStore};
use crate::supervisor::Handle;

/// Reaches a supervisor by its handle.
#[derive(Clone, Debug)]
pub struct LocalPort {
    handle: Handle,
    store: MemoryStore,
}

impl LocalPort {
    /// `store` is the one that the stack writes to.
    #[must_use]
    pub fn new(handle: Handle, store: MemoryStore) -> Self {
        Self { handle, store }
    }
}

impl ControlPort for LocalPort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            self.handle
                .command(command)
                .await
                .map_err(|_| PortError::Gone)
        })
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.handle.changes()
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        Arc::new(self.store.clone())
    }
}
