//! Commands that follow moments of a unit's life: `on`.

use crate::harness::{Pk, poll};

#[test]
fn each_moment_is_followed_by_its_command() {
    let yaml = "\
services:
  web:
    command: echo up; sleep 0.2; exit 3
    environment: {COLOR: green}
    readiness: {log: up}
    on:
      ready: echo ready $PK_EVENT $COLOR $PK_INSTANCE >> told
      exit: echo exit $PK_EXIT_CODE >> told; echo said at the exit
      failed: echo failed $PK_EXIT_CODE $PK_REASON >> told
tasks:
  loud: {command: sleep 0.5, on: {ready: echo never >> told, exit: exit 7}}
";
    let pk = Pk::stack(yaml, ["up"]);
    let ended = pk.command().output().unwrap();
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    // `up` waits for those that follow the end of the last unit.
    let text = std::fs::read_to_string(pk.path("told")).unwrap();
    assert_eq!(
        text, "ready ready green web\nexit 3\nfailed 3 exit code 3\n",
        "{ended:?}"
    );
}

#[test]
fn what_a_hook_says_and_that_it_failed_is_in_the_log() {
    let yaml = "\
services:
  a: {command: sleep 1000, on: {ready: echo hello from the hook; exit 7}}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("| hello from the hook");
    pk.wait_for("pk: on.ready: exit code 7");
    // It is none of the unit's processes, nor does it keep the stack.
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn a_hook_that_hangs_keeps_nobody_up() {
    let yaml = "\
services:
  a: {command: sleep 1000, on: {exit: echo $$ > pid; sleep 1000}}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("a  > started");
    let pid = pk.folder().join("pid");
    pk.pk(["stop", "a"]).assert_code(0);
    let pid: i32 = poll("the hook to run", || {
        std::fs::read_to_string(&pid).ok()?.trim().parse().ok()
    });
    let ended = pk.wait();
    ended.assert_code(0);
    poll("the hook to be gone", || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
}
