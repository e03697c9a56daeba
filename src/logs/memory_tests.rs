use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::id::Attempt;
use crate::logs::{Cut, Stream};

fn origin(instance: u32, stream: Stream) -> Origin {
    Origin {
        run: RunId {
            instance: InstanceId(instance),
            attempt: Attempt(1),
        },
        stage: 0,
        stream,
    }
}

fn write(store: &MemoryStore, instance: u32, text: &str) {
    let mut writer = store.open(origin(instance, Stream::Stdout));
    writer.write(text.as_bytes());
}

fn texts(lines: &[LogLine]) -> Vec<String> {
    (lines.iter())
        .map(|line| String::from_utf8_lossy(&line.bytes).into_owned())
        .collect()
}

fn all(store: &MemoryStore) -> Vec<String> {
    let mut cursor = store.cursor(Selection::All, Start::Oldest);
    texts(&store.read(&mut cursor, usize::MAX).lines)
}

#[test]
fn lines_are_read_in_the_order_in_which_they_came() {
    let store = MemoryStore::default();
    write(&store, 1, "a\nb\n");
    write(&store, 2, "c\n");
    write(&store, 1, "d\n");
    let mut cursor = store.cursor(Selection::All, Start::Oldest);
    let page = store.read(&mut cursor, 3);
    assert_eq!(texts(&page.lines), ["a", "b", "c"]);
    assert_eq!(
        page.lines.iter().map(|l| l.seq).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(texts(&store.read(&mut cursor, 3).lines), ["d"]);
    assert!(store.read(&mut cursor, 3).is_empty());
    write(&store, 3, "new");
    let page = store.read(&mut cursor, 3);
    assert_eq!(texts(&page.lines), ["new"]);
    assert_eq!(page.lines[0].cut, Cut::Unterminated);
}

#[test]
fn a_selection_sees_its_own_lines_only() {
    let store = MemoryStore::default();
    let only = || Selection::Only(vec![InstanceId(2)]);
    let mut cursor = store.cursor(only(), Start::Now);
    write(&store, 1, "a\n");
    write(&store, 2, "b\n");
    assert_eq!(texts(&store.read(&mut cursor, 9).lines), ["b"]);
    assert_eq!(texts(&store.tail(InstanceId(1), 9)), ["a"]);
    assert!(store.tail(InstanceId(7), 9).is_empty());
}

#[test]
fn the_last_lines_are_the_last_of_all_together() {
    let store = MemoryStore::default();
    write(&store, 1, "a\nb\nc\n");
    write(&store, 2, "d\n");
    let last = |n| {
        let mut cursor = store.cursor(Selection::All, Start::Last(n));
        texts(&store.read(&mut cursor, usize::MAX).lines)
    };
    assert_eq!(last(0), Vec::<String>::new());
    assert_eq!(last(2), ["c", "d"]);
    assert_eq!(last(9), ["a", "b", "c", "d"]);
    assert_eq!(texts(&store.tail(InstanceId(1), 2)), ["b", "c"]);
}

#[test]
fn a_flood_evicts_its_own_lines_and_a_reader_is_told_how_many() {
    let store = MemoryStore::new(20_000);
    write(&store, 1, "the last words\n");
    let mut slow = store.cursor(Selection::All, Start::Oldest);
    let mut written = 0;
    for _ in 0..500 {
        write(&store, 2, &"flood flood flood\n".repeat(10));
        written += 10;
        assert!(lock(&store.shared.state).cost <= 20_000);
    }
    let page = store.read(&mut slow, usize::MAX);
    assert_eq!(texts(&page.lines)[0], "the last words");
    assert!(page.missed() > 0);
    assert_eq!(page.missed() + page.lines.len() as u64 - 1, written);
    assert_eq!(
        page.gaps,
        [Gap {
            instance: InstanceId(2),
            lines: page.missed()
        }]
    );
    assert_eq!(store.read(&mut slow, usize::MAX).missed(), 0, "told once");
}

#[test]
fn one_line_above_the_budget_is_a_gap_too() {
    let store = MemoryStore::new(1000);
    let mut cursor = store.cursor(Selection::All, Start::Now);
    write(&store, 1, &"x".repeat(5000));
    let page = store.read(&mut cursor, 9);
    assert_eq!((page.missed(), page.lines.len()), (1, 0));
}

#[test]
fn what_is_forgotten_takes_no_memory() {
    let store = MemoryStore::default();
    write(&store, 1, "a\n");
    write(&store, 2, "b\n");
    store.forget(InstanceId(1));
    assert_eq!(all(&store), ["b"]);
    store.forget(InstanceId(2));
    assert_eq!(lock(&store.shared.state).cost, 0);
}

#[tokio::test]
async fn readers_are_woken() {
    let store = MemoryStore::default();
    let mut wake = store.wake();
    let reader = tokio::spawn(async move { wake.changed().await.map(|()| *wake.borrow()) });
    write(&store, 1, "a\nb\n");
    let head = tokio::time::timeout(Duration::from_secs(30), reader).await;
    assert_eq!(head.unwrap().unwrap().unwrap(), 2);
}

#[tokio::test]
async fn a_tap_sees_lines_that_are_evicted_at_once() {
    let store = MemoryStore::new(1);
    let run = origin(1, Stream::Stdout).run;
    let mut tap = store.tap(run, Regex::new("ready on [0-9]+").unwrap());
    write(&store, 2, "ready on 1\n");
    write(&store, 1, "not yet\n");
    assert!(!tap.has_matched(), "another run, another line");
    write(&store, 1, "\x1b[32mready\x1b[0m on 80\n");
    tap.matched().await;
    assert!(all(&store).is_empty());
    assert!(store.shared.taps_waiting().is_empty(), "it has let go");
}

#[tokio::test]
async fn a_late_tap_looks_back_and_a_dropped_one_lets_go() {
    let store = MemoryStore::default();
    write(&store, 1, "ready\n");
    let run = origin(1, Stream::Stdout).run;
    let mut tap = store.tap(run, Regex::new("^ready$").unwrap());
    assert!(tap.has_matched());
    tap.matched().await;
    let other = RunId {
        attempt: Attempt(2),
        ..run
    };
    let tap = store.tap(other, Regex::new("ready").unwrap());
    assert!(!tap.has_matched(), "an earlier run's line");
    assert_eq!(store.shared.taps_waiting(), [other]);
    drop(tap);
    assert!(store.shared.taps_waiting().is_empty());
}

impl Shared {
    fn taps_waiting(&self) -> Vec<RunId> {
        self.gate.taps.waiting()
    }
}

proptest! {
    /// Against a plain list of everything that was written.
    #[test]
    fn every_line_is_read_once_or_counted_as_missed(
        budget in 500..20_000usize,
        steps in prop::collection::vec((0..4u32, 0..6usize, 0..40usize, any::<bool>()), 1..120),
    ) {
        let store = MemoryStore::new(budget);
        let mut cursor = store.cursor(Selection::All, Start::Oldest);
        let mut written: BTreeMap<u32, u64> = BTreeMap::new();
        let mut seen: BTreeMap<u32, u64> = BTreeMap::new();
        let mut last_seq = None;
        let mut take = |max: usize, written: &BTreeMap<u32, u64>| {
            let page = store.read(&mut cursor, max);
            for gap in &page.gaps {
                *seen.entry(gap.instance.0).or_default() += gap.lines;
            }
            assert!(page.lines.len() <= max);
            for line in &page.lines {
                assert!(last_seq < Some(line.seq), "order");
                last_seq = Some(line.seq);
                let number = seen.entry(line.origin.run.instance.0).or_default();
                let text = String::from_utf8_lossy(&line.bytes).into_owned();
                assert!(text.starts_with(&format!("{number} ")), "{text} is not {number}");
                *number += 1;
            }
            if page.lines.len() < max {
                assert_eq!(&seen, written);
            }
        };
        for (instance, lines, length, read) in steps {
            let next = written.entry(instance).or_default();
            let mut text = String::new();
            for _ in 0..lines {
                text.push_str(&format!("{next} {}\n", "x".repeat(length)));
                *next += 1;
            }
            if *next == 0 {
                written.remove(&instance);
            }
            write(&store, instance, &text);
            if read {
                take(length + 1, &written);
            }
        }
        take(usize::MAX, &written);
    }
}
