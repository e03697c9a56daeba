//! Holding groups still, stopping them, taking processes in.

use std::time::Duration;

use pk::contain::{
    ContainError, Containment, Delivery, Mechanism, SpawnCause, SpawnRequest, StageRequest,
    kill_all,
};
use pk::domain::exit::ExitStatus;
use pk::domain::signal::Signal;

use super::{in_a_cgroup, in_a_process_group, line, lives, sh, soon, spawn, until};

const GRACE: Duration = Duration::from_millis(50);

/// Counts in a file as fast as it can.
fn counter(dir: &tempfile::TempDir) -> StageRequest {
    let script = "$| = 1; open my $f, '>', 'n' or die; my $n = 0; fork; \
                  while (1) { seek $f, 0, 0; print $f ++$n; select undef, undef, undef, 0.001 }";
    StageRequest::new(["perl", "-e", script], dir.path())
}

async fn a_suspended_group_does_nothing_until_it_is_resumed(containment: Containment) {
    let dir = tempfile::tempdir().unwrap();
    let group = containment.group();
    let request = SpawnRequest::command(counter(&dir));
    let _running = group.spawn(&request).unwrap();
    let now = || std::fs::read_to_string(dir.path().join("n")).unwrap_or_default();
    until("it counts", || !now().is_empty()).await;
    soon(group.suspend()).await.unwrap();
    // Without cgroups a member may be about to stop.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let held = now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(now(), held);
    let error = group.spawn(&request).unwrap_err();
    assert!(matches!(error.cause, SpawnCause::Suspended), "{error}");
    group.resume().unwrap();
    until("it counts again", || now() != held).await;
    let _more = group.spawn(&request).unwrap();
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

async fn a_suspended_group_is_killed(containment: Containment) {
    let (group, running) = spawn(&containment, "sleep 1000 & sleep 1000");
    soon(group.suspend()).await.unwrap();
    assert_eq!(group.kill().unwrap(), Delivery::Sent);
    soon(group.emptied()).await.unwrap();
    let ends = soon(running.exited()).await.unwrap();
    assert_eq!(ends, [ExitStatus::Signal(Signal::KILL)]);
    group.release().await.unwrap();
}

async fn a_suspended_group_hears_when_it_is_stopped(containment: Containment) {
    let (group, mut running) = spawn(
        &containment,
        "exec 2>/dev/null; trap 'exit 3' TERM; echo; while :; do sleep 0.01; done",
    );
    let (_, _rest) = line(running.take_outputs().remove(0)).await;
    soon(group.suspend()).await.unwrap();
    let report = soon(group.stop(Signal::TERM, super::DEADLINE, true))
        .await
        .unwrap();
    assert!(!report.killed && report.is_empty());
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(3)]);
}

async fn a_group_without_processes_can_be_suspended(containment: Containment) {
    let group = containment.group();
    soon(group.suspend()).await.unwrap();
    let request = SpawnRequest::command(sh("true"));
    group.spawn(&request).unwrap_err();
    group.resume().unwrap();
    let running = group.spawn(&request).unwrap();
    soon(running.exited()).await.unwrap();
}

const STUBBORN: &str =
    "trap '' TERM; (while :; do sleep 1; done) & echo $!; while :; do sleep 1; done";

async fn stopping_returns_once_it_is_empty(containment: Containment) {
    // In order, within its grace.
    let (group, running) = spawn(&containment, "sleep 1000");
    let report = soon(group.stop(Signal::TERM, super::DEADLINE, true))
        .await
        .unwrap();
    assert!(!report.killed && report.is_empty());
    assert!(group.is_empty().await.unwrap());
    assert!(running.statuses()[0].is_some());
    group.release().await.unwrap();
    // Killed, after it.
    let (group, mut running) = spawn(&containment, STUBBORN);
    let (child, _rest) = line(running.take_outputs().remove(0)).await;
    let report = soon(group.stop(Signal::TERM, GRACE, true)).await.unwrap();
    assert!(report.killed && report.is_empty());
    assert!(!lives(&child));
    assert!(group.is_empty().await.unwrap());
    group.release().await.unwrap();
}

