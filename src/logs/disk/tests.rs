use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;

use super::queue::Item;
use super::*;
use crate::logs::{Direction, Filter, Gap, LogLine, Pattern, PlainCopy};

fn record() -> RunRecord {
    RunRecord {
        stack: "shop".into(),
        folder: "/shop".into(),
        started: Timestamp::now(),
        pid: 1,
        task: None,
        file: "/shop/pk.yaml".into(),
        units: Vec::new(),
    }
}

fn begin(folder: &Path, disk: u64) -> DiskStore {
    let budget = Budget {
        memory: 8 << 20,
        disk,
    };
    let pumps = Arc::new(Pumps::start().unwrap());
    DiskStore::begin(folder, &record(), budget, pumps).unwrap()
}

fn origin(instance: u32, attempt: u32, stream: Stream) -> Origin {
    Origin {
        run: RunId {
            instance: InstanceId(instance),
            attempt: Attempt(attempt),
        },
        stage: 0,
        stream,
    }
}

fn write(store: &DiskStore, origin: Origin, text: &[u8]) {
    let mut writer = store.open(origin);
    writer.write(text);
    writer.close();
}

/// Waits until all that was pushed can be read.
fn settle(store: &DiskStore) {
    let waker = std::task::Waker::noop();
    let mut context = Context::from_waker(waker);
    let mut until = None;
    while store
        .shared
        .poll_kept(&mut context, &mut until)
        .is_pending()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn all(source: &dyn LogSource) -> (Vec<LogLine>, BTreeMap<InstanceId, u64>) {
    let mut cursor = source.cursor(Selection::All, Start::Line(0));
    let (mut lines, mut gaps) = (Vec::new(), BTreeMap::new());
    loop {
        let page = source.read(&mut cursor, 100);
        if page.is_empty() {
            return (lines, gaps);
        }
        for Gap { instance, lines } in page.gaps {
            *gaps.entry(instance).or_insert(0) += lines;
        }
        lines.extend(page.lines);
    }
}

fn texts(lines: &[LogLine]) -> Vec<String> {
    let lines = lines.iter();
    lines
        .map(|line| String::from_utf8_lossy(&line.bytes).into_owned())
        .collect()
}

fn only(folder: &Path) -> Archive {
    Archive::open(runs(folder).last().unwrap()).unwrap()
}

#[test]
fn lines_are_there_for_this_process_and_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 30);
    write(&store, origin(1, 1, Stream::Stdout), b"one\r\ntwo\n");
    write(&store, origin(2, 1, Stream::Stderr), b"\xff\n");
    write(&store, origin(1, 1, Stream::Stdout), b"last");
    settle(&store);
    let (lines, gaps) = all(&store);
    assert_eq!(texts(&lines), ["one", "two", "\u{fffd}", "last"]);
    assert_eq!(lines[3].cut, Cut::Unterminated);
    assert_eq!(lines[2].origin, origin(2, 1, Stream::Stderr));
    assert!(gaps.is_empty());
    let archive = only(dir.path());
    assert!(archive.is_live());
    assert_eq!(all(&archive).0, lines);
    write(&store, origin(1, 2, Stream::Stdout), b"more\n");
    assert!(store.finish(Duration::from_secs(60)).is_empty());
    assert_eq!(texts(&all(&archive).0)[4], "more");
    drop(store);
    let archive = only(dir.path());
    assert!(!archive.is_live());
    assert_eq!(all(&archive).0.len(), 5);
    let text = std::fs::read(dir.path().join("000001/unit-1/000001.log")).unwrap();
    assert_eq!(text, b"one\r\ntwo\nlast\nmore\n");
}

/// However far it could be seen before, and whatever segments have begun meanwhile.
#[test]
fn a_reader_that_was_behind_misses_nothing_of_an_earlier_segment() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 20);
    let line = [&[b'y'; 99][..], b"\n"].concat().repeat(100);
    for _ in 0..40 {
        write(&store, origin(1, 1, Stream::Stdout), &line);
        settle(&store);
    }
    assert!(dir.path().join("000001/unit-1/000002.idx").exists());
    let head = dir.path().join("000001/head");
    let published = std::fs::read(&head).unwrap();
    std::fs::write(&head, 150_u64.to_le_bytes()).unwrap();
    let archive = only(dir.path());
    let (seen, _) = all(&archive);
    assert_eq!(seen.len(), 100);
    std::fs::write(&head, published).unwrap();
    let (seen, gaps) = all(&archive);
    assert_eq!((seen.len(), gaps), (4000, BTreeMap::new()));
}

