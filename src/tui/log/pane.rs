//! Where a pane looks in the log. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::fetch::{Fetched, Request, Want};
use super::rows::{Shape, row_count};
use super::scan::{Hits, ScanRequest, Seek};
use crate::logs::{LogLine, Selection};

#[path = "finding.rs"]
mod finding;

pub use finding::Search;

/// Whose lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    #[default]
    Chosen,
    Marked,
    All,
}

/// Which times stand before the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    #[default]
    Off,
    /// Of the day.
    Absolute,
    /// Ago.
    Relative,
}

/// Which part of the log is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Position {
    /// The end, whatever comes.
    #[default]
    Follow,
    /// From this row of the first line of that number or above on.
    At { top: u64, row: usize },
}

/// A line in view, and which of its rows.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub line: &'a LogLine,
    pub first_row: usize,
    pub rows: usize,
}

#[derive(Clone, Debug, Default)]
pub struct LogPane {
    pub scope: Scope,
    pub selection: Selection,
    pub position: Position,
    /// The line that keys act on, while it does not follow.
    pub cursor: Option<u64>,
    pub marked: BTreeSet<u64>,
    pub wrap: bool,
    pub pan: usize,
    pub times: Times,
    pub pretty: bool,
    pub only_matches: bool,
    pub search: Option<Search>,
    /// Older lines are hidden.
    pub cleared: u64,
    lines: Arc<[LogLine]>,
    /// What is open behind them.
    open: Vec<LogLine>,
    at_start: bool,
    at_end: bool,
    generation: u64,
    /// Lines were written since the last answer.
    grew: bool,
    /// The oldest line is to be at the top.
    to_start: bool,
    /// A line that is to come into the middle.
    centre: Option<u64>,
    /// The last request, not to be repeated before something has changed.
    asked: Option<Request>,
    asked_scan: bool,
    /// A match that is to be looked for.
    seek: Option<Seek>,
}

/// What is missing to show a pane.
#[derive(Debug, Default)]
pub struct Wanted {
    pub lines: Option<Request>,
    pub scan: Option<ScanRequest>,
    pub seek: Option<Seek>,
}

/// Lines kept around what is shown, at least.
const MARGIN: usize = 200;

impl LogPane {
    #[must_use]
    pub fn following() -> Self {
        Self {
            wrap: true,
            grew: true,
            ..Self::default()
        }
    }

    /// The same, whose requests are told from those of panes with another number.
    #[must_use]
    pub fn apart(self, number: u64) -> Self {
        Self {
            generation: number << 32,
            ..self
        }
    }

    /// Looks at other units; the search goes with it.
    pub fn select(&mut self, selection: Selection) {
        if selection == self.selection {
            return;
        }
        self.selection = selection;
        self.renew();
        self.position = Position::Follow;
        self.cursor = None;
        self.marked.clear();
        (self.lines, self.open) = (Arc::default(), Vec::new());
        (self.at_start, self.at_end) = (false, false);
        if let Some(search) = &mut self.search {
            search.renew(u64::MAX);
            self.asked_scan = false;
        }
    }

    fn renew(&mut self) {
        self.generation += 1;
        (self.grew, self.asked, self.centre) = (true, None, None);
    }

    pub fn grew(&mut self) {
        self.grew = true;
        self.asked = None;
    }

    /// Hides what is there so far, or shows it again.
    pub fn clear(&mut self) {
        self.cleared = match (self.cleared, self.newest()) {
            (0, Some(newest)) => newest + 1,
            _ => 0,
        };
        self.renew();
        self.position = Position::Follow;
        self.cursor = None;
        if let Some(search) = &mut self.search {
            search.renew(u64::MAX);
            self.asked_scan = false;
        }
    }

    fn newest(&self) -> Option<u64> {
        self.lines.last().map(|line| line.seq)
    }

    /// The number of lines that can be walked, and one of them.
    fn len(&self) -> usize {
        let all = self.lines.len() + self.open.len();
        self.matching().map_or(all, |hits| hits.lines.len())
    }

    fn line(&self, index: usize) -> Option<&LogLine> {
        match self.matching() {
            Some(hits) => hits.lines.get(index),
            None => {
                let open = || self.open.get(index - self.lines.len());
                self.lines.get(index).or_else(open)
            }
        }
    }

    fn matching(&self) -> Option<&Hits> {
        let search = self.search.as_ref().filter(|_| self.only_matches)?;
        Some(&search.hits)
    }

