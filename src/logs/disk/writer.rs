//! The thread that writes: from the queue to the segments.
//!
//! It writes the records of a batch, then its text, then lets readers see them; so readers
//! see every line at most once and none that is not there. What cannot be written for a
//! second is given up: the numbers of the lines tell how many are missing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::catalog::{Catalog, UnitFiles};
use super::copy::Copies;
use super::queue::{Item, PATIENCE, Queue};
use super::record::{self, Head, SIZE_U64};
use super::runs::Runs;
use super::segment::Segment;
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::capture::{Gate, lock};

/// Texts below are written together, in bytes.
const SMALL: usize = 32 << 10;

/// How much is written together, in bytes.
const TOGETHER: usize = 256 << 10;

/// How long a write that failed waits for the next attempt.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// What the writer and the readers share.
#[derive(Debug)]
pub struct Shared {
    pub gate: Gate,
    pub queue: Queue,
    pub catalog: Mutex<Catalog>,
    pub head: watch::Sender<u64>,
    /// What went wrong, to be told at the end.
    pub troubles: Mutex<Vec<String>>,
}

pub struct Writer {
    pub shared: Arc<Shared>,
    pub folder: PathBuf,
    /// The number of the last line that others may read, for readers in other processes.
    pub head: File,
    /// Bytes on disk for all runs together.
    pub budget: u64,
    /// Bytes that the disk had to give when the run began.
    pub free: u64,
    pub runs: Runs,
    pub copies: Copies,
    pub files: HashMap<InstanceId, UnitWriter>,
    /// The last write failed: none is waited for until one succeeds.
    pub broken: bool,
}

/// The segment that is written to.
#[derive(Debug)]
pub struct UnitWriter {
    folder: PathBuf,
    segment: Option<Arc<Segment>>,
    /// The number of the next segment.
    number: u64,
    /// Records in all segments so far.
    places: u64,
    /// Where the next text begins.
    offset: u64,
    /// Behind the last record that was written.
    written: u64,
    checked: std::time::Instant,
}

impl Writer {
    pub fn run(mut self) {
        let mut items = VecDeque::new();
        while self.shared.queue.take(&mut items).is_some() {
            self.batch(&mut items);
        }
        self.end();
    }

    fn batch(&mut self, items: &mut VecDeque<Item>) {
        let cost = items.iter().map(Item::cost).sum();
        let last = items
            .iter()
            .map(|item| item.record.seq + u64::from(item.record.lines));
        let until = last.max().unwrap_or(0);
        let mut by_unit: BTreeMap<InstanceId, Vec<Item>> = BTreeMap::new();
        for item in items.drain(..) {
            let unit = by_unit.entry(item.record.origin.run.instance).or_default();
            unit.push(item);
        }
        let mut published = Vec::new();
        for (instance, items) in by_unit {
            let end = items.last().map_or(0, |item| item.record.end());
            let unit = self.shared.gate.unit(instance);
            if let Some(copy) = unit.as_ref().and_then(|unit| unit.copy.as_ref()) {
                for item in &items {
                    self.copies.write(copy, &item.text);
                }
            }
            let name = unit.map_or_else(
                || UnitName::new(format!("unit-{}", instance.0)),
                |unit| unit.name,
            );
            self.unit(instance, &name, items);
            published.push((instance, name, end));
        }
        self.publish(published, until);
        self.make_room(false);
        self.shared.queue.done(cost, until);
    }

    fn publish(&mut self, units: Vec<(InstanceId, UnitName, u64)>, head: u64) {
        let mut catalog = lock(&self.shared.catalog);
        for (instance, name, end) in units {
            let unit = catalog.units.entry(instance).or_insert_with(|| UnitFiles {
                name,
                segments: Vec::new(),
                end: 0,
            });
            unit.end = end;
            if let Some(files) = self.files.get(&instance) {
                // Earlier segments were completed by the writes that left them.
                if let Some(segment) = &files.segment {
                    segment.publish(files.places - segment.head.base);
                }
            }
        }
        catalog.head = head;
        drop(catalog);
        let _ = self.head.write_at(&head.to_le_bytes(), 0);
        self.shared.head.send_replace(head);
    }

