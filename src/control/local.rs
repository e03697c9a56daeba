//! The port to a stack in the same process.

use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::port::{ControlPort, PortError, Reply, TerminalReply};
use super::terminal::{Input, TerminalWatch};
use crate::domain::event::Command;
use crate::domain::id::InstanceId;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::Tty;
use crate::domain::stats::StackStats;
use crate::domain::terminal::{TerminalDenial, TerminalSize};
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

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.handle.snapshots()
    }

    fn changes(&self) -> Changes {
        self.handle.changes().into()
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
        Arc::new(self.store.clone())
    }
}
