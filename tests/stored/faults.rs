//! What becomes of the log when the disk is full, or pk is killed.
//!
//! `PK_LOG_KILLS=100 cargo test --test tests -- stored::faults` kills it that often.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::{another, logs};
use crate::harness::{Pk, poll};

/// The process that runs the stack of the latest run.
fn supervisor(pk: &Pk) -> Option<Pid> {
    let stacks = std::fs::read_dir(pk.path(".state/pk/shop")).ok()?;
    let runs = stacks
        .flatten()
        .flat_map(|stack| std::fs::read_dir(stack.path()));
    let mut runs: Vec<_> = runs.flatten().flatten().map(|run| run.path()).collect();
    runs.sort();
    let record = std::fs::read(runs.last()?.join("run.json")).ok()?;
    let record: serde_json::Value = serde_json::from_slice(&record).ok()?;
    Pid::from_raw(i32::try_from(record["pid"].as_i64()?).ok()?)
}

/// Lines that count up, how many were given up before the first of them for room, and how many
/// are said to be lost between and after them.
#[track_caller]
fn counted(text: &str) -> (u64, u64, u64) {
    let first = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("api | "));
    let given_up = first.map_or(0, |first| first.parse::<u64>().unwrap_or(1) - 1);
    let (mut next, mut lost) = (given_up + 1, 0);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(gap) = line.strip_prefix("api > ") {
            let count: u64 = gap
                .strip_suffix(" lost")
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            (next, lost) = (next + count, lost + count);
            continue;
        }
        let number = line.strip_prefix("api | ").unwrap();
        if lines.peek().is_none() && number != format!("{next:0>60}") {
            // It was killed in the middle of a line.
            assert!(format!("{next:0>60}").starts_with(number), "{number:?}");
            break;
        }
        assert_eq!(number.parse::<u64>().unwrap(), next, "after {lost} lost");
        next += 1;
    }
    (next - 1 - lost - given_up, given_up, lost)
}

#[test]
fn killed_at_any_moment_it_reads_in_order_and_goes_on() {
    let kills = std::env::var("PK_LOG_KILLS").ok();
    let kills: u64 = kills.and_then(|kills| kills.parse().ok()).unwrap_or(5);
    let pk = Pk::stack(
        "name: shop\nservices: {api: {command: 'exec seq -f %060.0f 1 100000000'}}",
        ["up", "--no-tui", "--log-disk", "4MiB"],
    );
    for turn in 1..=kills {
        let mut up = pk.command();
        let mut up = up
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let run = turn.to_string();
        poll("the first lines", || {
            let output = another(&pk, &["logs", "-n", "1", "--run", &run])
                .output()
                .unwrap();
            (!output.stdout.is_empty()).then_some(())
        });
        // Any moment: not the one at which a line was seen.
        let moment = std::time::Duration::from_micros(turn * 7919 % 60_000);
        std::thread::sleep(moment);
        kill_process(supervisor(&pk).unwrap(), Signal::KILL).unwrap();
        assert_ne!(up.wait().unwrap().code(), Some(0));
        let text = logs(&pk, &["--run", &run]);
        let (kept, ..) = counted(&text);
        assert!(kept > 0, "{text}");
        // What was mended once stays so.
        assert_eq!(logs(&pk, &["--run", &run]), text);
    }
    // The next one opens what is there.
    let next = another(&pk, &["run", "--help"]).output().unwrap();
    assert!(next.status.success());
}

/// A file system of its own in the memory, for as long as it is held.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: std::path::PathBuf, size: &str) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let options = format!("size={size},mode=0700");
        let mut mount = std::process::Command::new("mount");
        let mount = mount
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(&at);
        let mounted = mount.stderr(Stdio::null()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(at))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let mut umount = std::process::Command::new("umount");
        let _ = umount.arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_holds_nobody_up_and_what_is_lost_is_counted() {
    const LINES: u64 = 200_000;
    let pk = Pk::stack(
        &format!("name: shop\ntasks: {{api: {{command: 'exec seq -f %060.0f 1 {LINES}'}}}}"),
        ["up", "--no-tui"],
    );
    let Some(small) = Small::mount(pk.path(".state"), "3m") else {
        println!("not run: nothing can be mounted here (it takes root)");
        return;
    };
    let output = pk.command().stdout(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (kept, given_up, lost) = counted(&logs(&pk, &[]));
    assert!(kept > 0 && given_up + lost > 0, "{kept} kept, {lost} lost");
    assert_eq!(kept + given_up + lost, LINES);
    drop(small);
}

#[test]
fn a_disk_that_somebody_else_has_filled_is_said() {
    let pk = Pk::stack(
        "name: shop\ntasks: {api: {command: 'until [ -e go ]; do sleep 0.02; done; seq 1 50000'}}",
        ["up", "--no-tui"],
    );
    let Some(small) = Small::mount(pk.path(".state"), "2m") else {
        println!("not run: nothing can be mounted here (it takes root)");
        return;
    };
    let up = pk
        .command()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    poll("the run", || supervisor(&pk));
    let _ = std::fs::write(pk.path(".state/others"), vec![0; 4 << 20]);
    std::fs::write(pk.path("go"), "").unwrap();
    let output = up.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("lines were lost: cannot write in"), "{said}");
    drop(small);
}
