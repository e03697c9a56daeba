//! `pk run`: one task with what it needs.

use rustix::process::Signal;

use crate::harness::Pk;

const STACK: &str = "\
services:
  db: {command: echo hello; sleep 1000, readiness: {log: hello}}
  other: {command: sleep 1000}
tasks:
  test:
    command: printf '<%s>'
    depends_on: [db]
  exec:
    command: [printf, '(%s)']
  code:
    command: exit 9
  pipe:
    pipeline: [echo hi, cat]
";

#[test]
fn a_task_runs_with_what_it_needs_and_nothing_else() {
    let ended = Pk::stack(STACK, ["run", "test", "--", "a b", "$HOME", "--keep"])
        .stdout("<a b><$HOME><--keep>")
        .run()
        .of_stderr();
    ended
        .assert_order(&[
            "db    > ready",
            "test  > started",
            "test  > completed",
            "stopping: test ended",
            "db    > stopped",
        ])
        .assert_hides(&["other >", "code  >"]);
}

#[test]
fn a_list_gets_its_arguments_too() {
    Pk::stack(STACK, ["run", "exec", "--", "a b", "c"])
        .stdout("(a b)(c)")
        .run()
        .of_stderr()
        .assert_shows(&["exec  > completed"])
        .assert_hides(&["stopping", "process groups"]);
}

#[test]
fn the_code_of_the_task_is_pks() {
    Pk::stack(STACK, ["run", "code"]).code(9).run();
    let killed = "tasks:\n  t: {command: kill -KILL $$}\n";
    Pk::stack(killed, ["run", "t"]).code(137).run();
    let late = "tasks:\n  t: {command: sleep 1000, timeout: 200ms}\n";
    Pk::stack(late, ["run", "t"]).code(124).run();
    let never = "tasks:\n  t: {command: 'true', depends_on: [bad]}\n  bad: {command: exit 3}\n";
    Pk::stack(never, ["run", "t"])
        .code(1)
        .run()
        .of_stderr()
        .assert_shows(&["t was skipped: bad failed (exit code 3)"]);
}

#[test]
fn with_keep_the_rest_stays_until_a_signal() {
    let pk = Pk::stack(STACK, ["run", "test", "--keep", "--", "x"]).start();
    pk.wait_for_stderr("test  > completed");
    assert!(
        pk.members()
            .iter()
            .any(|(_, line)| line.contains("sleep 1000"))
    );
    pk.signal(Signal::INT);
    pk.wait().of_stderr().assert_code(0).assert_order(&[
        "test  > completed",
        "Ctrl-C again kills",
        "db    > stopped",
    ]);
}

#[test]
fn a_signal_while_the_task_runs_is_told_by_the_code() {
    let pk = Pk::stack(
        "tasks:\n  t: {command: echo hello; sleep 1000}\n",
        ["run", "t"],
    )
    .start();
    pk.wait_for("hello\n");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}

#[test]
fn a_pipeline_takes_no_arguments() {
    Pk::stack(STACK, ["run", "pipe", "--", "x"])
        .code(2)
        .stdout("")
        .stderr(
            "error: `pipe` is a pipeline, which takes no arguments\n\
             \x20 help: a task with a `command` does\n",
        )
        .run();
    Pk::stack(STACK, ["run", "pipe"]).stdout("hi\n").run();
}

#[test]
fn what_the_task_writes_is_all_there_is_in_a_file() {
    let yaml = "\
services:
  db: {command: echo noise; sleep 1000, readiness: {log: noise}}
tasks:
  gen: {command: 'echo one; echo two >&2; printf end', depends_on: [db]}
";
    let ended = Pk::stack(yaml, ["run", "gen"]).stdout("one\nend").run();
    ended
        .of_stderr()
        .assert_shows(&["db  | noise\n", "\ntwo\n", "gen > completed"]);
}

#[test]
fn an_argument_never_becomes_a_command() {
    let yaml = "tasks:\n  two:\n    command: |\n      echo one\n      echo two\n";
    Pk::stack(yaml, ["run", "two", "--", "touch", "hacked"])
        .code(2)
        .stderr(
            "error: `two` cannot be given arguments: its command does not say where they go\n  \
             help: write \"$@\" where they go\n",
        )
        .run();
}

#[test]
fn a_weaker_hold_is_said() {
    let args = ["run", "--containment", "process-group", "exec", "--", "x"];
    let ended = Pk::stack(STACK, args).run();
    assert!(
        ended
            .stderr()
            .contains("held by a keeper per run (asked for)"),
        "{ended}"
    );
}
