//! The store on disk: segments of plain text with an index beside them.
//!
//! ```text
//!  pumps ─► queue (bounded) ─► writer thread ─► segments ─► catalog ─► readers
//!                                          └─► plain copies (`logs.file`)
//! ```
//!
//! Readers read the files, here and in other processes: what is in them is in the kernel's
//! memory anyway, so none of it is kept a second time.

mod archive;
mod bell;
mod catalog;
mod copy;
mod queue;
mod record;
mod runs;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll};
use std::time::Duration;

use jiff::Timestamp;
use regex::bytes::Regex;
use tokio::sync::watch;

pub use archive::Archive;
pub use runs::{FoundRun, RunRecord, RunUnit, runs, stacks, state_folder};

use super::capture::{Capture, Gate, Keep, UnitLog, lock};
use super::cursor::{Cursor, Start};
use super::line::{Cut, Extent, OpenLine, Origin, Page, Stream};
use super::pump::Pumps;
use super::search::{Found, Search};
use super::shelf::Record;
use super::splitter::Batch;
use super::tap::{Tap, TapSource};
use super::{LogSink, LogSource, Selection, StreamWriter};
use crate::domain::id::{Attempt, InstanceId, RunId};
use catalog::Catalog;
use queue::Queue;
use writer::{Shared, Writer};

/// How much a store may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Of what waits for the disk.
    pub memory: usize,
    /// Of all runs of the stack together. One segment of each unit may come on top.
    pub disk: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            disk: 4 << 30,
        }
    }
}

/// A store on disk. Cheap to clone: clones share the lines.
#[derive(Clone)]
pub struct DiskStore {
    shared: Arc<Shared>,
    run: Arc<Run>,
    pumps: Arc<Pumps>,
}

struct Run {
    path: PathBuf,
    number: u64,
    /// Held as long as the run goes on.
    _lock: File,
    ended: Mutex<Option<mpsc::Receiver<()>>>,
    shared: Arc<Shared>,
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore")
            .field("run", &self.run.path)
            .field("lines", &*self.shared.head.borrow())
            .finish()
    }
}

impl DiskStore {
    /// Begins a run below the folder of a stack.
    ///
    /// # Errors
    /// The folder or a file in it cannot be made, or there is no thread to be had.
    pub fn begin(
        folder: &Path,
        record: &RunRecord,
        budget: Budget,
        pumps: Arc<Pumps>,
    ) -> io::Result<Self> {
        let run = runs::begin(folder, record)?;
        let shared = Arc::new(Shared {
            gate: Gate::default(),
            queue: Queue::new(budget.memory),
            catalog: Mutex::default(),
            head: watch::Sender::new(0),
            troubles: Mutex::default(),
        });
        let (done, ended) = mpsc::channel();
        let mut writer = Writer {
            shared: Arc::clone(&shared),
            folder: run.path.clone(),
            head: run.head,
            budget: budget.disk,
            free: rustix::fs::statvfs(folder)
                .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize)),
            runs: runs::Runs::default(),
            copies: copy::Copies::default(),
            files: HashMap::new(),
            broken: false,
        };
        let (stack, own) = (folder.to_owned(), run.number);
        std::thread::Builder::new()
            .name("pk-logs".to_owned())
            .spawn(move || {
                writer.runs = runs::Runs::before(&stack, own);
                writer.run();
                let _ = done.send(());
            })?;
        let watched = Arc::downgrade(&shared);
        pumps.handle().spawn(async move {
            while let Some(shared) = watched.upgrade() {
                let queue = &shared.queue;
                queue.waited.notified().await;
                while queue.watch() {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                if queue.is_closed() {
                    return;
                }
            }
        });
        Ok(Self {
            run: Arc::new(Run {
                path: run.path,
                number: run.number,
                _lock: run.lock,
                ended: Mutex::new(Some(ended)),
                shared: Arc::clone(&shared),
            }),
            shared,
            pumps,
        })
    }

    /// Where this run is, and its number.
    #[must_use]
    pub fn run(&self) -> FoundRun {
        FoundRun {
            number: self.run.number,
            path: self.run.path.clone(),
        }
    }

    /// No line is taken any more, and what is left is written meanwhile.
    pub fn close(&self) {
        self.shared.queue.close();
    }

    /// Waits until all is written, as long as that; no line is taken any more. Returns what
    /// went wrong, for a person.
    #[must_use]
    pub fn finish(&self, limit: Duration) -> Vec<String> {
        self.close();
        if let Some(ended) = lock(&self.run.ended).take()
            && ended.recv_timeout(limit).is_err()
        {
            lock(&self.shared.troubles).push(format!(
                "the last lines are not in {}: the disk takes too long",
                self.run.path.display()
            ));
        }
        std::mem::take(&mut lock(&self.shared.troubles))
    }

    fn get(&self, with: &mut dyn FnMut(&Catalog)) {
        with(&lock(&self.shared.catalog));
    }
}

