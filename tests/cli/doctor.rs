//! `pk doctor`: what it finds, and what it hands on.

use crate::harness::Pk;

const YAML: &str = "\
services:
  api:
    command: echo the word is s3cr3t-value; exec sleep 1000
    environment: {API_TOKEN: s3cr3t-value}
  box: {command: [docker, run, -d, nginx]}
";

#[test]
fn it_says_by_what_means_and_why() {
    let pk = Pk::stack(YAML, ["doctor"]);
    let output = pk.command().output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "containment",
        "held ",
        "inotify watches",
        "runtime folder",
        "left-overs",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(text.contains("`box` runs `docker`"), "{text}");
    let asked = Pk::stack(YAML, ["doctor", "--output", "json"]).env("PK_CONTAINMENT", "auto");
    let output = asked.command().output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |about: &str| findings.iter().find(|one| one["about"] == about).unwrap();
    assert!(["fine", "weak"].contains(&of("containment")["standing"].as_str().unwrap()));
    assert_eq!(of("handed over")["standing"], "weak");
}

#[test]
fn a_file_that_is_wrong_is_told() {
    let pk = Pk::stack("services: {a: {comand: x}}\n", ["doctor"]);
    let output = pk.command().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("bad   file"), "{text}");
}

#[test]
fn a_bundle_holds_what_is_needed_and_no_secret() {
    let pk = Pk::stack(YAML, ["up", "api"]).start();
    pk.wait_for("the word is");
    pk.pk(["doctor", "--bundle", "report.txt"]).assert_code(0);
    let path = pk.folder().join("report.txt");
    let text = std::fs::read_to_string(&path).unwrap();
    for part in [
        "containment",
        "command: echo the word",
        "\"revision\"",
        "the word is ***",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("s3cr3t-value"), "{text}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    pk.pk(["doctor", "--bundle", "report.txt"]).assert_code(1);
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}
