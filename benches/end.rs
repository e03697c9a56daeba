//! How soon nothing is left: `cargo bench --bench end`.
//!
//! - from SIGKILL of the supervisor to the end of the last process of the stack, with every
//!   mechanism: fifteen services, of which some ignore what asks them to end, leave children
//!   behind, or go into sessions of their own;
//! - a group of a thousand processes, against the bare `cgroup.kill` of one made by hand.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod bounds;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pk::contain::{Choice, Containment, Mechanism, SpawnRequest, StageRequest};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

const PK: &str = env!("CARGO_BIN_EXE_pk");
/// Set for all processes of one run, and inherited by their descendants.
const MARK: &str = "PK_BENCH_END";

/// What the services do.
const SHAPES: [&str; 5] = [
    "exec sleep 1000",
    "trap '' TERM INT HUP; sleep 1000 & wait; sleep 1000",
    "(trap '' TERM INT HUP; exec sleep 1000) & wait",
    "setsid sleep 1000 & wait",
    "(setsid sh -c 'sleep 1000 & exec sleep 1000' &) ; exec sleep 1000",
];

fn main() -> ExitCode {
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bounds = bounds::Bounds::new();
    for (mechanism, bound) in [(Mechanism::Cgroup, 20.0), (Mechanism::ProcessGroup, 80.0)] {
        if let Err(error) = Containment::choose(Choice::Only(mechanism)) {
            println!("NOT RUN with {mechanism}: {error}");
            continue;
        }
        let mut times: Vec<f64> = (0..21).map(|_| kill_of_supervisor(mechanism)).collect();
        let (middle, worst) = (median(&mut times), times[times.len() - 1]);
        let text = format!(
            "SIGKILL of the supervisor to all gone, {mechanism}, ms: {middle:.1}, worst {worst:.1}"
        );
        bounds.hold(&text, middle, bound);
    }
    tree(&mut bounds);
    bounds.end()
}

/// Milliseconds.
fn kill_of_supervisor(mechanism: Mechanism) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut file = "services:\n".to_owned();
    for n in 0..15 {
        let shape = SHAPES[n % SHAPES.len()];
        file.push_str(&format!("  s{n}: {{command: [sh, -c, \"{shape}\"]}}\n"));
    }
    fs::write(folder.path().join("pk.yaml"), file).unwrap();
    let mark = folder.path().display().to_string();
    let mut face = Command::new(PK)
        .arg("-C")
        .arg(folder.path())
        .args(["up", "--no-tui", "--containment", &mechanism.to_string()])
        .env(MARK, &mark)
        .env("XDG_RUNTIME_DIR", folder.path())
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Of each shape so many live at last.
    let all = 3 * (1 + 2 + 2 + 2 + 3);
    let deadline = Instant::now() + Duration::from_secs(20);
    let sleeping = loop {
        let sleeping = marked(&mark)
            .into_iter()
            .filter(|pid| matches!(name(*pid).as_str(), "sleep" | "sh"))
            .count();
        if sleeping == all {
            break sleeping;
        }
        assert!(Instant::now() < deadline, "{sleeping} of {all}");
        sleep(Duration::from_millis(2));
    };
    assert_eq!(sleeping, all);
    let guard = child(Pid::from_child(&face));
    let supervisor = child(guard);
    let watched: Vec<OwnedFd> = marked(&mark)
        .into_iter()
        .filter_map(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .collect();
    let began = Instant::now();
    kill_process(supervisor, Signal::KILL).unwrap();
    for pidfd in &watched {
        ended(pidfd);
    }
    let took = began.elapsed();
    face.wait().unwrap();
    assert_eq!(marked(&mark), [], "something was left");
    took.as_secs_f64() * 1e3
}

/// Waits for the end of a process.
fn ended(pidfd: &OwnedFd) {
    let mut one = [PollFd::new(pidfd, PollFlags::IN)];
    let limit = rustix::event::Timespec {
        tv_sec: 20,
        tv_nsec: 0,
    };
    assert_eq!(poll(&mut one, Some(&limit)), Ok(1), "it does not end");
}

/// Every process with that mark in its environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mut entries = environment.split(|&byte| byte == 0);
        entries.any(|entry| entry == wanted.as_bytes())
    })
    .filter_map(Pid::from_raw)
    .collect()
}

fn name(pid: Pid) -> String {
    let name = fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_nonzero()));
    name.unwrap_or_default().trim_end().to_owned()
}

/// The only one.
fn child(pid: Pid) -> Pid {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
        for thread in threads.flatten() {
            let list = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let first = list.split_ascii_whitespace().next();
            if let Some(pid) = first.and_then(|pid| Pid::from_raw(pid.parse().ok()?)) {
                return pid;
            }
        }
        assert!(Instant::now() < deadline, "it has no child");
        sleep(Duration::from_millis(1));
    }
}

/// A thousand processes, and one above them that says when they are there.
const TREE: &str = "i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done; echo there; wait";

fn tree(bounds: &mut bounds::Bounds) {
    let Ok(containment) = Containment::choose(Choice::Only(Mechanism::Cgroup)) else {
        return println!("NOT RUN: no cgroup can be written here");
    };
    let (mut ours, mut least) = (vec![], vec![]);
    for _ in 0..7 {
        ours.push(tree_of_group(&containment));
        least.push(tree_by_hand(&containment));
    }
    let (ours, least) = (median(&mut ours), median(&mut least));
    let ratio = ours / least;
    let text = format!(
        "a tree of 1,000 processes to all gone, ms: {ours:.1} against {least:.1} = {ratio:.2}"
    );
    bounds.hold(&text, ratio, 1.15);
}

fn tree_of_group(containment: &Containment) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let group = containment.group();
        let tree = StageRequest::new(["sh", "-c", TREE], "/");
        let _running = group.spawn(&SpawnRequest::command(tree)).unwrap();
        while group.members().await.unwrap().len() < 1001 {
            sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        let _ = group.kill().unwrap();
        group.emptied().await.unwrap();
        let took = began.elapsed();
        group.release().await.unwrap();
        took.as_secs_f64() * 1e3
    })
}

fn tree_by_hand(containment: &Containment) -> f64 {
    let own = containment.stand_path().unwrap().parent().unwrap();
    let cgroup = own.join(format!("bench-end-{}", std::process::id()));
    fs::create_dir(&cgroup).unwrap();
    let mut leader = Command::new("sh")
        .args(["-c", &format!("echo 0 > \"$PROCS\"; {TREE}")])
        .env("PROCS", cgroup.join("cgroup.procs"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(leader.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let events = fs::File::open(cgroup.join("cgroup.events")).unwrap();
    let began = Instant::now();
    fs::write(cgroup.join("cgroup.kill"), "1").unwrap();
    while !is_empty(&cgroup.join("cgroup.events")) {
        let mut one = [PollFd::new(&events, PollFlags::PRI)];
        let limit = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        let _ = poll(&mut one, Some(&limit));
    }
    leader.wait().unwrap();
    let took = began.elapsed();
    fs::remove_dir(&cgroup).unwrap();
    took.as_secs_f64() * 1e3
}

fn is_empty(events: &Path) -> bool {
    fs::read_to_string(events).unwrap().contains("populated 0")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
