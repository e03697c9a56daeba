//! The newest lines, as many as an agent can read.
//!
//! Lines on disk are read there, from the last one back, so that it costs no more than what
//! is shown; lines in memory come from the stack.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::super::log_file::{self, Kept};
use super::super::log_query::Query;
use super::super::names;
use super::answer::{Answer, Refusal};
use super::look::{mistaken, unheard};
use crate::control::Found;
use crate::control::protocol::{Line, LogPage, LogQuery, State};
use crate::control::wire;
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::{
    Direction, LogLine, LogSource as _, Search, Selection, Start, Stream, without_colour,
};

/// Lines, unless another number is asked for, and at most.
const LAST: u32 = 100;
const MOST: u32 = 1000;

/// In bytes: all lines together.
const BUDGET: usize = 48 << 10;

/// In bytes: of one line.
const LONGEST: usize = 2000;

/// How long is searched.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lines that are read at once.
const STEP: usize = 256;

/// Which lines.
#[derive(Debug)]
pub(super) struct Wanted {
    pub units: Vec<String>,
    pub query: Query,
    pub last: usize,
}

/// How many lines are asked for.
pub(super) fn count(last: Option<u32>) -> Result<usize, Refusal> {
    match last.unwrap_or(LAST) {
        last @ 1..=MOST => Ok(last as usize),
        other => Err(Refusal::new(
            format!("`last` is {other}, and may be 1 to {MOST}"),
            None,
        )),
    }
}

pub(super) async fn newest(found: &Found, state: &State, wanted: Wanted) -> Answer {
    if let Some(kept) = state.logs.as_deref().and_then(log_file::at) {
        let read = tokio::task::spawn_blocking(move || of_files(&kept, &wanted)).await;
        return read.map_err(|error| Refusal::new(error.to_string(), None))?;
    }
    of_stack(found, state, &wanted).await
}

fn of_files(kept: &Kept, wanted: &Wanted) -> Answer {
    let names = kept
        .named(&wanted.units)
        .map_err(|mistake| mistaken(&mistake))?;
    let called: BTreeMap<InstanceId, UnitName> = kept.instances(&[]).into_iter().collect();
    let ids = kept.instances(&names).into_iter().map(|(id, _)| id);
    let archive = &kept.archive;
    let mut cursor = archive.cursor(Selection::Only(ids.collect()), Start::Now);
    let mut newest = Newest::new(wanted.last);
    let query = &wanted.query;
    let deadline = Instant::now() + PATIENCE;
    let name = |line: &LogLine| called.get(&line.origin.run.instance).cloned();
    match &query.pattern {
        Some(pattern) if query.is_search() => {
            let mut search = Search::new(pattern.clone(), Direction::Backward, cursor);
            search.filter = query.filter;
            loop {
                let step = archive.search(&mut search, wanted.last + 1);
                let all = step.hits.iter().all(|hit| {
                    let unit = name(&hit.line);
                    newest.older(&hit.line, unit.as_ref())
                });
                if step.done || !all {
                    break;
                }
                if Instant::now() > deadline {
                    newest.late = true;
                    break;
                }
            }
        }
        _ => loop {
            let page = archive.read_back(&mut cursor, STEP);
            let since = query.filter.since;
            let early = |line: &LogLine| since.is_some_and(|since| line.time < since);
            if page.is_empty() || (!page.lines.is_empty() && page.lines.iter().all(early)) {
                break;
            }
            let mut lines = page.lines.iter().rev().filter(|line| query.wants(line));
            if !lines.all(|line| newest.older(line, name(line).as_ref())) {
                break;
            }
            if Instant::now() > deadline {
                newest.late = true;
                break;
            }
        },
    }
    Ok(newest.text())
}

async fn of_stack(found: &Found, state: &State, wanted: &Wanted) -> Answer {
    let names = names::each(&wanted.units, &state.snapshot);
    let names = names.map_err(|mistake| mistaken(&mistake))?;
    let names: Vec<&str> = names.iter().map(UnitName::as_str).collect();
    let mut query = LogQuery {
        units: (!names.is_empty()).then(|| names.join(",")),
        last: wanted.query.is_all().then_some(wanted.last + 1),
        ..LogQuery::default()
    };
    let mut newest = Newest::new(wanted.last);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page: LogPage = wire::post(&found.socket, "/v1/logs", &query)
            .await
            .map_err(|error| unheard(&error))?;
        let over = page.lines.is_empty();
        for line in page.lines {
            let unit = line.unit.clone();
            let line = Line::log_line(line);
            if wanted.query.wants(&line) {
                newest.newer(&line, &unit);
            }
        }
        // A unit that writes without end must not keep the agent.
        if over || page.ended || Instant::now() > deadline {
            return Ok(newest.text());
        }
        query = LogQuery {
            cursor: Some(page.cursor),
            ..LogQuery::default()
        };
    }
}

