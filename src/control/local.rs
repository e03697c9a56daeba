//! The port to a stack in the same process.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::port::{ControlPort, Found, PortError, Reply, TerminalReply, UnitWatch, Why};
use super::reload::{Reload, ReloadAsk, ReloadError, ReloadReply, Reloader};
use super::terminal::{Input, TerminalWatch};
use crate::domain::change::What;
use crate::domain::diagnostics::LoopLatency;
use crate::domain::event::Command;
use crate::domain::exec::ExecContext;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::UnitPorts;
use crate::domain::plan::Plan;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::Tty;
use crate::domain::stats::StackStats;
use crate::domain::terminal::{TerminalDenial, TerminalSize};
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::LogSource;
use crate::supervisor::Handle;

/// Reaches a supervisor by its handle.
#[derive(Clone, Debug)]
pub struct LocalPort {
    handle: Handle,
    logs: Arc<dyn LogSource>,
    reloader: Option<Arc<Reloader>>,
}

impl LocalPort {
    /// `logs` is the store that the stack writes to.
    #[must_use]
    pub fn new(handle: Handle, logs: Arc<dyn LogSource>) -> Self {
        Self {
            handle,
            logs,
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

    /// That the instance is there, and has what `has` asks for.
    fn check(
        &self,
        instance: InstanceId,
        has: impl FnOnce(&UnitView) -> bool,
        otherwise: TerminalDenial,
    ) -> Result<(), TerminalDenial> {
        let snapshots = self.handle.snapshots();
        let snapshot = snapshots.borrow();
        match snapshot.units.iter().find(|unit| unit.id == instance) {
            None => Err(TerminalDenial::NoSuchUnit),
            Some(unit) if has(unit) => Ok(()),
            Some(_) => Err(otherwise),
        }
    }
}

fn has_terminal(unit: &UnitView) -> bool {
    unit.tty == Tty::Full
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

    fn plan(&self) -> Option<Arc<Plan>> {
        Some(self.handle.plan())
    }

    fn timeline(&self) -> Found<'_, Timeline> {
        Box::pin(async { Ok(self.handle.timeline()) })
    }

    fn latency(&self) -> Found<'_, LoopLatency> {
        Box::pin(async { Ok(self.handle.latency()) })
    }

    fn listening(&self) -> Found<'_, Vec<UnitPorts>> {
        Box::pin(async { Ok(self.handle.listening().await) })
    }

    fn processes(&self, instance: InstanceId) -> Found<'_, Vec<UnitProcess>> {
        Box::pin(async move { Ok(self.handle.processes(instance).await) })
    }

    fn held(&self) -> Found<'_, Held> {
        Box::pin(async { self.handle.held().ok_or(PortError::Unsupported) })
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

    fn exec(&self, instance: InstanceId, pid: u32) -> Found<'_, ExecContext> {
        Box::pin(async move { self.handle.exec(instance, pid).map_err(PortError::Refused) })
    }

    fn now(&self) -> Instant {
        self.handle.now()
    }

    fn stats(&self) -> watch::Receiver<Arc<StackStats>> {
        self.handle.stats()
    }

    fn watch_terminal(&self, instance: InstanceId) -> TerminalReply<'_, TerminalWatch> {
        Box::pin(async move {
            self.check(instance, has_terminal, TerminalDenial::NoTerminal)?;
            let stream = self.handle.terminals().watch(instance);
            Ok(TerminalWatch::local(stream))
        })
    }

    fn send_input(&self, instance: InstanceId, input: Input) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            self.check(instance, |unit| unit.takes_input, TerminalDenial::NoInput)?;
            Ok(self.handle.terminals().send(instance, input).await?)
        })
    }

    fn resize_terminal(&self, instance: InstanceId, size: TerminalSize) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            self.check(instance, has_terminal, TerminalDenial::NoTerminal)?;
            self.handle.terminals().resize(instance, size);
            Ok(())
        })
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        Arc::clone(&self.logs)
    }
}