/// A record of lines that are lost, from `from` to `end`.
fn gap(instance: InstanceId, from: u64, end: u64, seq: u64) -> Record {
    let now = Timestamp::now();
    Record {
        seq: seq.saturating_sub(end - from),
        ordinal: from,
        lines: u32::try_from(end - from).unwrap_or(u32::MAX),
        bytes: 0,
        origin: Origin {
            run: RunId {
                instance,
                attempt: Attempt(0),
            },
            stage: 0,
            stream: Stream::Stdout,
        },
        time: now,
        latest: now,
        last: Cut::Newline,
        gap: true,
        offset: 0,
    }
}

impl Keep for Shared {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn keep(&self, origin: Origin, batch: Batch) -> u64 {
        match batch.is_empty() {
            true => self.queue.taken(),
            false => self.queue.push(origin, &batch),
        }
    }

    fn grown(&self) {
        self.head.send_modify(|_| ());
    }

    fn poll_room(&self, context: &mut Context<'_>) -> Poll<()> {
        self.queue.poll_room(context)
    }

    fn poll_kept(&self, context: &mut Context<'_>, until: &mut Option<u64>) -> Poll<()> {
        self.queue.poll_kept(context, until)
    }
}

impl LogSink for DiskStore {
    fn open(&self, origin: Origin) -> Box<dyn StreamWriter> {
        Box::new(Capture::new(Arc::clone(&self.shared), origin))
    }

    fn introduce(&self, instance: InstanceId, unit: UnitLog) {
        self.shared.gate.introduce(instance, unit);
    }

    fn masked(&self) -> u64 {
        self.shared.gate.masked()
    }

    fn pumps(&self) -> Option<tokio::runtime::Handle> {
        Some(self.pumps.handle())
    }
}

impl LogSource for DiskStore {
    fn cursor(&self, selection: Selection, start: Start) -> Cursor {
        catalog::cursor(&|with| self.get(with), selection, start)
    }

    fn read(&self, cursor: &mut Cursor, max: usize) -> Page {
        catalog::read(&|with| self.get(with), cursor, max)
    }

    fn read_back(&self, cursor: &mut Cursor, max: usize) -> Page {
        catalog::read_back(&|with| self.get(with), cursor, max)
    }

    fn open_lines(&self, selection: &Selection) -> Vec<OpenLine> {
        self.shared.gate.open_lines(selection)
    }

    fn extent(&self, selection: &Selection) -> Extent {
        catalog::extent(&|with| self.get(with), selection)
    }

    fn search(&self, search: &mut Search, keep: usize) -> Found {
        catalog::search(&|with| self.get(with), search, keep)
    }

    fn place(&self) -> Option<&Path> {
        Some(&self.run.path)
    }

    fn taken(&self) -> u64 {
        self.shared.queue.taken()
    }

    fn poll_kept(&self, context: &mut Context<'_>, until: u64) -> Poll<()> {
        self.shared.queue.poll_kept(context, &mut Some(until))
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }
}

impl TapSource for DiskStore {
    /// Of the lines before, those are seen that are on disk: a tap that is made before its
    /// run misses none.
    fn tap(&self, run: RunId, pattern: Regex) -> Tap {
        const BACK: usize = 256;
        let (tap, watcher) = self.shared.gate.taps.add(run, pattern);
        let mut cursor = self.cursor(Selection::Only(vec![run.instance]), Start::Now);
        loop {
            let page = self.read_back(&mut cursor, BACK);
            let mut own = (page.lines.iter()).filter(|line| line.origin.run == run);
            if own.any(|line| watcher.look(&Batch::of(&line.bytes, line.cut))) {
                self.shared.gate.taps.remove(&watcher);
                return tap;
            }
            let first = page.lines.first();
            let earlier = first.is_some_and(|line| line.origin.run.attempt < run.attempt);
            if page.is_empty() || earlier {
                return tap;
            }
        }
    }
}