/// The newest lines so far, in their order.
struct Newest {
    lines: VecDeque<String>,
    bytes: usize,
    last: usize,
    /// There are older ones.
    more: bool,
    /// Those did not fit, though they were asked for.
    full: bool,
    /// Lines that are not shown to their ends.
    shortened: usize,
    /// It was given up.
    late: bool,
}

impl Newest {
    fn new(last: usize) -> Self {
        Self {
            lines: VecDeque::new(),
            bytes: 0,
            last,
            more: false,
            full: false,
            shortened: 0,
            late: false,
        }
    }

    /// Takes a line that is older than all others; whether one more is wanted.
    fn older(&mut self, line: &LogLine, unit: Option<&UnitName>) -> bool {
        let text = self.write(line, unit);
        if self.lines.len() >= self.last || self.bytes + text.len() > BUDGET {
            self.full = self.lines.len() < self.last;
            self.more = true;
            return false;
        }
        self.bytes += text.len();
        self.lines.push_front(text);
        true
    }

    /// Takes a line that is newer than all others.
    fn newer(&mut self, line: &LogLine, unit: &UnitName) {
        let text = self.write(line, Some(unit));
        self.bytes += text.len();
        self.lines.push_back(text);
        while self.lines.len() > self.last || self.bytes > BUDGET {
            self.full |= self.lines.len() <= self.last;
            self.more = true;
            let oldest = self.lines.pop_front();
            self.bytes -= oldest.map_or(0, |text| text.len());
        }
    }

    fn write(&mut self, line: &LogLine, unit: Option<&UnitName>) -> String {
        let time = line.time.to_zoned(TimeZone::system());
        let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3f");
        let unit = unit.map_or("?", UnitName::as_str);
        let mark = match line.origin.stream {
            Stream::Stdout => '|',
            Stream::Stderr => '!',
            Stream::Build => '*',
        };
        let bytes = without_colour(&line.bytes);
        let shown = &bytes[..bytes.len().min(LONGEST)];
        let mut text = format!("{time} {unit} {mark} {}", String::from_utf8_lossy(shown));
        if bytes.len() > LONGEST {
            self.shortened += 1;
            text.push_str(&format!("… ({} bytes)", bytes.len()));
        }
        text
    }

    fn text(self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        if self.lines.is_empty() {
            text.push_str("(no such lines)\n");
        }
        if self.full {
            let kib = BUDGET >> 10;
            text.push_str(&format!(
                "(cut: {} lines fill {kib} KiB; older ones are left out)\n",
                self.lines.len()
            ));
        } else if self.more {
            text.push_str(&format!(
                "(cut: the newest {} lines; older ones are left out; `last` may be up to {MOST})\n",
                self.lines.len()
            ));
        }
        if self.shortened > 0 {
            text.push_str(&format!(
                "(cut: lines of more than {LONGEST} bytes are shown by their beginnings)\n"
            ));
        }
        if self.late {
            text.push_str("(cut: given up before all was looked at; narrow it by `since`)\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Attempt, RunId};
    use crate::logs::{Cut, Origin};

    fn line(text: &str) -> LogLine {
        LogLine {
            seq: 0,
            origin: Origin {
                run: RunId {
                    instance: InstanceId(1),
                    attempt: Attempt(1),
                },
                stage: 0,
                stream: Stream::Stdout,
            },
            time: jiff::Timestamp::UNIX_EPOCH,
            bytes: text.to_owned().into(),
            cut: Cut::Newline,
        }
    }

    #[test]
    fn both_ways_give_the_newest_and_say_what_is_cut() {
        let unit = UnitName::from("a");
        let (mut back, mut forth) = (Newest::new(2), Newest::new(2));
        for text in ["three", "two", "one"] {
            let _ = back.older(&line(text), Some(&unit));
        }
        for text in ["one", "two", "three"] {
            forth.newer(&line(text), &unit);
        }
        let (back, forth) = (back.text(), forth.text());
        assert_eq!(back, forth);
        assert!(
            back.contains("a | two\n") && back.contains("a | three\n"),
            "{back}"
        );
        assert!(
            back.ends_with(
                "(cut: the newest 2 lines; older ones are left out; `last` may be up to 1000)\n"
            ),
            "{back}"
        );
    }

    #[test]
    fn lines_and_all_of_them_are_bounded() {
        let unit = UnitName::from("a");
        let long = line(&"x".repeat(100_000));
        let (mut back, mut forth) = (Newest::new(1000), Newest::new(1000));
        while back.older(&long, Some(&unit)) {}
        (0..100).for_each(|_| forth.newer(&long, &unit));
        for text in [back.text(), forth.text()] {
            assert!(text.len() < BUDGET + 500, "{}", text.len());
            assert!(text.contains("lines fill 48 KiB"), "{text}");
            assert!(text.contains("(100000 bytes)"));
            assert!(text.contains("shown by their beginnings"));
        }
    }

    #[test]
    fn numbers_of_lines_are_held_to_their_bounds() {
        assert_eq!(count(None).ok(), Some(100));
        assert_eq!(count(Some(1000)).ok(), Some(1000));
        assert!(count(Some(0)).is_err() && count(Some(1001)).is_err());
    }
}
