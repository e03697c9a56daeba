//! In which order lines and changes are shown.
//!
//! Lines are pulled from the store and changes are pushed by the supervisor, so the two come
//! apart. This module joins them: a run's lines come after its start and before its end, and
//! lines keep the order in which they were read. It must not know what a line looks like.

use std::collections::{BTreeMap, VecDeque};

use crate::domain::change::{Change, UnitChange, What};
use crate::domain::id::{Attempt, InstanceId};
use crate::logs::{Gap, LogLine, Page};

/// One thing to show.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Line(LogLine),
    /// Lines that were evicted before they could be shown.
    Missed(Gap),
    Change(Change),
}

/// Joins lines and changes.
#[derive(Debug, Default)]
pub struct Order {
    lines: VecDeque<Item>,
    /// The last run of each instance whose start was shown.
    shown: BTreeMap<InstanceId, Attempt>,
    /// The last run of each instance whose start was heard of.
    starting: BTreeMap<InstanceId, Attempt>,
}

impl Order {
    /// Takes lines that were read after every change that was given before.
    pub fn lines(&mut self, page: Page) {
        self.lines.extend(page.gaps.into_iter().map(Item::Missed));
        self.lines.extend(page.lines.into_iter().map(Item::Line));
    }

    /// Takes a change; `out` gets the lines that come before it, and the change.
    pub fn change(&mut self, change: Change, out: &mut Vec<Item>) {
        if let What::Unit {
            instance,
            change: what,
            ..
        } = &change.what
        {
            let instance = *instance;
            match what {
                UnitChange::Starting { attempt } => {
                    self.starting.insert(instance, *attempt);
                }
                UnitChange::Started { attempt, .. } => self.opened(instance, *attempt),
                UnitChange::Waiting | UnitChange::Added => {}
                UnitChange::Exited { .. }
                | UnitChange::Backoff { .. }
                | UnitChange::Ended { .. }
                | UnitChange::Removed => {
                    // A run may be over before its start was confirmed.
                    if let Some(&attempt) = self.starting.get(&instance) {
                        self.opened(instance, attempt);
                    }
                    self.release(instance, out);
                }
                UnitChange::Ready { .. }
                | UnitChange::Unready { .. }
                | UnitChange::ProbeFailed { .. }
                | UnitChange::Stopping { .. }
                | UnitChange::FilesChanged { .. }
                | UnitChange::BuildFailed { .. }
                | UnitChange::WatchMuted { .. }
                | UnitChange::WatchPaused
                | UnitChange::WatchResumed
                | UnitChange::Due { .. }
                | UnitChange::UpToDate { .. }
                | UnitChange::Killed => self.release(instance, out),
            }
        }
        out.push(Item::Change(change));
    }

    /// The start of that run counts as shown.
    pub fn opened(&mut self, instance: InstanceId, attempt: Attempt) {
        let shown = self.shown.entry(instance).or_default();
        *shown = attempt.max(*shown);
    }

    /// Gives out all lines of runs whose start was shown.
    pub fn flush(&mut self, out: &mut Vec<Item>) {
        self.give(self.lines.len(), out);
    }

    /// Gives out all lines.
    pub fn finish(&mut self, out: &mut Vec<Item>) {
        out.extend(self.lines.drain(..));
    }

    /// Gives out the lines up to the last one of that instance.
    fn release(&mut self, instance: InstanceId, out: &mut Vec<Item>) {
        let last = self.lines.iter().rposition(|item| {
            self.is_open(item)
                && match item {
                    Item::Line(line) => line.origin.run.instance == instance,
                    Item::Missed(gap) => gap.instance == instance,
                    Item::Change(_) => false,
                }
        });
        if let Some(last) = last {
            self.give(last + 1, out);
        }
    }

    fn give(&mut self, count: usize, out: &mut Vec<Item>) {
        if self.lines.iter().take(count).all(|item| self.is_open(item)) {
            out.extend(self.lines.drain(..count));
            return;
        }
        let later = self.lines.split_off(count);
        let early = std::mem::replace(&mut self.lines, later);
        let (open, mut held): (VecDeque<Item>, VecDeque<Item>) =
            early.into_iter().partition(|item| self.is_open(item));
        out.extend(open);
        held.append(&mut self.lines);
        self.lines = held;
    }

