//! What goes wrong is said by name, with the reason and the end of the log.

use crate::harness::Pk;

/// A unit `bad` as given, and one that waits for it. Runs it: the code is 1.
#[track_caller]
fn failing(bad: &str, reason: &str, skip: &str) -> crate::harness::Ended {
    let yaml = format!(
        "tasks:\n  after:\n    command: echo never\n    depends_on: [bad]\nservices:\n  bad:\n{bad}"
    );
    failing_stack(&yaml, reason, skip)
}

#[track_caller]
fn failing_stack(yaml: &str, reason: &str, skip: &str) -> crate::harness::Ended {
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    ended
        .assert_shows(&[
            &format!("\nbad failed: {reason}"),
            &format!("\nafter was skipped: bad {skip}"),
            "\n  failed     bad\n",
            "\n  skipped    after\n",
        ])
        .assert_hides(&["| never"]);
    ended
}

#[test]
fn a_command_that_is_not_there() {
    failing("    command: [no-such-program]\n", "", "failed (")
        .assert_shows(&["no-such-program", "not found"]);
}

#[test]
fn a_file_that_is_not_executable() {
    let yaml = "\
tasks:
  after: {command: echo never, depends_on: [bad]}
services:
  bad: {command: [./script]}
";
    let pk = Pk::stack(yaml, ["up"])
        .file("script", "#!/bin/sh\n")
        .code(1);
    let ended = pk.run();
    ended.assert_shows(&["bad failed: ", "script", "after was skipped: bad failed"]);
    let text = ended.stdout().to_lowercase();
    assert!(
        text.contains("permission denied") || text.contains("not executable"),
        "{ended}"
    );
}

#[test]
fn a_working_directory_that_is_not_there() {
    failing(
        "    command: echo hi\n    working_dir: nowhere\n",
        "",
        "failed (",
    )
    .assert_shows(&["DIR/nowhere"]);
}

#[test]
fn an_env_file_that_is_not_there() {
    let yaml = "services:\n  bad:\n    command: echo hi\n    env_file: missing.env\n";
    let ended = Pk::stack(yaml, ["up"]).code(2).stdout("").run();
    assert!(ended.stderr().contains("pk.yaml:4:15"), "{ended}");
    assert!(ended.stderr().contains("missing.env"), "{ended}");
}

#[test]
fn an_env_file_that_cannot_be_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let yaml = "services:\n  bad:\n    command: echo hi\n    env_file: secret.env\n";
    let pk = Pk::stack(yaml, ["up"]).file("secret.env", "A=1\n").code(2);
    let path = pk.path("secret.env");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::read(&path).is_ok() {
        // Root reads everything; a folder in its place nobody reads.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
    }
    let ended = pk.stdout("").run();
    assert!(ended.stderr().contains("pk.yaml:4:15"), "{ended}");
    assert!(ended.stderr().contains("secret.env"), "{ended}");
}

#[test]
fn a_port_that_never_opens() {
    let port = crate::harness::free_port();
    let ended = failing(
        &format!(
            "    command: echo almost; sleep 1000\n    readiness: {{tcp: {port}}}\n    \
             timeouts: {{ready: 400ms}}\n"
        ),
        "not ready within 400ms (",
        "failed (not ready within 400ms",
    );
    ended.assert_shows(&["refused", "\n  | almost\n"]);
}

#[test]
fn a_service_that_crashes_again_and_again() {
    let ended = failing_stack(
        "\
services:
  bad:
    command: echo \"no luck $((++n))\"; exit 3
    readiness: {log: never}
    restart: {policy: on-failure, backoff: 1ms..2ms, max_restarts: 2}
tasks:
  after: {command: echo never, depends_on: [bad]}
",
        "exit code 3, gave up after 2 restarts\n  | no luck",
        "failed (exit code 3)",
    );
    ended.assert_order(&[
        "bad   > started, pid",
        "bad   | no luck",
        "bad   > restart 1/2 in",
        "bad   > started again",
        "bad   | no luck",
        "bad   > restart 2/2 in",
        "bad   > started again",
        "bad   > failed after",
    ]);
}

#[test]
fn a_dependency_that_fails_skips_the_whole_chain() {
    let yaml = "\
tasks:
  first: {command: echo dying words >&2; exit 7}
  second: {command: echo never, depends_on: [first]}
  third: {command: echo never, depends_on: [second]}
  alone: {command: echo fine}
";
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    ended
        .assert_shows(&[
            "first  ! dying words\n",
            "first  > failed after TIME: exit code 7\n",
            "second > skipped: first failed (exit code 7)\n",
            "third  > skipped: second was skipped, as first failed (exit code 7)\n",
            "alone  | fine\n",
        ])
        .assert_hides(&["| never"]);
    let summary = ended.filtered_stdout();
    let summary = &summary[summary.find("\nfirst failed").unwrap()..];
    let name = summary
        .split("\n\n")
        .nth(3)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    assert_eq!(
        summary,
        format!(
            "
first failed: exit code 7
  ! dying words

second was skipped: first failed (exit code 7)

third was skipped: second was skipped, as first failed (exit code 7)

{name} ended after TIME
  failed     first
  skipped    second, third
  completed  alone
"
        )
    );
}

#[test]
fn the_last_ten_lines_of_a_failure_are_shown_again() {
    let yaml = "tasks:\n  bad:\n    command: seq 1 30; printf last; exit 1\n";
    let ended = Pk::stack(yaml, ["up"]).code(1).run();
    ended.assert_order(&[
        "bad | 1\n",
        "bad | 30\n",
        "bad | last\n",
        "bad > failed",
        "bad failed: exit code 1\n  | 22\n  | 23\n",
        "  | 30\n  | last\n\n",
    ]);
}

#[test]
fn a_signal_that_ends_a_unit_is_named() {
    let yaml = "tasks:\n  bad:\n    command: kill -SEGV $$\n";
    Pk::stack(yaml, ["up"])
        .code(1)
        .run()
        .assert_shows(&["bad > failed after TIME: SIGSEGV"]);
}

#[test]
fn a_task_that_takes_too_long() {
    let yaml = "tasks:\n  bad:\n    command: echo slow; sleep 1000\n    timeout: 300ms\n";
    Pk::stack(yaml, ["up"]).code(1).run().assert_order(&[
        "bad | slow",
        "bad > stopping: timed out after",
        "bad > failed after TIME: timed out after",
        "bad failed: timed out after",
        "  | slow",
    ]);
}

#[test]
fn a_wait_that_takes_too_long() {
    let yaml = "\
services:
  slow: {command: sleep 1000, readiness: {file: never}}
  late: {command: sleep 1000, depends_on: [slow], timeouts: {wait: 200ms}, essential: skipped}
";
    Pk::stack(yaml, ["up"]).code(1).run().assert_shows(&[
        "late > skipped: waited 200ms for slow\n",
        "slow > stopped\n",
    ]);
}
