//! The document of the protocol against the server that runs: by schemathesis, which makes up
//! requests from it, right ones and wrong ones, and holds each answer to it.

use std::path::PathBuf;
use std::process::Command;

use super::tcp::{Listens, listening_shop, listens};
use crate::harness::package;

/// Where `.ci/run` puts it.
fn schemathesis() -> Option<PathBuf> {
    let told = std::env::var_os("SCHEMATHESIS").map(PathBuf::from);
    let path = told.unwrap_or(package().join("target/tools/schemathesis/bin/schemathesis"));
    path.exists().then_some(path)
}

fn hold(listens: &Listens, program: PathBuf, args: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", listens.address);
    let mut command = Command::new(program);
    command
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
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    eprintln!("{said}");
}

#[test]
fn every_answer_is_as_the_document_says() {
    let Some(program) = schemathesis() else {
        eprintln!("skipped: no schemathesis; `.ci/run` installs it");
        return;
    };
    let pk = listening_shop(&["--keep-project"]);
    let listens = listens(&pk);
    hold(
        &listens,
        program.clone(),
        &["--max-examples", "40", "--seed", "1"],
    );
    // It lives, and does what it is told.
    pk.pk(["start", "db", "--wait"]).assert_code(0);
    pk.pk(["down"]).assert_code(0);
    assert_eq!(pk.wait().signal, None);

    let pk = listening_shop(&["--listen-read-only"]);
    let listens = self::listens(&pk);
    hold(&listens, program, &["--max-examples", "5", "--seed", "2"]);
    pk.pk(["wait", "db"]).assert_code(0);
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}
