//! What watching files costs: `cargo bench --bench watch`.
//!
//! - from a save to the first instruction of the new process, against the least that can be:
//!   one inotify watch, a signal, a wait and a spawn, in one loop;
//! - the same with the debounce that pk has if none is named, and by watchexec where it is
//!   installed;
//! - a tree of 100,000 files, 5,000 of them not ignored: until it is watched, against the
//!   time of walking it with the `ignore` crate; how many folders take a watch; what it costs
//!   while nothing changes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod bounds;

use std::fs;
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pk::domain::id::UnitName;
use pk::domain::spec::{Watch, WatchAction};
use pk::watch::Watcher;
use rustix::fs::inotify;
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

const PK: &str = env!("CARGO_BIN_EXE_pk");

/// Saves that are measured, each of a file of its own.
const SAVES: usize = 50;

/// What pk waits for if a file says nothing, in milliseconds.
const DEBOUNCE: f64 = 30.0;

/// The argument by which this program is what is restarted.
const MARK: &str = "--mark";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    if let [_, mark, file] = &args[..]
        && mark == MARK
    {
        return run(Path::new(file));
    }
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !args.iter().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bounds = bounds::Bounds::new();
    saves(&mut bounds);
    tree(&mut bounds);
    bounds.end()
}

/// What is restarted: says when it began, and waits for its end.
fn run(file: &Path) -> ExitCode {
    let now = monotonic();
    let new = file.with_extension("new");
    fs::write(&new, now.to_string()).unwrap();
    fs::rename(new, file).unwrap();
    sleep(Duration::from_secs(1000));
    ExitCode::SUCCESS
}

/// In nanoseconds, the same in all processes.
fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap()
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        sleep(Duration::from_micros(200));
    }
}

fn marked(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.parse().ok()
}

fn this_program() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

/// A folder with a file for each save.
fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("src")).unwrap();
    for n in 0..SAVES {
        fs::write(folder.path().join(format!("src/{n}")), "before").unwrap();
    }
    folder
}

/// The median from a save to the mark of the process that it led to, in milliseconds.
fn median_save(folder: &Path) -> f64 {
    let file = folder.join("mark");
    let mut before = until("the first start", || marked(&file));
    // What has just started is looked at, and what was started for that has ended.
    sleep(Duration::from_millis(500));
    let mut times = Vec::new();
    for n in 0..SAVES {
        let path = folder.join(format!("src/{n}"));
        let saved = monotonic();
        fs::write(path, "after").unwrap();
        let began = until("a start", || marked(&file).filter(|at| *at > before));
        before = began;
        times.push(began.saturating_sub(saved));
        sleep(Duration::from_millis(60));
    }
    times.sort_unstable();
    Duration::from_nanos(times[SAVES / 2]).as_secs_f64() * 1e3
}

fn stop(mut child: Child) {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    child.wait().unwrap();
}

fn by_pk(debounce: &str) -> f64 {
    let folder = project();
    let unit = this_program();
    let yaml = format!(
        "services:\n  api:\n    command: ['{unit}', {MARK}, mark]\n    watch: {{paths: [src]{debounce}}}\n"
    );
    fs::write(folder.path().join("pk.yaml"), yaml).unwrap();
    let mut command = Command::new(PK);
    command
        .arg("-C")
        .arg(folder.path())
        .args(["up", "--no-tui"]);
    let running = quiet(command).spawn().unwrap();
    let median = median_save(folder.path());
    stop(running);
    median
}

fn quiet(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// `None`: it is not installed.
fn by_watchexec() -> Option<f64> {
    let known = quiet(Command::new("watchexec")).arg("--version").status();
    known.ok()?;
    let folder = project();
    let mut command = Command::new("watchexec");
    command
        .args(["--restart", "--watch", "src", "--shell=none", "--"])
        .args([&this_program(), MARK, "mark"])
        .current_dir(folder.path());
    let running = quiet(command).spawn().unwrap();
    let median = median_save(folder.path());
    stop(running);
    Some(median)
}

/// The least that can be: one watch, and nothing that is looked at or asked.
fn by_hand() -> f64 {
    let folder = project();
    let root = folder.path().to_owned();
    let (unit, mark) = (this_program(), folder.path().join("mark"));
    let start = move || {
        let mut command = Command::new(&unit);
        command.arg(MARK).arg(&mark);
        quiet(command).spawn().unwrap()
    };
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let source = root.join("src");
    let watching = std::thread::spawn(move || {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&fd, &source, inotify::WatchFlags::CLOSE_WRITE).unwrap();
        let mut child = start();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&fd, &mut buffer);
        loop {
            reader.next().unwrap();
            kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
            child.wait().unwrap();
            if ended.try_recv().is_ok() {
                return;
            }
            child = start();
        }
    });
    let median = median_save(&root);
    end.send(()).unwrap();
    fs::write(root.join("src/0"), "end").unwrap();
    watching.join().unwrap();
    median
}

