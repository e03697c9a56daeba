//! What the log store costs: `cargo bench --bench logs`.
//!
//! - storing what units write (lines of 100 bytes, 4 KiB at once), against a floor that reads
//!   the same pipes, looks for the ends of lines and appends to one file: time, processor time
//!   and memory;
//! - a search of what was stored, against `grep -c` on the very same files, both warm;
//! - opening the log at any line or time, and a search of a million lines in memory.
//!
//! `PK_BENCH_LOG_MIB` is how much is written; 1024 unless it is said. Times are medians of
//! runs that alternate, and say only something on a machine that has nothing else to do.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod bounds;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pk::domain::id::{Attempt, InstanceId, RunId, UnitName};
use pk::logs::{
    Archive, Budget, Cursor, Direction, DiskStore, LogSink as _, LogSource, Masks, MemoryStore,
    Origin, Pattern, Pumps, RunRecord, Search, Selection, Start, Stream, UnitLog, pump,
};

const RUNS: usize = 5;

const LINE: usize = 100;

/// What one of them said.
#[derive(Clone, Copy, Debug)]
struct Cost {
    wall: f64,
    cpu: f64,
    /// The most that was resident, in MiB.
    resident: f64,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["write", mib] => {
            write(mib.parse().unwrap());
            return ExitCode::SUCCESS;
        }
        ["floor", folder, units, mib] => {
            floor(Path::new(folder), units.parse().unwrap(), mib);
            return ExitCode::SUCCESS;
        }
        ["store", folder, units, mib, masks] => {
            store(Path::new(folder), units.parse().unwrap(), mib, masks);
            return ExitCode::SUCCESS;
        }
        ["follow", folder] => {
            follow(Path::new(folder));
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !words.contains(&"--bench") {
        return ExitCode::SUCCESS;
    }
    let mib = std::env::var("PK_BENCH_LOG_MIB").ok();
    let mib: u64 = mib.and_then(|mib| mib.parse().ok()).unwrap_or(1024);
    let mut bounds = bounds::Bounds::new();
    storing(mib, &mut bounds);
    finding(mib, &mut bounds);
    in_memory(&mut bounds);
    bounds.end()
}

/// Bounds say at most: how much longer it may take than the floor.
fn storing(mib: u64, bounds: &mut bounds::Bounds) {
    let kinds = [
        ("one unit", 1, "secret", false, 0.7),
        ("eight units", 8, "secret", false, 0.7),
        ("one unit, a reader follows", 1, "secret", true, 0.7 * 0.9),
        ("one unit, a redact regex", 1, "regex", false, 0.3),
    ];
    for (name, units, masks, followed, least) in kinds {
        let (mut times, mut cpus, mut resident) = (Vec::new(), Vec::new(), 0.0_f64);
        let mut last = None;
        for _ in 0..RUNS {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().to_str().unwrap();
            let (units, mib) = (units.to_string(), (mib / units).to_string());
            let base = run(&["floor", folder, &units, &mib]);
            let follower = followed.then(|| start(&["follow", folder]));
            let own = run(&["store", folder, &units, &mib, masks]);
            if let Some(mut follower) = follower {
                assert!(follower.wait().unwrap().success());
            }
            times.push(own.wall / base.wall);
            cpus.push(own.cpu / base.cpu);
            resident = resident.max(own.resident);
            last = Some((base, own));
        }
        let (base, own) = last.unwrap();
        let speed = |cost: Cost| mib as f64 / cost.wall;
        let (time, cpu) = (median(times), median(cpus));
        let text = format!(
            "{name}: {:.0} MiB/s, floor {:.0} MiB/s; {:.2} x its speed; time",
            speed(own),
            speed(base),
            1.0 / time
        );
        bounds.hold(&format!("{text} {time:.2}"), time, 1.0 / least);
        let per = mib as f64 / 1024.0;
        let text = format!(
            "{name}: processor time per GiB {:.2} s, floor {:.2} s, ratio {cpu:.2}",
            own.cpu / per,
            base.cpu / per
        );
        // What masking with a regular expression costs is its own.
        let most = if masks == "regex" { f64::MAX } else { 1.5 };
        bounds.hold(&text, cpu, most);
        let text = format!("{name}: resident at most, MiB: {resident:.0}");
        bounds.hold(&text, resident, 64.0 + 20.0);
    }
}

fn finding(mib: u64, bounds: &mut bounds::Bounds) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    run(&["store", path, "1", &mib.to_string(), "secret"]);
    let archive = Archive::at(&run_folder(folder.path())).unwrap();
    let mut texts: Vec<PathBuf> = fs::read_dir(run_folder(folder.path()).join("unit-0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
        .collect();
    texts.sort();
    let lines = archive.extent(&Selection::All).lines;
    for (name, flag, text) in [
        ("a literal that stands in few lines", "-F", "n4077 here"),
        ("a literal that stands in every tenth line", "-F", "0 here"),
        ("a literal that stands in none", "-F", "no such text"),
        ("a regex", "-E", "n[0-9]+77 h[a-e]re"),
    ] {
        let pattern = Pattern::regex(text, false).unwrap();
        let (mut ratios, mut longest, mut times) = (Vec::new(), Duration::ZERO, (0.0, 0.0));
        for _ in 0..RUNS {
            let began = Instant::now();
            let output = Command::new("grep")
                .args(["-h", "-c", flag, text])
                .args(&texts)
                .output()
                .unwrap();
            let by_grep = began.elapsed().as_secs_f64();
            let counted: u64 = (String::from_utf8(output.stdout).unwrap().lines())
                .map(|count| count.parse::<u64>().unwrap())
                .sum();
            let began = Instant::now();
            let cursor = archive.cursor(Selection::All, Start::Oldest);
            let mut search = Search::new(pattern.clone(), Direction::Forward, cursor);
            let mut kept = 0_usize;
            loop {
                let step = Instant::now();
                let found = archive.search(&mut search, 1000_usize.saturating_sub(kept));
                longest = longest.max(step.elapsed());
                kept += found.hits.len();
                if found.done {
                    break;
                }
            }
            let own = began.elapsed().as_secs_f64();
            assert_eq!(search.matched, counted, "{text}");
            ratios.push(own / by_grep);
            times = (own, by_grep);
        }
        let ratio = median(ratios);
        let (own, by_grep) = times;
        let text = format!(
            "{name}, {lines} lines: {:.0} ms, grep {:.0} ms, ratio {ratio:.2}",
            own * 1e3,
            by_grep * 1e3
        );
        bounds.hold(&text, ratio, 2.0);
        let text = format!("{name}: longest step until a key is heard, ms: {longest:?}");
        bounds.hold(&text, longest.as_secs_f64() * 1e3, 50.0);
    }
    let times = archive.extent(&Selection::All).times.unwrap();
    let span = times.1.duration_since(times.0);
    let mut longest = Duration::ZERO;
    for part in 0..100_u32 {
        let line = lines * u64::from(part) / 100;
        let at = times.0 + span * i32::try_from(part).unwrap() / 100;
        for start in [Start::Line(line), Start::Seq(line), Start::Time(at)] {
            let began = Instant::now();
            let mut cursor = archive.cursor(Selection::All, start);
            assert_eq!(archive.read(&mut cursor, 100).lines.len(), 100);
            longest = longest.max(began.elapsed());
        }
    }
    let text = format!("opening {lines} lines anywhere, a screen of them, ms: {longest:?}");
    bounds.hold(&text, longest.as_secs_f64() * 1e3, 5.0);
}

fn in_memory(bounds: &mut bounds::Bounds) {
    let store = MemoryStore::new(256 << 20);
    let mut writer = store.open(origin(0));
    let block = block(0);
    for _ in 0..1_000_000 / (block.len() / LINE) {
        writer.write(&block);
    }
    let pattern = Pattern::literal("no such text", false).unwrap();
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let cursor = store.cursor(Selection::All, Start::Oldest);
        let mut search = Search::new(pattern.clone(), Direction::Forward, cursor);
        while !store.search(&mut search, 100).done {}
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let time = median(times);
    let text = format!("a search of a million lines in memory, ms: {time:.1}");
    bounds.hold(&text, time, 15.0);
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn start(args: &[&str]) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(args: &[&str]) -> Cost {
    let output = start(args).wait_with_output().unwrap();
    assert!(output.status.success(), "{args:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let figures: Vec<f64> = text
        .split_whitespace()
        .map(|figure| figure.parse().unwrap())
        .collect();
    Cost {
        wall: figures[0],
        cpu: figures[1],
        resident: figures[2],
    }
}

/// Lines to be written at once: as many as fit into 4 KiB.
fn block(turn: u64) -> Vec<u8> {
    let mut block = Vec::new();
    for line in 0..4096 / LINE as u64 {
        let text = format!(
            "line n{} here, of a service that says much: ",
            turn * 40 + line
        );
        block.extend_from_slice(text.as_bytes());
        block.resize((line as usize + 1) * LINE - 1, b'a' + (line % 26) as u8);
        block.push(b'\n');
    }
    block
}

/// A unit: blocks that are made before, so that its own work does not count.
fn write(mib: u64) {
    let blocks: Vec<Vec<u8>> = (0..256).map(block).collect();
    let mut out = std::io::stdout().lock();
    let mut left = mib << 20;
    for block in blocks.iter().cycle() {
        if left < block.len() as u64 {
            break;
        }
        out.write_all(block).unwrap();
        out.flush().unwrap();
        left -= block.len() as u64;
    }
}

fn units(count: u32, mib: &str) -> Vec<(Child, OwnedFd)> {
    (0..count)
        .map(|_| {
            let (read, write) = rustix::pipe::pipe().unwrap();
            rustix::io::fcntl_setfd(&read, rustix::io::FdFlags::CLOEXEC).unwrap();
            let child = Command::new(std::env::current_exe().unwrap())
                .args(["write", mib])
                .stdout(write)
                .spawn()
                .unwrap();
            (child, read)
        })
        .collect()
}

fn floor(folder: &Path, count: u32, mib: &str) {
    use rustix::event::{PollFd, PollFlags, poll};
    let began = Instant::now();
    let mut units = units(count, mib);
    let mut out = File::create(folder.join("floor")).unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut lines = 0;
    while !units.is_empty() {
        let mut polled: Vec<PollFd<'_>> = (units.iter())
            .map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN))
            .collect();
        poll(&mut polled, None).unwrap();
        let ready: Vec<bool> = polled.iter().map(|one| !one.revents().is_empty()).collect();
        for at in (0..ready.len()).rev().filter(|at| ready[*at]) {
            let read = rustix::io::read(&units[at].1, &mut buffer).unwrap();
            if read == 0 {
                units.remove(at).0.wait().unwrap();
                continue;
            }
            lines += memchr::memchr_iter(b'\n', &buffer[..read]).count();
            out.write_all(&buffer[..read]).unwrap();
        }
    }
    assert!(lines > 0);
    report(began.elapsed());
    drop(out);
    fs::remove_file(folder.join("floor")).unwrap();
}

fn store(folder: &Path, count: u32, mib: &str, masks: &str) {
    let pumps = Arc::new(Pumps::start().unwrap());
    let record = RunRecord {
        stack: "bench".into(),
        folder: folder.into(),
        started: Timestamp::now(),
        pid: std::process::id(),
        task: None,
        file: folder.join("pk.yaml"),
        units: Vec::new(),
    };
    let stack = folder.join("stack");
    let store = DiskStore::begin(&stack, &record, Budget::default(), Arc::clone(&pumps)).unwrap();
    let secrets = ["x7-Secret-of-the-bench".to_owned()];
    let redact = match masks {
        "regex" => vec![r"token=\S+|id=[0-9]{6,}".to_owned()],
        _ => Vec::new(),
    };
    for instance in 0..count {
        let masks = Masks::new(&secrets, &redact).unwrap();
        let name = UnitName::new(format!("unit-{instance}"));
        let (masks, copy) = (Some(Arc::new(masks)), None);
        store.introduce(InstanceId(instance), UnitLog { name, masks, copy });
    }
    let began = Instant::now();
    let (mut children, mut pumping) = (Vec::new(), Vec::new());
    for (instance, (child, pipe)) in (0..).zip(units(count, mib)) {
        children.push(child);
        rustix::io::ioctl_fionbio(&pipe, true).unwrap();
        let writer = store.open(origin(instance));
        let never = std::future::pending::<()>();
        pumping.push(pumps.handle().spawn(pump(pipe, writer, never)));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for one in pumping {
        runtime.block_on(one).unwrap().unwrap();
    }
    report(began.elapsed());
    for mut child in children {
        child.wait().unwrap();
    }
    assert_eq!(store.finish(Duration::from_secs(60)), Vec::<String>::new());
    let extent = store.extent(&Selection::All);
    let expected = u64::from(count) * ((mib.parse::<u64>().unwrap() << 20) / 4000) * 40;
    assert_eq!((extent.lines, extent.missed), (expected, 0));
}

fn follow(folder: &Path) {
    let run = run_folder(folder);
    let archive = loop {
        match Archive::at(&run) {
            Ok(archive) if archive.is_live() => break archive,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let mut cursor: Cursor = archive.cursor(Selection::All, Start::Oldest);
    let mut read = 0;
    loop {
        let goes_on = archive.is_live();
        loop {
            let page = archive.read(&mut cursor, 2048);
            if page.is_empty() {
                break;
            }
            read += page.lines.len();
        }
        if !goes_on {
            break;
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    assert!(read > 0);
}

fn run_folder(folder: &Path) -> PathBuf {
    folder.join("stack/000001")
}

fn origin(instance: u32) -> Origin {
    Origin {
        run: RunId {
            instance: InstanceId(instance),
            attempt: Attempt(1),
        },
        stage: 0,
        stream: Stream::Stdout,
    }
}

/// Time, processor time and memory of this process alone.
fn report(wall: Duration) {
    let mut stat = String::new();
    let mut file = File::open("/proc/self/stat").unwrap();
    file.read_to_string(&mut stat).unwrap();
    // proc_pid_stat(5): utime and stime are the 14th and 15th, in ticks.
    let after = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let peak: f64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("{} {} {}", wall.as_secs_f64(), ticks / 100.0, peak / 1024.0);
}
