//! pk called by the name of process-compose, as scripts and units call it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::behaviour::trace;
use super::cases::{CASES, Original};
use crate::harness::{Ended, Pk, Running, free_port};

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
    // Without a terminal there is nothing to attach to.
    ask(&pk, here, &["attach"]).assert_code(1);
    ask(&pk, here, &["analyze", "critical-chain"]).assert_code(1);
    // Nothing runs any more, which is the end of the project.
    pk.wait().assert_code(0);
}

const SPACES: &str = "\
processes:
  web: {command: exec sleep 60, namespace: front}
  page: {command: exec sleep 60, namespace: [front, shown], depends_on: {web: {}}, disabled: true}
  worker: {command: exec sleep 60, replicas: 2}
  typed: {command: cat, is_tty: true}
";

/// As scripts do that know a project by its port alone.
#[test]
fn a_project_is_found_by_its_port() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let port = free_port().to_string();
    let up = Pk::new(["-p", &port, "-t=false", "up"]).file("process-compose.yaml", SPACES);
    let pk = called(up, folder.path()).start();
    pk.wait_for(&format!(
        "answering as process-compose on http://127.0.0.1:{port}"
    ));
    pk.wait_for("web      > started");
    let asked = |args: &[&str], envs: &[(&str, &str)]| {
        let mut command = pk.other(args.iter().copied());
        let args: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let mut other = std::process::Command::new(link(folder.path()));
        other.args(args).current_dir(elsewhere.path());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                other.env(name, value);
            }
        }
        other.envs(envs.iter().copied());
        command = other;
        command.stdin(std::process::Stdio::null());
        pk.ended(command)
    };
    let names = "page\ntyped\nweb\nworker-0\nworker-1\n";
    let listed = asked(&["process", "list", "-p", &port], &[]);
    listed.assert_code(0);
    assert_eq!(listed.stdout(), names);
    let listed = asked(&["-p", &port, "list"], &[]);
    assert_eq!(listed.stdout(), names);
    let listed = asked(&["list"], &[("PC_PORT_NUM", &port)]);
    assert_eq!(listed.stdout(), names);
    let nobody = asked(&["list", "-u", "/nowhere.sock"], &[]);
    nobody.assert_code(1);
    assert!(
        nobody.stderr().contains("no project answers on"),
        "{nobody}"
    );

    asked(&["process", "scale", "worker", "3", "-p", &port], &[]).assert_code(0);
    pk.wait_for("worker-2 > started");
    asked(&["namespace", "stop", "front", "-p", &port], &[]).assert_code(0);
    pk.wait_for("web      > stopped");
    let spaces = asked(&["ns", "list", "-p", &port], &[]);
    assert_eq!(spaces.stdout(), "default\nfront\nshown\n");
    asked(&["namespace", "start", "none", "-p", &port], &[]).assert_code(1);
    asked(
        &["process", "send-keys", "typed", "hello\\n", "-p", &port],
        &[],
    )
    .assert_code(0);
    pk.wait_for("typed    | hello");
    let ports = asked(
        &["process", "ports", "worker-0", "-o", "json", "-p", &port],
        &[],
    );
    let ports: serde_json::Value = serde_json::from_str(&ports.stdout()).unwrap();
    assert_eq!(ports["tcp_ports"], serde_json::json!([]));
    let state = asked(&["project", "state", "-p", &port], &[]);
    let state: serde_json::Value = serde_json::from_str(&state.stdout()).unwrap();
    assert_eq!(state["processNum"], 6);
    let graph = asked(&["graph", "-f", "mermaid", "-p", &port], &[]);
    assert!(graph.stdout().contains("web"), "{graph}");
    let other = asked(&["project", "update", "-f", "other.yaml", "-p", &port], &[]);
    other.assert_code(1);
    asked(&["down", "-p", &port], &[]).assert_code(0);
    pk.wait();
}

#[test]
fn a_socket_or_no_server_as_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let up = Pk::new(["-u", "pc.sock", "up"]).file("process-compose.yaml", FILE);
    let pk = called(up, folder.path()).start();
    pk.wait_for("web  > started");
    let listed = ask(&pk, folder.path(), &["-u", "pc.sock", "list"]);
    assert_eq!(listed.stdout(), "off\nonce\nweb\n");
    ask(&pk, folder.path(), &["-u", "pc.sock", "down"]).assert_code(0);
    pk.wait()
        .assert_shows(&["answering as process-compose on the socket"]);
    let quiet = "processes: {once: {command: 'true'}}\n";
    let none = Pk::new(["--no-server", "up"]).file("process-compose.yaml", quiet);
    let ended = called(none, folder.path()).run();
    ended.assert_hides(&["answering"]);
    let none = Pk::new(["up"]).file("process-compose.yaml", quiet);
    let ended = called(none.env("PC_NO_SERVER", "1"), folder.path()).run();
    ended.assert_hides(&["answering"]);
    // The usual port may be somebody else's.
    let usual = Pk::new(["up"]).file("process-compose.yaml", quiet);
    let ended = called(usual, folder.path()).run();
    let said = format!("{}{}", ended.stdout(), ended.stderr());
    assert!(said.contains(":8080"), "{ended}");
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
