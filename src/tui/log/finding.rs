//! A search in a pane: where its matches are, and which one is looked at. Pure.

use super::super::rows::Shape;
use super::super::scan::{Hits, Pattern, ScanReport, Seek, Step};
use super::{LogPane, Position};

/// A search that is open.
#[derive(Clone, Debug)]
pub struct Search {
    pub pattern: Pattern,
    pub(super) hits: Hits,
    /// The match that is looked at.
    pub current: Option<u64>,
    /// Its place among all, from 1, where it is not among those that are kept.
    far: Option<u64>,
    /// All above where it began has been searched.
    is_up_done: bool,
    pub is_done: bool,
    /// Of 100, how far it is.
    pub percent: u8,
    /// Where to look for the first match from, upwards: the end of what was in view.
    pub(super) anchor: u64,
}

impl Search {
    fn new(pattern: Pattern, anchor: u64) -> Self {
        Self {
            pattern,
            hits: Hits::default(),
            current: None,
            far: None,
            is_up_done: false,
            is_done: false,
            percent: 0,
            anchor,
        }
    }

    /// Begins again.
    pub(super) fn renew(&mut self, anchor: u64) {
        *self = Self::new(self.pattern.clone(), anchor);
    }

    /// Matching lines so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.hits.count()
    }

    /// The place of the current match among them, from 1, once that is known.
    #[must_use]
    pub fn place(&self) -> Option<u64> {
        let current = self.current.filter(|_| self.is_up_done)?;
        match self.kept(current) {
            Some(index) => Some(self.hits.above + index as u64 + 1),
            None => self.far,
        }
    }

    /// Where that match is among those that are kept.
    fn kept(&self, seq: u64) -> Option<usize> {
        let index = self.hits.index(seq);
        let line = self.hits.lines.get(index)?;
        (line.seq == seq).then_some(index)
    }
}

