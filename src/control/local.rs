//! The port to a stack in the same process.

use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::port::{Asked, ControlPort, PortError, Reply};
use super::reload::{Reload, ReloadAsk, ReloadError, ReloadReply, Reloader};
use crate::domain::change::What;
use crate::domain::event::Command;
use crate::domain::listening::UnitPorts;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::{LogSource, MemoryStore};
use crate::supervisor::Handle;

/// Reaches a supervisor by its handle.
#[derive(Clone, Debug)]
pub struct LocalPort {
    handle: Handle,
    store: MemoryStore,
    reloader: Option<Arc<Reloader>>,
}

impl LocalPort {
    /// `store` is the one that the stack writes to.
    #[must_use]
    pub fn new(handle: Handle, store: MemoryStore) -> Self {
        Self {
            handle,
            store,
            reloader: None,
        }
    }

    /// The same, of a stack that can be reloaded from `source`, which said `read` at first.
    #[must_use]
    pub fn reloading(mut self, source: Arc<dyn Reload>, read: Arc<Plan>) -> Self {
        self.reloader = Some(Arc::new(Reloader::new(source, read)));
        self
    }

    /// Reloads because the files were saved: what comes of it is told to all faces.
    pub async fn files_saved(&self) {
        if let Err(error) = self.reload(ReloadAsk::default()).await {
            let reason = error.to_string();
            self.handle.announce(What::ReloadRefused { reason });
        }
    }
}

impl ControlPort for LocalPort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            let answered = self.handle.ask(command).await;
            answered.map_err(|_| PortError::Gone)
        })
    }

    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        Box::pin(async move {
            match &self.reloader {
                Some(reloader) => reloader.reload(&self.handle, ask).await,
                None => Err(ReloadError::Port(PortError::Unsupported)),
            }
        })
    }

    fn timeline(&self) -> Asked<'_, Timeline> {
        Box::pin(async { Ok(self.handle.timeline()) })
    }

    fn listening(&self) -> Asked<'_, Vec<UnitPorts>> {
        Box::pin(async { Ok(self.handle.listening().await) })
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
        Arc::new(self.store.clone())
    }
}
