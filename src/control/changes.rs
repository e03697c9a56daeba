//! Changes as a face receives them, from a stack here or elsewhere.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::domain::change::Change;

/// What a port to another process passes on.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Change(Change),
    /// So many were lost on the way.
    Missed(u64),
}

/// Each change from one moment on; a receiver that lags is told how many it missed.
#[derive(Debug)]
pub struct Changes(Source);

#[derive(Debug)]
enum Source {
    Local(broadcast::Receiver<Change>),
    Remote(broadcast::Receiver<Told>),
}

impl Changes {
    pub(super) fn remote(receiver: broadcast::Receiver<Told>) -> Self {
        Self(Source::Remote(receiver))
    }

    /// The next one. Safe to cancel.
    ///
    /// # Errors
    /// Some were missed, or no more will come.
    pub async fn recv(&mut self) -> Result<Change, RecvError> {
        match &mut self.0 {
            Source::Local(receiver) => receiver.recv().await,
            Source::Remote(receiver) => match receiver.recv().await? {
                Told::Change(change) => Ok(change),
                Told::Missed(count) => Err(RecvError::Lagged(count)),
            },
        }
    }

    /// The next one, if it is there.
    ///
    /// # Errors
    /// Some were missed, none is there yet, or no more will come.
    pub fn try_recv(&mut self) -> Result<Change, TryRecvError> {
        match &mut self.0 {
            Source::Local(receiver) => receiver.try_recv(),
            Source::Remote(receiver) => match receiver.try_recv()? {
                Told::Change(change) => Ok(change),
                Told::Missed(count) => Err(TryRecvError::Lagged(count)),
            },
        }
    }
}

impl From<broadcast::Receiver<Change>> for Changes {
    fn from(receiver: broadcast::Receiver<Change>) -> Self {
        Self(Source::Local(receiver))
    }
}
