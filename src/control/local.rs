//! The port to a stack in the same process.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::port::{ControlPort, Found, PortError, Reply, UnitWatch, Why};
use crate::domain::event::Command;
use crate::domain::id::UnitName;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
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

    fn watched(&self, units: Vec<UnitName>) -> Found<'_, Vec<UnitWatch>> {
        Box::pin(async move {
            let status = self.handle.watcher().status(units).await;
            status.map_err(|_| PortError::Gone)
        })
    }

    fn why_watched(&self, path: PathBuf) -> Found<'_, Why> {
        Box::pin(async move {
            let why = self.handle.watcher().why(&path).await;
            why.map_err(|_| PortError::Gone)
        })
    }

    fn now(&self) -> Instant {
        self.handle.now()
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        Arc::new(self.store.clone())
    }
}