    /// Writes what one instance has written; what cannot be is left out.
    fn unit(&mut self, instance: InstanceId, name: &UnitName, items: Vec<Item>) {
        let mut records: Vec<u8> = Vec::new();
        let mut texts: Vec<Item> = Vec::new();
        let (mut size, mut offset) = (0, 0);
        for mut item in items {
            if item.record.gap {
                continue;
            }
            if size > TOGETHER {
                self.store(instance, &records, &texts);
                (size, records, texts) = (0, Vec::new(), Vec::new());
            }
            if texts.is_empty() {
                match self.place(instance, name) {
                    Some(place) => offset = place,
                    None => continue,
                }
            }
            item.record.offset = offset + size as u64;
            size += item.text.len();
            records.extend_from_slice(&record::write(&item.record));
            texts.push(item);
        }
        self.store(instance, &records, &texts);
    }

    /// Where the next text of an instance goes: into a new segment when it is time for one.
    fn place(&mut self, instance: InstanceId, name: &UnitName) -> Option<u64> {
        let limit = self.segment_size();
        let folder = self.folder.clone();
        let shared = Arc::clone(&self.shared);
        let files = self.files.entry(instance).or_insert_with(|| {
            let taken = lock(&shared.catalog)
                .units
                .iter()
                .any(|(id, unit)| *id != instance && unit.name == *name);
            // A name may come again after a reload, under another number.
            let name = match taken {
                true => format!("{name}~{}", instance.0),
                false => name.to_string(),
            };
            UnitWriter {
                folder: folder.join(name),
                segment: None,
                number: 1,
                places: 0,
                offset: 0,
                written: 0,
                checked: std::time::Instant::now(),
            }
        });
        if let Some(segment) = &files.segment {
            let due = files.checked.elapsed() >= PATIENCE;
            if due {
                files.checked = std::time::Instant::now();
            }
            if files.offset < limit && !(due && segment.is_deleted()) {
                return Some(files.offset);
            }
            segment.publish(files.places - segment.head.base);
            files.segment = None;
        }
        let (folder, number) = (files.folder.clone(), files.number);
        let head = Head {
            instance,
            base: files.places,
        };
        let made = self.insist(|| {
            make_folder(&folder)?;
            Segment::create(&folder, number, head)
        });
        let Ok(segment) = made else {
            return None;
        };
        let segment = Arc::new(segment);
        let files = self.files.get_mut(&instance)?;
        (files.segment, files.number, files.offset) = (Some(Arc::clone(&segment)), number + 1, 0);
        let mut catalog = lock(&self.shared.catalog);
        let unit = catalog.units.entry(instance).or_insert_with(|| UnitFiles {
            name: name.clone(),
            segments: Vec::new(),
            end: 0,
        });
        unit.segments.push(segment);
        Some(0)
    }

    /// Writes records and then their texts, all to the same segment.
    fn store(&mut self, instance: InstanceId, records: &[u8], items: &[Item]) {
        let Some(files) = self.files.get(&instance) else {
            return;
        };
        let (Some(segment), false) = (files.segment.clone(), items.is_empty()) else {
            return;
        };
        let (places, offset) = (files.places, files.offset);
        let at = SIZE_U64 * (places - segment.head.base + 1);
        let written = self
            .put(&segment.index, records, at)
            .and_then(|()| self.texts(&segment, offset, items));
        match written {
            Ok(len) => {
                let Some(files) = self.files.get_mut(&instance) else {
                    return;
                };
                files.places += items.len() as u64;
                files.offset += len;
                files.written = items.last().map_or(0, |item| item.record.end());
                let size = SIZE_U64 * (files.places - segment.head.base + 1) + files.offset;
                segment.size.store(size, Ordering::Relaxed);
            }
            Err(_) => {
                // As if it had never begun: the next lines take this place.
                let _ = segment.index.set_len(at);
                let _ = segment.text.set_len(offset);
            }
        }
    }

    fn texts(&mut self, segment: &Segment, offset: u64, items: &[Item]) -> io::Result<u64> {
        let mut at = offset;
        let mut small: Vec<u8> = Vec::new();
        for item in items {
            if item.text.len() >= SMALL {
                self.put(&segment.text, &small, at)?;
                at += small.len() as u64;
                small.clear();
                self.put(&segment.text, &item.text, at)?;
                at += item.text.len() as u64;
            } else {
                small.extend_from_slice(&item.text);
            }
        }
        self.put(&segment.text, &small, at)?;
        Ok(at + small.len() as u64 - offset)
    }

