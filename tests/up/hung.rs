//! A program that cannot be executed in any time: its file does not answer.
//!
//! Not a dead network file system, but to whoever opens the file the same: somebody holds a
//! lease on it, and the kernel lets an open wait until that is given back, for as long as
//! `/proc/sys/fs/lease-break-time` says (45 seconds where nobody has changed it).

use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::Pk;

/// `F_SETLEASE` and `F_WRLCK`.
const HOLDER: &str = "$| = 1; $SIG{IO} = sub { print \"asked\\n\" }; open F, '<', $ARGV[0] or die; \
                      print fcntl(F, 1024, 1) ? \"held\\n\" : \"$!\\n\"; sleep 1000 while 1";

struct Holder(Child, Lines<BufReader<ChildStdout>>);

impl Holder {
    fn of(file: &str) -> Self {
        let mut child = Command::new("perl")
            .args(["-e", HOLDER, file])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self(child, lines)
    }

    fn says(&mut self) -> String {
        self.1.next().unwrap().unwrap()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ends_in_time(mechanism: &str) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("slow");
    std::fs::write(&program, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    let mut holder = Holder::of(program);
    let held = holder.says();
    if held != "held" {
        return crate::contain::say(&format!("NOT RUN: an exec that hangs: {held}"));
    }
    let yaml = format!(
        "services:\n  slow:\n    command: [{program}]\n    shutdown: {{timeout: 100ms}}\n  \
         other: {{command: [sleep, '1000']}}\n"
    );
    let pk = Pk::stack(&yaml, ["up", "--containment", mechanism]).start();
    pk.wait_for("other > started");
    assert_eq!(holder.says(), "asked");
    let began = Instant::now();
    pk.signal(Signal::INT);
    pk.wait()
        .assert_code(130)
        .assert_shows(&["other > stopped"]);
    let took = began.elapsed();
    assert!(
        took < Duration::from_secs(20),
        "{took:?}: it was not killed"
    );
}

#[test]
fn an_exec_that_hangs_is_killed_in_a_cgroup() {
    if crate::contain::in_a_cgroup().is_some() {
        ends_in_time("cgroup");
    }
}

#[test]
fn an_exec_that_hangs_is_killed_by_its_keeper() {
    ends_in_time("process-group");
}
