//! pk called by the name of process-compose, as scripts and units call it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::behaviour::trace;
use super::cases::{CASES, Original};
use crate::harness::{Ended, Pk, Running};

const FILE: &str = "\
processes:
  web: {command: \"echo web here; exec sleep 60\"}
  once: {command: echo once}
  off: {command: echo off >> $TRACE, disabled: true}
";

/// A link of that name to pk.
fn link(folder: &Path) -> PathBuf {
    let link = folder.join("process-compose");
    if !link.exists() {
        symlink(env!("CARGO_BIN_EXE_pk"), &link).unwrap();
    }
    link
}

/// `exec` of that link: the harness starts pk itself.
fn called(pk: Pk, folder: &Path) -> Pk {
    let link = link(folder);
    let script = format!("shift; exec '{}' \"$@\"", link.display());
    pk.through(&["sh", "-c", &script, "sh"])
}

fn ask(running: &Running, folder: &Path, args: &[&str]) -> Ended {
    let mut command = running.other(args.iter().copied());
    let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut other = std::process::Command::new(link(folder));
    other.args(args).current_dir(running.folder());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => other.env(name, value),
            None => other.env_remove(name),
        };
    }
    command = other;
    command.stdin(std::process::Stdio::null());
    running.ended(command)
}

#[test]
fn a_project_is_seen_and_steered() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let pk = called(
        Pk::new(["-t=false", "up"]).file("process-compose.yaml", FILE),
        here,
    )
    .env("TRACE", here.join("trace").to_str().unwrap())
    .start();
    pk.wait_for("web  > started");
    pk.wait_for("once > completed");
    let said = |args: &[&str]| {
        let ended = ask(&pk, here, args);
        ended.assert_code(0);
        ended.stdout()
    };
    assert_eq!(said(&["list"]), "off\nonce\nweb\n");
    let json: serde_json::Value =
        serde_json::from_str(&said(&["process", "list", "-o", "json"])).unwrap();
    let of = |name: &str| {
        let all = json.as_array().unwrap();
        all.iter()
            .find(|state| state["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of("web")["status"], "Running");
    assert_eq!(of("web")["is_running"], true);
    assert_eq!(of("once")["status"], "Completed");
    assert_eq!(of("once")["exit_code"], 0);
    assert_eq!(of("off")["status"], "Disabled");
    assert_eq!(said(&["process", "logs", "web"]), "web here\n");
    said(&["process", "start", "off"]);
    crate::harness::poll("the disabled process", || {
        (trace(&here.join("trace"), false) == "off").then_some(())
    });
    said(&["process", "restart", "web"]);
    pk.wait_for_times("web  > started", 2);
    said(&["process", "stop", "web"]);
    ask(&pk, here, &["process", "start", "nobody"]).assert_code(1);
    ask(&pk, here, &["attach"]).assert_code(1);
    // Nothing runs any more, which is the end of the project.
    pk.wait().assert_code(0);
}

#[test]
fn down_stops_it() {
    let folder = tempfile::tempdir().unwrap();
    let pk = called(
        Pk::new(["--keep-project"]).file("process-compose.yaml", FILE),
        folder.path(),
    )
    .start();
    pk.wait_for("web  > started");
    ask(&pk, folder.path(), &["down"]).assert_code(0);
    pk.wait().assert_code(0);
    let nothing = called(Pk::new(["down"]), folder.path()).code(1);
    nothing.run();
}

#[test]
fn it_is_called_from_inside_a_unit() {
    let folder = tempfile::tempdir().unwrap();
    let link = link(folder.path());
    let file = format!(
        "processes:\n  web: {{command: exec sleep 60}}\n  end: {{command: \"'{}' process stop web\", depends_on: {{web: {{condition: process_started}}}}}}\n",
        link.display()
    );
    called(
        Pk::new(["up"]).file("process-compose.yaml", &file),
        folder.path(),
    )
    .run()
    .assert_shows(&["web > stopped", "end > completed"]);
}

#[test]
fn a_signal_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let pk = called(
        Pk::new(["up"]).file("process-compose.yaml", FILE),
        folder.path(),
    )
    .start();
    pk.wait_for("web  > started");
    pk.signal(Signal::INT);
    pk.wait().assert_code(0);
}

#[test]
fn exit_codes_are_those_of_that_program() {
    for name in [
        "exit_on_failure",
        "exit_on_end_with_a_code",
        "exit_on_skipped",
        "not_completed_successfully",
        "completed_also_by_failure",
    ] {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let code = match case.original {
            Original::Same => case.code,
            Original::Code(code, _) => code,
            Original::Other(_) => panic!("{name} has no code to compare"),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        called(
            Pk::new(["up"]).file("process-compose.yaml", case.files),
            folder.path(),
        )
        .env("TRACE", path.to_str().unwrap())
        .code(code)
        .run();
        assert_eq!(trace(&path, case.sorted), case.trace, "{name}");
    }
}
