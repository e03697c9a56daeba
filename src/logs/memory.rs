//! Lines in memory, within one budget for all units.
//!
//! ```text
//!  append: one lock per chunk ─► ring of its instance ─► over budget? evict the oldest block
//!                                                         of the instance that uses most
//!  read:   cursor (next line per instance) ─► blocks in global order ─► lines, outside the lock
//! ```
//!
//! A reader holds no lock while it makes its lines and a writer never waits for one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::Timestamp;
use regex::bytes::Regex;
use tokio::sync::watch;

use super::capture::{Capture, Gate, Keep, UnitLog, lock};
use super::cursor::{Cursor, Start};
use super::line::{Extent, Gap, LogLine, OpenLine, Origin, Page};
use super::pump::Pumps;
use super::ring::{Block, Ring};
use super::search::{self, Direction, Found, Search};
use super::shelf::{self, Record};
use super::splitter::Batch;
use super::tap::{Tap, TapSource};
use super::{LogSink, LogSource, Selection, StreamWriter};
use crate::domain::id::{InstanceId, RunId};

/// In bytes: what a search takes of each instance in one step.
const STEP: usize = 4 << 20;

/// A store in memory. Cheap to clone: clones share the lines.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    pumps: Option<Arc<Pumps>>,
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
    gate: Gate,
    state: Mutex<State>,
    head: watch::Sender<u64>,
    /// Bytes.
    budget: usize,
    /// Of the store that this is a copy of.
    copied_open: Mutex<Vec<OpenLine>>,
}

#[derive(Debug, Default)]
struct State {
    rings: BTreeMap<InstanceId, Ring>,
    /// Lines ever appended.
    seq: u64,
    /// Bytes that all rings take.
    cost: usize,
    /// Of all lines so far.
    latest: Timestamp,
}

impl MemoryStore {
    /// In bytes.
    pub const DEFAULT_BUDGET: usize = 64 << 20;

    /// A store that keeps its lines and all that belongs to them within `budget` bytes.
    #[must_use]
    pub fn new(budget: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                gate: Gate::default(),
                state: Mutex::default(),
                head: watch::Sender::new(0),
                budget,
                copied_open: Mutex::default(),
            }),
            pumps: None,
        }
    }

    /// The same with a thread for the pumps.
    #[must_use]
    pub fn with_pumps(mut self, pumps: Arc<Pumps>) -> Self {
        self.pumps = Some(pumps);
        self
    }

    /// Takes a line as another store gave it, under its number and time there. For a store
    /// that has no writers of its own.
    pub fn copy(&self, line: &LogLine) {
        let mut state = lock(&self.shared.state);
        state.seq = state.seq.max(line.seq);
        let batch = Batch::of(&line.bytes, line.cut);
        self.shared.append(state, line.origin, line.time, &batch);
    }

    /// Takes note of lines that another store has lost: a reader here misses them as well,
    /// and with them what it has not read of that instance.
    pub fn copy_gap(&self, gap: Gap) {
        let mut state = lock(&self.shared.state);
        let ring = state.ring(gap.instance);
        let freed = ring.skip(gap.lines);
        state.cost -= freed;
    }

    /// Takes the open lines of another store, in the place of those before.
    pub fn copy_open(&self, open: Vec<OpenLine>) {
        *lock(&self.shared.copied_open) = open;
        self.shared.head.send_modify(|_| ());
    }

    /// Gives up the lines of an instance that is no more.
    pub fn forget(&self, instance: InstanceId) {
        let mut state = lock(&self.shared.state);
        if let Some(ring) = state.rings.remove(&instance) {
            state.cost -= ring.cost();
        }
    }

    fn views<'a>(
        state: &State,
        selection: &'a Selection,
        next: &'a BTreeMap<InstanceId, u64>,
        view: impl Fn(&Ring, u64) -> super::ring::View,
    ) -> Vec<super::ring::View> {
        let at = |id: &InstanceId| next.get(id).copied().unwrap_or(0);
        (state.selected(selection))
            .map(|(id, ring)| view(ring, at(&id)))
            .collect()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Self::DEFAULT_BUDGET)
    }
}

impl Keep for Shared {
    fn gate(&self) -> &Gate {
        &self.gate
    }

    fn keep(&self, origin: Origin, batch: Batch) -> u64 {
        let state = lock(&self.state);
        if batch.is_empty() {
            return state.seq;
        }
        // Under the lock, so that a later line has no earlier time.
        self.append(state, origin, Timestamp::now(), &batch)
    }

    fn grown(&self) {
        self.head.send_modify(|_| ());
    }
}

