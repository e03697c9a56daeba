//! The stop ladder: ask, wait for the grace period, kill.

use std::time::Duration;

use super::effect::Scope;
use super::keys;
use super::signal::Signal;
use super::spec::{Command, Shutdown};

/// How long SIGKILL may take before the members that are left are called stuck.
pub const REAP_LIMIT: Duration = Duration::from_secs(5);

/// How long exec may take to be confirmed.
pub const SPAWN_LIMIT: Duration = Duration::from_secs(30);

/// The first rung.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    Command(Command),
    /// Type this into its terminal.
    Keys(Vec<u8>),
    Signal(Signal, Scope),
    /// No grace was allowed.
    Kill,
}

impl Shutdown {
    /// How a run with a live leader is asked to end.
    #[must_use]
    pub fn ask(&self) -> Ask {
        if self.timeout.is_zero() {
            return Ask::Kill;
        }
        if let Some(command) = &self.command {
            return Ask::Command(command.clone());
        }
        if !self.send_keys.is_empty() {
            return Ask::Keys(keys::bytes(&self.send_keys));
        }
        let (signal, scope) = self.signal_and_scope();
        Ask::Signal(signal, scope)
    }

    /// The signal that asks, and whom.
    #[must_use]
    pub fn signal_and_scope(&self) -> (Signal, Scope) {
        let scope = if self.leader_only {
            Scope::Leader
        } else {
            Scope::Group
        };
        (self.signal, scope)
    }

    /// How stragglers are asked whose leader is gone.
    #[must_use]
    pub fn ask_stragglers(&self) -> Ask {
        if self.timeout.is_zero() {
            return Ask::Kill;
        }
        Ask::Signal(self.signal, Scope::Group)
    }
}
