//! Lines in memory, within one budget for all units.
//!
//! ```text
//!  append: one lock per chunk ─► ring of its instance ─► over budget? evict the oldest block
//!                                                         of the instance that uses most
//!  read:   cursor (next line per instance) ─► blocks in global order ─► lines, outside the lock
//! ```
//!
//! A reader holds no lock while it makes its lines and a writer never waits for one.

use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use regex::bytes::Regex;
use tokio::sync::watch;

use super::cursor::{Cursor, Start};
use super::line::{Gap, LogLine, Origin, Page};
use super::ring::{Block, Ring};
use super::splitter::{Batch, Splitter};
use super::tap::{Tap, TapSource, Taps};
use super::{LogSink, LogSource, Selection, StreamWriter};
use crate::domain::id::{InstanceId, RunId};

/// A store in memory. Cheap to clone: clones share the lines.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What units write may be long, and secret.
        f.debug_struct("MemoryStore")
            .field("lines", &*self.shared.head.borrow())
            .field("budget", &self.shared.budget)
            .finish()
    }
}

struct Shared {
    state: Mutex<State>,
    taps: Arc<Taps>,
    head: watch::Sender<u64>,
    /// Bytes.
    budget: usize,
}

#[derive(Debug, Default)]
struct State {
    rings: BTreeMap<InstanceId, Ring>,
    /// Lines ever appended.
    seq: u64,
    /// Bytes that all rings take.
    cost: usize,
}

impl MemoryStore {
    /// In bytes.
    pub const DEFAULT_BUDGET: usize = 64 << 20;

    /// A store that keeps its lines and all that belongs to them within `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                taps: Arc::default(),
                head: watch::Sender::new(0),
                budget,
            }),
        }
    }

    /// Takes a line as another store gave it, under its number and time there. For a store
    /// that has no writers of its own.
    pub fn copy(&self, line: &LogLine) {
        let mut state = self.shared.lock();
        state.seq = state.seq.max(line.seq);
        let batch = Batch::of(line.bytes.clone(), line.cut);
        self.shared.keep(state, line.origin, line.time, batch);
    }

    /// Takes note of lines that another store has lost: a reader here misses them as well,
    /// and with them what it has not read of that instance.
    pub fn copy_gap(&self, gap: Gap) {
        let mut state = self.shared.lock();
        let ring = state.rings.entry(gap.instance).or_default();
        let freed = ring.skip(gap.lines);
        state.cost -= freed;
    }

    /// Gives up the lines of an instance that is no more.
    pub fn forget(&self, instance: InstanceId) {
        let mut state = self.shared.lock();
        if let Some(ring) = state.rings.remove(&instance) {
            state.cost -= ring.cost();
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUDGET)
    }
}

impl Shared {
    fn append(&self, origin: Origin, batch: Batch) {
        if batch.is_empty() {
            return;
        }
        self.taps.show(origin.run, &batch);
        let state = self.lock();
        // Under the lock, so that a later line has no earlier time.
        self.keep(state, origin, Timestamp::now(), batch);
    }

