//! A search through all that is kept of a log, on disk and in memory, step by step.
//!
//! ```text
//!  up:   from where one looks to the oldest line; the first match there is the one to go to
//!  down: from there on, and on while lines come, so that the count of an open search stays true
//!  seek: the next match from a place on, where it is not among those that are kept
//! ```
//!
//! A step takes milliseconds; between steps the keys are answered.

use std::collections::VecDeque;

use crate::logs::{self, Cursor, Direction, Found, LogLine, LogSource, Selection, Start};

/// What is searched.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: logs::Pattern,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// A text in any case, or as it stands if it holds a capital; a regular expression where
    /// the text can be read as one and holds more than words.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let any_case = !text.chars().any(char::is_uppercase);
        let matcher = logs::Pattern::regex(text, any_case)
            .or_else(|_| logs::Pattern::literal(text, any_case))
            // Case counts then: an expression of that length is none.
            .or_else(|_| logs::Pattern::literal(text, false))
            .unwrap_or_default();
        Self {
            text: text.to_owned(),
            matcher,
        }
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it matches in a text that is shown.
    #[must_use]
    pub fn places(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        /// More than fit on a screen.
        const MOST: usize = 256;
        (self.matcher.find_iter(text.as_bytes()))
            .map(|(start, end)| start..end)
            .filter(|range| !range.is_empty())
            .take(MOST)
            .collect()
    }
}

/// A search to begin.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub generation: u64,
    pub selection: Selection,
    pub pattern: Pattern,
    /// Lines before this number are not searched.
    pub from: u64,
    /// It goes up from this line, and down from the one after it.
    pub anchor: u64,
}

/// The next match is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seek {
    pub generation: u64,
    /// Downwards from the line of that number on, or upwards from the one before it.
    pub from: u64,
    pub down: bool,
}

/// How far it is.
#[derive(Clone, Debug)]
pub struct ScanReport {
    pub generation: u64,
    pub step: Step,
    /// It has come to the oldest line.
    pub is_up_done: bool,
    /// It has caught up with the end of the log, too.
    pub is_done: bool,
    /// Of 100, how much of what was there has been looked at.
    pub percent: u8,
}

/// What one step gave.
#[derive(Clone, Debug)]
pub enum Step {
    /// Matching lines, the latest first, and how many there were.
    Up(Vec<LogLine>, u64),
    /// Matching lines in their order.
    Down(Vec<LogLine>),
    /// A seek has come to its end.
    Sought(Seek, Option<u64>),
    /// A seek goes on.
    Seeking,
}

/// A search under way.
#[derive(Debug)]
pub struct Scan {
    request: ScanRequest,
    up: Option<logs::Search>,
    down: logs::Search,
    is_done: bool,
    seek: Option<(Seek, logs::Search)>,
    /// Of the lines that were given on the way up, in bytes.
    given: usize,
    /// Bytes that there were at the beginning.
    total: u64,
}

impl Scan {
    #[must_use]
    pub fn new(source: &dyn LogSource, request: ScanRequest) -> Self {
        let next = request.anchor.saturating_add(1).max(request.from);
        let cursor = cursor(source, &request.selection, next);
        let search = |direction| {
            let pattern = request.pattern.matcher.clone();
            logs::Search::new(pattern, direction, cursor.clone())
        };
        Self {
            up: Some(search(Direction::Backward)),
            down: search(Direction::Forward),
            is_done: false,
            seek: None,
            given: 0,
            total: source.extent(&request.selection).bytes,
            request,
        }
    }

    /// Looks for the next match from a place on, before it goes on with all else.
    pub fn seek(&mut self, source: &dyn LogSource, seek: Seek) {
        if seek.generation != self.request.generation {
            return;
        }
        let direction = match seek.down {
            true => Direction::Forward,
            false => Direction::Backward,
        };
        let from = seek.from.max(self.request.from);
        let cursor = cursor(source, &self.request.selection, from);
        let pattern = self.request.pattern.matcher.clone();
        self.seek = Some((seek, logs::Search::new(pattern, direction, cursor)));
    }

