//! A machine that grants little: what fails is one unit, by name, and the rest goes on.

use rustix::process::Signal;

use crate::harness::{Pk, Running};

/// So many services, and one task that waits for none of them.
fn stack(services: usize) -> String {
    use std::fmt::Write as _;
    let mut yaml = "tasks:\n  fine: {command: echo done}\nservices:\n".to_owned();
    for number in 0..services {
        writeln!(yaml, "  s{number}: {{command: [sleep, '1000']}}").unwrap();
    }
    yaml
}

/// Some have failed for that reason, others go on until they are stopped.
fn some_fail(pk: Running, reason: &str) {
    pk.wait_for(reason);
    pk.wait_for("> started");
    pk.signal(Signal::INT);
    let ended = pk.wait();
    ended.assert_shows(&[" failed: ", reason, " > stopped"]);
}

#[test]
fn too_many_open_files_fail_those_that_need_more() {
    for mechanism in ["cgroup", "process-group"] {
        if mechanism == "cgroup" && crate::contain::in_a_cgroup().is_none() {
            continue;
        }
        let pk = Pk::stack(&stack(100), ["up", "--containment", mechanism])
            .through(&["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"])
            .start();
        some_fail(pk, "too many open files (EMFILE");
    }
}

/// A cgroup below which there may be only so many.
struct Narrow(std::path::PathBuf);

impl Drop for Narrow {
    fn drop(&mut self) {
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

#[test]
fn too_many_cgroups_fail_those_that_come_too_late() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let Some(containment) = crate::contain::in_a_cgroup() else {
        return;
    };
    let group = containment.group();
    let stage = pk::contain::StageRequest::new(["true"], "/");
    let _running = group
        .spawn(&pk::contain::SpawnRequest::command(stage))
        .unwrap();
    let own = group.cgroup_path().unwrap().ancestors().nth(2).unwrap();
    let narrow = Narrow(own.join(format!("pk-test-narrow-{}", std::process::id())));
    std::fs::create_dir(&narrow.0).unwrap();
    std::fs::write(narrow.0.join("cgroup.max.descendants"), "4").unwrap();
    let enter = format!("echo $$ >{}/cgroup.procs; exec \"$@\"", narrow.0.display());
    let pk = Pk::stack(&stack(8), ["up", "--containment", "cgroup"])
        .through(&["sh", "-c", &enter, "sh"])
        .start();
    some_fail(pk, "no further cgroup is allowed");
}

#[test]
fn a_read_only_cgroup_filesystem_is_said_and_held_without() {
    if !rustix::process::geteuid().is_root() {
        return crate::contain::say(
            "NOT RUN: a read-only cgroup filesystem: only root can make one",
        );
    }
    let script = "at=$(awk '/ - cgroup2 /{print $5; exit}' /proc/self/mountinfo); \
        exec unshare --mount sh -c 'mount -o remount,bind,ro \"$0\" && exec \"$@\"' \"$at\" \"$@\"";
    let ended = Pk::stack(&stack(0).replace("services:\n", ""), ["up"])
        .through(&["sh", "-c", script, "sh"])
        .run();
    let said = String::from_utf8_lossy(&ended.stdout).replace("\npk      >", "");
    assert!(
        said.contains("held by a keeper per run (no cgroup: ") && said.contains("Read-only"),
        "{ended}"
    );
}
