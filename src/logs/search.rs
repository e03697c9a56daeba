//! Search over all that is kept, step by step.
//!
//! A step looks at a few megabytes, which takes about a millisecond, and says what it found
//! and how far it is. Whoever searches takes one step after the other, for as long as the
//! answer is still wanted: to cancel is to take no more.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;

use super::cursor::Cursor;
use super::line::{Cut, LogLine, Origin, Stream};
use super::pattern::Pattern;
use super::shelf::{self, Looked, Record, Shelf};
use super::splitter::line_end;
use crate::domain::id::{Attempt, InstanceId};

/// In bytes: what one step looks at.
const STEP: u64 = 4 << 20;

/// In bytes: what is looked at in one piece.
const SPAN: u64 = 256 << 10;

/// Which lines count, by what is known of them without their text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub stream: Option<Stream>,
    pub attempt: Option<Attempt>,
    pub since: Option<Timestamp>,
    /// The first time that is too late.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether lines from there at that time count.
    #[must_use]
    pub fn admits(&self, origin: Origin, time: Timestamp) -> bool {
        self.stream.is_none_or(|stream| stream == origin.stream)
            && (self.attempt).is_none_or(|attempt| attempt == origin.run.attempt)
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From the cursor on.
    #[default]
    Forward,
    /// From before the cursor to the oldest line.
    Backward,
}

/// A search and how far it is.
#[derive(Clone, Debug)]
pub struct Search {
    pub pattern: Pattern,
    pub filter: Filter,
    pub direction: Direction,
    /// Where it goes on.
    pub cursor: Cursor,
    /// Lines found so far.
    pub matched: u64,
    /// Bytes of text looked at so far.
    pub scanned: u64,
}

impl Search {
    /// A search for `pattern` from there on.
    #[must_use]
    pub fn new(pattern: Pattern, direction: Direction, cursor: Cursor) -> Self {
        Self {
            pattern,
            filter: Filter::default(),
            direction,
            cursor,
            matched: 0,
            scanned: 0,
        }
    }
}

/// A line that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub line: LogLine,
    /// Its number within its instance, from 0.
    pub number: u64,
}

/// What one step found.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Found {
    /// In the order of the search, as many as were asked for.
    pub hits: Vec<Hit>,
    /// How many there were, given or not.
    pub matched: u64,
    /// There is nothing left to look at, until more lines come.
    pub done: bool,
}

/// One step on these shelves.
pub(super) fn step<S: Shelf>(
    shelves: &[S],
    next: &mut BTreeMap<InstanceId, u64>,
    search: &mut Search,
    keep: usize,
) -> Found {
    let backward = search.direction == Direction::Backward;
    let looked = shelf::stretch(shelves, next, backward, STEP);
    let mut found = Found {
        done: looked.is_empty(),
        ..Found::default()
    };
    let mut rest = &looked[..];
    while !rest.is_empty() {
        let (span, more) = rest.split_at(span_of(shelves, rest, backward));
        rest = more;
        // Times in a span need not be in order: the clock may have been set.
        let admitted = |looked: &Looked| {
            let record = &looked.record;
            !record.gap && search.filter.admits(record.origin, record.time)
        };
        if !span.iter().any(admitted) {
            continue;
        }
        search.scanned += span
            .iter()
            .map(|looked| u64::from(looked.record.bytes))
            .sum::<u64>();
        let before = found.hits.len();
        if look(shelves, span, backward, search, keep, &mut found).is_none() {
            // Something in there is not as it was written: what is left of it, piece by piece.
            found.hits.truncate(before);
            for one in span.chunks(1) {
                let _ = look(shelves, one, backward, search, keep, &mut found);
            }
        }
    }
    search.matched += found.matched;
    found
}

/// How many of the first records can be looked at in one piece.
fn span_of<S: Shelf>(shelves: &[S], looked: &[Looked], backward: bool) -> usize {
    let whole = |one: &Looked| one.lines == (0..u64::from(one.record.lines)) && !one.record.gap;
    if !S::JOINS || !whole(&looked[0]) {
        return 1;
    }
    let mut bytes = u64::from(looked[0].record.bytes);
    let mut count = 1;
    for pair in looked.windows(2) {
        let [one, next] = pair else { break };
        let (lower, upper) = if backward { (next, one) } else { (one, next) };
        bytes += u64::from(next.record.bytes);
        let alike = lower.shelf == upper.shelf
            && lower.place + 1 == upper.place
            && whole(next)
            && lower.record.origin == upper.record.origin
            && bytes <= SPAN
            && shelves[lower.shelf].joined(lower.place);
        if !alike {
            break;
        }
        count += 1;
    }
    count
}

/// Looks at records whose texts follow each other. `None`: the text is not as it was written.
fn look<S: Shelf>(
    shelves: &[S],
    span: &[Looked],
    backward: bool,
    search: &Search,
    keep: usize,
    found: &mut Found,
) -> Option<()> {
    let (first, last) = match backward {
        true => (span.last()?, span.first()?),
        false => (span.first()?, span.last()?),
    };
    let text = shelves[first.shelf].load(first.place, &first.record, &last.record)?;
    // Times of one piece may differ: where they matter, each line is asked.
    let by_time = search.filter.since.is_some() || search.filter.until.is_some();
    let partial = first.lines != (0..u64::from(first.record.lines));
    let room = keep.saturating_sub(found.hits.len());
    if !by_time && !partial && room == 0 {
        let mut count = 0;
        search.pattern.lines(&text, |_, _| count += 1);
        found.matched += count;
        return Some(());
    }
    let mut places: Vec<(usize, usize)> = Vec::new();
    search
        .pattern
        .lines(&text, |start, newline| places.push((start, newline)));
    if places.is_empty() {
        return Some(());
    }
    let newlines = memchr::memchr_iter(b'\n', &text).count();
    let lines: u64 = (span.iter())
        .map(|looked| u64::from(looked.record.lines))
        .sum();
    if newlines as u64 != lines {
        return None;
    }
    let mut records: Vec<&Looked> = span.iter().collect();
    if backward {
        records.reverse();
    }
    let mut hits = Vec::new();
    let (mut counted, mut index) = (0, 0u64);
    let (mut at, mut base) = (0, 0u64);
    for (start, newline) in places {
        index += memchr::memchr_iter(b'\n', &text[counted..start]).count() as u64;
        counted = start;
        while index - base >= u64::from(records.get(at)?.record.lines) {
            base += u64::from(records[at].record.lines);
            at += 1;
        }
        let looked = records[at];
        let within = index - base;
        if looked.lines.contains(&within)
            && search
                .filter
                .admits(looked.record.origin, looked.record.time)
        {
            hits.push(hit(&looked.record, within, &text, start, newline));
        }
    }
    found.matched += hits.len() as u64;
    if backward {
        hits.reverse();
    }
    hits.truncate(room);
    found.hits.extend(hits);
    Some(())
}

fn hit(record: &Record, index: u64, text: &Bytes, start: usize, newline: usize) -> Hit {
    let cut = if index + 1 == u64::from(record.lines) {
        record.last
    } else {
        Cut::Newline
    };
    let bytes = text.slice(start..line_end(text, start, newline, cut));
    Hit {
        line: shelf::line_at(record, index, bytes, cut),
        number: record.ordinal + index,
    }
}
