//! The document of the protocol against the server that runs: by schemathesis, which makes up
//! requests from it, right ones and wrong ones, and holds each answer to it.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;

use super::protocol;
use super::tcp::{Listens, listening_shop, listens};
use crate::harness::package;

/// Where `.ci/run` puts it.
fn schemathesis() -> Option<PathBuf> {
    let told = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    let path = told.unwrap_or(package().join("target/tools/schemathesis/bin/schemathesis"));
    path.exists().then_some(path)
}

/// What it says of a server that is as the document says.
fn hold(listens: &Listens, program: PathBuf, args: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", listens.address);
    // It has bounds of its own; this one is for when they do not hold.
    let mut command = Command::new("timeout");
    command
        .arg("120")
        .arg(program)
        .current_dir(folder.path())
        .env(
            "SCHEMATHESIS_HOOKS",
            package().join("tests/control/schemathesis_hooks.py"),
        )
        .env("NO_COLOR", "1")
        .arg("run")
        .arg(package().join("schemas/openapi.json"))
        .args(["--url", &url])
        .arg("--header")
        .arg(format!("Authorization: Bearer {}", listens.token))
        // Those that go on are held to it elsewhere.
        .args(["--exclude-path-regex", "/stream$|/feed$"])
        // What is right by its type may be wrong by what the stack knows: a cursor, a signal.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--request-timeout", "20", "--suppress-health-check", "all"])
        .args(args);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(
        ran.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    said
}

/// What begins as the document says goes on as events.
#[test]
fn streams_are_as_the_document_says() {
    let pk = listening_shop(&[]);
    let socket = protocol::socket(&pk);
    let document = pk::control::openapi();
    let mut streams = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let content = &methods["get"]["responses"]["200"]["content"];
        if content["text/event-stream"].is_null() {
            continue;
        }
        streams += 1;
        let mut stream = protocol::connect(&socket);
        let asked = path.replace("{unit}", "db");
        write!(stream, "GET {asked} HTTP/1.1\r\nhost: pk\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        // The database has no terminal.
        let (status, kind) = match path.contains("terminal") {
            true => ("HTTP/1.1 409", "content-type: application/json"),
            false => ("HTTP/1.1 200", "content-type: text/event-stream"),
        };
        assert!(
            head.starts_with(status) && head.contains(kind),
            "{path}: {head}"
        );
    }
    assert_eq!(streams, 6);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn every_answer_is_as_the_document_says() {
    let Some(program) = schemathesis() else {
        eprintln!("skipped: no schemathesis; `.ci/run` installs it");
        return;
    };
    let pk = listening_shop(&["--keep-project"]);
    let listens = listens(&pk);
    eprintln!(
        "{}",
        hold(
            &listens,
            program.clone(),
            &["--max-examples", "25", "--seed", "1"],
        )
    );
    // It lives, and does what it is told.
    pk.pk(["start", "db", "--wait"]).assert_code(0);
    pk.pk(["down"]).assert_code(0);
    assert_eq!(pk.wait().signal, None);

    let pk = listening_shop(&["--listen-read-only"]);
    let listens = self::listens(&pk);
    eprintln!(
        "{}",
        hold(&listens, program, &["--max-examples", "5", "--seed", "2"])
    );
    pk.pk(["wait", "db"]).assert_code(0);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}
