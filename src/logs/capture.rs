//! One stream on its way into a store: masked, split, shown to taps.
//!
//! ```text
//!  chunk ─► mask secrets ─► split ─► redact ─► store
//!    └─► split, as long as a tap of the run waits ─► tap (unmasked)
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};

use super::line::{OpenLine, Origin};
use super::mask::{Masker, Masks};
use super::open::Open;
use super::splitter::{Batch, Splitter};
use super::tap::Taps;
use super::{Selection, StreamWriter};
use crate::domain::id::{InstanceId, UnitName};

/// What a store should know of an instance before its first line.
#[derive(Clone, Debug)]
pub struct UnitLog {
    pub name: UnitName,
    pub masks: Option<Arc<Masks>>,
    pub copy: Option<PlainCopy>,
}

/// A plain copy of what a unit writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainCopy {
    pub file: PathBuf,
    /// In bytes: a file that would be larger is rotated first.
    pub max_size: u64,
    /// Rotated files that are kept beside it: `file.1` is the latest.
    pub max_files: u32,
}

/// Where the lines of a stream go.
pub(super) trait Keep: Send + Sync {
    fn gate(&self) -> &Gate;

    /// Returns the number of the next line.
    fn keep(&self, origin: Origin, batch: Batch) -> u64;

    /// An open line has grown.
    fn grown(&self);

    fn poll_room(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    /// Once all lines below `until`, which the first call sets, can be read.
    fn poll_kept(&self, _: &mut Context<'_>, _: &mut Option<u64>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// What all streams of a store share.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub taps: Arc<Taps>,
    units: Mutex<HashMap<InstanceId, UnitLog>>,
    /// Places that were masked by what is no more in force.
    masked: AtomicU64,
    open: Mutex<Vec<Weak<Open>>>,
}

impl Gate {
    pub fn introduce(&self, instance: InstanceId, unit: UnitLog) {
        let before = lock(&self.units).insert(instance, unit);
        if let Some(masks) = before.and_then(|before| before.masks) {
            self.masked.fetch_add(masks.masked(), Ordering::Relaxed);
        }
    }

    /// How many places were masked so far.
    pub fn masked(&self) -> u64 {
        let units = lock(&self.units);
        let masks = units.values().filter_map(|unit| unit.masks.as_ref());
        let now: u64 = masks.map(|masks| masks.masked()).sum();
        now + self.masked.load(Ordering::Relaxed)
    }

    pub fn unit(&self, instance: InstanceId) -> Option<UnitLog> {
        lock(&self.units).get(&instance).cloned()
    }

    pub fn open_lines(&self, selection: &Selection) -> Vec<OpenLine> {
        let open: Vec<_> = lock(&self.open).iter().filter_map(Weak::upgrade).collect();
        (open.iter())
            .filter(|open| selection.has(open.origin.run.instance))
            .filter_map(|open| {
                let unit = self.unit(open.origin.run.instance);
                open.line(unit.and_then(|unit| unit.masks).as_deref())
            })
            .collect()
    }
}

/// One stream.
pub(super) struct Capture<K: Keep> {
    store: Arc<K>,
    open: Arc<Open>,
    masker: Option<Masker>,
    masks: Option<Arc<Masks>>,
    /// For taps, where they should see more than what is kept.
    unmasked: Option<Splitter>,
    closed: bool,
    /// The number of the line up to which its end waits.
    until: Option<u64>,
}

impl<K: Keep> Capture<K> {
    pub fn new(store: Arc<K>, origin: Origin) -> Self {
        let gate = store.gate();
        let unit = gate.unit(origin.run.instance);
        let masks = (unit.and_then(|unit| unit.masks)).filter(|masks| !masks.is_empty());
        let open = Arc::new(Open::new(origin));
        let mut all = lock(&gate.open);
        all.retain(|open| open.strong_count() > 0);
        all.push(Arc::downgrade(&open));
        drop(all);
        Self {
            unmasked: masks.as_ref().map(|_| Splitter::default()),
            masker: masks.clone().map(Masker::new),
            masks,
            open,
            store,
            closed: false,
            until: None,
        }
    }

    /// Returns the number of the next line.
    fn take(&self, batch: Batch) -> u64 {
        let origin = self.open.origin;
        let shown = self.unmasked.is_none().then(|| batch.clone());
        let batch = match &self.masks {
            Some(masks) => masks.redacted(batch),
            None => batch,
        };
        let end = self.store.keep(origin, batch);
        // Whoever learns that a unit is ready finds the line that says so.
        if let Some(shown) = shown {
            self.store.gate().taps.show(origin.run, &shown);
        }
        end
    }

    /// Lines that end here. An open line that grew is told where nothing else is.
    fn split(&self, bytes: &[u8]) {
        let mut batches = [None, None];
        let mut more = Vec::new();
        let grown = self.open.feed(bytes, &mut |batch| match batches
            .iter_mut()
            .find(|place| place.is_none())
        {
            Some(place) => *place = Some(batch),
            None => more.push(batch),
        });
        let mut end = None;
        for batch in batches.into_iter().flatten().chain(more) {
            end = Some(self.take(batch));
        }
        match end {
            Some(end) => self.open.ended(end),
            None if grown => self.store.grown(),
            None => {}
        }
    }

    fn show_unmasked(&mut self, chunk: &[u8]) {
        let run = self.open.origin.run;
        let taps = &self.store.gate().taps;
        if let Some(splitter) = &mut self.unmasked
            && taps.waits(run)
        {
            splitter.feed(chunk, &mut |batch| taps.show(run, &batch));
        }
    }
}

impl<K: Keep> StreamWriter for Capture<K> {
    fn write(&mut self, chunk: &[u8]) {
        match self.masker.take() {
            None => self.split(chunk),
            Some(mut masker) => {
                masker.feed(chunk, &mut |bytes| {
                    if !bytes.is_empty() {
                        self.split(bytes);
                    }
                });
                self.masker = Some(masker);
            }
        }
        self.show_unmasked(chunk);
    }

    fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if let Some(mut masker) = self.masker.take() {
            masker.finish(&mut |bytes| self.split(bytes));
        }
        let run = self.open.origin.run;
        if let Some(last) = self.unmasked.as_mut().and_then(Splitter::finish) {
            self.store.gate().taps.show(run, &last);
        }
        if let Some(last) = self.open.finish() {
            self.take(last);
        }
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.store.poll_room(context)
    }

    fn poll_kept(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.store.poll_kept(context, &mut self.until)
    }
}

impl<K: Keep> Drop for Capture<K> {
    fn drop(&mut self) {
        self.close();
    }
}

/// What a thread that panicked has left is whole: nothing here is left half done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