    /// The index of the first line of that number or above.
    fn index(&self, seq: u64) -> usize {
        match self.matching() {
            Some(hits) => hits.lines.partition_point(|line| line.seq < seq),
            None => {
                let of_open = self.open.partition_point(|line| line.seq < seq);
                self.lines.partition_point(|line| line.seq < seq) + of_open
            }
        }
    }

    /// The line of that number, if it is at hand.
    #[must_use]
    pub fn get(&self, seq: u64) -> Option<&LogLine> {
        self.line(self.index(seq)).filter(|line| line.seq == seq)
    }

    fn rows(&self, index: usize, shape: Shape) -> usize {
        self.line(index)
            .map_or(0, |line| row_count(&line.bytes, shape))
    }

    /// The first line in view and how many of its rows are above.
    fn top(&self, shape: Shape, height: usize) -> (usize, usize) {
        match self.position {
            Position::Follow => self.back(self.len(), 0, height, shape),
            Position::At { top, row } => {
                let index = self.index(top);
                (index, row.min(self.rows(index, shape).saturating_sub(1)))
            }
        }
    }

    /// So many rows before that place.
    fn back(&self, index: usize, row: usize, rows: usize, shape: Shape) -> (usize, usize) {
        let (mut index, mut above) = (index, row);
        let mut left = rows;
        loop {
            if above >= left {
                return (index, above - left);
            }
            left -= above;
            if index == 0 {
                return (0, 0);
            }
            index -= 1;
            above = self.rows(index, shape);
        }
    }

    /// So many rows after that place.
    fn forth(&self, index: usize, row: usize, rows: usize, shape: Shape) -> (usize, usize) {
        let (mut index, mut row, mut left) = (index, row, rows);
        while index < self.len() {
            let below = self.rows(index, shape) - row.min(self.rows(index, shape));
            if left < below {
                return (index, row + left);
            }
            left -= below;
            index += 1;
            row = 0;
        }
        (index, 0)
    }

