//! Lines for a pane, out of a source that is read from any place.

use std::sync::Arc;

use crate::logs::{LogLine, LogSource, Selection, Start};

/// Which lines are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The last so many.
    Tail(usize),
    /// So many before the line of that number and so many from it on.
    Around {
        seq: u64,
        before: usize,
        after: usize,
    },
    /// The first so many that are kept.
    Head(usize),
}

/// What a pane asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Of the pane when it asked: an answer to an older question is thrown away.
    pub generation: u64,
    pub selection: Selection,
    pub want: Want,
    /// Lines before this number are not wanted.
    pub from: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub generation: u64,
    pub want: Want,
    pub lines: Arc<[LogLine]>,
    /// There is nothing before the first of them.
    pub at_start: bool,
    /// There is nothing after the last of them.
    pub at_end: bool,
    /// What is open behind them, such as prompts.
    pub open: Vec<LogLine>,
}

/// From this number on: no line has one of these.
pub const OPEN: u64 = u64::MAX - (1 << 20);

/// Gets the lines. Takes time with their number, not with that of all.
#[must_use]
pub fn fetch(source: &dyn LogSource, request: &Request) -> Fetched {
    let (mut lines, at_start, at_end) = match request.want {
        Want::Tail(count) => {
            let mut cursor = source.cursor(request.selection.clone(), Start::Last(count));
            let lines = source.read(&mut cursor, count).lines;
            let at_start = lines.len() < count;
            (lines, at_start, true)
        }
        Want::Head(count) => {
            let mut cursor = source.cursor(request.selection.clone(), Start::Oldest);
            let lines = source.read(&mut cursor, count).lines;
            let at_end = lines.len() < count;
            (lines, true, at_end)
        }
        Want::Around { seq, before, after } => around(source, request, seq, before, after),
    };
    let cleared = lines.partition_point(|line| line.seq < request.from);
    let at_start = at_start || cleared > 0;
    lines.drain(..cleared);
    let open = match at_end {
        true => open(source, &request.selection, &lines),
        false => Vec::new(),
    };
    Fetched {
        generation: request.generation,
        want: request.want,
        lines: lines.into(),
        at_start,
        at_end,
        open,
    }
}

/// What is open after these lines were read: none that one of them has ended.
fn open(source: &dyn LogSource, selection: &Selection, lines: &[LogLine]) -> Vec<LogLine> {
    let all = source.open_lines(selection).into_iter();
    all.filter(|open| open.is_settled && !lines.iter().rev().any(|line| open.is_ended_by(line)))
        .zip(OPEN..)
        .map(|(open, seq)| LogLine {
            bytes: open.shown(),
            ..open.as_line(seq)
        })
        .collect()
}

fn around(
    source: &dyn LogSource,
    request: &Request,
    seq: u64,
    before: usize,
    after: usize,
) -> (Vec<LogLine>, bool, bool) {
    let mut forward = source.cursor(request.selection.clone(), Start::Seq(seq));
    let mut back = forward.clone();
    let mut lines: Vec<LogLine> = Vec::new();
    let mut at_start = false;
    while lines.len() < before {
        let page = source.read_back(&mut back, before - lines.len());
        if page.lines.is_empty() {
            at_start = true;
            break;
        }
        lines.splice(0..0, page.lines);
    }
    let at_start = at_start || source.read_back(&mut back, 1).lines.is_empty();
    let (mut rest, mut at_end) = (after, false);
    while rest > 0 {
        let page = source.read(&mut forward, rest);
        if page.lines.is_empty() {
            at_end = true;
            break;
        }
        rest = rest.saturating_sub(page.lines.len());
        lines.extend(page.lines);
    }
    (lines, at_start, at_end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Attempt, InstanceId, RunId};
    use crate::logs::{LogSink as _, MemoryStore, Origin, Stream};

    fn store(lines: usize) -> MemoryStore {
        let store = MemoryStore::default();
        for instance in [1, 2] {
            let run = RunId {
                instance: InstanceId(instance),
                attempt: Attempt(1),
            };
            let mut writer = store.open(Origin {
                run,
                stage: 0,
                stream: Stream::Stdout,
            });
            for line in 0..lines {
                writer.write(format!("{instance}: {line}\n").as_bytes());
            }
        }
        store
    }

    fn got(
        store: &MemoryStore,
        selection: Selection,
        want: Want,
        from: u64,
    ) -> (Vec<u64>, bool, bool) {
        let request = Request {
            generation: 0,
            selection,
            want,
            from,
        };
        let fetched = fetch(store, &request);
        let seqs = fetched.lines.iter().map(|line| line.seq).collect();
        (seqs, fetched.at_start, fetched.at_end)
    }

    #[test]
    fn any_place_of_the_log_is_reached() {
        let store = store(10_000);
        let all = Selection::All;
        let tail = got(&store, all.clone(), Want::Tail(3), 0);
        assert_eq!(tail, (vec![19_997, 19_998, 19_999], false, true));
        let head = got(&store, all.clone(), Want::Head(2), 0);
        assert_eq!(head, (vec![0, 1], true, false));
        for seq in [5, 777, 9_998, 15_000, 19_990] {
            let want = Want::Around {
                seq,
                before: 3,
                after: 4,
            };
            let expected: Vec<u64> = (seq - 3..seq + 4).collect();
            assert_eq!(
                got(&store, all.clone(), want, 0),
                (expected, false, false),
                "{seq}"
            );
        }
        let want = Want::Around {
            seq: 1,
            before: 5,
            after: 2,
        };
        assert_eq!(
            got(&store, all.clone(), want, 0),
            (vec![0, 1, 2], true, false)
        );
        let want = Want::Around {
            seq: 19_999,
            before: 2,
            after: 5,
        };
        assert_eq!(
            got(&store, all.clone(), want, 0),
            (vec![19_997, 19_998, 19_999], false, true)
        );
        // Of one unit, whose lines are not in a row.
        let one = Selection::Only(vec![InstanceId(1)]);
        let want = Want::Around {
            seq: 15_000,
            before: 2,
            after: 2,
        };
        assert_eq!(got(&store, one, want, 0), (vec![9_998, 9_999], false, true));
        let cleared = got(&store, all, Want::Tail(4), 19_998);
        assert_eq!(cleared, (vec![19_998, 19_999], true, true));
    }
}
