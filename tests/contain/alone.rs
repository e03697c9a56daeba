//! What concerns a whole process: each test runs in one of its own.

use std::process::Command;

use pk::contain::{SpawnRequest, StageRequest, adopt_orphans};
use pk::domain::exit::ExitStatus;

use super::{containment, line, lives, sh, soon, spawn, text, until};

/// Set in the process that a test made for itself.
const ALONE: &str = "PK_TEST_ALONE";

/// Runs the test of that name in a process that `prepare` has readied; `true`: this is it.
fn alone(name: &str, prepare: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let ran = Command::new("sh")
        .args(["-c", &format!("{prepare}; exec \"$0\" \"$@\"")])
        .arg(std::env::current_exe().unwrap())
        .args([&format!("contain::alone::{name}"), "--exact", "--nocapture"])
        .arg("--test-threads=1")
        .env(ALONE, "1")
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    false
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}

/// The children of this process, zombies too.
fn children() -> Vec<String> {
    let mut all = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path().join("children");
        let list = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(list.split_whitespace().map(str::to_owned));
    }
    all
}

#[test]
fn a_child_ignores_no_signal_whatever_is_inherited() {
    if !alone(
        "a_child_ignores_no_signal_whatever_is_inherited",
        "trap '' HUP INT QUIT USR1 PIPE",
    ) {
        return;
    }
    block_on(async {
        let (_group, mut running) = spawn("exec cat /proc/self/status");
        let status = text(running.take_outputs().remove(0)).await;
        for field in ["SigBlk:", "SigIgn:"] {
            let line = status.lines().find(|l| l.starts_with(field)).unwrap();
            let mask = line.split_whitespace().nth(1).unwrap();
            // Signals 32 and 33 are the C library's own: it sets them up itself.
            let mask = u64::from_str_radix(mask, 16).unwrap() & !(0b11 << 31);
            assert_eq!(mask, 0, "{line}");
        }
    });
}

/// No shell ignores SIGCHLD, so perl has to.
#[test]
fn a_status_is_there_also_where_sigchld_is_ignored() {
    const NAME: &str = "a_status_is_there_also_where_sigchld_is_ignored";
    let ignoring = "exec perl -e '$SIG{CHLD} = \"IGNORE\"; exec @ARGV' \"$0\" \"$@\"";
    if !alone(NAME, ignoring) {
        return;
    }
    block_on(async {
        let (_group, running) = spawn("exit 6");
        assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(6)]);
    });
}

#[test]
fn a_child_inherits_no_descriptor_of_this_process_nor_its_parent() {
    if !alone(
        "a_child_inherits_no_descriptor_of_this_process_nor_its_parent",
        "exec 7</dev/null 9</dev/null",
    ) {
        return;
    }
    block_on(async {
        let (_held, _other) = spawn("sleep 1000");
        let (_group, mut running) = spawn("exec ls /proc/self/fd");
        let listed = text(running.take_outputs().remove(0)).await;
        // The fourth is the folder that is listed.
        assert_eq!(
            listed.split_whitespace().collect::<Vec<_>>(),
            ["0", "1", "2", "3"]
        );
    });
}

#[test]
fn two_hundred_spawns_leave_no_descriptor_and_no_zombie() {
    if !alone("two_hundred_spawns_leave_no_descriptor_and_no_zombie", ":") {
        return;
    }
    block_on(async {
        let count = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let mut before = None;
        for turn in 0..200 {
            let group = containment().group();
            let scripts = vec![sh("echo x"), sh("cat")];
            let running = group.spawn(&SpawnRequest::pipeline(scripts)).unwrap();
            soon(running.exited()).await.unwrap();
            match turn % 3 {
                0 => drop(group),
                1 => {
                    soon(group.emptied()).await.unwrap();
                    group.release().await.unwrap();
                }
                _ => {
                    let refused = StageRequest::new(["/no/such"], "/");
                    group.spawn(&SpawnRequest::command(refused)).unwrap_err();
                }
            }
            drop(running);
            // What the first turn opens for good is the runtime's.
            before = before.or_else(|| Some(count()));
        }
        assert_eq!(Some(count()), before);
        assert!(children().is_empty(), "{:?}", children());
    });
}

#[test]
fn adopted_orphans_are_reaped_and_no_status_is_taken() {
    if !alone("adopted_orphans_are_reaped_and_no_status_is_taken", ":") {
        return;
    }
    block_on(async {
        adopt_orphans().unwrap();
        // The orphan leaves the group, so that only its new parent can end it.
        let (group, mut running) = spawn("setsid sh -c 'echo $$; exec sleep 0.1' & exit 4");
        let (orphan, _rest) = line(running.take_outputs().remove(0)).await;
        soon(group.emptied()).await.unwrap();
        until("the orphan has ended", || !lives(&orphan)).await;
        assert!(children().contains(&orphan), "it came back to this process");
        // Looking at any group that is not known to be empty looks at the whole table.
        let (other, _running) = spawn("exec sleep 1000");
        assert!(!other.is_empty().await.unwrap());
        assert!(!children().contains(&orphan), "it was reaped");
        assert!(
            children().contains(&running.pid().to_string()),
            "not the leader"
        );
        assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(4)]);
        group.release().await.unwrap();
    });
}