    /// Writes all of it, waiting for a disk that makes progress.
    fn put(&mut self, file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = self.insist(|| match file.write_at(bytes, at)? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                written => Ok(written),
            })?;
            self.shared.queue.progressed();
            bytes = &bytes[written..];
            at += written as u64;
        }
        Ok(())
    }

    /// Tries until it succeeds, or has not for a second.
    fn insist<T>(&mut self, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match attempt() {
                Ok(done) => {
                    self.broken = false;
                    return Ok(done);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let full = error.kind() == io::ErrorKind::StorageFull;
                    if full && self.make_room(true) {
                        continue;
                    }
                    if self.broken || self.shared.queue.idle() >= PATIENCE {
                        if !std::mem::replace(&mut self.broken, true) {
                            self.trouble(format!(
                                "lines were lost: cannot write in {}: {error}",
                                self.folder.display()
                            ));
                        }
                        return Err(error);
                    }
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn trouble(&self, text: String) {
        let mut troubles = lock(&self.shared.troubles);
        if !troubles.contains(&text) {
            troubles.push(text);
        }
    }

    /// In bytes: so that what is evicted at once is a small part of the budget, or of the disk
    /// where that is smaller.
    fn segment_size(&self) -> u64 {
        (self.budget.min(self.free) / 32).clamp(16 << 10, 64 << 20)
    }

    /// Deletes what is oldest until the budget is kept, or once if the disk is full. `true`:
    /// something was deleted.
    fn make_room(&mut self, full: bool) -> bool {
        let mut deleted = false;
        loop {
            let own = lock(&self.shared.catalog).size(&crate::logs::Selection::All);
            let over = own + self.runs.size() > self.budget;
            if !over && (!full || deleted) {
                return deleted;
            }
            if self.runs.delete_oldest() {
                deleted = true;
                continue;
            }
            if !self.evict(over) {
                return deleted;
            }
            deleted = true;
        }
    }

    /// Deletes the oldest segment of the instance that has most; with `current` also one that
    /// is written to.
    fn evict(&mut self, current: bool) -> bool {
        let mut catalog = lock(&self.shared.catalog);
        let size = |unit: &UnitFiles| -> u64 {
            let segments = unit.segments.iter();
            segments.map(|one| one.size.load(Ordering::Relaxed)).sum()
        };
        let least = if current { 1 } else { 2 };
        let most = (catalog.units.iter_mut())
            .filter(|(_, unit)| unit.segments.len() >= least)
            .max_by_key(|(_, unit)| size(unit));
        let Some((instance, unit)) = most else {
            return false;
        };
        let oldest = unit.segments.remove(0);
        oldest.delete();
        if unit.segments.is_empty()
            && let Some(files) = self.files.get_mut(instance)
        {
            files.segment = None;
        }
        true
    }

    /// Tells readers to come of what is missing at the end of a log.
    fn end(&mut self) {
        let ends: Vec<(InstanceId, u64)> = {
            let catalog = lock(&self.shared.catalog);
            let units = catalog.units.iter();
            units.map(|(id, unit)| (*id, unit.end)).collect()
        };
        for (instance, end) in ends {
            let Some(files) = self.files.get(&instance) else {
                continue;
            };
            let (Some(segment), true) = (&files.segment, files.written < end) else {
                continue;
            };
            say_lost(segment, instance, files, end, *self.shared.head.borrow());
        }
        let troubles = self.copies.troubles();
        lock(&self.shared.troubles).extend(troubles);
    }
}

/// Writes down that the last lines of an instance are lost. Where there is no room for it, it
/// takes the place of the last lines that are not.
fn say_lost(segment: &Segment, instance: InstanceId, files: &UnitWriter, end: u64, head: u64) {
    let mut from = files.written;
    let mut number = files.places - segment.head.base;
    loop {
        let gap = super::gap(instance, from, end, head);
        let at = SIZE_U64 * (number + 1);
        if segment.index.write_all_at(&record::write(&gap), at).is_ok() {
            // What stood behind it is part of it.
            let _ = segment.index.set_len(at + SIZE_U64);
            return;
        }
        let Some(before) = number.checked_sub(1).and_then(|last| segment.record(last)) else {
            return;
        };
        (from, number) = (before.ordinal, number - 1);
    }
}

fn make_folder(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}