fn saves(bounds: &mut bounds::Bounds) {
    let floor = by_hand();
    println!("save to the first instruction, by hand, ms: {floor:.2}");
    let at_once = by_pk(", debounce: 0ms");
    let ratio = at_once / floor;
    let text = format!("the same by pk without a debounce, ms: {at_once:.2}; ratio {ratio:.2}");
    bounds.hold(&text, ratio, 3.0);
    let usual = by_pk("");
    let text = format!("the same by pk with its usual debounce of {DEBOUNCE} ms, ms: {usual:.2}");
    bounds.hold(&text, usual, DEBOUNCE + 3.0);
    match by_watchexec() {
        Some(theirs) => {
            let text = format!("the same by watchexec as it is, ms: {theirs:.2}; by pk as it is");
            bounds.hold(&text, usual, theirs);
        }
        None => println!("the same by watchexec: it is not installed here"),
    }
}

/// 100,000 files, of which 5,000 in 500 folders are not ignored.
fn fill(folder: &Path) {
    fs::write(folder.join(".gitignore"), "node_modules/\n").unwrap();
    for (below, folders) in [("src", 500), ("node_modules", 9500)] {
        for n in 0..folders {
            let folder = folder.join(format!("{below}/{}/{n}", n / 100));
            fs::create_dir_all(&folder).unwrap();
            for file in 0..10 {
                fs::write(folder.join(format!("{file}.js")), format!("{n} {file}")).unwrap();
            }
        }
    }
}

fn tree(bounds: &mut bounds::Bounds) {
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut ratios = Vec::new();
    let mut last = None;
    for _ in 0..9 {
        let began = Instant::now();
        let files = ignore::WalkBuilder::new(folder.path())
            .require_git(false)
            .build()
            .filter(|entry| {
                let kind = entry.as_ref().unwrap().file_type();
                kind.is_some_and(|kind| kind.is_file())
            })
            .count();
        let walked = began.elapsed();
        assert_eq!(files, 5000);
        drop(last.take());
        let began = Instant::now();
        let watcher = armed(folder.path(), &runtime);
        let took = began.elapsed();
        ratios.push((took.as_secs_f64() / walked.as_secs_f64(), took, walked));
        last = Some(watcher);
    }
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, took, walked) = ratios[ratios.len() / 2];
    let text = format!(
        "100,000 files, 5,000 not ignored: watched after {took:?}; walked by `ignore` in \
         {walked:?}; ratio {ratio:.2}"
    );
    bounds.hold(&text, ratio, 2.0);
    let text = format!("inotify watches for 506 folders: {}", watches());
    // Beside those that are walked, the folders on the way to them.
    bounds.hold(&text, f64::from(watches()), 520.0);
    // What is hashed in the background is done soon.
    sleep(Duration::from_secs(2));
    let before = woken();
    sleep(Duration::from_secs(3));
    let text = format!("times that it woke in 3 s of quiet: {}", woken() - before);
    bounds.hold(&text, f64::from(woken() - before), 0.0);
    drop(last);
}

fn armed(folder: &Path, runtime: &tokio::runtime::Runtime) -> Watcher {
    let watcher = Watcher::new(folder.to_owned());
    watcher.report_to(|_| {});
    let watch = Watch {
        paths: vec![folder.display().to_string()],
        ignore: Vec::new(),
        debounce: Duration::from_millis(30),
        run: None,
        action: WatchAction::Restart,
        cascade: false,
        gitignore: true,
    };
    watcher.watch(&UnitName::new("api"), &watch, None);
    // It is answered after what was asked before.
    let why = runtime.block_on(watcher.why(&folder.join("src/0/0/0.js")));
    assert!(why.unwrap().units[0].counts);
    watcher
}

/// Of this process.
fn watches() -> u32 {
    let fds = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    let lines = fds.filter_map(|fd| fs::read_to_string(fd.path()).ok());
    let count = lines
        .map(|text| text.matches("inotify wd").count())
        .sum::<usize>();
    u32::try_from(count).unwrap()
}

/// How often the thread that watches went to sleep.
fn woken() -> u32 {
    let threads = fs::read_dir("/proc/self/task").unwrap().flatten();
    let mut times = 0;
    for thread in threads {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        if !status.starts_with("Name:\tpk watch\n") {
            continue;
        }
        let line = status
            .lines()
            .find(|line| line.starts_with("voluntary_ctxt"));
        let count = line.and_then(|line| line.split_whitespace().last());
        times += count
            .and_then(|count| count.parse::<u32>().ok())
            .unwrap_or(0);
    }
    times
}
