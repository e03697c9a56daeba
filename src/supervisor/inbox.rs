//! What comes to the event loop, and when it came.

use std::time::Instant;

use tokio::sync::mpsc;

use super::event_loop::Incoming;
use super::handle::Gone;

/// Where everything that happens is put. Never waits.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    sender: mpsc::UnboundedSender<Arrived>,
}

/// Something that came.
#[derive(Debug)]
pub(super) struct Arrived {
    /// By the clock of the machine, also where that of a test stands still.
    pub at: Instant,
    pub what: Incoming,
}

impl Inbox {
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Arrived>) {
        let (sender, arrived) = mpsc::unbounded_channel();
        (Self { sender }, arrived)
    }

    /// Puts it there.
    ///
    /// # Errors
    /// The event loop has ended.
    pub(super) fn send(&self, what: Incoming) -> Result<(), Gone> {
        let at = Instant::now();
        self.sender.send(Arrived { at, what }).map_err(|_| Gone)
    }
}
