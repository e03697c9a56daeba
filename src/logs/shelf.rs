//! How blocks of lines are found and read, wherever they are kept.
//!
//! A shelf is what is kept of one instance: records in the order in which they came, each of
//! one chunk of lines, or of lines that were lost. Lines of several shelves are merged by
//! their number over all units.

use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use bytes::Bytes;
use jiff::Timestamp;

use super::cursor::Start;
use super::line::{Cut, Extent, Gap, LogLine, Origin, Page};
use super::splitter::Batch;
use crate::domain::id::InstanceId;

/// What is known of a chunk of lines without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Of its first line over all instances; the others follow without a hole.
    pub seq: u64,
    /// Of its first line among those of its instance.
    pub ordinal: u64,
    pub lines: u32,
    /// Of its text.
    pub bytes: u32,
    pub origin: Origin,
    pub time: Timestamp,
    /// The latest time of this and all records before it: what a search by time goes by,
    /// should the clock be set back.
    pub latest: Timestamp,
    /// How its last line ended.
    pub last: Cut,
    /// Its lines are lost: there is no text.
    pub gap: bool,
    /// Where its text begins in its file.
    pub offset: u64,
}

impl Record {
    pub fn end(&self) -> u64 {
        self.ordinal + u64::from(self.lines)
    }
}

/// The records of one instance, by place: places follow each other without a hole.
pub(super) trait Shelf {
    /// The text of records that follow each other can be had at once.
    const JOINS: bool;

    fn instance(&self) -> InstanceId;

    fn places(&self) -> Range<u64>;

    /// The number of the next line that comes.
    fn end(&self) -> u64;

    /// `None`: it cannot be read.
    fn record(&self, place: u64) -> Option<Record>;

    /// The text of the records from `first`, which is at `place`, to `last`, which follows it
    /// in the same file. `None`: it is not as it was written.
    fn load(&self, place: u64, first: &Record, last: &Record) -> Option<Bytes>;

    /// Whether the texts at `place` and the next one can be had at once.
    fn joined(&self, place: u64) -> bool;

    /// The first readable record at `place` or after it.
    fn readable(&self, place: u64) -> Option<(u64, Record)> {
        (place..self.places().end).find_map(|place| Some((place, self.record(place)?)))
    }

    /// The last readable record before `place`.
    fn readable_before(&self, place: u64) -> Option<(u64, Record)> {
        (self.places().start..place)
            .rev()
            .find_map(|place| Some((place, self.record(place)?)))
    }

    /// The place of the first record for which `reached` holds; it holds for all later ones.
    fn seek(&self, reached: impl Fn(&Record) -> bool) -> u64 {
        let Range { mut start, mut end } = self.places();
        while start < end {
            let middle = start + (end - start) / 2;
            match self.readable(middle) {
                Some((place, record)) if !reached(&record) => start = place + 1,
                _ => end = middle,
            }
        }
        start
    }

    /// Of the first line that is kept.
    fn first(&self) -> u64 {
        self.readable(self.places().start)
            .map_or(self.end(), |(_, record)| record.ordinal)
    }
}

/// Lines of one record that a reader wants.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Which shelf.
    shelf: usize,
    place: u64,
    record: Record,
    skip: u64,
    take: u64,
}

/// The places of a cursor on these shelves.
pub(super) fn start<S: Shelf>(shelves: &[S], start: Start) -> BTreeMap<InstanceId, u64> {
    let at = |shelf: &S, place: u64, line: &dyn Fn(&Record) -> u64| {
        let found = shelf.readable(place);
        found.map_or(shelf.end(), |(_, record)| line(&record))
    };
    let next = |shelf: &S| match start {
        Start::Oldest => shelf.first(),
        Start::Now | Start::Last(_) => shelf.end(),
        Start::Time(time) => at(
            shelf,
            shelf.seek(|record| record.latest >= time),
            &|record| record.ordinal,
        ),
        Start::Seq(seq) => {
            let place = shelf.seek(|record| record.seq + u64::from(record.lines) > seq);
            at(shelf, place, &|record| {
                record.ordinal + seq.saturating_sub(record.seq)
            })
        }
        Start::Line(line) => line.clamp(shelf.first(), shelf.end()),
    };
    let mut places = shelves
        .iter()
        .map(|shelf| (shelf.instance(), next(shelf)))
        .collect();
    if let Start::Last(lines) = start {
        let mut left = lines as u64;
        let mut walk = Backward::new(shelves, &places);
        while left > 0
            && let Some((shelf, _, record)) = walk.next()
        {
            if record.gap {
                continue;
            }
            let taken = u64::from(record.lines).min(left);
            left -= taken;
            places.insert(shelves[shelf].instance(), record.end() - taken);
        }
    }
    places
}