#[test]
fn the_budget_is_kept_by_giving_up_what_is_oldest() {
    let dir = tempfile::tempdir().unwrap();
    let earlier = begin(dir.path(), 1 << 20);
    write(&earlier, origin(1, 1, Stream::Stdout), &b"x\n".repeat(9000));
    assert!(earlier.finish(Duration::from_secs(60)).is_empty());
    drop(earlier);
    let store = begin(dir.path(), 1 << 20);
    let line = [&[b'y'; 99][..], b"\n"].concat().repeat(100);
    for _ in 0..400 {
        write(&store, origin(1, 1, Stream::Stdout), &line);
        settle(&store);
    }
    write(&store, origin(2, 1, Stream::Stdout), b"quiet\n");
    settle(&store);
    let extent = store.extent(&Selection::All);
    assert!(extent.bytes <= (1 << 20), "{extent:?}");
    assert_eq!(extent.lines + extent.missed, 40_001);
    assert_eq!(runs(dir.path()).len(), 1, "the earlier run goes first");
    let (lines, _) = all(&store);
    assert_eq!(lines.len() as u64, extent.lines);
    assert_eq!(texts(&lines).last().unwrap(), "quiet");
}

#[test]
fn what_is_gone_behind_our_back_is_a_gap_of_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 20);
    for n in 0..60 {
        write(
            &store,
            origin(1, 1, Stream::Stdout),
            &format!("{n}\n").repeat(1000).into_bytes(),
        );
        settle(&store);
    }
    assert!(store.finish(Duration::from_secs(60)).is_empty());
    drop(store);
    let unit = dir.path().join("000001/unit-1");
    let before = all(&only(dir.path())).0.len();
    assert_eq!(before, 60_000);
    // A text that was truncated, an index and a whole segment that are gone.
    std::fs::OpenOptions::new()
        .write(true)
        .open(unit.join("000002.log"))
        .unwrap()
        .set_len(100)
        .unwrap();
    std::fs::remove_file(unit.join("000003.idx")).unwrap();
    std::fs::remove_file(unit.join("000004.idx")).unwrap();
    std::fs::remove_file(unit.join("000004.log")).unwrap();
    let (lines, gaps) = all(&only(dir.path()));
    assert!(lines.len() < before);
    assert_eq!(lines.len() as u64 + gaps[&InstanceId(1)], before as u64);
    assert!(lines.windows(2).all(|pair| pair[0].seq < pair[1].seq));
}

#[test]
fn a_torn_end_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 30);
    write(&store, origin(1, 1, Stream::Stdout), b"kept\n");
    settle(&store);
    write(&store, origin(1, 1, Stream::Stdout), b"a\nb\nc\nd\n");
    assert!(store.finish(Duration::from_secs(60)).is_empty());
    drop(store);
    let unit = dir.path().join("000001/unit-1");
    let text = std::fs::OpenOptions::new()
        .write(true)
        .open(unit.join("000001.log"))
        .unwrap();
    text.set_len(5 + 3).unwrap();
    let index = std::fs::OpenOptions::new()
        .write(true)
        .open(unit.join("000001.idx"))
        .unwrap();
    let len = index.metadata().unwrap().len();
    index.write_all_at(&[7; 11], len).unwrap();
    for _ in 0..2 {
        let (lines, gaps) = all(&only(dir.path()));
        assert_eq!(texts(&lines), ["kept", "a"]);
        assert_eq!(gaps[&InstanceId(1)], 3);
    }
}

