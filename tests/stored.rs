//! What is kept on disk of what units write, seen through `pk logs`: of runs that go on, that
//! have ended, and that were killed.

mod faults;
mod flags;
mod integrity;

use std::process::{Command, Output, Stdio};

use crate::harness::{Pk, poll};

const STACK: &str = r#"
name: shop
tasks:
  api:
    command: |
      echo '{"level":"info","msg":"up"}'
      echo 'level=warn msg=slow' >&2
      printf 'one\ntwo\nthree needle\nfour\nfive\nsix\nNEEDLE again\nend'
  quiet:
    command: 'true'
    depends_on: [api]
"#;

/// Another command in the folder of a stack that may have ended.
fn another(pk: &Pk, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pk"));
    command
        .args(args)
        .current_dir(pk.path(""))
        .env("XDG_RUNTIME_DIR", pk.path(""))
        .env("XDG_STATE_HOME", pk.path(".state"))
        .stdin(Stdio::null());
    command
}

fn up(pk: &Pk) -> Output {
    pk.command().output().unwrap()
}

#[track_caller]
fn logs(pk: &Pk, args: &[&str]) -> String {
    let output = another(pk, &[&["logs"], args].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{args:?}\n{text}\n{error}");
    text
}

/// The lines without the names of their units.
#[track_caller]
fn texts(pk: &Pk, args: &[&str]) -> Vec<String> {
    let text = logs(pk, args);
    let lines = text.lines().map(|line| line.split_at(8).1.to_owned());
    lines.collect()
}

#[test]
fn the_logs_of_a_stack_that_has_ended_are_there() {
    let pk = Pk::stack(STACK, ["up", "--no-tui"]);
    assert_eq!(up(&pk).status.code(), Some(0));
    assert_eq!(texts(&pk, &[]).len(), 10);
    assert_eq!(texts(&pk, &["--grep", "needle"]), ["three needle"]);
    let both = ["three needle", "NEEDLE again"];
    assert_eq!(texts(&pk, &["--grep", "needle", "-i"]), both);
    assert_eq!(texts(&pk, &["--grep", "need|NEED", "-n", "1"]), both[1..]);
    assert_eq!(
        texts(&pk, &["--grep", "[e1n]", "-v"]),
        ["two", "four", "six"]
    );
    assert_eq!(
        texts(&pk, &["-n", "2", "--stream", "stdout"]),
        ["NEEDLE again", "end"]
    );
    assert_eq!(texts(&pk, &["--level", "warn"]), ["level=warn msg=slow"]);
    assert_eq!(texts(&pk, &["--stream", "stderr"]), ["level=warn msg=slow"]);
    assert!(texts(&pk, &["--attempt", "2"]).is_empty());
    assert_eq!(texts(&pk, &["--since", "1h"]).len(), 10);
    assert!(texts(&pk, &["--until", "1h"]).is_empty());
    assert!(texts(&pk, &["quiet"]).is_empty());
    assert_eq!(
        logs(
            &pk,
            &[
                "--grep", "needle", "-i", "-C", "1", "--stream", "stdout", "api"
            ]
        ),
        "api | two\napi | three needle\napi | four\n--\n\
         api | six\napi | NEEDLE again\napi | end\n"
    );
    let json = logs(&pk, &["-n", "1", "--stream", "stdout", "--output", "json"]);
    let line: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&line["unit"], &line["text"]),
        (&"api".into(), &"end".into())
    );
    assert_eq!(line["cut"], "unterminated");
    for (args, code) in [
        (&["logs", "nobody"][..], 3),
        (&["logs", "--grep", "("], 2),
        (&["logs", "--since", "soon"], 2),
        (&["logs", "--run", "7"], 3),
    ] {
        let status = another(&pk, args).output().unwrap().status;
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn earlier_runs_are_kept_and_the_checkout_next_door_has_its_own() {
    let yaml = "name: shop\ntasks: {api: {command: 'echo run $NUMBER'}}";
    let pk = Pk::stack(yaml, ["up", "--no-tui"]).file("next/pk.yaml", yaml);
    for number in ["1", "2", "3"] {
        let output = pk.command().env("NUMBER", number).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
    }
    let mut next = pk.command();
    next.current_dir(pk.path("next")).env("NUMBER", "other");
    assert_eq!(next.output().unwrap().status.code(), Some(0));
    assert_eq!(logs(&pk, &[]), "api | run 3\n");
    assert_eq!(logs(&pk, &["--run", "-1"]), "api | run 2\n");
    assert_eq!(logs(&pk, &["--run", "1"]), "api | run 1\n");
    let mut there = another(&pk, &["logs"]);
    let there = there.current_dir(pk.path("next")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&there.stdout), "api | run other\n");
}

#[test]
fn secrets_are_masked_and_a_copy_is_written() {
    let pk = Pk::stack(
        "name: shop
services:
  api:
    environment: {API_TOKEN: s3cr3t-value}
    logs: {file: out/api.log, redact: ['id=[0-9]+']}
    command: 'printf s3cr3t-; sleep 0.1; echo value id=42; sleep 0.3'
    readiness: {log: 's3cr3t-value id=42'}
",
        ["up", "--no-tui"],
    );
    let output = up(&pk);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{shown}{said}");
    assert!(shown.contains("ready"), "the probe sees it: {shown}");
    assert!(!shown.contains("s3cr3t-value\n"), "{shown}");
    assert!(said.contains("masked in the logs: 2 places"), "{said}");
    assert_eq!(logs(&pk, &[]), "api | ******** ********\n");
    let copy = std::fs::read_to_string(pk.path("out/api.log")).unwrap();
    assert_eq!(copy, "******** ********\n");
}

#[test]
fn a_stack_runs_on_where_its_logs_cannot_be_written() {
    let pk = Pk::stack(STACK, ["up", "--no-tui"]).file("taken", "");
    let mut command = pk.command();
    command.env("XDG_STATE_HOME", pk.path("taken"));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("logs are kept in memory only"), "{said}");
}

/// A service that has written two lines and asks for a name.
const PROMPT: &str = "name: shop
services:
  api:
    command: |
      echo one; echo two needle; printf 'your name: '
      exec sleep 100
";

#[test]
fn a_stack_that_keeps_its_logs_in_memory_shows_them_as_any_other() {
    for state in ["taken", ".state"] {
        // Below a file there is no folder to be had.
        let pk = Pk::stack(PROMPT, ["up", "--no-tui"]).file("taken", "");
        let place = pk.path(state);
        let pk = pk.env("XDG_STATE_HOME", place.to_str().unwrap()).start();
        pk.wait_for("two needle");
        let logs = |args: &[&str]| pk.pk([&["logs"], args].concat()).stdout();
        poll("the open line", || {
            (logs(&[]) == "api | one\napi | two needle\napi | your name: \n").then_some(())
        });
        assert_eq!(logs(&["--grep", "needle"]), "api | two needle\n", "{state}");
        assert_eq!(logs(&["-n", "1", "--grep", "o"]), "api | two needle\n");
        let json = logs(&["--output", "json", "-n", "1"]);
        let open: serde_json::Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!(open["open"], "your name: ", "{json}");
        pk.pk(["logs", "nobody"]).assert_code(3);
        pk.pk(["down"]).assert_code(0);
        pk.wait();
    }
}
