//! The signals that end a stack.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::contain;
use crate::domain::signal::Signal;

/// Every signal that ends a process unless it listens (`signal(7)`) and that somebody may
/// send to ask for an end. Those that report a bug of the process itself are left out.
const ENDING: [&str; 8] = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGALRM", "SIGTERM", "SIGUSR1", "SIGUSR2", "SIGXCPU",
];

/// Hears the signals that end a stack: one that died of a signal would leave its units
/// behind.
#[derive(Debug)]
pub struct Signals {
    heard: mpsc::UnboundedReceiver<Signal>,
    /// Without a listener there is nothing to hear, for ever.
    _open: mpsc::UnboundedSender<Signal>,
}

impl Signals {
    /// Listens from now on. A signal that whoever started pk had it ignore stays ignored.
    ///
    /// # Errors
    /// The runtime cannot listen.
    pub fn listen() -> io::Result<Self> {
        let (sender, heard) = mpsc::unbounded_channel();
        for name in ENDING {
            let Some(ending) = Signal::from_name(name) else {
                continue;
            };
            if contain::is_ignored(ending)? {
                continue;
            }
            let mut listener = signal(SignalKind::from_raw(ending.number()))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while listener.recv().await.is_some() && sender.send(ending).is_ok() {}
            });
        }
        Ok(Self {
            heard,
            _open: sender,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Signal {
        match self.heard.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
