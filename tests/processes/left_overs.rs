//! All of pk is killed in one instant, and nobody is left to clean up: the next command does,
//! whichever it is.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::ends::own_cgroup;
use crate::harness::{Pk, poll};

/// 100 ms on an idle machine; ten times as much on one that has other things to do.
const LIMIT: Duration = Duration::from_secs(1);

const ENTER: &str = "echo 0 >\"$PROCS\" && exec \"$@\"";

/// Below which no other test's pk looks.
struct Ground(PathBuf);

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::fs::remove_dir(&self.0).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn the_next_command_ends_and_reports_what_all_of_pk_left() {
    let Some(own) = own_cgroup() else {
        return crate::contain::say("NOT RUN: no cgroup can be written here");
    };
    let ground = Ground(own.join(format!("pk-test-next-{}", std::process::id())));
    std::fs::create_dir(&ground.0).unwrap();
    let procs = ground.0.join("cgroup.procs");
    let up = Pk::stack(
        "services:\n  a:\n    command: [sleep, '1000']\n  b:\n    command: setsid sleep 1000 & wait\n",
        ["up", "--no-tui", "--containment", "cgroup"],
    )
    .env("PROCS", procs.to_str().unwrap())
    .through(&["sh", "-c", ENTER, "sh"])
    .start();
    up.wait_for("a  > started");
    up.wait_for("b  > started");
    let sleeping = || {
        let all = up.members().into_iter();
        all.filter(|(_, command)| command.contains("sleep 1000"))
            .count()
    };
    // The two, and the shell that started the second.
    poll("the services", || (sleeping() == 3).then_some(()));
    let (guard, supervisor) = up.guard_and_supervisor();
    let own = [up.pid(), guard, supervisor];
    // Held still they cannot hear of each other's end.
    for signal in [Signal::STOP, Signal::KILL] {
        for pid in own {
            kill_process(pid, signal).unwrap();
        }
    }
    poll("only what was left", || {
        (up.members().len() == 3).then_some(())
    });

    let mut next = Command::new("sh");
    next.args(["-c", ENTER, "sh", env!("CARGO_BIN_EXE_pk"), "ls"])
        .current_dir(up.folder())
        .env("PROCS", &procs)
        .env("XDG_RUNTIME_DIR", up.folder());
    let began = Instant::now();
    let ended = up.ended(next);
    let took = began.elapsed();
    ended.assert_code(0);
    assert_eq!(
        ended.stderr(),
        "note: ended 3 processes that a pk which was killed had left\nnote: no stack is running\n",
        "{ended}"
    );
    poll("their end", || up.members().is_empty().then_some(()));
    assert!(took < LIMIT, "{took:?}");
    let folders = std::fs::read_dir(&ground.0).unwrap().flatten();
    let left: Vec<_> = folders.filter(|entry| entry.path().is_dir()).collect();
    assert!(left.is_empty(), "{left:?}");
}