#[test]
fn secrets_never_reach_the_disk_and_probes_see_them() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 30);
    let masks = crate::logs::Masks::new(&["hunter2-hunter2".into()], &["id=[0-9]+".into()]);
    let copy = dir.path().join("copy.log");
    store.introduce(
        InstanceId(1),
        UnitLog {
            name: "api".into(),
            masks: Some(Arc::new(masks.unwrap())),
            copy: Some(PlainCopy {
                file: copy.clone(),
                max_size: 1 << 20,
                max_files: 1,
            }),
        },
    );
    let origin = origin(1, 1, Stream::Stdout);
    let tap = store.tap(origin.run, Regex::new("hunter2-hunter2 id=77").unwrap());
    let mut writer = store.open(origin);
    for chunk in [&b"pw hunter2-hu"[..], b"nter2 id=7", b"7\nprompt id=5"] {
        writer.write(chunk);
    }
    assert!(tap.has_matched());
    assert_eq!(&store.open_lines(&Selection::All)[0].bytes[..], b"prompt ");
    writer.close();
    settle(&store);
    assert_eq!(
        texts(&all(&store).0),
        ["pw ******** ********", "prompt ********"]
    );
    assert_eq!(store.masked(), 3);
    assert!(store.finish(Duration::from_secs(60)).is_empty());
    let text = std::fs::read_to_string(copy).unwrap();
    assert_eq!(text, "pw ******** ********\nprompt ********\n");
    assert!(dir.path().join("000001/api/000001.log").exists());
}

#[test]
fn a_disk_that_stands_still_stops_nobody_and_is_counted() {
    let queue = Queue::new(1 << 20);
    let mut context = Context::from_waker(std::task::Waker::noop());
    let origin = origin(1, 1, Stream::Stdout);
    let batch = Batch::kept(vec![b'\n'; 64 << 10].into(), Cut::Newline);
    let mut pushed = 0;
    while queue.poll_room(&context).is_ready() {
        queue.push(origin, &batch);
        pushed += 1;
        assert!(pushed < 100, "it pushes back");
    }
    while queue.watch() {
        std::thread::sleep(Duration::from_millis(10));
    }
    for _ in 0..40 {
        assert!(queue.poll_room(&context).is_ready(), "and then lets go");
        queue.push(origin, &batch);
        pushed += 1;
    }
    let mut items = std::collections::VecDeque::new();
    queue.take(&mut items).unwrap();
    let kept: usize = items.iter().map(Item::cost).sum();
    assert!(kept <= (1 << 20) + 4096, "{kept}");
    let lost = items.iter().filter(|item| item.record.gap);
    let lost: u64 = lost.map(|item| u64::from(item.record.lines)).sum();
    let stored = items.iter().filter(|item| !item.record.gap).count() as u64;
    assert_eq!(lost + stored * (64 << 10), pushed * (64 << 10));
    queue.done(kept, 1);
    assert!(queue.poll_room(&context).is_ready());
    let _ = &mut context;
}

#[test]
fn a_clock_that_is_set_back_hides_no_line_and_keeps_the_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = begin(dir.path(), 1 << 30);
    let begun = Timestamp::now();
    let at = |minutes: i64| begun + jiff::SignedDuration::from_mins(minutes);
    for (text, minutes) in [("a", 0), ("b", 10), ("c", -50), ("d", -40), ("e", 20)] {
        let batch = Batch::of(text.as_bytes(), Cut::Newline);
        let origin = origin(1, 1, Stream::Stdout);
        store.shared.queue.push_at(origin, &batch, || at(minutes));
        settle(&store);
    }
    assert!(store.finish(Duration::from_secs(60)).is_empty());
    let archive = only(dir.path());
    for source in [&store as &dyn LogSource, &archive] {
        assert_eq!(texts(&all(source).0), ["a", "b", "c", "d", "e"]);
        // From the first line that came then: those that came after it are shown, whatever
        // the clock said.
        let mut cursor = source.cursor(Selection::All, Start::Time(at(5)));
        assert_eq!(
            texts(&source.read(&mut cursor, 9).lines),
            ["b", "c", "d", "e"]
        );
        let mut cursor = source.cursor(Selection::All, Start::Time(at(15)));
        assert_eq!(texts(&source.read(&mut cursor, 9).lines), ["e"]);
        let cursor = source.cursor(Selection::All, Start::Oldest);
        let any = crate::logs::Pattern::regex(".", false).unwrap();
        let mut search = Search::new(any, crate::logs::Direction::Forward, cursor);
        search.filter.until = Some(at(-30));
        let found = source.search(&mut search, 9);
        assert_eq!(found.matched, 2, "c and d");
    }
}