    /// Goes on a little.
    pub fn step(&mut self, source: &dyn LogSource) -> ScanReport {
        let step = self.any(source);
        let looked = self.down.scanned + self.up.as_ref().map_or(0, |up| up.scanned);
        let percent = (looked.saturating_mul(100)).checked_div(self.total);
        ScanReport {
            generation: self.request.generation,
            step,
            is_up_done: self.up.is_none(),
            is_done: self.is_done && self.up.is_none() && self.seek.is_none(),
            percent: u8::try_from(percent.unwrap_or(0).min(99)).unwrap_or(99),
        }
    }

    fn any(&mut self, source: &dyn LogSource) -> Step {
        let from = self.request.from;
        if let Some((seek, search)) = &mut self.seek {
            let seek = *seek;
            let found = source.search(search, 1);
            let hit = found.hits.first().map(|hit| hit.line.seq);
            if hit.is_none() && !found.done {
                return Step::Seeking;
            }
            self.seek = None;
            return Step::Sought(seek, hit.filter(|seq| *seq >= from));
        }
        if let Some(up) = &mut self.up {
            // Once enough is kept the others are only counted, unless some do not count.
            let keep = if self.given < Hits::MOST_BYTES || from > 0 {
                usize::MAX
            } else {
                0
            };
            let Found {
                hits,
                matched,
                done,
            } = source.search(up, keep);
            let all = hits.len() as u64;
            let lines: Vec<LogLine> = (hits.into_iter())
                .map(|hit| hit.line)
                .filter(|line| line.seq >= from)
                .map(|line| own(&line))
                .collect();
            let below = all - lines.len() as u64;
            self.given += lines.iter().map(cost).sum::<usize>();
            if done || below > 0 {
                self.down.scanned += up.scanned;
                self.up = None;
            }
            return Step::Up(lines, matched - below);
        }
        let found = source.search(&mut self.down, usize::MAX);
        self.is_done = found.done;
        Step::Down(found.hits.into_iter().map(|hit| own(&hit.line)).collect())
    }
}

fn cursor(source: &dyn LogSource, selection: &Selection, next: u64) -> Cursor {
    source.cursor(selection.clone(), Start::Seq(next))
}

/// A copy of its own: a line that is kept must not keep its whole block.
fn own(line: &LogLine) -> LogLine {
    LogLine {
        bytes: bytes::Bytes::copy_from_slice(&line.bytes),
        ..*line
    }
}

/// The memory that a line takes, in bytes.
fn cost(line: &LogLine) -> usize {
    line.bytes.len() + size_of::<LogLine>()
}

/// Matches that are kept: those of one stretch of the log.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    pub lines: VecDeque<LogLine>,
    bytes: usize,
    /// How many stand above them that are not kept.
    pub above: u64,
}

impl Hits {
    /// Bytes of lines. A test need not find as many to see what is done without them.
    const MOST_BYTES: usize = if cfg!(test) { 2 << 10 } else { 32 << 20 };

    /// All of them, kept or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.above + self.lines.len() as u64
    }

    /// The index of the first one from that number on.
    #[must_use]
    pub fn index(&self, seq: u64) -> usize {
        self.lines.partition_point(|line| line.seq < seq)
    }

    /// Takes in what stands above them, the latest first; `matched` says how many there are.
    pub fn add_above(&mut self, lines: Vec<LogLine>, matched: u64) {
        let mut left = matched;
        for line in lines {
            if self.above > 0 || self.bytes >= Self::MOST_BYTES {
                break;
            }
            self.bytes += cost(&line);
            self.lines.push_front(line);
            left -= 1;
        }
        self.above += left;
    }

    /// Takes in what stands below them.
    pub fn add_below(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            self.bytes += cost(&line);
            self.lines.push_back(line);
        }
        while self.bytes > Self::MOST_BYTES {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= cost(&line);
            self.above += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_as_one_expects() {
        let is_match = |pattern: &str, line: &str| !Pattern::new(pattern).places(line).is_empty();
        assert!(is_match("error", "An ERROR here"));
        assert!(!is_match("Error", "An ERROR here"));
        assert!(is_match("a.*z", "xabcz"));
        assert!(is_match("[api]", "i"));
        // No expression, so a text.
        assert!(is_match("foo(", "call foo(1)"));
        assert!(is_match("Foo(", "call Foo(1)"));
        assert_eq!(Pattern::new("a").places("banana"), [1..2, 3..4, 5..6]);
    }
}
