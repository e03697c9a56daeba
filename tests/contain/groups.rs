//! What groups promise of the processes in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pk::contain::{
    ContainError, Containment, Delivery, Mechanism, Pipe, Scope, SpawnRequest, StageRequest,
};
use pk::domain::exit::ExitStatus;
use pk::domain::signal::Signal;

use super::{exists, line, lives, sh, soon, spawn, text, until};

async fn a_child_gets_its_environment_folder_and_no_input(containment: Containment) {
    let stage = StageRequest::new(
        [
            "sh",
            "-c",
            "echo \"$A-$B\" \"$HOME\" \"$PWD\" \"$(cat)\" >&2",
        ],
        "/usr",
    )
    .with_environment([("A", "1"), ("B", "2"), ("A", "3"), ("HOME", "/h")]);
    let group = containment.group();
    let mut running = group.spawn(&SpawnRequest::command(stage)).unwrap();
    let outputs = running.take_outputs();
    assert_eq!(
        outputs.iter().map(|o| o.pipe).collect::<Vec<_>>(),
        [Pipe::Stdout, Pipe::Stderr]
    );
    let stderr = outputs.into_iter().nth(1).unwrap();
    assert_eq!(text(stderr).await, "3-2 /h /usr \n");
}

async fn an_exit_is_seen_while_a_descendant_holds_the_pipe(containment: Containment) {
    let (group, mut running) = spawn(&containment, "sleep 1000 & echo $!; exit 5");
    let stdout = running.take_outputs().remove(0);
    let (pid, mut rest) = line(stdout).await;
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::Code(5)]);
    let members = group.members().await.unwrap();
    assert_eq!(members.len(), 1, "{members:?}");
    assert_eq!(members[0].pid.to_string(), pid);
    assert!(matches!(
        group.release().await,
        // Its name may have changed: it executes sleep only some time after it was made.
        Err(ContainError::NotEmpty(left)) if left.len() == 1 && left[0].pid == members[0].pid
    ));
    assert!(lives(&pid), "a refused release must not kill");
    assert_eq!(group.kill().unwrap(), Delivery::Sent);
    soon(group.emptied()).await.unwrap();
    let mut late = String::new();
    use tokio::io::AsyncReadExt as _;
    soon(rest.read_to_string(&mut late)).await.unwrap();
    group.release().await.unwrap();
    assert!(!lives(&pid));
}

async fn a_grandchild_that_ignores_sigterm_is_left_by_it_and_ended_by_a_kill(
    containment: Containment,
) {
    let (group, mut running) = spawn(
        &containment,
        "sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & \
         trap 'exit 0' TERM; wait",
    );
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    assert_eq!(
        group.signal(Signal::TERM, Scope::Group).unwrap(),
        Delivery::Sent
    );
    soon(running.exited()).await.unwrap();
    assert!(lives(&pid));
    let emptied = group.emptied();
    tokio::pin!(emptied);
    tokio::select! {
        done = &mut emptied => panic!("not empty yet: {done:?}"),
        () = tokio::time::sleep(Duration::from_millis(20)) => {}
    }
    assert_eq!(group.kill().unwrap(), Delivery::Sent);
    soon(emptied).await.unwrap();
    assert!(!lives(&pid));
}

async fn a_signal_to_the_leader_spares_the_others(containment: Containment) {
    let (group, mut running) = spawn(&containment, "sleep 1000 & echo $!; exec sleep 1000");
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    assert_eq!(
        group.signal(Signal::TERM, Scope::Leader).unwrap(),
        Delivery::Sent
    );
    let statuses = soon(running.exited()).await.unwrap();
    assert_eq!(statuses, [ExitStatus::Signal(Signal::TERM)]);
    assert!(lives(&pid));
    assert_eq!(
        group.signal(Signal::TERM, Scope::Leader).unwrap(),
        Delivery::Gone
    );
}

async fn a_number_is_its_own_until_the_release(containment: Containment) {
    let (group, running) = spawn(&containment, "exit 0");
    soon(running.exited()).await.unwrap();
    soon(group.emptied()).await.unwrap();
    // A keeper has proven that nobody is left by reaping it: its number is not used again.
    let kept = containment.mechanism() == Mechanism::ProcessGroup;
    assert!(exists(running.pid()) || kept, "its number must stay taken");
    group.release().await.unwrap();
    assert!(!exists(running.pid()));
    assert_eq!(group.kill().unwrap(), Delivery::Gone);
    assert_eq!(soon(running.exited()).await.unwrap(), [ExitStatus::SUCCESS]);
}

const LEAVES: &str = "perl -e '$| = 1; select undef, undef, undef, 0.3; setpgrp(0, 0); \
                      print \"$$\\n\"; sleep 1000' & exit 0";

