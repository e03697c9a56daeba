//! Runs whose keeper is the first process of a pid namespace.

use pk::contain::{Containment, Mechanism, SpawnRequest};
use pk::domain::exit::ExitStatus;
use pk::domain::signal::Signal;

use super::{in_a_pid_namespace, line, lives, sh, soon, spawn, text, until};

#[tokio::test]
async fn a_run_has_numbers_of_its_own_and_is_seen_by_those_from_outside() {
    let Some(containment) = in_a_pid_namespace() else {
        return;
    };
    assert_eq!(containment.mechanism(), Mechanism::PidNamespace);
    assert_eq!(containment.mechanism().to_string(), "pid-namespace");
    let (group, mut running) = spawn(
        &containment,
        "trap 'exit 5' TERM; echo $$; while :; do sleep 0.01; done",
    );
    let (inner, _rest) = line(running.take_outputs().remove(0)).await;
    assert_eq!(inner, "2", "the keeper is the first");
    assert!(lives(&running.pid().to_string()));
    let members = group.members().await.unwrap();
    assert!(members.iter().any(|member| member.pid == running.pid()));
    let _ = group
        .signal(Signal::TERM, pk::contain::Scope::Leader)
        .unwrap();
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(5)]);
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

#[tokio::test]
async fn whoever_leaves_his_session_is_held() {
    let Some(containment) = in_a_pid_namespace() else {
        return;
    };
    let script = "setsid sh -c 'setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo made; \
                  exec sleep 1000' & exec sleep 1000";
    let (group, mut running) = spawn(&containment, script);
    let (made, _rest) = line(running.take_outputs().remove(0)).await;
    assert_eq!(made, "made");
    until("both are members", || {
        futures(&group).is_some_and(|members| members >= 3)
    })
    .await;
    let members: Vec<String> = (group.members().await.unwrap().iter())
        .map(|member| member.pid.to_string())
        .collect();
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    assert!(!members.iter().any(|pid| lives(pid)), "{members:?}");
    group.release().await.unwrap();
}

fn futures(group: &pk::contain::Group) -> Option<usize> {
    use futures_util::FutureExt as _;
    group.members().now_or_never()?.ok().map(|all| all.len())
}

/// The kernel's own guarantee: nobody of pk needs to be alive for it.
#[tokio::test]
async fn a_run_ends_with_the_first_process_of_its_namespace() {
    let Some(containment) = in_a_pid_namespace() else {
        return;
    };
    let (group, mut running) = spawn(
        &containment,
        "setsid sh -c 'echo made; exec sleep 1000' & exec sleep 1000",
    );
    let (_made, _rest) = line(running.take_outputs().remove(0)).await;
    let members: Vec<String> = (group.members().await.unwrap().iter())
        .map(|member| member.pid.to_string())
        .collect();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.pid())).unwrap();
    let keeper = stat.rsplit_once(')').unwrap().1;
    let keeper = keeper.split_whitespace().nth(1).unwrap().parse().unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(keeper).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("all are gone", || !members.iter().any(|pid| lives(pid))).await;
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

#[tokio::test]
async fn a_program_sees_itself_in_proc() {
    let Some(containment) = in_a_pid_namespace() else {
        return;
    };
    let (_group, mut running) = spawn(&containment, "exec cat /proc/self/stat /proc/1/comm");
    let seen = text(running.take_outputs().remove(0)).await;
    assert!(
        seen.starts_with("2 (cat)") && seen.contains("run-keeper"),
        "{seen}"
    );
}

async fn ends_are_told(containment: Containment) {
    let group = containment.group();
    let stages = vec![sh("exit 3"), sh("kill -KILL $$"), sh("cat >/dev/null")];
    let running = group.spawn(&SpawnRequest::pipeline(stages)).unwrap();
    assert_eq!(
        soon(running.exited()).await.unwrap(),
        [
            ExitStatus::Code(3),
            ExitStatus::Signal(Signal::KILL),
            ExitStatus::SUCCESS
        ]
    );
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
    let missing = containment
        .group()
        .spawn(
            &SpawnRequest::command(sh("true")).with_options(pk::contain::SpawnOptions {
                nice: Some(-500),
                nofile: Some(u64::MAX),
                ..Default::default()
            }),
        );
    missing.unwrap_err();
}

#[tokio::test]
async fn each_stage_is_told_and_what_fails_before_exec_too() {
    if let Some(containment) = in_a_pid_namespace() {
        ends_are_told(containment).await;
    }
}
