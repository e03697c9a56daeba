//! A log of which bytes were changed, cut off and added: reading, forward, backward and in
//! search, comes to an end, and gives no more lines than there can be.
#![no_main]

mod folder;

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pk::domain::id::{Attempt, InstanceId, RunId};
use pk::logs::{
    Archive, Budget, Direction, DiskStore, LogSink as _, LogSource as _, Origin, Pattern, Pumps,
    RunRecord, Search, Selection, Start, Stream,
};

/// Index and text as pk writes them, with several records.
fn real() -> &'static [Vec<u8>; 2] {
    static REAL: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    REAL.get_or_init(|| {
        let folder = folder::folder().join("real");
        let record = RunRecord {
            stack: "shop".into(),
            folder: "/shop".into(),
            started: Timestamp::UNIX_EPOCH,
            pid: 1,
            task: None,
            file: "/shop/pk.yaml".into(),
            units: Vec::new(),
        };
        let budget = Budget {
            memory: 8 << 20,
            disk: 1 << 30,
        };
        let pumps = Arc::new(Pumps::start().expect("threads"));
        let store = DiskStore::begin(&folder, &record, budget, pumps).expect("a store");
        for attempt in 1..6 {
            for stream in [Stream::Stdout, Stream::Stderr] {
                let mut writer = store.open(Origin {
                    run: RunId {
                        instance: InstanceId(1),
                        attempt: Attempt(attempt),
                    },
                    stage: 0,
                    stream,
                });
                writer.write(b"a line\nanother\r\nand the last");
                writer.close();
            }
        }
        let said = store.finish(Duration::from_secs(60));
        assert!(said.is_empty(), "{said:?}");
        let unit = folder.join("000001/unit-1");
        let read = |name| std::fs::read(unit.join(name)).expect("a segment");
        [read("000001.idx"), read("000001.log")]
    })
}

/// `length`: what is kept; `changed`: bytes and their places; `added`: what stands behind.
fn changed(of: &[u8], length: u16, changed: &[(u16, u8)], added: &[u8]) -> Vec<u8> {
    let mut bytes = of[..of.len().min(usize::from(length))].to_vec();
    for (place, value) in changed {
        if let Some(byte) = bytes.get_mut(usize::from(*place)) {
            *byte = *value;
        }
    }
    bytes.extend_from_slice(added);
    bytes
}

fn write(unit: &Path, number: u8, index: &[u8], text: &[u8]) {
    std::fs::write(unit.join(format!("{number:06}.idx")), index).expect("a file");
    std::fs::write(unit.join(format!("{number:06}.log")), text).expect("a file");
}

type Change = (u16, Vec<(u16, u8)>, Vec<u8>);

fuzz_target!(|input: (Change, Change, Option<(Change, Change)>)| {
    let run = folder::folder().join("000001");
    let unit = run.join("unit-1");
    let _ = std::fs::remove_dir_all(&run);
    std::fs::create_dir_all(&unit).expect("a folder");
    std::fs::write(run.join("lock"), "").expect("a file");
    let [index, text] = real();
    let (a, b, second) = input;
    let mut most = 64;
    let mut put = |number, a: &Change, b: &Change| {
        let index = changed(index, a.0, &a.1, &a.2);
        let text = changed(text, b.0, &b.1, &b.2);
        most += index.len() + text.len();
        write(&unit, number, &index, &text);
    };
    put(1, &a, &b);
    if let Some((a, b)) = &second {
        put(2, a, b);
    }
    let archive = Archive::at(&run).expect("a run");
    let mut cursor = archive.cursor(Selection::All, Start::Line(0));
    let mut read = 0;
    for page in 0.. {
        assert!(page <= most, "reads for ever");
        let page = archive.read(&mut cursor, 7);
        if page.is_empty() {
            break;
        }
        read += page.lines.len();
    }
    assert!(read <= most, "{read} lines of {most} bytes");
    for page in 0.. {
        assert!(page <= most, "reads back for ever");
        if archive.read_back(&mut cursor, 7).is_empty() {
            break;
        }
    }
    let pattern = Pattern::literal("a", false).expect("a pattern");
    let start = archive.cursor(Selection::All, Start::Line(0));
    let mut search = Search::new(pattern, Direction::Forward, start);
    for step in 0.. {
        assert!(step <= most, "searches for ever");
        if archive.search(&mut search, 3).done {
            break;
        }
    }
    let _ = archive.extent(&Selection::All);
});
