//! A machine that grants little, for real.

use pk::contain::{Containment, Mechanism, SpawnCause, SpawnRequest};
use pk::domain::exit::ExitStatus;

use super::{in_a_cgroup, in_a_process_group, sh, soon};

async fn too_many_open_files_are_named_and_pass(containment: Containment) {
    let request = SpawnRequest::command(sh("exec sleep 1000"));
    let mut held = Vec::new();
    let error = loop {
        let group = containment.group();
        match group.spawn(&request) {
            Ok(running) => held.push((group, running)),
            Err(error) => break error,
        }
        assert!(held.len() < 40, "there is no limit");
    };
    assert!(matches!(error.cause, SpawnCause::FileLimit), "{error}");
    assert!(held.len() > 2, "{error}");
    // Those before go on, and can be ended; then there is room again.
    for (group, running) in held {
        assert_eq!(running.statuses(), [None]);
        let _ = group.kill().unwrap();
        soon(group.emptied()).await.unwrap();
        group.release().await.unwrap();
    }
    let group = containment.group();
    let running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::SUCCESS]);
}

super::alone::alone_under_each_mechanism! {
    too_many_open_files_are_named_and_pass: "ulimit -n 60",
}

/// Makes the cgroup filesystem read-only for what it starts.
const READ_ONLY: &str = "at=$(awk '/ - cgroup2 /{print $5; exit}' /proc/self/mountinfo); \
    exec unshare --mount sh -c 'mount -o remount,bind,ro \"$0\" && exec \"$@\"' \"$at\" \"$0\" \"$@\"";

async fn falls_back(_: Containment) {
    let containment = Containment::detect().unwrap();
    assert_eq!(containment.mechanism(), Mechanism::ProcessGroup);
    let reason = containment.reason();
    assert!(
        reason.starts_with("no cgroup: ") && reason.contains("Read-only"),
        "{reason}"
    );
    let group = containment.group();
    let running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::SUCCESS]);
}

#[test]
fn a_read_only_cgroup_filesystem_is_the_reason_for_process_groups() {
    let alone_already = std::env::var_os("PK_TEST_ALONE").is_some();
    if !alone_already {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let _entered = runtime.enter();
        if !rustix::process::geteuid().is_root() {
            return super::say("NOT RUN: a read-only cgroup filesystem: only root can make one");
        }
        if in_a_cgroup().is_none() {
            return;
        }
    }
    let test = (
        module_path!(),
        "a_read_only_cgroup_filesystem_is_the_reason_for_process_groups",
    );
    super::alone::alone(test, READ_ONLY, || Some(in_a_process_group()), falls_back);
}
