//! What the kernel says of children comes late, all at once, or between other signals: every
//! end is seen all the same, with its status, and nobody stays a zombie.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use super::mechanisms;
use crate::harness::{Pk, Running, children, poll};

/// The third field of `/proc/PID/stat`.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}

/// All below a process, zombies too.
fn below(pid: Pid) -> Vec<Pid> {
    let mut all = children(pid);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next]));
        next += 1;
    }
    all
}

fn zombies(pk: &Running) -> usize {
    let all = below(pk.pid()).into_iter();
    all.filter(|pid| is_zombie(*pid)).count()
}

/// How each unit has ended, as `pk ps` tells it.
fn outcomes(pk: &Running) -> BTreeMap<String, String> {
    let told = pk.pk(["ps", "--output", "json"]);
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let units = told["units"].as_array().unwrap().iter();
    units
        .filter(|unit| !unit["outcome"].is_null())
        .map(|unit| {
            (
                unit["name"].as_str().unwrap().to_owned(),
                unit["outcome"].to_string(),
            )
        })
        .collect()
}

/// Lets all go on that read from the pipe, also one that comes to it only now.
fn open_gate(gate: &Path) {
    // Without a reader it is refused.
    let mut how = std::fs::File::options();
    let how = how
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    drop(how.open(gate));
}

#[test]
fn five_hundred_ends_in_one_instant_are_all_seen_though_nothing_was_heard() {
    const UNITS: usize = 500;
    for mechanism in mechanisms().filter(|name| *name != "pid-namespace") {
        let mut yaml = "services:\n  stays: {command: [sleep, '1000']}\ntasks:\n".to_owned();
        for number in 0..UNITS {
            use std::fmt::Write as _;
            let code = number % 200 + 1;
            writeln!(
                yaml,
                "  t{number}: {{command: [sh, -c, 'read _ <gate; exit {code}']}}"
            )
            .unwrap();
        }
        let pk = Pk::stack(&yaml, ["up", "--containment", mechanism]);
        let gate = pk.path("gate");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &gate,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
        let closed = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&gate)
            .unwrap();
        let pk = pk.start();
        pk.wait_for_times(" > started", UNITS + 1);
        let (_, supervisor) = pk.guard_and_supervisor();
        // Held still it hears of no signal, and of all ends at once by a single one later.
        kill_process(supervisor, Signal::STOP).unwrap();
        drop(closed);
        let waiting = || {
            let all = pk.members().into_iter();
            all.filter(|(_, line)| line.contains("read _")).count()
        };
        poll("the end of all tasks", || {
            open_gate(&gate);
            (waiting() == 0).then_some(())
        });
        kill_process(supervisor, Signal::CONT).unwrap();
        pk.wait_for_times(" > failed", UNITS);
        let outcomes = poll("an outcome of each", || {
            Some(outcomes(&pk)).filter(|all| all.len() == UNITS)
        });
        for number in 0..UNITS {
            let (told, code) = (&outcomes[&format!("t{number}")], number % 200 + 1);
            let ends = told.split(|at: char| !at.is_ascii_digit());
            assert!(
                ends.into_iter().any(|word| word == code.to_string()),
                "{number}: {told}"
            );
        }
        poll("no zombie", || (zombies(&pk) == 0).then_some(()));
        pk.signal(Signal::INT);
        pk.wait().assert_shows(&["stays > stopped"]);
    }
}

#[test]
fn a_storm_of_signals_loses_no_line_and_no_end() {
    const LINES: usize = 100_000;
    let yaml = format!(
        "tasks:\n  a: {{command: [seq, '{LINES}']}}\n  b: {{command: [seq, '{LINES}']}}\n  \
         ends:\n    command: 'i=0; while [ $i -lt 300 ]; do i=$((i+1)); (exit 3) & done; wait; exit 7'\n"
    );
    let pk = Pk::stack(&yaml, ["up"]).start();
    let (guard, supervisor) = pk.guard_and_supervisor();
    let over = AtomicBool::new(false);
    let to = [pk.pid(), guard, supervisor];
    let ended = std::thread::scope(|scope| {
        let storm = scope.spawn(|| {
            let mut sent = 0_usize;
            while !over.load(Ordering::Relaxed) {
                // Those that end nobody who has no handler for them.
                for signal in [Signal::CHILD, Signal::WINCH, Signal::CONT, Signal::URG] {
                    sent += to
                        .iter()
                        .filter(|pid| kill_process(**pid, signal).is_ok())
                        .count();
                }
            }
            sent
        });
        pk.wait_for(" ended after");
        over.store(true, Ordering::Relaxed);
        let sent = storm.join().unwrap();
        assert!(sent > 1000, "{sent} are no storm");
        pk.wait()
    });
    let text = ended.stdout();
    for unit in ["a", "b"] {
        let begin = format!("{unit:<4} | ");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&begin));
        let mut count = 0;
        for (number, line) in lines.enumerate() {
            assert_eq!(line, (number + 1).to_string(), "{unit}");
            count += 1;
        }
        assert_eq!(count, LINES, "{unit}");
    }
    ended.assert_code(1);
    ended.assert_shows(&["ends failed: exit code 7", "a, b"]);
}

#[test]
fn a_thousand_orphans_that_end_leave_no_zombie() {
    // Half of them end at once, half when they have long been orphans.
    let script = "i=0; while [ $i -lt 500 ]; do i=$((i+1)); (: &); (sleep 0.05 &); done; \
                  echo made; exec sleep 1000";
    let yaml = format!("services:\n  a: {{command: '{script}'}}\n");
    for mechanism in mechanisms() {
        let pk = Pk::stack(&yaml, ["up", "--containment", mechanism]).start();
        pk.wait_for("a  | made");
        let began = Instant::now();
        poll("no zombie", || (zombies(&pk) == 0).then_some(()));
        let took = began.elapsed();
        crate::contain::say(&format!(
            "{mechanism}: the last zombie is gone after {took:?}"
        ));
        // 100 ms on an idle machine; ten times as much on one that has other things to do.
        assert!(took.as_millis() < 1100, "{took:?}");
        poll("none but the last", || {
            let all = pk.members().into_iter();
            let sleeping = all.filter(|(_, line)| line.starts_with("sleep")).count();
            (sleeping == 1 && zombies(&pk) == 0).then_some(())
        });
        pk.signal(Signal::INT);
        pk.wait().assert_shows(&["a  > stopped"]);
    }
}
