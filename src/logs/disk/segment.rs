//! One segment: text, and the index beside it.
//!
//! `000001.log` is what the unit wrote, line by line, for any tool to read; `000001.idx` says
//! which bytes came when, from which stream of which attempt.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::record::{self, Head, SIZE, SIZE_U64};
use crate::domain::id::InstanceId;
use crate::logs::shelf::{Record, Shelf};

/// A segment as readers see it. The writer adds to it what it has written.
#[derive(Debug)]
pub struct Segment {
    pub text: File,
    pub index: File,
    pub path: PathBuf,
    pub head: Head,
    /// Records that readers may look at.
    records: AtomicU64,
    /// Bytes of text and index.
    pub size: AtomicU64,
}

/// The text of the segment whose index that is, and the other way round.
fn text_path(index: &Path) -> PathBuf {
    index.with_extension("log")
}

impl Segment {
    /// A new one with this number in `folder`.
    pub fn create(folder: &Path, number: u64, head: Head) -> io::Result<Self> {
        let path = folder.join(format!("{number:06}.idx"));
        let create = |path: &Path| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
        };
        let text = create(&text_path(&path))?;
        let made = create(&path).and_then(|index| {
            index.write_all_at(&head.write(), 0)?;
            Ok(index)
        });
        let index = made.inspect_err(|_| {
            // Without its index it is nothing; another attempt takes the same number.
            let _ = std::fs::remove_file(text_path(&path));
            let _ = std::fs::remove_file(&path);
        })?;
        Ok(Self {
            text,
            index,
            path,
            head,
            records: AtomicU64::new(0),
            size: AtomicU64::new(SIZE_U64),
        })
    }

    /// One that is there, with all whole records of its index. `None`: it is no index.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let index = File::open(path)?;
        let mut bytes = [0; SIZE];
        match index.read_exact_at(&mut bytes, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let Some(head) = Head::read(&bytes) else {
            return Ok(None);
        };
        let segment = Self {
            text: File::open(text_path(path))?,
            index,
            path: path.to_owned(),
            head,
            records: AtomicU64::new(0),
            size: AtomicU64::new(0),
        };
        segment.refresh()?;
        Ok(Some(segment))
    }

    /// Looks how much has been added by another process.
    pub fn refresh(&self) -> io::Result<()> {
        let index = self.index.metadata()?.len();
        let records = (index / SIZE_U64).saturating_sub(1);
        self.records.store(records, Ordering::Release);
        let size = index + self.text.metadata()?.len();
        self.size.store(size, Ordering::Relaxed);
        Ok(())
    }

    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Acquire)
    }

    /// Lets readers see that many records and no more.
    pub fn publish(&self, records: u64) {
        self.records.store(records, Ordering::Release);
    }

    /// Somebody has deleted it behind our back.
    pub fn is_deleted(&self) -> bool {
        let gone = |file: &File| file.metadata().is_ok_and(|meta| meta.nlink() == 0);
        gone(&self.text) || gone(&self.index)
    }

    pub fn delete(&self) {
        let _ = std::fs::remove_file(&self.path);
        let _ = std::fs::remove_file(text_path(&self.path));
    }

    /// The record of that number.
    pub fn record(&self, number: u64) -> Option<Record> {
        self.read_record(number, &mut Window::default())
    }

    fn read_record(&self, number: u64, window: &mut Window) -> Option<Record> {
        let at = (number + 1) * SIZE_U64;
        let bytes = window.get(&self.index, at, SIZE, SIZE * 64)?;
        record::read(bytes.as_ref().try_into().ok()?, self.head.instance)
    }
}

/// What was read last from a file, for what stands beside it.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    bytes: Bytes,
}

