//! What files of real projects hold, piece by piece.

use super::plans::read;
use crate::harness::{Pk, poll};

/// A file with these lines in its process `a`, and what of its warnings is to be seen; none:
/// there is none.
const PIECES: &[(&str, &[&str])] = &[
    ("command: echo $HOME $$ ${1} $(date) `id` $x", &[]),
    ("command: x # ${a[@]} ${!x} ${", &[]),
    ("command: x\n    availability: {restart: no}", &[]),
    ("command: x\n    availability: {restart: false}", &[]),
    (
        "command: x\n    availability:\n      restart: ${POLICY:-always}\n      max_restarts: ${N:-3}",
        &[],
    ),
    (
        "command: x\n    disabled: ${OFF:-false}\n    is_tty: ${TTY:-yes}",
        &[],
    ),
    (
        "command: x\n    vars:\n    environment:\n    depends_on:\n    availability:",
        &[],
    ),
    (
        "command: x\n    env: [X=1]",
        &["the key is called `environment`"],
    ),
    (
        "command: x\n    restart: always",
        &["write `availability: {restart: …}`"],
    ),
    (
        "command: x\n    ports: [80]",
        &["wait for a port with `readiness_probe"],
    ),
    ("command: x\n    profiles: [x]", &["write `namespace: …`"]),
    (
        "command: x\n    healthcheck: {}",
        &["write `readiness_probe"],
    ),
    (
        "command: x\n    readiness_probe: {exec: {command: x, period_seconds: 3}}",
        &["belongs to a probe"],
    ),
    (
        "command: docker ps --format '{{.Names}}'",
        &["not a template of this file"],
    ),
    (
        "command: x\n    environment: [PLAIN, A=1]",
        &["`PLAIN` is not of the form `NAME=value`"],
    ),
    (
        "command: x\n    depends_on: {b: {condition: process_healthy}}",
        &["has no readiness probe"],
    ),
];

#[test]
fn each_piece_is_read_and_warned_of_by_the_right_name() {
    for (piece, expected) in PIECES {
        for version in ["0.5", "'0.5'", "1", "yes"] {
            let text = format!(
                "version: {version}\nvars:\nenvironment:\nprocesses:\n  a:\n    {piece}\n  b: {{command: x}}\n"
            );
            let (_folder, read) = read(&text);
            let loaded = read.unwrap_or_else(|report| panic!("{piece}\n{report}"));
            let said: Vec<String> = (loaded.warnings.iter())
                .map(|warning| format!("{} {}", warning.message, warning.help.join(" ")))
                .collect();
            assert_eq!(said.is_empty(), expected.is_empty(), "{piece}: {said:?}");
            for words in *expected {
                assert!(
                    said.iter().any(|said| said.contains(words)),
                    "{piece}: {said:?}"
                );
            }
        }
    }
}

#[test]
fn a_stub_makes_sense_with_another_file() {
    let stub = "processes:\n  a: {depends_on: {b: {condition: process_completed}}}\n";
    let whole = "processes:\n  a: {command: echo a is here}\n  b: {command: echo b}\n";
    let alone = Pk::new(["check"]).file("process-compose.yaml", stub);
    let ended = alone.code(2).run();
    assert!(
        ended.stderr().contains("no process is named `b`"),
        "{ended}"
    );
    Pk::new(["up", "-f", "stub.yaml", "-f", "whole.yaml"])
        .file("stub.yaml", stub)
        .file("whole.yaml", whole)
        .run()
        .assert_order(&["b  > completed", "a  | a is here"]);
}

#[test]
fn settings_stand_in_a_file_of_their_own() {
    Pk::new(["up"])
        .file(
            "process-compose.yaml",
            "processes:\n  a: {command: echo $SET and ${SET} in $0}\n  off: {command: echo never}\n",
        )
        .file(
            ".pc_env",
            "SET=by the file\nPC_DISABLED_PROCESSES=off\nCOMPOSE_SHELL=sh\n",
        )
        .run()
        .assert_shows(&["a   | by the file and by the file in sh"])
        .assert_hides(&["never"]);
}

#[test]
fn a_script_starts_it_in_the_background_and_stops_it() {
    let pk = Pk::new(["up", "-D", "-u", "pc.sock"]).file(
        "process-compose.yaml",
        "processes:\n  a: {command: exec sleep 60}\n",
    );
    let socket = pk.path("pc.sock");
    let output = pk.command().output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("started in the background"),
        "{said}"
    );
    assert!(
        said.contains("answering as process-compose on the socket"),
        "{said}"
    );
    assert!(socket.exists());
    let other = Pk::new(["down"]);
    let mut down = other.command();
    down.env("XDG_RUNTIME_DIR", pk.path("."));
    let down = down.current_dir(pk.path(".")).output().unwrap();
    assert!(down.status.success(), "{down:?}");
    poll("the end of all", || pk.members().is_empty().then_some(()));
    assert!(!socket.exists());
}