/// Records of several shelves, the one of the lowest number first.
struct Forward<'a, S> {
    shelves: &'a [S],
    heads: BinaryHeap<std::cmp::Reverse<(u64, usize, u64)>>,
    /// Of each shelf the record that is next.
    records: Vec<Option<Record>>,
}

impl<'a, S: Shelf> Forward<'a, S> {
    fn new(shelves: &'a [S], next: &BTreeMap<InstanceId, u64>) -> Self {
        let mut forward = Self {
            shelves,
            heads: BinaryHeap::new(),
            records: vec![None; shelves.len()],
        };
        for (index, shelf) in shelves.iter().enumerate() {
            let next = next.get(&shelf.instance()).copied().unwrap_or(0);
            if next < shelf.end() {
                forward.push(index, shelf.seek(|record| record.end() > next));
            }
        }
        forward
    }

    fn push(&mut self, index: usize, place: u64) {
        if let Some((place, record)) = self.shelves[index].readable(place) {
            self.heads
                .push(std::cmp::Reverse((record.seq, index, place)));
            self.records[index] = Some(record);
        }
    }

    fn next(&mut self) -> Option<(usize, u64, Record)> {
        let std::cmp::Reverse((_, index, place)) = self.heads.pop()?;
        let record = self.records[index].take()?;
        self.push(index, place + 1);
        Some((index, place, record))
    }
}

/// Records of several shelves, the one of the highest number first.
struct Backward<'a, S> {
    shelves: &'a [S],
    heads: BinaryHeap<(u64, usize, u64)>,
}

impl<'a, S: Shelf> Backward<'a, S> {
    fn new(shelves: &'a [S], next: &BTreeMap<InstanceId, u64>) -> Self {
        let mut backward = Self {
            shelves,
            heads: BinaryHeap::new(),
        };
        for (index, shelf) in shelves.iter().enumerate() {
            let next = next.get(&shelf.instance()).copied().unwrap_or(0);
            backward.push(index, shelf.seek(|record| record.ordinal >= next));
        }
        backward
    }

    /// What stands before `place`.
    fn push(&mut self, index: usize, place: u64) {
        if let Some((place, record)) = self.shelves[index].readable_before(place) {
            self.heads.push((record.seq, index, place));
        }
    }

    fn next(&mut self) -> Option<(usize, u64, Record)> {
        let (_, index, place) = self.heads.pop()?;
        let record = self.shelves[index].record(place)?;
        self.push(index, place);
        Some((index, place, record))
    }
}

fn missed(page: &mut Page, instance: InstanceId, lines: u64) {
    match page.gaps.iter_mut().find(|gap| gap.instance == instance) {
        Some(gap) => gap.lines += lines,
        None => page.gaps.push(Gap { instance, lines }),
    }
}

/// Up to `max` lines from `next` on, which it moves; what was missed stands before them.
pub(super) fn read<S: Shelf>(
    shelves: &[S],
    next: &mut BTreeMap<InstanceId, u64>,
    max: usize,
) -> Page {
    let mut page = Page::default();
    let mut left = max as u64;
    let mut walk = Forward::new(shelves, next);
    while left > 0
        && let Some((shelf, place, record)) = walk.next()
    {
        let instance = shelves[shelf].instance();
        let at = next.entry(instance).or_insert(0);
        let hole = record.ordinal.saturating_sub(*at);
        if (hole > 0 || record.gap) && !page.lines.is_empty() {
            // What is missed is told before what follows it: in the next page.
            break;
        }
        if hole > 0 {
            missed(&mut page, instance, hole);
            *at = record.ordinal;
        }
        let skip = at.saturating_sub(record.ordinal);
        let rest = u64::from(record.lines) - skip;
        if record.gap {
            missed(&mut page, instance, rest);
            *at = record.end();
            continue;
        }
        let piece = Piece {
            shelf,
            place,
            record,
            skip,
            take: rest.min(left),
        };
        match lines_of(shelves, &piece, &mut page.lines) {
            true => {
                left -= piece.take;
                *at += piece.take;
            }
            false if page.lines.is_empty() => {
                missed(&mut page, instance, rest);
                *at = record.end();
            }
            false => break,
        }
        if piece.take < rest {
            break;
        }
    }
    if page.lines.is_empty() && left > 0 {
        // Nothing stands behind what is missing at the end.
        for shelf in shelves {
            let at = next.entry(shelf.instance()).or_insert(0);
            let hole = shelf.end().saturating_sub(*at);
            if hole > 0 && shelf.seek(|record| record.end() > *at) == shelf.places().end {
                missed(&mut page, shelf.instance(), hole);
                *at = shelf.end();
            }
        }
    }
    page
}

