//! The port that every face uses.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{broadcast, watch};

use crate::domain::admission::Answer;
use crate::domain::change::Change;
use crate::domain::event::Command;
use crate::domain::snapshot::Snapshot;
use crate::logs::LogSource;

/// Why a command got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error("the stack is no longer there")]
    Gone,
}

/// The answer to a command, when it comes.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<Answer, PortError>> + Send + 'a>>;

/// How a stack is seen and steered.
pub trait ControlPort: Send + Sync + std::fmt::Debug {
    /// Asks for something; the answer says whether it is taken, not that it is done.
    fn command(&self, command: Command) -> Reply<'_>;

    /// The latest state, and each one that follows, coalesced. After the last one, which
    /// holds the verdict, the channel closes.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Each change from now on. Bounded: a receiver that lags is told so, and takes a
    /// snapshot.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// What the units write.
    fn logs(&self) -> Arc<dyn LogSource>;
}
