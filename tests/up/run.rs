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
    let ended = Pk::stack(STACK, ["run", "test", "--", "a b", "$HOME", "--keep"]).run();
    ended
        .assert_order(&[
            "db    > ready",
            "test  > started",
            "test  | <a b><$HOME><--keep>",
            "test  > completed",
            "stopping: test ended",
            "db    > stopped",
        ])
        .assert_hides(&["other >", "code  >"]);
}

#[test]
fn a_list_gets_its_arguments_too() {
    Pk::stack(STACK, ["run", "exec", "--", "a b", "c"])
        .run()
        .assert_shows(&["exec  | (a b)(c)"]);
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
        .assert_shows(&["t was skipped: bad failed (exit code 3)"]);
}

#[test]
fn with_keep_the_rest_stays_until_a_signal() {
    let pk = Pk::stack(STACK, ["run", "test", "--keep", "--", "x"]).start();
    pk.wait_for("test  > completed");
    assert!(
        pk.members()
            .iter()
            .any(|(_, line)| line.contains("sleep 1000"))
    );
    pk.signal(Signal::INT);
    pk.wait().assert_code(0).assert_order(&[
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
    pk.wait_for("t  | hello");
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
    Pk::stack(STACK, ["run", "pipe"])
        .run()
        .assert_shows(&["pipe  | hi"]);
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
