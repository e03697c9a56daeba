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

mod capture;
mod cursor;
mod disk;
mod level;
mod line;
mod mask;
mod memory;
mod open;
mod pattern;
mod pool;
mod pump;
mod ring;
mod search;
mod shelf;
mod splitter;
mod tap;
mod withheld;

use tokio::sync::watch;

use crate::domain::id::InstanceId;

pub use capture::{PlainCopy, UnitLog};
pub use cursor::{BadCursor, Cursor, Start};
pub use disk::{
    Archive, Budget, DiskStore, FoundRun, RunRecord, RunUnit, runs, stacks, state_folder,
};
pub use level::Level;
pub use line::{Cut, Extent, Gap, LogLine, OpenLine, Origin, Page, Stream};
pub use mask::Masks;
pub use memory::MemoryStore;
pub use pattern::Pattern;
pub use pump::{PumpEnd, Pumps, pump};
pub use search::{Direction, Filter, Found, Hit, Search};
pub use splitter::{Batch, MAX_LINE, Splitter};
pub use tap::{Tap, TapSource, without_colour};

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

    /// Says what an instance is called and what is to be done with its lines, from the next
    /// stream that is opened on.
    fn introduce(&self, instance: InstanceId, unit: UnitLog);

    /// How many places in what units wrote were masked so far.
    fn masked(&self) -> u64;

    /// The runtime on which pumps should run, apart from the event loop, if there is one.
    fn pumps(&self) -> Option<tokio::runtime::Handle> {
        None
    }
}

/// All that a stack needs of a store.
pub trait LogStore: LogSink + LogSource + TapSource {}

impl<T: LogSink + LogSource + TapSource> LogStore for T {}

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

    /// Ready once what was written can be read, or will never be.
    fn poll_kept(&mut self, context: &mut std::task::Context<'_>) -> std::task::Poll<()> {
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

impl Selection {
    /// Whether it has that instance.
    #[must_use]
    pub fn has(&self, instance: InstanceId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ids) => ids.contains(&instance),
        }
    }

    /// Those of its own.
    fn of_open(&self, open: &[OpenLine]) -> impl Iterator<Item = OpenLine> {
        let own = |line: &&OpenLine| self.has(line.origin.run.instance);
        open.iter().filter(own).cloned()
    }
}

/// Gives out lines to those who ask. No call waits for a line: [`LogSource::wake`] tells when
/// to ask again. Calls read files, of which a page is a few; none holds a writer up.
pub trait LogSource: Send + Sync + std::fmt::Debug {
    /// A place to read from.
    fn cursor(&self, selection: Selection, start: Start) -> Cursor;

    /// Up to `max` lines from the cursor on, in the order in which they were read from the
    /// units, and what was lost or evicted before the first of them. Moves the cursor behind
    /// the last one. An empty page: there is no more yet.
    fn read(&self, cursor: &mut Cursor, max: usize) -> Page;

    /// Up to `max` lines that stand before the cursor, oldest first, and what was lost behind
    /// the last of them. Moves the cursor before the first one. An empty page: there is
    /// nothing older.
    fn read_back(&self, cursor: &mut Cursor, max: usize) -> Page;

    /// The last `lines` lines of one instance.
    fn tail(&self, instance: InstanceId, lines: usize) -> Vec<LogLine> {
        let selection = Selection::Only(vec![instance]);
        let mut cursor = self.cursor(selection, Start::Now);
        let mut tail = Vec::new();
        while tail.len() < lines {
            let page = self.read_back(&mut cursor, lines - tail.len());
            if page.is_empty() {
                break;
            }
            tail.splice(0..0, page.lines);
        }
        tail
    }

    /// What streams have written since their last line ended, such as a prompt.
    fn open_lines(&self, selection: &Selection) -> Vec<OpenLine>;

    /// How much is kept of the selection.
    fn extent(&self, selection: &Selection) -> Extent;

    /// One step of a search: about a millisecond. Up to `keep` of the lines that it finds are
    /// given, the others counted.
    fn search(&self, search: &mut Search, keep: usize) -> Found;

    /// The folder that another process of the same user may read the lines from instead, as an
    /// [`Archive`].
    fn place(&self) -> Option<&std::path::Path> {
        None
    }

    /// How many lines have been taken so far, over all units: those that can be read, and those
    /// that soon can.
    fn taken(&self) -> u64 {
        *self.wake().borrow()
    }

    /// Ready once all lines below that number can be read, or never will be.
    fn poll_kept(&self, context: &mut std::task::Context<'_>, until: u64) -> std::task::Poll<()> {
        let _ = (context, until);
        std::task::Poll::Ready(())
    }

    /// Changes whenever lines were added, or an open line has grown; its value is the number
    /// of lines so far over all units.
    fn wake(&self) -> watch::Receiver<u64>;
}