#[derive(Clone, Debug)]
enum Act {
    Write(u32, Stream, Vec<u8>),
    Settle,
}

fn act() -> impl Strategy<Value = Act> {
    let text = prop::collection::vec(
        prop::sample::select(vec![
            &b"\n"[..],
            b"a",
            b"needle",
            b"\xff",
            b"\r\n",
            b"longer line\n",
        ]),
        1..30,
    );
    prop_oneof![
        6 => (1..4u32, any::<bool>(), text).prop_map(|(id, err, text)| Act::Write(
            id,
            if err { Stream::Stderr } else { Stream::Stdout },
            text.concat(),
        )),
        1 => Just(Act::Settle),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// Against a vector: what is read, forward and backward and from anywhere, by this process
    /// and another, and what a search finds.
    #[test]
    fn the_store_is_a_vector(acts in prop::collection::vec(act(), 1..40), from in 0..200u64, max in 1..40usize) {
        let dir = tempfile::tempdir().unwrap();
        // Small enough to have many segments, large enough to evict none.
        let store = begin(dir.path(), 1 << 20);
        let mut naive: Vec<(u32, Stream, Vec<u8>)> = Vec::new();
        for act in acts {
            match act {
                Act::Settle => settle(&store),
                Act::Write(id, stream, text) => {
                    write(&store, origin(id, 1, stream), &text);
                    let mut lines: Vec<&[u8]> = text.split(|b| *b == b'\n').collect();
                    let last = lines.pop().unwrap();
                    let ended = lines.into_iter().map(|l| l.strip_suffix(b"\r").unwrap_or(l));
                    let last = (!last.is_empty()).then_some(last);
                    naive.extend(ended.chain(last).map(|line| (id, stream, line.to_vec())));
                }
            }
        }
        settle(&store);
        let archive = only(dir.path());
        for source in [&store as &dyn LogSource, &archive] {
            let (lines, gaps) = all(source);
            prop_assert!(gaps.is_empty());
            let found: Vec<_> = lines.iter()
                .map(|l| (l.origin.run.instance.0, l.origin.stream, l.bytes.to_vec()))
                .collect();
            prop_assert_eq!(&found, &naive);
            prop_assert!((0..).zip(&lines).all(|(seq, line)| line.seq == seq));

            let mut cursor = source.cursor(Selection::All, Start::Seq(from));
            let rest = source.read(&mut cursor, max);
            let start = naive.len().min(from as usize);
            let end = naive.len().min(start + max);
            prop_assert_eq!(&rest.lines[..], &lines[start..end]);
            let mut back = Vec::new();
            loop {
                let page = source.read_back(&mut cursor, max);
                if page.lines.is_empty() { break; }
                back.splice(0..0, page.lines);
            }
            prop_assert_eq!(&back[..], &lines[..end]);

            let last = source.cursor(Selection::All, Start::Last(max));
            let tail = source.read(&mut last.clone(), max);
            prop_assert_eq!(&tail.lines[..], &lines[lines.len() - max.min(lines.len())..]);

            for direction in [Direction::Forward, Direction::Backward] {
                for keep in [0, 1000] {
                    let at = match direction { Direction::Forward => Start::Oldest, Direction::Backward => Start::Now };
                    let pattern = Pattern::regex("a?needle", false).unwrap();
                    let mut search = Search::new(pattern, direction, source.cursor(Selection::All, at));
                    search.filter = Filter { stream: Some(Stream::Stdout), ..Filter::default() };
                    let mut hits = Vec::new();
                    loop {
                        let found = source.search(&mut search, keep);
                        hits.extend(found.hits.into_iter().map(|hit| hit.line));
                        if found.done { break; }
                    }
                    let mut expected: Vec<_> = lines.iter()
                        .filter(|l| l.origin.stream == Stream::Stdout && memchr::memmem::find(&l.bytes, b"needle").is_some())
                        .cloned().collect();
                    prop_assert_eq!(search.matched, expected.len() as u64);
                    if direction == Direction::Backward { expected.reverse(); }
                    if keep > 0 { prop_assert_eq!(hits, expected); }
                }
            }
        }
        prop_assert!(store.finish(Duration::from_secs(60)).is_empty());
    }
}