    fn keep(
        &self,
        mut state: MutexGuard<'_, State>,
        origin: Origin,
        time: Timestamp,
        batch: Batch,
    ) {
        let seq = state.seq;
        state.seq += batch.len() as u64;
        let ring = state.rings.entry(origin.run.instance).or_default();
        let block = Block {
            seq,
            ordinal: ring.appended(),
            origin,
            time,
            batch,
        };
        let cost = block.cost();
        ring.push(Arc::new(block));
        state.cost += cost;
        while state.cost > self.budget {
            // Whoever writes much loses its own lines, not those of the others.
            let Some(most) = state.rings.values_mut().max_by_key(|ring| ring.cost()) else {
                break;
            };
            let freed = most.evict();
            if freed == 0 {
                break;
            }
            state.cost -= freed;
        }
        let head = state.seq;
        drop(state);
        // Two writers may come here in the other order than above.
        self.head.send_if_modified(|seen| {
            let newer = head > *seen;
            *seen = head.max(*seen);
            newer
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn selected<'a>(
        &'a self,
        selection: &'a Selection,
    ) -> Box<dyn Iterator<Item = (InstanceId, &'a Ring)> + 'a> {
        match selection {
            Selection::All => Box::new(self.rings.iter().map(|(id, ring)| (*id, ring))),
            Selection::Only(ids) => {
                Box::new((ids.iter()).filter_map(|id| Some((*id, self.rings.get(id)?))))
            }
        }
    }

    /// The last `lines` lines of the selection: per instance the number of the first of them.
    fn last(&self, selection: &Selection, lines: usize) -> BTreeMap<InstanceId, u64> {
        let mut next: BTreeMap<_, _> = (self.selected(selection))
            .map(|(id, ring)| (id, ring.appended()))
            .collect();
        let mut left = lines as u64;
        let newest = self
            .selected(selection)
            .map(|(_, ring)| ring.blocks().rev());
        for block in merged(newest, |block| block.seq) {
            if left == 0 {
                break;
            }
            let taken = block.len().min(left);
            next.insert(
                block.origin.run.instance,
                block.ordinal + block.len() - taken,
            );
            left -= taken;
        }
        next
    }
}

/// The blocks of several rings in one order: at each step the one of the greatest `rank`.
fn merged<'a, I: Iterator<Item = &'a Arc<Block>>>(
    sources: impl IntoIterator<Item = I>,
    rank: impl Fn(&Block) -> u64,
) -> impl Iterator<Item = &'a Arc<Block>> {
    let mut sources: Vec<_> = sources.into_iter().map(Iterator::peekable).collect();
    let mut heads: BinaryHeap<(u64, usize)> = (sources.iter_mut().enumerate())
        .filter_map(|(index, blocks)| Some((rank(blocks.peek()?), index)))
        .collect();
    std::iter::from_fn(move || {
        let (_, index) = heads.pop()?;
        let source = sources.get_mut(index)?;
        let block = source.next();
        if let Some(next) = source.peek() {
            heads.push((rank(next), index));
        }
        block
    })
}

impl LogSource for MemoryStore {
    fn cursor(&self, selection: Selection, start: Start) -> Cursor {
        let state = self.shared.lock();
        let next = match start {
            Start::Last(lines) => state.last(&selection, lines),
            Start::Oldest => (state.selected(&selection))
                .map(|(id, ring)| (id, ring.first()))
                .collect(),
            Start::Now => (state.selected(&selection))
                .map(|(id, ring)| (id, ring.appended()))
                .collect(),
        };
        drop(state);
        Cursor { selection, next }
    }

    fn read(&self, cursor: &mut Cursor, max: usize) -> Page {
        let mut page = Page::default();
        let mut blocks = Vec::new();
        {
            let state = self.shared.lock();
            let mut sources = Vec::new();
            for (instance, ring) in state.selected(&cursor.selection) {
                let next = cursor.next.entry(instance).or_insert(0);
                if ring.first() > *next {
                    let lines = ring.first() - *next;
                    page.gaps.push(Gap { instance, lines });
                    *next = ring.first();
                }
                sources.push(ring.from(*next));
            }
            let mut left = max as u64;
            for block in merged(sources, |block| u64::MAX - block.seq) {
                if left == 0 {
                    break;
                }
                let next = cursor.next.get(&block.origin.run.instance);
                let skip = next.map_or(0, |next| next.saturating_sub(block.ordinal));
                left = left.saturating_sub(block.len() - skip);
                blocks.push(Arc::clone(block));
            }
        }
        for block in blocks {
            let next = cursor.next.entry(block.origin.run.instance).or_insert(0);
            let skip = next.saturating_sub(block.ordinal);
            for line in block.lines(skip).take(max - page.lines.len()) {
                page.lines.push(line);
                *next += 1;
            }
        }
        page
    }

    fn tail(&self, instance: InstanceId, lines: usize) -> Vec<LogLine> {
        let selection = Selection::Only(vec![instance]);
        let mut cursor = self.cursor(selection, Start::Last(lines));
        self.read(&mut cursor, lines).lines
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }
}

impl TapSource for MemoryStore {
    fn tap(&self, run: RunId, pattern: Regex) -> Tap {
        // First it looks on, then back: a line in between is seen twice, not never.
        let (tap, watcher) = self.shared.taps.add(run, pattern);
        let kept: Vec<_> = {
            let state = self.shared.lock();
            (state.rings.get(&run.instance).into_iter())
                .flat_map(Ring::blocks)
                .filter(|block| block.origin.run == run)
                .cloned()
                .collect()
        };
        if kept.iter().any(|block| watcher.look(&block.batch)) {
            self.shared.taps.remove(&watcher);
        }
        tap
    }
}

impl LogSink for MemoryStore {
    fn open(&self, origin: Origin) -> Box<dyn StreamWriter> {
        Box::new(Writer {
            shared: Arc::clone(&self.shared),
            origin,
            splitter: Splitter::default(),
        })
    }
}

struct Writer {
    shared: Arc<Shared>,
    origin: Origin,
    splitter: Splitter,
}

impl StreamWriter for Writer {
    fn write(&mut self, chunk: &[u8]) {
        let batch = self.splitter.feed(chunk);
        self.shared.append(self.origin, batch);
    }

    fn close(&mut self) {
        let batch = self.splitter.finish();
        self.shared.append(self.origin, batch);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