impl Window {
    /// `len` bytes at `at`; when they have to be read, about `ahead` bytes around them are.
    fn get(&mut self, file: &File, at: u64, len: usize, ahead: usize) -> Option<Bytes> {
        if let Some(bytes) = self.part(at, len) {
            return Some(bytes);
        }
        // Those who go back want what stands before, the others what stands behind.
        let back = at < self.start;
        let want = ahead.max(len);
        self.start = if back {
            (at + len as u64).saturating_sub(want as u64)
        } else {
            at
        };
        let mut bytes = Vec::with_capacity(want);
        while bytes.len() < want {
            let at = self.start + bytes.len() as u64;
            match rustix::io::pread(file, rustix::buffer::spare_capacity(&mut bytes), at) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
        // More may have been had: the capacity is what the allocator gave.
        bytes.truncate(want);
        self.bytes = bytes.into();
        self.part(at, len)
    }

    fn part(&self, at: u64, len: usize) -> Option<Bytes> {
        let from = usize::try_from(at.checked_sub(self.start)?).ok()?;
        let end = from.checked_add(len)?;
        (end <= self.bytes.len()).then(|| self.bytes.slice(from..end))
    }
}

/// The segments of one instance, as one reader sees them.
#[derive(Debug)]
pub(in crate::logs) struct UnitShelf {
    instance: InstanceId,
    /// Each with the records that were there when the reader looked.
    segments: Vec<(Arc<Segment>, u64)>,
    end: u64,
    /// Of which segment, and what was read of its index.
    index: RefCell<(u64, Window)>,
    text: RefCell<(u64, Window)>,
}

/// Read of a text for one record, in bytes: what stands beside it is wanted next.
const TEXT_AHEAD: usize = 64 << 10;

impl UnitShelf {
    pub fn new(instance: InstanceId, segments: Vec<(Arc<Segment>, u64)>, end: u64) -> Self {
        Self {
            instance,
            segments,
            end,
            index: RefCell::default(),
            text: RefCell::default(),
        }
    }

    fn segment(&self, place: u64) -> Option<(&Arc<Segment>, u64)> {
        let after = self
            .segments
            .partition_point(|(segment, _)| segment.head.base <= place);
        let (segment, records) = self.segments.get(after.checked_sub(1)?)?;
        let number = place - segment.head.base;
        (number < *records).then_some((segment, number))
    }
}

fn window(cell: &mut (u64, Window), base: u64) -> &mut Window {
    if cell.0 != base {
        *cell = (base, Window::default());
    }
    &mut cell.1
}

impl Shelf for UnitShelf {
    const JOINS: bool = true;

    fn instance(&self) -> InstanceId {
        self.instance
    }

    fn places(&self) -> Range<u64> {
        let first = self.segments.first().map_or(0, |(s, _)| s.head.base);
        let last = self.segments.last();
        first..last.map_or(first, |(segment, records)| segment.head.base + records)
    }

    fn end(&self) -> u64 {
        self.end
    }

    fn record(&self, place: u64) -> Option<Record> {
        let (segment, number) = self.segment(place)?;
        let mut index = self.index.borrow_mut();
        segment.read_record(number, window(&mut index, segment.head.base))
    }

    fn load(&self, place: u64, first: &Record, last: &Record) -> Option<Bytes> {
        let (segment, _) = self.segment(place)?;
        let end = last.offset + u64::from(last.bytes);
        let len = usize::try_from(end.checked_sub(first.offset)?).ok()?;
        if len == 0 {
            return Some(Bytes::new());
        }
        let mut text = self.text.borrow_mut();
        let window = window(&mut text, segment.head.base);
        let bytes = window.get(&segment.text, first.offset, len, TEXT_AHEAD)?;
        // A hole that somebody left by truncating ends with no newline.
        (bytes.last() == Some(&b'\n')).then_some(bytes)
    }

    fn joined(&self, place: u64) -> bool {
        let base = |place| self.segment(place).map(|(segment, _)| segment.head.base);
        base(place).is_some() && base(place) == base(place + 1)
    }

    fn readable(&self, place: u64) -> Option<(u64, Record)> {
        let end = self.places().end;
        let mut place = place.max(self.places().start);
        while place < end {
            if let Some(record) = self.record(place) {
                return Some((place, record));
            }
            // A hole between two segments is passed at once.
            let next = (self.segments.iter())
                .map(|(segment, _)| segment.head.base)
                .find(|base| *base > place);
            place = match self.segment(place) {
                Some(_) => place + 1,
                None => next.unwrap_or(end),
            };
        }
        None
    }

    fn readable_before(&self, place: u64) -> Option<(u64, Record)> {
        let start = self.places().start;
        let mut place = place;
        while place > start {
            place -= 1;
            if let Some(record) = self.record(place) {
                return Some((place, record));
            }
            if self.segment(place).is_none() {
                let before = self
                    .segments
                    .iter()
                    .rfind(|(segment, _)| segment.head.base <= place);
                place = before.map_or(start, |(s, records)| {
                    place.min(s.head.base + records.max(&0))
                });
            }
        }
        None
    }
}
