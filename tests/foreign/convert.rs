//! `pk convert` as a user calls it.

use crate::harness::Pk;

const FILE: &str = "\
log_level: debug
environment: [A=x=y]
processes:
  db:
    command: echo \"db $A\"
    availability: {restart: on_failure, max_restarts: 2}
    namespace: data
  web:
    command: echo web
    depends_on: {db: {condition: process_started}}
";

#[test]
fn the_new_file_says_the_same() {
    let pk = Pk::new(["convert", "-o", "pk.yaml"]).file("process-compose.yaml", FILE);
    let path = pk.path("pk.yaml");
    let started = pk.start();
    // It is gone with the folder of the test.
    let text = crate::harness::poll("the new file", || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.contains("web").then_some(text)
    });
    started.wait().assert_code(0);
    for part in [
        "# Converted from process-compose.yaml.",
        "`log_level` has no equivalent in pk",
        "# `db` was in the namespace data",
        "max_restarts: 2",
        "A: x=y",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let ended = Pk::stack(&text, ["up"]).run();
    assert!(ended.stdout().contains("db  | db x=y"), "{ended}");
}

#[test]
fn a_file_that_is_there_stays() {
    let ended = Pk::new(["convert", "process-compose.yaml", "-o", "pk.yaml"])
        .file("process-compose.yaml", FILE)
        .file("pk.yaml", "services: {}\n")
        .code(1)
        .run();
    assert!(ended.stderr().contains("cannot write `pk.yaml`"), "{ended}");
}

#[test]
fn a_file_of_pk_is_not_converted() {
    let ended = Pk::stack("services: {a: {command: x}}\n", ["convert"])
        .code(2)
        .run();
    assert!(
        ended.stderr().contains("is a file of pk already"),
        "{ended}"
    );
}

/// process-compose takes any number for a signal; what comes out must be a name that pk knows.
#[test]
fn signals_without_a_plain_name_are_read_again() {
    let file = "\
processes:
  real-time:
    command: exec sleep 1000
    success_exit_codes: [176]
    shutdown: {signal: 48}
  library:
    command: exec sleep 1000
    success_exit_codes: [160]
    shutdown: {signal: 32}
";
    let ended = Pk::new(["convert"])
        .file("process-compose.yaml", file)
        .run();
    let text = ended.stdout();
    for part in ["signal: SIGRTMIN+14", "- 176\n    - SIGRTMIN+14", "- 160\n"] {
        assert!(text.contains(part), "{part}\n{ended}");
    }
    assert!(ended.stderr().contains("32 is not a signal"), "{ended}");
    Pk::stack(&text, ["check"]).run();
}