/// What comes of a key.
enum Next {
    Here(u64),
    Look(Seek),
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
        (self.asked, self.asked_scan, self.seek) = (None, false, None);
        if text.is_empty() {
            self.search = None;
            self.only_matches = false;
            return;
        }
        self.search = Some(Search::new(Pattern::new(text), anchor));
    }

    /// The next match downwards or upwards from where one looks; round at the ends. Where it
    /// is not at hand it is looked for.
    pub fn next_match(&mut self, down: bool) {
        let Some(search) = &self.search else {
            return;
        };
        let hits = &search.hits.lines;
        let from = search.current.or(self.cursor).unwrap_or(search.anchor);
        let (first, last) = (hits.front(), hits.back());
        // Above the first of those that are kept there may be others.
        let is_all = search.is_up_done && search.hits.above == 0;
        let look = |from, down| {
            let generation = self.generation;
            Next::Look(Seek {
                generation,
                from,
                down,
            })
        };
        let is_above = !is_all && first.is_none_or(|first| from < first.seq);
        let next = if down {
            let below = hits.get(search.hits.index(from.saturating_add(1)));
            match (below, first) {
                _ if is_above => Some(look(from.saturating_add(1), true)),
                (Some(below), _) => Some(Next::Here(below.seq)),
                (None, Some(first)) if is_all => Some(Next::Here(first.seq)),
                (None, Some(_)) => Some(look(self.cleared, true)),
                (None, None) => None,
            }
        } else {
            let index = search.hits.index(from);
            match (index.checked_sub(1).and_then(|at| hits.get(at)), last) {
                (Some(above), _) => Some(Next::Here(above.seq)),
                _ if !is_all => Some(look(from, false)),
                (None, last) => last.map(|last| Next::Here(last.seq)),
            }
        };
        match next {
            Some(Next::Here(seq)) => self.stand_on(seq, None),
            Some(Next::Look(seek)) => self.seek = Some(seek),
            None => {}
        }
    }

    /// Looks at a match; `far` is its place, if it is not among those that are kept.
    fn stand_on(&mut self, seq: u64, far: Option<u64>) {
        if let Some(search) = &mut self.search {
            (search.current, search.far) = (Some(seq), far);
            self.go(seq);
        }
    }

    /// What the search has found.
    pub fn scanned(&mut self, report: ScanReport) {
        if report.generation != self.generation {
            return;
        }
        let Some(search) = &mut self.search else {
            return;
        };
        search.is_up_done = report.is_up_done;
        search.is_done = report.is_done;
        search.percent = report.percent;
        let place = search.place();
        match report.step {
            Step::Up(lines, matched) => {
                // The first of them stands nearest.
                let nearest = lines.first().map(|line| line.seq);
                search.hits.add_above(lines, matched);
                self.first_match(nearest, None);
            }
            Step::Down(lines) => {
                let nearest = lines.first().map(|line| line.seq);
                let before = search.count();
                search.hits.add_below(lines);
                if let Some(current) = search.current
                    && search.kept(current).is_none()
                {
                    search.far = place;
                }
                self.first_match(nearest, Some(before + 1));
            }
            Step::Sought(seek, Some(seq)) => {
                let far = match (seek.down, place) {
                    // Round from the last one to the first.
                    (true, _) if search.current.is_some_and(|current| current > seq) => Some(1),
                    (true, place) => place.map(|place| place + 1),
                    (false, place) => place.map(|place| place.saturating_sub(1)),
                };
                self.stand_on(seq, far);
            }
            Step::Sought(Seek { down: false, .. }, None) => {
                // Round from the first one to the last.
                if let Some(last) = search.hits.lines.back().map(|line| line.seq) {
                    self.stand_on(last, None);
                }
            }
            Step::Sought(Seek { down: true, .. }, None) | Step::Seeking => {}
        }
    }

    fn first_match(&mut self, nearest: Option<u64>, far: Option<u64>) {
        let is_new = (self.search.as_ref()).is_some_and(|search| search.current.is_none());
        if let (Some(seq), true, false) = (nearest, is_new, self.only_matches) {
            self.stand_on(seq, far);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::id::{Attempt, InstanceId, RunId};
    use crate::logs::{LogSink as _, MemoryStore, Origin, Stream};
    use crate::tui::log::{Scan, fetch};

    const SHAPE: Shape = Shape {
        width: 80,
        wrap: false,
        pan: 0,
        pretty: false,
    };

    /// A pane and what does its bidding.
    struct Desk {
        pane: LogPane,
        store: MemoryStore,
        scan: Option<Scan>,
        lines: Vec<bool>,
    }

    impl Desk {
        fn new() -> Self {
            Self {
                pane: LogPane::following(),
                store: MemoryStore::default(),
                scan: None,
                lines: Vec::new(),
            }
        }

        fn write(&mut self, lines: &[bool]) {
            for (instance, lines) in (0..).zip(lines.chunks(lines.len().div_ceil(2).max(1))) {
                let mut writer = self.store.open(Origin {
                    run: RunId {
                        instance: InstanceId(instance),
                        attempt: Attempt(1),
                    },
                    stage: 0,
                    stream: Stream::Stdout,
                });
                for wanted in lines {
                    let text: &[u8] = if *wanted {
                        b"a needle here\n"
                    } else {
                        b"hay\n"
                    };
                    writer.write(text);
                    self.lines.push(*wanted);
                }
            }
            self.pane.grew();
            self.settle();
        }

        /// Does what the pane wants, until it wants no more.
        fn settle(&mut self) {
            loop {
                let Wanted { lines, scan, seek } = self.pane.wants(SHAPE, 10);
                let idle = lines.is_none() && scan.is_none() && seek.is_none();
                if let Some(request) = lines {
                    self.pane.took(fetch(&self.store, &request));
                }
                if let Some(request) = scan {
                    self.scan = Some(Scan::new(&self.store, request));
                }
                if let (Some(scan), Some(seek)) = (&mut self.scan, seek) {
                    scan.seek(&self.store, seek);
                }
                while let Some(scan) = &mut self.scan {
                    let report = scan.step(&self.store);
                    let is_done = report.is_done;
                    self.pane.scanned(report);
                    if is_done {
                        break;
                    }
                }
                if idle {
                    return;
                }
            }
        }

        fn matches(&self) -> Vec<u64> {
            let all = (0..).zip(&self.lines);
            all.filter(|(_, wanted)| **wanted)
                .map(|(seq, _)| seq)
                .collect()
        }
    }

    use super::super::Wanted;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn every_match_is_reached_in_turn_and_counted(
            before in prop::collection::vec(prop::bool::weighted(0.3), 0..400),
            after in prop::collection::vec(prop::bool::weighted(0.3), 0..100),
            at in prop::option::of(any::<prop::sample::Index>()),
            keys in prop::collection::vec(any::<bool>(), 0..80),
        ) {
            let mut desk = Desk::new();
            desk.write(&before);
            if let (Some(at), false) = (at, before.is_empty()) {
                desk.pane.go(at.index(before.len()) as u64);
                desk.settle();
            }
            desk.pane.search("needle", SHAPE, 10);
            let anchor = desk.pane.search.as_ref().map(|search| search.anchor);
            desk.settle();
            let (mut all, anchor) = (desk.matches(), anchor.unwrap());
            let mut current = (all.iter().rev()).find(|seq| **seq <= anchor).or(all.first()).copied();
            let mut wrote = false;
            for (turn, down) in keys.into_iter().enumerate() {
                let search = desk.pane.search.as_ref().unwrap();
                prop_assert_eq!(search.count(), all.len() as u64);
                prop_assert_eq!(search.current, current);
                let place = current.map(|current| all.partition_point(|seq| *seq <= current) as u64);
                prop_assert_eq!(search.place(), place);
                if turn == 20 && !wrote {
                    wrote = true;
                    desk.write(&after);
                    all = desk.matches();
                    if current.is_none() {
                        current = all.first().copied();
                    }
                    continue;
                }
                desk.pane.next_match(down);
                desk.settle();
                current = current.map(|current| {
                    let place = all.partition_point(|seq| *seq < current);
                    let count = all.len();
                    all[if down { (place + 1) % count } else { (place + count - 1) % count }]
                });
            }
        }
    }

    #[test]
    fn only_what_was_not_hidden_is_found() {
        let mut desk = Desk::new();
        desk.write(&[true; 300]);
        desk.pane.clear();
        desk.settle();
        desk.write(&[true; 4]);
        desk.pane.search("needle", SHAPE, 10);
        desk.settle();
        let search = desk.pane.search.as_ref().unwrap();
        assert_eq!((search.count(), search.place()), (4, Some(4)));
        desk.pane.next_match(true);
        desk.settle();
        assert_eq!(desk.pane.search.as_ref().unwrap().current, Some(300));
    }
}
