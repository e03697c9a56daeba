//! What waits for the disk, bounded in bytes.
//!
//! ```text
//!            ┌── below the mark: ready ──┐
//!  pump ─► room? ── above it: wait ──────┼─► writer thread ─► kept
//!            └── no progress for 1 s: ───┘
//!                ready; over the budget: counted as lost
//! ```

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;

use crate::domain::id::InstanceId;
use crate::logs::line::{Cut, Origin};
use crate::logs::shelf::Record;
use crate::logs::splitter::Batch;

/// How long a disk may make no progress before units are let go on without it.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// In bytes: what waits while the disk makes progress. More would only cost memory.
const MARK: usize = 2 << 20;

/// In bytes: what is worth a write.
const GATHERED: usize = 512 << 10;

/// What an item costs beside its text, in bytes.
const BESIDE: usize = size_of::<Item>() + 32;

/// Lines for the disk.
#[derive(Debug)]
pub struct Item {
    /// Where they stand among all; `offset` is for the writer to say. With `gap` they were
    /// dropped, and only counted.
    pub record: Record,
    pub text: Bytes,
}

#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    work: Condvar,
    /// In bytes.
    budget: usize,
    /// When the disk last took something, in milliseconds since `began`.
    progress: AtomicU64,
    began: Instant,
    /// Somebody waits for room: the watchdog looks.
    pub waited: tokio::sync::Notify,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    /// Of the items that wait or are being written.
    bytes: usize,
    seq: u64,
    ordinals: HashMap<InstanceId, u64>,
    latest: Timestamp,
    closed: bool,
    stalled: bool,
    /// The writer waits to be woken.
    idle: bool,
    /// All lines below are on the disk, or lost.
    kept: u64,
    room: Vec<Waker>,
    waiting: Vec<Waker>,
}

impl Queue {
    pub fn new(budget: usize) -> Self {
        Self {
            state: Mutex::default(),
            work: Condvar::new(),
            budget,
            progress: AtomicU64::new(0),
            began: Instant::now(),
            waited: tokio::sync::Notify::new(),
        }
    }

    /// Numbers the lines and puts them in; returns the next number. Does not wait:
    /// [`Queue::poll_room`] does.
    pub fn push(&self, origin: Origin, batch: &Batch) -> u64 {
        self.push_at(origin, batch, Timestamp::now)
    }

    /// The same, by another clock.
    pub fn push_at(&self, origin: Origin, batch: &Batch, clock: impl Fn() -> Timestamp) -> u64 {
        let mut state = self.lock();
        // Under the lock, so that a later line has no lower number.
        let time = clock();
        state.latest = state.latest.max(time);
        let lines = batch.len() as u64;
        let ordinal = state.ordinals.entry(origin.run.instance).or_insert(0);
        let mut record = Record {
            seq: 0,
            ordinal: *ordinal,
            lines: u32::try_from(lines).unwrap_or(u32::MAX),
            bytes: u32::try_from(batch.cost()).unwrap_or(u32::MAX),
            origin,
            time,
            latest: Timestamp::UNIX_EPOCH,
            last: batch.last(),
            gap: false,
            offset: 0,
        };
        *ordinal += lines;
        (record.seq, record.latest) = (state.seq, state.latest);
        state.seq += lines;
        let end = state.seq;
        let cost = batch.cost() + BESIDE;
        if state.stalled && state.bytes + cost > self.budget {
            state.lose(record);
            return end;
        }
        if state.items.is_empty() && state.bytes == 0 {
            self.progressed();
        }
        state.bytes += cost;
        state.items.push_back(Item {
            record,
            text: batch.text().clone(),
        });
        let idle = state.idle;
        drop(state);
        if idle {
            self.work.notify_one();
        }
        end
    }

    pub fn poll_room(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if state.bytes < MARK.min(self.budget / 2) || state.stalled {
            return Poll::Ready(());
        }
        state.room.push(context.waker().clone());
        drop(state);
        self.waited.notify_one();
        Poll::Pending
    }

    /// Ready once all lines below `until`, which is set by the first call, are kept or lost.
    pub fn poll_kept(&self, context: &Context<'_>, until: &mut Option<u64>) -> Poll<()> {
        let mut state = self.lock();
        let until = *until.get_or_insert(state.seq);
        if state.kept >= until || state.stalled || state.closed {
            return Poll::Ready(());
        }
        state.waiting.push(context.waker().clone());
        drop(state);
        self.waited.notify_one();
        Poll::Pending
    }

    /// How many lines there were, over all units.
    pub fn taken(&self) -> u64 {
        self.lock().seq
    }

    /// Lets the units go on when the disk has made no progress for too long. `true`: somebody
    /// still waits.
    pub fn watch(&self) -> bool {
        let mut state = self.lock();
        if state.room.is_empty() && state.waiting.is_empty() {
            return false;
        }
        if self.idle() >= PATIENCE {
            state.stalled = true;
            let wakers: Vec<Waker> = state.wakers();
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return false;
        }
        true
    }

    /// All that waits, when something does. `None`: the queue was closed and is empty.
    pub fn take(&self, into: &mut VecDeque<Item>) -> Option<()> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if state.closed {
                return None;
            }
            state.idle = true;
            let waited = self.work.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        std::mem::swap(&mut state.items, into);
        Some(())
    }

    /// Lets a little more come together: what comes in a stream is written in larger pieces, and
    /// what comes alone at once. Waits until `until` unless there is enough, or an end of it.
    pub fn gather(&self, until: Instant) {
        let mut state = self.lock();
        while state.bytes < GATHERED && !state.closed && state.waiting.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            drop(state);
            std::thread::sleep(left);
            state = self.lock();
        }
    }

    /// The items are dealt with: their memory is free.
    pub fn done(&self, bytes: usize, until: u64) {
        let mut state = self.lock();
        state.bytes = state.bytes.saturating_sub(bytes);
        state.kept = state.kept.max(until);
        state.stalled = false;
        let wakers = state.wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// No more comes.
    pub fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.waited.notify_one();
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The disk took something.
    pub fn progressed(&self) {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.progress.store(now, Ordering::Relaxed);
    }

    /// For how long the disk has taken nothing.
    pub fn idle(&self) -> Duration {
        let last = Duration::from_millis(self.progress.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wakers(&mut self) -> Vec<Waker> {
        let mut all = std::mem::take(&mut self.room);
        all.append(&mut self.waiting);
        all
    }

    /// Counts lines instead of keeping them.
    fn lose(&mut self, record: Record) {
        if let Some(last) = self.items.back_mut()
            && last.record.gap
            && last.record.origin.run.instance == record.origin.run.instance
        {
            last.record.lines = last.record.lines.saturating_add(record.lines);
            return;
        }
        self.bytes += BESIDE;
        self.items.push_back(Item {
            record: Record {
                gap: true,
                bytes: 0,
                last: Cut::Newline,
                ..record
            },
            text: Bytes::new(),
        });
    }
}

impl Item {
    /// What it costs, in bytes.
    pub fn cost(&self) -> usize {
        self.text.len() + BESIDE
    }
}
