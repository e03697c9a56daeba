//! A unit's terminal as a face watches it, in a stack here or elsewhere.

use tokio::sync::mpsc;

use crate::domain::terminal::TerminalDenial;
use crate::supervisor::TerminalStream;

pub use crate::supervisor::{Emulator, Input, TerminalEvent};

/// Why a terminal cannot be watched, or nothing be typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TerminalError {
    #[error("the stack is no longer there")]
    Gone,
    #[error(transparent)]
    Denied(#[from] TerminalDenial),
    /// The other side did not understand, or was not understood.
    #[error("the running stack says: {0}")]
    Refused(String),
}

/// First the whole screen, then what comes, across the runs of the unit. One that is read too
/// slowly is given the whole screen again instead of what it missed.
#[derive(Debug)]
pub struct TerminalWatch(Source);

#[derive(Debug)]
enum Source {
    Local(TerminalStream),
    Remote(mpsc::Receiver<TerminalEvent>),
}

impl TerminalWatch {
    pub(super) fn local(stream: TerminalStream) -> Self {
        Self(Source::Local(stream))
    }

    pub(super) fn remote(receiver: mpsc::Receiver<TerminalEvent>) -> Self {
        Self(Source::Remote(receiver))
    }

    /// The next event. Safe to cancel. `None`: no more can come, as nobody is there to send
    /// it. Of a stack in this process it waits on: the snapshots tell when that has ended.
    pub async fn next(&mut self) -> Option<TerminalEvent> {
        match &mut self.0 {
            Source::Local(stream) => Some(stream.next().await),
            Source::Remote(receiver) => receiver.recv().await,
        }
    }

    /// The next event, if it is there.
    pub fn try_next(&mut self) -> Option<TerminalEvent> {
        match &mut self.0 {
            Source::Local(stream) => stream.try_next(),
            Source::Remote(receiver) => receiver.try_recv().ok(),
        }
    }
}
