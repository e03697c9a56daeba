//! What a face asks of its supervisor, without waiting for it: signals are heard meanwhile.
//!
//! A supervisor that does not answer whoever asks twice is ended by force. Its guard then ends
//! what it ran, so that a second Ctrl-C is the last that is needed.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::control::ControlPort;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::signal::Signal;

/// How long a supervisor may leave a second request without an answer.
const FORCE: Duration = Duration::from_secs(2);

type Asked<'a> = Pin<Box<dyn Future<Output = (Shutdown, bool)> + Send + 'a>>;

pub(super) struct Asking<'a> {
    port: &'a dyn ControlPort,
    pending: FuturesUnordered<Asked<'a>>,
    asked: bool,
    /// When the supervisor is ended, unless it answers before.
    force_at: Option<Instant>,
}

impl<'a> Asking<'a> {
    pub fn new(port: &'a dyn ControlPort) -> Self {
        Self {
            port,
            pending: FuturesUnordered::new(),
            asked: false,
            force_at: None,
        }
    }

    /// Whether a stop was asked for.
    pub fn has_asked(&self) -> bool {
        self.asked
    }

    /// A stop in order.
    pub fn stop(&mut self, cause: ShutdownCause) {
        self.ask(Shutdown::Graceful, cause);
    }

    /// By a signal: the first asks for a stop in order, one that follows for a kill.
    pub fn signal(&mut self, signal: Signal) {
        let how = if self.asked {
            Shutdown::Now
        } else {
            Shutdown::Graceful
        };
        self.ask(how, ShutdownCause::Signal(signal));
    }

    /// By a signal, when a stop is under way already.
    pub fn kill(&mut self, signal: Signal) {
        self.ask(Shutdown::Now, ShutdownCause::Signal(signal));
    }

    fn ask(&mut self, how: Shutdown, cause: ShutdownCause) {
        self.asked = true;
        if how == Shutdown::Now && self.force_at.is_none() {
            self.force_at = Some(Instant::now() + FORCE);
        }
        let port = self.port;
        self.pending.push(Box::pin(async move {
            // A refusal means that it stops already.
            let answer = port.command(Command::Shutdown(how, cause)).await;
            (how, answer.is_ok())
        }));
    }

    /// Resolves when the supervisor is to be ended by force. Safe to cancel.
    pub async fn overdue(&mut self) {
        loop {
            let force_at = self.force_at;
            let due = async {
                match force_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some((how, answered)) = self.pending.next() => {
                    if answered && how == Shutdown::Now {
                        self.force_at = None;
                    }
                }
                () = due => {
                    self.force_at = None;
                    return;
                }
            }
        }
    }
}
