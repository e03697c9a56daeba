//! The port that every face uses.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use crate::domain::event::Command;
use crate::domain::id::UnitName;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
use crate::logs::LogSource;

pub use crate::supervisor::{Answered, Backend, Ignored, PathStatus, UnitWatch, Why, WhyUnit};

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

/// What is found out, when it is.
pub type Found<'a, T> = Pin<Box<dyn Future<Output = Result<T, PortError>> + Send + 'a>>;

/// How a stack is seen and steered.
pub trait ControlPort: Send + Sync + std::fmt::Debug {
    /// Asks for something; the answer says whether it is taken, not that it is done.
    fn command(&self, command: Command) -> Reply<'_>;

    /// The latest state, and each one that follows, coalesced. After the last one, which
    /// holds the verdict, the channel closes.
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>>;

    /// Each change from now on. Bounded: a receiver that lags is told so, and takes a
    /// snapshot.
    fn changes(&self) -> Changes;

    /// What the units write.
    fn logs(&self) -> Arc<dyn LogSource>;

    /// Which files are watched for these units, or, where none is named, for all.
    fn watched(&self, units: Vec<UnitName>) -> Found<'_, Vec<UnitWatch>>;

    /// Whether a change of that file would count, for whom, and by which rule. A path that is
    /// not absolute is below the stack's folder.
    fn why_watched(&self, path: PathBuf) -> Found<'_, Why>;

    /// The time in the stack, for how long something has been so.
    fn now(&self) -> Instant;
}
