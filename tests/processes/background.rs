//! `up -d`.

use crate::harness::{Pk, poll};

const TWO: &str = "\
name: two
services:
  db: {command: 'until [ -e go ]; do sleep 0.01; done; echo is up; exec sleep 1000', readiness: {log: is up}}
  web: {command: exec sleep 1000, depends_on: [db]}
";

#[test]
fn it_returns_and_the_stack_goes_on_until_down() {
    let pk = Pk::stack(TWO, ["up", "-d"]);
    let output = pk.command().output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(
        stdout.starts_with("two: 2 units from pk.yaml\n"),
        "{stdout}"
    );
    assert!(
        stdout.ends_with("`pk ps` shows it, `pk down` stops it\n"),
        "{stdout}"
    );
    let other = |args: &[&str]| {
        let other = Pk::new(args.iter().copied());
        let mut command = other.command();
        command.env("XDG_RUNTIME_DIR", pk.path("."));
        command.current_dir(pk.path(".")).output().unwrap()
    };
    // Whose number is shown is there to be asked.
    let ls = String::from_utf8(other(&["ls", "--output", "json"]).stdout).unwrap();
    let ls: serde_json::Value = serde_json::from_str(&ls).unwrap();
    let number = ls[0]["pid"].as_u64().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{number}")).exists());
    std::fs::write(pk.path("go"), "").unwrap();
    let waited = other(&["wait", "--all"]);
    assert!(waited.status.success(), "{waited:?}");
    let down = other(&["down"]);
    assert!(down.status.success(), "{down:?}");
    poll("the end of all", || pk.members().is_empty().then_some(()));
}

#[test]
fn with_wait_it_returns_when_all_is_ready() {
    let yaml = TWO.replace("until [ -e go ]; do sleep 0.01; done; ", "");
    let pk = Pk::stack(&yaml, ["up", "-d", "--wait"]);
    let output = pk.command().output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(stdout.contains("db: ready"), "{stdout}");
    assert!(stdout.contains("web: "), "{stdout}");
    end(&pk);
}

#[test]
fn with_wait_a_failure_is_told_by_the_code() {
    let yaml = "services:\n  bad: {command: exit 3}\n  good: {command: exec sleep 1000}\n";
    let pk = Pk::stack(yaml, ["up", "-d", "--wait"]);
    let output = pk.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("bad: failed: exit code 3"), "{stdout}");
    end(&pk);
}

#[test]
fn with_wait_it_gives_up_in_time() {
    let pk = Pk::stack(TWO, ["up", "-d", "--wait", "--timeout", "200ms"]);
    let output = pk.command().output().unwrap();
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    end(&pk);
}

#[test]
fn what_keeps_it_from_running_is_said() {
    let pk = Pk::stack("services: {a: {comand: x}}\n", ["up", "-d"]);
    let output = pk.command().output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    Pk::stack(TWO, ["up", "--wait"]).code(2).run();
}

/// Ends it from outside of its folder's session.
fn end(pk: &Pk) {
    let other = Pk::new(["down"]);
    let mut command = other.command();
    command.env("XDG_RUNTIME_DIR", pk.path("."));
    let down = command.current_dir(pk.path(".")).output().unwrap();
    assert!(down.status.success(), "{down:?}");
    poll("the end of all", || pk.members().is_empty().then_some(()));
}
