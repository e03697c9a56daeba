//! The port that every face uses.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::reload::{ReloadAsk, ReloadError, ReloadReply};
use crate::domain::event::Command;
use crate::domain::listening::UnitPorts;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::LogSource;

pub use crate::supervisor::Answered;

/// Why a command got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    #[error("the stack is no longer there")]
    Gone,
    /// A reload takes a plan, which stays in the process that has read it.
    #[error("this cannot be asked of a stack in another process")]
    Unsupported,
    /// The other side did not understand, or was not understood.
    #[error("the running stack says: {0}")]
    Refused(String),
}

/// The answer to a command, when it comes.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Result<Answered, PortError>> + Send + 'a>>;

/// What is asked for, when it comes.
pub type Asked<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// How a stack is seen and steered.
pub trait ControlPort: Send + Sync + std::fmt::Debug {
    /// Asks for something; the answer says whether it is taken, not that it is done.
    fn command(&self, command: Command) -> Reply<'_>;

    /// Goes over to what the files of the stack say now, or shows what that would do.
    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        let _ = ask;
        Box::pin(async { Err(ReloadError::Port(PortError::Unsupported)) })
    }

    /// How the stack started.
    fn timeline(&self) -> Asked<'_, Timeline> {
        Box::pin(async { Err(PortError::Unsupported) })
    }

    /// Where the units really listen now.
    fn listening(&self) -> Asked<'_, Vec<UnitPorts>> {
        Box::pin(async { Err(PortError::Unsupported) })
    }

    /// The latest state, and each one that follows, coalesced. After the last one, which
    /// holds the verdict, the channel closes.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Each change from now on. Bounded: a receiver that lags is told so, and takes a
    /// snapshot.
    fn changes(&self) -> Changes;

    /// What the units write.
    fn logs(&self) -> Arc<dyn LogSource>;

    /// The time in the stack, for how long something has been so.
    fn now(&self) -> Instant;
}
