//! Stacks that are held by keepers, and what ends them.

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Pk, Running, poll};

/// Each unit prints `made` once its runaway is there.
const RUNAWAYS: &str = r#"services:
  session:
    command: |
      setsid sh -c 'trap "" TERM INT HUP; echo made; while :; do sleep 1000; done' &
      exec sleep 1000
  daemon:
    command: |
      perl -MPOSIX -e 'exit if fork; setsid; exit if fork; print "made\n"; close STDOUT; POSIX::close($_) for 0 .. 255; exec "sleep", "1000"'
      exec sleep 1000
  stopped:
    command: |
      setsid sh -c 'echo made; kill -STOP $$; sleep 1000' &
      exec sleep 1000
  jobs:
    command: [bash, -c, 'set -m; sleep 1000 & echo made; timeout 1000 sleep 1000']
  chain:
    command: |
      perl -MPOSIX -e '$| = 1; print "made\n"; for (0 .. 1e6) { exit if fork; setsid; select undef, undef, undef, 0.01 }'
      exec sleep 1000
  blocks:
    command: |
      exec perl -MPOSIX -e 'fork; setsid; my $all = POSIX::SigSet->new; $all->fillset; sigprocmask(SIG_BLOCK, $all); $| = 1; print "made\n"; sleep 1000 while 1'
defaults:
  services:
    shutdown: {timeout: 300ms}
"#;

fn made(mechanism: &str) -> Option<Running> {
    if mechanism == "pid-namespace" {
        crate::contain::in_a_pid_namespace()?;
    }
    let pk = Pk::stack(RUNAWAYS, ["up", "--containment", mechanism]).start();
    for unit in ["session", "daemon", "stopped", "jobs", "chain", "blocks"] {
        let line = format!("{unit} ");
        poll("the runaways", || {
            let text = pk.so_far();
            let made = |line_of: &str| line_of.starts_with(&line) && line_of.ends_with("| made");
            text.lines().any(made).then_some(())
        });
    }
    Some(pk)
}

fn in_order(mechanism: &str) {
    let Some(pk) = made(mechanism) else { return };
    pk.signal(Signal::INT);
    // The harness asserts that nothing is left.
    pk.wait().assert_code(130);
}

fn by_sigkill(mechanism: &str) {
    let Some(pk) = made(mechanism) else { return };
    pk.signal(Signal::KILL);
    let ended = pk.wait();
    assert_eq!(ended.signal, Some(Signal::KILL.as_raw()));
}

#[test]
fn runaways_end_with_their_units() {
    in_order("process-group");
}

#[test]
fn runaways_end_with_a_killed_pk() {
    by_sigkill("process-group");
}

#[test]
fn runaways_in_pid_namespaces_end_with_their_units() {
    in_order("pid-namespace");
}

#[test]
fn runaways_in_pid_namespaces_end_with_a_killed_pk() {
    by_sigkill("pid-namespace");
}

/// The processes that execute pk itself, whatever they are called.
fn of_pk(pk: &Running) -> Vec<Pid> {
    let binary = std::fs::canonicalize(env!("CARGO_BIN_EXE_pk")).unwrap();
    let is_pk = |pid: &i32| {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|executed| executed == binary)
    };
    let members = pk.members().into_iter().map(|(pid, _)| pid);
    members.filter(is_pk).filter_map(Pid::from_raw).collect()
}

/// First held still, so that none of them sees another one end.
#[test]
fn runaways_in_pid_namespaces_end_when_all_of_pk_is_killed_in_one_instant() {
    let Some(pk) = made("pid-namespace") else {
        return;
    };
    let all = of_pk(&pk);
    assert!(all.len() > 6, "{all:?}: pk, and a keeper for each unit");
    for signal in [Signal::STOP, Signal::KILL] {
        for &pid in &all {
            let _ = kill_process(pid, signal);
        }
    }
    pk.wait();
}

#[test]
fn how_it_is_held_is_said() {
    if crate::contain::in_a_pid_namespace().is_none() {
        return;
    }
    let pk = Pk::stack(
        "services: {one: {command: [sleep, '1000']}}",
        ["up", "--containment", "pid-namespace"],
    )
    .start();
    pk.wait_for("held in pid namespaces (asked for)");
    pk.wait_for("one > started");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}