/// Up to `max` lines before `next`, which it moves back; in the order in which they came.
pub(super) fn read_back<S: Shelf>(
    shelves: &[S],
    next: &mut BTreeMap<InstanceId, u64>,
    max: usize,
) -> Page {
    let mut page = Page::default();
    let mut left = max as u64;
    let mut pieces: Vec<Vec<LogLine>> = Vec::new();
    let mut walk = Backward::new(shelves, next);
    while left > 0
        && let Some((shelf, place, record)) = walk.next()
    {
        let instance = shelves[shelf].instance();
        let at = next.entry(instance).or_insert(0);
        let hole = at.saturating_sub(record.end());
        if (hole > 0 || record.gap) && !pieces.is_empty() {
            break;
        }
        if hole > 0 {
            missed(&mut page, instance, hole);
            *at = record.end();
        }
        let rest = *at - record.ordinal;
        if record.gap {
            missed(&mut page, instance, rest);
            *at = record.ordinal;
            continue;
        }
        let take = rest.min(left);
        let piece = Piece {
            shelf,
            place,
            record,
            skip: rest - take,
            take,
        };
        let mut lines = Vec::new();
        match lines_of(shelves, &piece, &mut lines) {
            true => {
                left -= take;
                *at -= take;
                pieces.push(lines);
            }
            false if pieces.is_empty() => {
                missed(&mut page, instance, rest);
                *at = record.ordinal;
            }
            false => break,
        }
    }
    page.lines = pieces.into_iter().rev().flatten().collect();
    page
}

/// `false`: its text is not there any more, or not as it was.
fn lines_of<S: Shelf>(shelves: &[S], piece: &Piece, out: &mut Vec<LogLine>) -> bool {
    let Piece { record, .. } = piece;
    let Some(text) = shelves[piece.shelf].load(piece.place, record, record) else {
        return false;
    };
    let batch = Batch::kept(text, record.last);
    if batch.len() != record.lines as usize {
        return false;
    }
    let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    out.extend(
        (batch.shared_from(index(piece.skip)))
            .take(index(piece.take))
            .map(|(at, bytes, cut)| line_at(record, at as u64, bytes, cut)),
    );
    true
}

pub(super) fn line_at(record: &Record, index: u64, bytes: Bytes, cut: Cut) -> LogLine {
    LogLine {
        seq: record.seq + index,
        origin: record.origin,
        time: record.time,
        bytes,
        cut,
    }
}

/// Records that a search looks at in one step.
pub(super) struct Looked {
    pub shelf: usize,
    pub place: u64,
    pub record: Record,
    /// Those of its lines that count, by index.
    pub lines: Range<u64>,
}

/// The next records from `next` on, or before it, until their text is `limit` bytes. Moves
/// `next` past them.
pub(super) fn stretch<S: Shelf>(
    shelves: &[S],
    next: &mut BTreeMap<InstanceId, u64>,
    backward: bool,
    limit: u64,
) -> Vec<Looked> {
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut ahead = (!backward).then(|| Forward::new(shelves, next));
    let mut behind = backward.then(|| Backward::new(shelves, next));
    while bytes < limit {
        let step = match (&mut ahead, &mut behind) {
            (Some(walk), _) => walk.next(),
            (None, Some(walk)) => walk.next(),
            (None, None) => None,
        };
        let Some((shelf, place, record)) = step else {
            break;
        };
        let at = next.entry(shelves[shelf].instance()).or_insert(0);
        let lines = if backward {
            let until = (*at).min(record.end());
            *at = record.ordinal;
            0..until.saturating_sub(record.ordinal)
        } else {
            let skip = at.saturating_sub(record.ordinal);
            *at = record.end();
            skip..u64::from(record.lines)
        };
        // A record itself takes time, too.
        bytes += u64::from(record.bytes) + 64;
        found.push(Looked {
            shelf,
            place,
            record,
            lines,
        });
    }
    found
}

/// What is kept on these shelves. `bytes` is what their text takes.
pub(super) fn extent<S: Shelf>(shelves: &[S], bytes: u64, end: u64) -> Extent {
    let mut extent = Extent {
        end,
        bytes,
        ..Extent::default()
    };
    for shelf in shelves {
        let first = shelf.first();
        extent.lines += shelf.end() - first;
        extent.missed += first;
        let oldest = shelf.readable(shelf.places().start);
        let newest = shelf.readable_before(shelf.places().end);
        if let (Some((_, oldest)), Some((_, newest))) = (oldest, newest) {
            let (from, to) = extent.times.unwrap_or((oldest.time, newest.latest));
            extent.times = Some((from.min(oldest.time), to.max(newest.latest)));
        }
    }
    extent
}
