//! The ports that the file gives the unit: its own, unless a stranger is there.

use std::sync::Arc;

use super::super::{ports, request};
use super::Runner;
use crate::domain::event::Fact;
use crate::domain::outcome::RunStatus;

impl Runner {
    /// Who listens where this run was to, now that nobody of it does any more: that may be why
    /// it has failed.
    pub(super) async fn look_for_strangers(&self, status: &RunStatus) {
        if self.ports.is_empty() || status.failure(&self.spec).is_none() {
            return;
        }
        let ports = self.ports.clone();
        let looked = tokio::task::spawn_blocking(move || ports::taken(&ports));
        if let Ok(Some(why)) = looked.await {
            self.report(Fact::PortTaken { why });
        }
    }

    /// Which ports this instance has, and that nobody else listens there.
    pub(super) async fn ready_ports(&mut self) -> Result<(), String> {
        if self.spec.ports.is_empty() {
            return Ok(());
        }
        let (spec, replica) = (Arc::clone(&self.spec), self.replica);
        let looked = tokio::task::spawn_blocking(move || {
            let ports = ports::of_instance(&spec, replica);
            (ports::taken(&ports), ports)
        });
        let (taken, ports) = looked.await.map_err(|error| error.to_string())?;
        if let Some(taken) = taken {
            return Err(taken);
        }
        request::add_ports(&mut self.environment, &self.spec, &ports);
        self.ports = ports;
        Ok(())
    }
}