    /// What is in view, from above.
    #[must_use]
    pub fn view(&self, shape: Shape, height: usize) -> Vec<Entry<'_>> {
        let (index, skip) = self.top(shape, height);
        let (mut left, mut first_row) = (height, skip);
        let mut entries = Vec::new();
        for index in index..self.len() {
            let Some(line) = self.line(index) else {
                break;
            };
            let rows = row_count(&line.bytes, shape)
                .saturating_sub(first_row)
                .min(left);
            if left == 0 {
                break;
            }
            entries.push(Entry {
                line,
                first_row,
                rows,
            });
            left -= rows;
            first_row = 0;
        }
        entries
    }

    /// Whether the oldest line that is kept is in view.
    #[must_use]
    pub fn is_at_start(&self, shape: Shape, height: usize) -> bool {
        (self.at_start || self.matching().is_some()) && self.top(shape, height) == (0, 0)
    }

    fn put(&mut self, index: usize, row: usize) {
        if let Some(top) = self.line(index).map(|line| line.seq) {
            self.to_start = false;
            self.position = Position::At { top, row };
        }
    }

    /// Scrolls by rows, up if negative; past the end it follows.
    pub fn scroll(&mut self, rows: isize, shape: Shape, height: usize) {
        let (index, row) = self.top(shape, height);
        if rows < 0 {
            let (index, row) = self.back(index, row, rows.unsigned_abs(), shape);
            self.put(index, row);
        } else if self.position != Position::Follow {
            let (index, row) = self.forth(index, row, rows.unsigned_abs(), shape);
            let last = self.back(self.len(), 0, height, shape);
            let knows_end = self.at_end || self.matching().is_some();
            if (index, row) > last && knows_end {
                self.follow();
                return;
            }
            let (index, row) = (index, row).min(last.max((0, 0)));
            self.put(index, row);
        }
        self.keep_cursor_in_view(shape, height);
    }

    pub fn follow(&mut self) {
        self.position = Position::Follow;
        (self.cursor, self.to_start) = (None, false);
        (self.grew, self.asked) = (true, None);
    }

    /// Stays where it is, whatever comes.
    pub fn stay(&mut self, shape: Shape, height: usize) {
        let (index, row) = self.top(shape, height);
        let last = self.view(shape, height).last().map(|entry| entry.line.seq);
        self.put(index, row);
        self.cursor = last;
    }

    pub fn first(&mut self) {
        self.position = Position::At { top: 0, row: 0 };
        (self.cursor, self.to_start) = (Some(0), true);
        self.asked = None;
    }

    fn keep_cursor_in_view(&mut self, shape: Shape, height: usize) {
        let view = self.view(shape, height);
        let (Some(first), Some(last)) = (view.first(), view.last()) else {
            return;
        };
        let (first, last) = (first.line.seq, last.line.seq);
        self.cursor = Some(self.cursor.map_or(last, |cursor| cursor.clamp(first, last)));
    }

    /// Moves the cursor by lines, and the view with it.
    pub fn step(&mut self, lines: isize, shape: Shape, height: usize) {
        if self.position == Position::Follow {
            if lines > 0 {
                return;
            }
            self.stay(shape, height);
            self.keep_cursor_in_view(shape, height);
        }
        let Some(cursor) = self.cursor else {
            self.keep_cursor_in_view(shape, height);
            return;
        };
        let from = self.index(cursor);
        let to = from.saturating_add_signed(lines);
        if to >= self.len() {
            if self.at_end || self.matching().is_some() {
                self.follow();
            }
            return;
        }
        let Some(seq) = self.line(to).map(|line| line.seq) else {
            return;
        };
        self.cursor = Some(seq);
        let (top, row) = self.top(shape, height);
        if to < top || (to == top && row > 0) {
            self.put(to, 0);
            return;
        }
        let end = self.rows(to, shape);
        let lowest = self.back(to, end, height, shape);
        if lowest > (top, row) {
            self.put(lowest.0, lowest.1);
        }
    }

    /// Brings a line into the middle.
    pub fn go(&mut self, seq: u64) {
        (self.cursor, self.to_start) = (Some(seq), false);
        self.centre = Some(seq);
        self.position = Position::At { top: seq, row: 0 };
        self.asked = None;
    }

    /// Takes lines that were asked for.
    pub fn took(&mut self, fetched: Fetched) {
        if fetched.generation == self.generation {
            (self.lines, self.open) = (fetched.lines, fetched.open);
            (self.at_start, self.at_end) = (fetched.at_start, fetched.at_end);
            self.grew = false;
        }
    }

    /// What is missing to show the pane; nothing if nothing has changed.
    pub fn wants(&mut self, shape: Shape, height: usize) -> Wanted {
        let scan = self.search.as_ref().filter(|_| !self.asked_scan);
        let scan = scan.map(|search| ScanRequest {
            generation: self.generation,
            selection: self.selection.clone(),
            pattern: search.pattern.clone(),
            from: self.cleared,
            anchor: search.anchor,
        });
        self.asked_scan |= scan.is_some();
        let lines = self.want(shape, height).map(|want| Request {
            generation: self.generation,
            selection: self.selection.clone(),
            want,
            from: self.cleared,
        });
        let again = lines.is_some() && lines == self.asked;
        if !again {
            self.asked.clone_from(&lines);
        }
        Wanted {
            lines: lines.filter(|_| !again),
            scan,
            seek: self.seek.take(),
        }
    }

    fn want(&mut self, shape: Shape, height: usize) -> Option<Want> {
        if self.matching().is_some() {
            self.centre = None;
            return None;
        }
        let height = height.max(1);
        match self.position {
            Position::Follow => {
                let enough = self.lines.len() >= height || self.at_start;
                let is_tail = self.at_end && enough && !self.grew;
                (!is_tail).then_some(Want::Tail(height + MARGIN))
            }
            Position::At { .. } if self.to_start => {
                let is_there =
                    self.at_start && (self.at_end && !self.grew || self.lines.len() >= height);
                let want = (!is_there).then_some(Want::Head(height + MARGIN));
                if is_there && let Some(first) = self.lines.first().map(|line| line.seq) {
                    self.cursor = Some(first);
                    self.position = Position::At { top: first, row: 0 };
                    self.to_start = false;
                }
                want
            }
            Position::At { top, .. } => {
                let index = self.lines.partition_point(|line| line.seq < top);
                let before = self.at_start || index >= height;
                let after = self.lines.len() - index >= 2 * height || (self.at_end && !self.grew);
                if before && after {
                    self.centre(shape, height);
                    return None;
                }
                Some(Want::Around {
                    seq: top,
                    before: height + MARGIN,
                    after: 2 * height + MARGIN,
                })
            }
        }
    }

    fn centre(&mut self, shape: Shape, height: usize) {
        if let Some(seq) = self.centre.take() {
            let index = self.index(seq);
            let place = self.back(index, 0, height / 3, shape);
            // Not further down than the last page.
            let (index, row) = if self.at_end {
                place.min(self.back(self.len(), 0, height, shape))
            } else {
                place
            };
            self.put(index, row);
        }
    }
}

#[cfg(test)]
#[path = "pane_tests.rs"]
mod tests;
