//! A process is made without a copy of its maker, and inside its cgroup from its first
//! instruction: what `strace` sees of it.

use std::process::Command;

use pk::contain::{Choice, Containment, Mechanism, SpawnRequest};

use super::{in_a_cgroup, say, sh};

/// Set for the process that is looked at.
const ROLE: &str = "PK_TEST_NO_FORK";
const GROUPS: usize = 10;

#[tokio::test]
async fn role() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let containment = Containment::choose(Choice::Only(Mechanism::Cgroup)).unwrap();
    for _ in 0..GROUPS {
        let group = containment.group();
        let _running = group
            .spawn(&SpawnRequest::command(sh("exec sleep 1000")))
            .unwrap();
        let _ = group.kill().unwrap();
        group.emptied().await.unwrap();
        group.release().await.unwrap();
    }
}

#[test]
fn a_spawn_shares_memory_and_is_born_in_its_cgroup() {
    if in_a_cgroup().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-e", "trace=clone,clone3,fork,vfork", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["contain::no_fork::role", "--exact"])
        .env(ROLE, "1")
        .output();
    let must = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    let traced = match traced {
        Ok(traced) => traced,
        Err(error) => {
            assert!(!must, "CI installs strace: {error}");
            return say(&format!("NOT RUN: no strace here: {error}"));
        }
    };
    let errors = String::from_utf8_lossy(&traced.stderr);
    if errors.contains("PTRACE") || errors.contains("ptrace") {
        return say(&format!("NOT RUN: strace may not trace here: {errors}"));
    }
    assert!(traced.status.success(), "{traced:?}");
    let trace = std::fs::read_to_string(trace).unwrap();
    // A call that another thread's interrupts is shown in two lines; the first has the flags.
    let made: Vec<&str> = (trace.lines())
        .filter(|line| line.contains("clone") || line.contains("fork"))
        .filter(|line| !line.contains("resumed>") && !line.contains("CLONE_THREAD"))
        .collect();
    assert_eq!(made.len(), GROUPS, "{trace}");
    for line in made {
        for flag in [
            "CLONE_VM",
            "CLONE_VFORK",
            "CLONE_INTO_CGROUP",
            "CLONE_PIDFD",
        ] {
            assert!(line.contains(flag), "{flag} in {line}");
        }
    }
}
