//! The port that every face uses.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::changes::Changes;
use super::reload::{ReloadAsk, ReloadError, ReloadReply};
use super::terminal::{Input, TerminalError, TerminalWatch};
use crate::domain::diagnostics::LoopLatency;
use crate::domain::event::Command;
use crate::domain::exec::ExecContext;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::UnitPorts;
use crate::domain::plan::Plan;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::terminal::TerminalSize;
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
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
/// The answer about a terminal, when it comes.
pub type TerminalReply<'a, T> = Pin<Box<dyn Future<Output = Result<T, TerminalError>> + Send + 'a>>;

/// How a stack is seen and steered.
pub trait ControlPort: Send + Sync + std::fmt::Debug {
    /// Asks for something; the answer says whether it is taken, not that it is done.
    fn command(&self, command: Command) -> Reply<'_>;

    /// Goes over to what the files of the stack say now, or shows what that would do.
    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        let _ = ask;
        Box::pin(async { Err(ReloadError::Port(PortError::Unsupported)) })
    }

    /// What is run at the moment; `None`: the stack is in another process.
    fn plan(&self) -> Option<Arc<Plan>> {
        None
    }

    /// How the stack started.
    fn timeline(&self) -> Found<'_, Timeline> {
        Box::pin(async { Err(PortError::Unsupported) })
    }

    /// How long what comes in waits until it is dealt with.
    fn latency(&self) -> Found<'_, LoopLatency> {
        Box::pin(async { Err(PortError::Unsupported) })
    }

    /// Where the units really listen now.
    fn listening(&self) -> Found<'_, Vec<UnitPorts>> {
        Box::pin(async { Err(PortError::Unsupported) })
    }

    /// The living processes of an instance.
    fn processes(&self, instance: InstanceId) -> Found<'_, Vec<UnitProcess>>;

    /// By what the processes of the units are held.
    fn held(&self) -> Found<'_, Held>;

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
    /// What the live runs use. It is sampled only while anybody looks: hold the receiver for
    /// as long as it is shown, and drop it then. A sample comes at once, the next soon after
    /// (rates need two), then one a second. What the receiver holds at first may be empty.
    fn stats(&self) -> watch::Receiver<Arc<StackStats>>;

    /// What the terminal of an instance with `tty: true` shows, now and from now on.
    fn watch_terminal(&self, instance: InstanceId) -> TerminalReply<'_, TerminalWatch>;

    /// Types something for an instance that takes input (see
    /// [`takes_input`](crate::domain::snapshot::UnitView::takes_input)). Resolves once it is on
    /// its way.
    fn send_input(&self, instance: InstanceId, input: Input) -> TerminalReply<'_, ()>;

    /// Gives the terminal of an instance another size. Of several faces the last one counts.
    fn resize_terminal(&self, instance: InstanceId, size: TerminalSize) -> TerminalReply<'_, ()>;

    /// Takes the process `pid` in beside an instance, and says what it is to run with. Over a
    /// socket `pid` must be who asks.
    fn exec(&self, instance: InstanceId, pid: u32) -> Found<'_, ExecContext>;

    /// The time in the stack, for how long something has been so.
    fn now(&self) -> Instant;
}