async fn a_member_that_leaves_its_process_group_stays_a_member(containment: Containment) {
    let (group, mut running) = spawn(&containment, LEAVES);
    let (pid, _rest) = line(running.take_outputs().remove(0)).await;
    assert!(!group.is_empty().await.unwrap());
    assert_eq!(group.members().await.unwrap()[0].pid.to_string(), pid);
    assert_eq!(group.kill().unwrap(), Delivery::Sent);
    soon(group.emptied()).await.unwrap();
    assert!(!lives(&pid));
    group.release().await.unwrap();
}

async fn dropping_a_group_kills_all_of_it_and_reaps(containment: Containment) {
    let (group, mut running) = spawn(&containment, "trap '' TERM; sleep 1000 & echo $! $$; wait");
    let (pids, _rest) = line(running.take_outputs().remove(0)).await;
    drop(group);
    until("both are gone", || pids.split(' ').all(|pid| !lives(pid))).await;
    let leader = running.pid();
    until("the leader is reaped", || !exists(leader)).await;
    assert_eq!(
        soon(running.exited()).await.unwrap(),
        [ExitStatus::Signal(Signal::KILL)]
    );
}

async fn a_group_without_processes_is_empty(containment: Containment) {
    let group = containment.group();
    assert!(group.is_empty().await.unwrap());
    soon(group.emptied()).await.unwrap();
    assert_eq!(group.kill().unwrap(), Delivery::Gone);
    group.release().await.unwrap();
}

async fn a_second_program_joins_the_group(containment: Containment) {
    let (group, _first) = spawn(&containment, "sleep 1000");
    let second = group
        .spawn(&SpawnRequest::command(sh("exec sleep 1000")))
        .unwrap();
    let pids: BTreeSet<u32> = group
        .members()
        .await
        .unwrap()
        .iter()
        .map(|m| m.pid)
        .collect();
    assert!(pids.contains(&second.pid()), "{pids:?}");
    let _ = group.kill().unwrap();
    soon(group.emptied()).await.unwrap();
    group.release().await.unwrap();
}

async fn kill_0_hits_only_its_own_group(containment: Containment) {
    let (group, running) = spawn(&containment, "kill -KILL 0");
    let (_other, bystander) = spawn(&containment, "sleep 1000");
    assert_eq!(
        soon(running.exited()).await.unwrap(),
        [ExitStatus::Signal(Signal::KILL)]
    );
    soon(group.emptied()).await.unwrap();
    assert_eq!(bystander.statuses(), [None]);
}

async fn many_groups_are_emptied_together(containment: Containment) {
    let mut groups = Vec::new();
    for _ in 0..100 {
        let group = containment.group();
        let running = group
            .spawn(&SpawnRequest::command(sh("exec sleep 1000")))
            .unwrap();
        groups.push((group, running));
    }
    for (group, _) in &groups {
        assert_eq!(group.kill().unwrap(), Delivery::Sent);
    }
    for (group, running) in &groups {
        soon(running.exited()).await.unwrap();
        soon(group.emptied()).await.unwrap();
        group.release().await.unwrap();
        assert!(!exists(running.pid()));
    }
}

/// However often others look at it just then.
async fn its_end_is_heard_while_others_look_on(containment: Containment) {
    for _ in 0..30 {
        let (group, _running) = spawn(&containment, "exec sleep 1000");
        let (group, done) = (Arc::new(group), Arc::new(AtomicBool::new(false)));
        let onlookers: Vec<_> = (0..3)
            .map(|_| {
                let (group, done) = (Arc::clone(&group), Arc::clone(&done));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build();
                    let runtime = runtime.unwrap();
                    while !done.load(Ordering::Relaxed) {
                        runtime.block_on(group.is_empty()).unwrap();
                    }
                })
            })
            .collect();
        assert_eq!(group.kill().unwrap(), Delivery::Sent);
        soon(group.emptied()).await.unwrap();
        done.store(true, Ordering::Relaxed);
        for onlooker in onlookers {
            onlooker.join().unwrap();
        }
        group.release().await.unwrap();
    }
}

super::under_each_mechanism! {
    its_end_is_heard_while_others_look_on,
    a_child_gets_its_environment_folder_and_no_input,
    an_exit_is_seen_while_a_descendant_holds_the_pipe,
    a_grandchild_that_ignores_sigterm_is_left_by_it_and_ended_by_a_kill,
    a_signal_to_the_leader_spares_the_others,
    a_number_is_its_own_until_the_release,
    a_member_that_leaves_its_process_group_stays_a_member,
    dropping_a_group_kills_all_of_it_and_reaps,
    a_group_without_processes_is_empty,
    a_second_program_joins_the_group,
    kill_0_hits_only_its_own_group,
    many_groups_are_emptied_together,
}