    fn is_open(&self, item: &Item) -> bool {
        match item {
            Item::Line(line) => {
                let run = line.origin.run;
                self.shown.get(&run.instance).copied().unwrap_or_default() >= run.attempt
            }
            Item::Missed(_) | Item::Change(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::exit::ExitStatus;
    use crate::domain::id::RunId;
    use crate::domain::outcome::{Outcome, RunStatus};
    use crate::domain::time::Instant;
    use crate::logs::{Cut, Origin, Stream};

    const DB: InstanceId = InstanceId(0);
    const API: InstanceId = InstanceId(1);

    fn line(seq: u64, instance: InstanceId, attempt: u32) -> LogLine {
        let attempt = Attempt(attempt);
        LogLine {
            seq,
            origin: Origin {
                run: RunId { instance, attempt },
                stage: 0,
                stream: Stream::Stdout,
            },
            time: jiff::Timestamp::UNIX_EPOCH,
            bytes: "x".into(),
            cut: Cut::Newline,
        }
    }

    fn page(lines: &[LogLine]) -> Page {
        Page {
            gaps: Vec::new(),
            lines: lines.to_vec(),
        }
    }

    fn change(instance: InstanceId, change: UnitChange) -> Change {
        Change {
            at: Instant::START,
            what: What::Unit {
                instance,
                name: "x".into(),
                change,
            },
        }
    }

    fn started(instance: InstanceId, attempt: u32) -> Change {
        let attempt = Attempt(attempt);
        change(instance, UnitChange::Started { attempt, pid: 1 })
    }

    fn ended(instance: InstanceId) -> Change {
        let outcome = Box::new(Outcome::Completed);
        change(
            instance,
            UnitChange::Ended {
                outcome,
                ran_for: None,
            },
        )
    }

    /// Lines by number, starts by `s`, other changes by `e`.
    fn text(items: &[Item]) -> String {
        let word = |item: &Item| match item {
            Item::Line(line) => line.seq.to_string(),
            Item::Missed(gap) => format!("-{}", gap.lines),
            Item::Change(Change {
                what:
                    What::Unit {
                        instance,
                        change: UnitChange::Started { .. },
                        ..
                    },
                ..
            }) => format!("s{}", instance.0),
            Item::Change(_) => "e".to_owned(),
        };
        items.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_runs_lines_stand_between_its_start_and_its_end() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.lines(page(&[
            line(0, DB, 1),
            line(1, API, 1),
            line(2, DB, 1),
            line(3, API, 1),
        ]));
        order.change(started(DB, 1), &mut out);
        order.change(ended(DB), &mut out);
        order.change(started(API, 1), &mut out);
        order.flush(&mut out);
        assert_eq!(text(&out), "s0 0 2 e s1 1 3");
    }

    #[test]
    fn lines_of_a_run_that_is_not_shown_wait() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.lines(page(&[line(0, DB, 1), line(1, DB, 2), line(2, API, 1)]));
        order.opened(API, Attempt(1));
        order.flush(&mut out);
        assert_eq!(text(&out), "2");
        order.change(started(DB, 1), &mut out);
        order.flush(&mut out);
        assert_eq!(text(&out), "2 s0 0");
        order.change(started(DB, 2), &mut out);
        order.flush(&mut out);
        assert_eq!(text(&out), "2 s0 0 s0 1");
    }

    #[test]
    fn an_exit_without_a_start_shows_its_lines() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        order.lines(page(&[line(0, DB, 1)]));
        let attempt = Attempt(1);
        order.change(change(DB, UnitChange::Starting { attempt }), &mut out);
        let status = RunStatus::of(ExitStatus::SUCCESS);
        order.change(change(DB, UnitChange::Exited { status }), &mut out);
        assert_eq!(text(&out), "e 0 e");
    }

    #[test]
    fn nothing_is_held_back_at_the_end() {
        let (mut order, mut out) = (Order::default(), Vec::new());
        let gap = Gap {
            instance: DB,
            lines: 9,
        };
        let mut page = page(&[line(0, DB, 1)]);
        page.gaps.push(gap);
        order.lines(page);
        order.flush(&mut out);
        assert_eq!(text(&out), "-9");
        order.finish(&mut out);
        assert_eq!(text(&out), "-9 0");
    }
}