async fn who_is_left_unkilled_is_told_and_spared(containment: Containment) {
    let (group, mut running) = spawn(&containment, STUBBORN);
    let (child, _rest) = line(running.take_outputs().remove(0)).await;
    let report = soon(group.stop(Signal::TERM, GRACE, false)).await.unwrap();
    assert!(!report.killed);
    let left: Vec<String> = report.left.iter().map(|m| m.pid.to_string()).collect();
    let leader = running.pid().to_string();
    assert!(left.contains(&child) && left.contains(&leader), "{left:?}");
    let path = group.cgroup_path().map(std::path::Path::to_path_buf);
    drop(group);
    assert!(!path.is_some_and(|path| path.exists()), "it is taken down");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(lives(&child) && lives(&leader));
    for pid in [child, leader] {
        let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    soon(running.exited()).await.unwrap();
}

async fn a_spared_group_that_starts_another_is_killed_again(containment: Containment) {
    let (group, mut running) = spawn(&containment, STUBBORN);
    let (child, _rest) = line(running.take_outputs().remove(0)).await;
    let report = soon(group.stop(Signal::TERM, GRACE, false)).await.unwrap();
    assert!(!report.is_empty());
    let _more = group
        .spawn(&SpawnRequest::command(sh("sleep 1000")))
        .unwrap();
    drop(group);
    until("it is gone", || !lives(&child)).await;
}

/// A process that no group has made.
struct Foreign(std::process::Child);

impl Foreign {
    fn start() -> Self {
        Self(
            std::process::Command::new("sleep")
                .arg("1000")
                .spawn()
                .unwrap(),
        )
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn an_adopted_process_is_a_member(containment: Containment) {
    for empty in [true, false] {
        let mut foreign = Foreign::start();
        let group = containment.group();
        let request = SpawnRequest::command(sh("exec sleep 1000"));
        let _running = (!empty).then(|| group.spawn(&request).unwrap());
        group.adopt(foreign.0.id()).unwrap();
        let members = group.members().await.unwrap();
        assert!(
            members.iter().any(|m| m.pid == foreign.0.id()),
            "{members:?}"
        );
        assert_eq!(members.len(), 2 - usize::from(empty));
        assert!(!group.is_empty().await.unwrap());
        assert_eq!(group.kill().unwrap(), Delivery::Sent);
        soon(group.emptied()).await.unwrap();
        assert!(!foreign.0.wait().unwrap().success());
        group.release().await.unwrap();
    }
}

async fn what_cannot_be_adopted_is_refused(containment: Containment) {
    let group = containment.group();
    for pid in [0, 1, std::process::id(), u32::MAX, 4_194_303] {
        let refused = group.adopt(pid).unwrap_err();
        assert!(matches!(refused, ContainError::Adopt { pid: of, .. } if of == pid));
    }
    assert!(group.is_empty().await.unwrap());
}

async fn an_adopted_process_dies_with_the_group(containment: Containment) {
    let mut foreign = Foreign::start();
    let group = containment.group();
    group.adopt(foreign.0.id()).unwrap();
    drop(group);
    assert!(!foreign.0.wait().unwrap().success());
}

async fn many_are_killed_at_once(containment: Containment) {
    let request = SpawnRequest::command(sh("trap '' TERM; sleep 1000"));
    let groups: Vec<_> = (0..50).map(|_| containment.group()).collect();
    for group in &groups {
        let _running = group.spawn(&request).unwrap();
    }
    soon(kill_all(&groups)).await.unwrap();
    for group in &groups {
        assert!(group.is_empty().await.unwrap());
        group.release().await.unwrap();
    }
}

#[tokio::test]
async fn the_reason_for_the_mechanism_is_told() {
    let group = in_a_process_group().group();
    assert_eq!(group.mechanism(), Mechanism::ProcessGroup);
    assert_eq!(group.reason(), "asked for");
    assert_eq!(group.mechanism().to_string(), "process-group");
    if let Some(containment) = in_a_cgroup() {
        assert_eq!(containment.group().mechanism(), Mechanism::Cgroup);
        let detected = Containment::detect().unwrap();
        assert_eq!(detected.group().reason(), "the strongest here");
    } else {
        let detected = Containment::detect().unwrap().group();
        assert_eq!(detected.mechanism(), Mechanism::ProcessGroup);
        assert!(
            detected.reason().starts_with("no cgroup: "),
            "{}",
            detected.reason()
        );
    }
}

super::under_each_mechanism! {
    a_suspended_group_does_nothing_until_it_is_resumed,
    a_suspended_group_is_killed,
    a_suspended_group_hears_when_it_is_stopped,
    a_group_without_processes_can_be_suspended,
    stopping_returns_once_it_is_empty,
    who_is_left_unkilled_is_told_and_spared,
    a_spared_group_that_starts_another_is_killed_again,
    an_adopted_process_is_a_member,
    what_cannot_be_adopted_is_refused,
    an_adopted_process_dies_with_the_group,
    many_are_killed_at_once,
}
