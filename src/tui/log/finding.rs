//! A search in a pane: where its matches are, and which one is looked at. Pure.

use super::super::rows::Shape;
use super::super::scan::{Hits, Pattern, ScanReport};
use super::{LogPane, Position};

/// A search that is open.
#[derive(Clone, Debug)]
pub struct Search {
    pub pattern: Pattern,
    pub(super) hits: Hits,
    /// The match that is looked at.
    pub current: Option<u64>,
    pub is_done: bool,
    /// Where to look for the first match from, upwards: the end of what was in view.
    pub(super) anchor: u64,
}

impl Search {
    /// Matching lines so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.hits.count
    }

    /// The place of the current match among them, from 1.
    #[must_use]
    pub fn place(&self) -> Option<u64> {
        let current = self.current?;
        let index = self.hits.seqs.partition_point(|seq| *seq < current) as u64;
        Some(self.hits.count - self.hits.seqs.len() as u64 + index + 1)
    }
}

impl LogPane {
    /// Begins a search for the text; none ends it.
    pub fn search(&mut self, text: &str, shape: Shape, height: usize) {
        let anchor = match (&self.search, self.position) {
            (Some(search), _) => search.anchor,
            (None, Position::Follow) => u64::MAX,
            (None, Position::At { .. }) => {
                (self.view(shape, height).last()).map_or(u64::MAX, |entry| entry.line.seq)
            }
        };
        self.generation += 1;
        (self.asked, self.asked_scan) = (None, false);
        if text.is_empty() {
            self.search = None;
            self.only_matches = false;
            return;
        }
        self.search = Some(Search {
            pattern: Pattern::new(text),
            hits: Hits::default(),
            current: None,
            is_done: false,
            anchor,
        });
    }

    /// The next match downwards or upwards from where one looks; round at the ends.
    pub fn next_match(&mut self, down: bool) {
        let Some(search) = &mut self.search else {
            return;
        };
        let seqs = &search.hits.seqs;
        let from = search.current.or(self.cursor).unwrap_or(search.anchor);
        let found = if down {
            let index = seqs.partition_point(|seq| *seq <= from);
            seqs.get(index).or(seqs.front())
        } else {
            let index = seqs.partition_point(|seq| *seq < from);
            index
                .checked_sub(1)
                .map_or(seqs.back(), |index| seqs.get(index))
        };
        if let Some(seq) = found.copied() {
            search.current = Some(seq);
            self.go(seq);
        }
    }

    /// What the search has found.
    pub fn scanned(&mut self, report: ScanReport) {
        let Some(search) = &mut self.search else {
            return;
        };
        if report.generation != self.generation {
            return;
        }
        search.is_done = report.is_done;
        search.hits.add(report);
        if search.current.is_none() && search.is_done && !self.only_matches {
            let seqs = &search.hits.seqs;
            let index = seqs.partition_point(|seq| *seq <= search.anchor);
            let nearest = index.checked_sub(1).and_then(|index| seqs.get(index));
            if let Some(seq) = nearest.or(seqs.front()).copied() {
                search.current = Some(seq);
                self.go(seq);
            }
        }
    }
}