impl Shared {
    fn append(
        &self,
        mut state: MutexGuard<'_, State>,
        origin: Origin,
        time: Timestamp,
        batch: &Batch,
    ) -> u64 {
        let seq = state.seq;
        state.seq += batch.len() as u64;
        state.latest = state.latest.max(time);
        let latest = state.latest;
        let ring = state.ring(origin.run.instance);
        let block = Block {
            record: Record {
                seq,
                ordinal: ring.appended(),
                lines: u32::try_from(batch.len()).unwrap_or(u32::MAX),
                bytes: u32::try_from(batch.cost()).unwrap_or(u32::MAX),
                origin,
                time,
                latest,
                last: batch.last(),
                gap: false,
                offset: 0,
            },
            text: batch.text().clone(),
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
        head
    }
}

impl State {
    fn ring(&mut self, instance: InstanceId) -> &mut Ring {
        let ring = self.rings.entry(instance);
        ring.or_insert_with(|| Ring::new(instance))
    }

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
}

impl LogSource for MemoryStore {
    fn cursor(&self, selection: Selection, start: Start) -> Cursor {
        let state = lock(&self.shared.state);
        let rings: Vec<&Ring> = state.selected(&selection).map(|(_, ring)| ring).collect();
        let next = shelf::start(&rings, start);
        drop(state);
        Cursor { selection, next }
    }

    fn read(&self, cursor: &mut Cursor, max: usize) -> Page {
        let Cursor { selection, next } = cursor;
        let state = lock(&self.shared.state);
        let mut gaps = Vec::new();
        for (instance, ring) in state.selected(selection) {
            // What was skipped at the end is missed, though nothing stands behind it.
            let at = next.entry(instance).or_insert(0);
            let first = shelf::Shelf::first(&ring);
            if first > *at {
                gaps.push(Gap {
                    instance,
                    lines: first - *at,
                });
                *at = first;
            }
        }
        let views = Self::views(&state, selection, next, |ring, at| {
            ring.view(at, max as u64, usize::MAX)
        });
        drop(state);
        let mut page = shelf::read(&views, next, max);
        gaps.append(&mut page.gaps);
        page.gaps = gaps;
        page
    }

    fn read_back(&self, cursor: &mut Cursor, max: usize) -> Page {
        let Cursor { selection, next } = cursor;
        let state = lock(&self.shared.state);
        let views = Self::views(&state, selection, next, |ring, at| {
            ring.view_back(at, max as u64, usize::MAX)
        });
        drop(state);
        shelf::read_back(&views, next, max)
    }

    fn open_lines(&self, selection: &Selection) -> Vec<OpenLine> {
        let mut open = self.shared.gate.open_lines(selection);
        open.extend(selection.of_open(&lock(&self.shared.copied_open)));
        open
    }

    fn extent(&self, selection: &Selection) -> Extent {
        let state = lock(&self.shared.state);
        let rings: Vec<&Ring> = state.selected(selection).map(|(_, ring)| ring).collect();
        let bytes = rings.iter().map(|ring| ring.cost() as u64).sum();
        shelf::extent(&rings, bytes, state.seq)
    }

    fn search(&self, search: &mut Search, keep: usize) -> Found {
        let Cursor {
            selection,
            mut next,
        } = search.cursor.clone();
        let state = lock(&self.shared.state);
        let views = Self::views(&state, &selection, &next, |ring, at| {
            match search.direction {
                Direction::Forward => ring.view(at, u64::MAX, STEP),
                Direction::Backward => ring.view_back(at, u64::MAX, STEP),
            }
        });
        drop(state);
        let found = search::step(&views, &mut next, search, keep);
        search.cursor.next = next;
        found
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }
}

impl TapSource for MemoryStore {
    fn tap(&self, run: RunId, pattern: Regex) -> Tap {
        // First it looks on, then back: a line in between is seen twice, not never.
        let (tap, watcher) = self.shared.gate.taps.add(run, pattern);
        let kept: Vec<_> = {
            let state = lock(&self.shared.state);
            (state.rings.get(&run.instance).into_iter())
                .flat_map(Ring::blocks)
                .filter(|block| block.record.origin.run == run)
                .cloned()
                .collect()
        };
        let mut kept = kept
            .iter()
            .map(|block| Batch::kept(block.text.clone(), block.record.last));
        if kept.any(|batch| watcher.look(&batch)) {
            self.shared.gate.taps.remove(&watcher);
        }
        tap
    }
}

impl LogSink for MemoryStore {
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
        self.pumps.as_ref().map(|pumps| pumps.handle())
    }
}

#[cfg(test)]
#[path = "memory_tests.rs"]
mod tests;
