//! What the units write, line by line, kept for whoever wants to read it.
//!
//! This floor owns the way of a line from a pipe to its readers. Lines never pass through the
//! event loop: a runner pumps its pipes into a [`LogSink`], faces pull pages from a
//! [`LogSource`], and a `log:` probe is a [`Tap`] that looks on. It must not slow a writer
//! for a reader's sake, and must not lose a line without saying how many.
//!
//! ```text
//!  pipe ──pump──► StreamWriter ──Splitter──► batch ──► MemoryStore ──wake──► readers pull
//!                                              └─► taps of the run
//! ```

mod cursor;
mod line;
mod memory;
mod pump;
mod ring;
mod splitter;
mod tap;

use tokio::sync::watch;

use crate::domain::id::InstanceId;

pub use cursor::{BadCursor, Cursor, Start};
pub use line::{Cut, Gap, LogLine, Origin, Page, Stream};
pub use memory::MemoryStore;
pub use pump::{PumpEnd, pump};
pub use splitter::{Batch, MAX_LINE, Splitter};
pub use tap::{Tap, TapSource};

/// Why a log could not be taken or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot read the output: {0}")]
    Pipe(std::io::Error),
}

/// Takes what the units write.
pub trait LogSink: Send + Sync + std::fmt::Debug {
    /// A writer for one stream of one run. Streams of a run may be open at the same time.
    fn open(&self, origin: Origin) -> Box<dyn StreamWriter>;
}

/// Takes one stream of one run, in order.
pub trait StreamWriter: Send {
    /// Takes bytes as they came, cut anywhere. Does not block.
    fn write(&mut self, chunk: &[u8]);

    /// Ends the stream: an unterminated last line becomes a line. Dropping does the same.
    fn close(&mut self);

    /// Ready once more may be written. A store that falls behind holds the unit up through
    /// its pipe by not being ready.
    fn poll_ready(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        let _ = context;
        std::task::Poll::Ready(())
    }
}

/// Which instances a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Also those that come later.
    #[default]
    All,
    Only(Vec<InstanceId>),
}

/// Gives out lines to those who ask. No call waits for a line: [`LogSource::wake`] tells when
/// to ask again.
pub trait LogSource: Send + Sync + std::fmt::Debug {
    /// A place to read from.
    fn cursor(&self, selection: Selection, start: Start) -> Cursor;

    /// Up to `max` lines from the cursor on, in the order in which they were read from the
    /// units, and what was evicted before the cursor came to it. Moves the cursor.
    fn read(&self, cursor: &mut Cursor, max: usize) -> Page;

    /// The last `lines` lines of one instance.
    fn tail(&self, instance: InstanceId, lines: usize) -> Vec<LogLine>;

    /// Changes whenever lines were added; its value is the number of lines so far.
    fn wake(&self) -> watch::Receiver<u64>;
}
