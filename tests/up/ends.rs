//! When a stack ends by itself, and with which code.

use rustix::process::Signal;

use crate::harness::Pk;

#[test]
fn a_stack_of_tasks_ends_with_the_last() {
    let yaml = "\
tasks:
  a: {command: echo one}
  b: {command: echo two, depends_on: [a]}
";
    for args in [vec!["up"], vec!["up", "--ci"], vec!["up", "--no-tui"]] {
        let ended = Pk::stack(yaml, args).stderr("").run();
        ended
            .assert_order(&["a  | one", "a  > completed", "b  | two", "b  > completed"])
            .assert_shows(&["  completed  a, b\n"])
            .assert_hides(&["stopping"]);
    }
}

/// A face that has asked for nothing for a while is heard all the same: what it asks through
/// stays open.
#[test]
fn ctrl_c_is_heard_after_a_quiet_while() {
    let yaml = "services:\n  web: {command: 'sleep 11; echo late; exec sleep 1000'}\n";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("web | late");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}

/// Nobody has to look for processes by hand: the second Ctrl-C ends also what does not answer.
#[test]
fn a_supervisor_that_does_not_answer_is_ended_by_the_second_ctrl_c() {
    let yaml = "services:\n  web: {command: 'echo here; exec sleep 1000'}\n";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("web | here");
    let (_guard, supervisor) = pk.guard_and_supervisor();
    rustix::process::kill_process(supervisor, Signal::STOP).unwrap();
    // Two of the same that come at once would be one.
    pk.signal(Signal::INT);
    pk.signal(Signal::TERM);
    let ended = pk.wait();
    ended.assert_code(1);
    let said = "the supervisor of the stack was ended by SIGKILL; all that it ran was ended";
    assert!(ended.stderr().contains(said), "{ended}");
}

#[test]
fn ci_ends_when_all_is_done_and_ready() {
    let yaml = "\
services:
  db: {command: echo hello; sleep 1000, readiness: {log: hello}}
tasks:
  test: {command: echo tested, depends_on: [db]}
";
    Pk::stack(yaml, ["up", "--ci"]).run().assert_order(&[
        "test | tested",
        "stopping: all tasks are done and all services ready",
        "db   > stopped",
        "completed  test",
    ]);
}

#[test]
fn ci_stops_at_the_first_failure() {
    let yaml = "\
services:
  db: {command: sleep 1000}
tasks:
  bad: {command: exit 1}
  after: {command: echo never, depends_on: [bad]}
  long: {command: sleep 1000}
";
    let ended = Pk::stack(yaml, ["up", "--ci"]).code(1).run();
    ended
        .assert_shows(&[
            "pk    > stopping: bad failed\n",
            "\n  failed     bad\n",
            "\n  skipped    after\n",
            "\n  stopped    db, long\n",
        ])
        .assert_hides(&["| never"]);
}

#[test]
fn abort_on_failure_stops_the_rest() {
    let yaml = "\
services:
  good: {command: sleep 1000}
  bad: {command: exit 1, depends_on: [good]}
";
    Pk::stack(yaml, ["up", "--abort-on-failure"])
        .code(1)
        .run()
        .assert_order(&["stopping: bad failed", "good > stopped"]);
    // Without it the rest goes on.
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("bad  > failed");
    pk.signal(Signal::INT);
    pk.wait()
        .assert_code(130)
        .assert_hides(&["stopping: bad failed"]);
}

#[test]
fn the_code_of_one_unit_is_passed_on() {
    let yaml = "\
services:
  db: {command: sleep 1000}
tasks:
  test: {command: exit 42, depends_on: [db]}
";
    Pk::stack(yaml, ["up", "--exit-code-from", "test"])
        .code(42)
        .run()
        .assert_order(&["stopping: test ended", "db   > stopped"]);
    let fine = yaml.replace("exit 42", "exit 0");
    Pk::stack(&fine, ["up", "--exit-code-from", "test"])
        .code(0)
        .run()
        .assert_order(&["stopping: test ended", "db   > stopped"]);
}

#[test]
fn an_essential_unit_ends_the_stack() {
    let yaml = "\
services:
  db: {command: sleep 1000}
  main: {command: exit 5, depends_on: [db], essential: true}
";
    Pk::stack(yaml, ["up"]).code(5).run().assert_order(&[
        "stopping: main ended, and it is essential",
        "db   > stopped",
    ]);
    let fine = yaml.replace("exit 5", "exit 0");
    Pk::stack(&fine, ["up"])
        .code(0)
        .run()
        .assert_shows(&["db   > stopped"]);
}

#[test]
fn nothing_to_start_is_bad_usage() {
    let yaml = "tasks:\n  a: {command: 'true', profiles: [dev]}\n";
    Pk::stack(yaml, ["up"])
        .code(2)
        .stdout("")
        .stderr("error: there is nothing to start\n  help: choose with `--profile`: dev\n")
        .run();
}

#[test]
fn a_lost_reader_ends_the_stack() {
    use std::io::{BufRead as _, BufReader};
    use std::process::Stdio;
    let pk = Pk::stack(
        "services:\n  loud: {command: 'while :; do echo line; sleep 0.01; done'}\n",
        ["up"],
    );
    let mut child = pk
        .command()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.ends_with("| line\n") {
        assert!(stdout.read_line(&mut line).unwrap() > 0);
    }
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn in_ci_a_wait_that_ran_out_is_a_failure() {
    let yaml = "\
services:
  never: {command: [sleep, '1000'], readiness: {file: never-there}}
tasks:
  late: {command: 'true', depends_on: [never], timeouts: {wait: 200ms}}
";
    Pk::stack(yaml, ["up", "--ci"])
        .code(1)
        .run()
        .assert_shows(&["late was skipped: waited 200ms for never"]);
}
