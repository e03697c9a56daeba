//! What each flag of `pk logs` shows of the same lines.

use std::io::Read as _;
use std::process::Stdio;

use super::{another, logs, up};
use crate::harness::Pk;

const LEVELS: &str = r#"name: shop
services:
  api:
    command: |
      echo '{"level":30,"msg":"an error that is none"}'
      echo '{"msg":"x","severity":"CRITICAL"}'
      echo 'ts=1 lvl=WRN msg=slow'; echo 'a plain warning'
      until [ -e go ]; do sleep 0.02; done
      echo '{"msg":"later","level":"error"}'; echo 'level=debug later'
      exec sleep 1000
"#;

#[test]
fn a_level_is_recognised_also_while_lines_come() {
    let pk = Pk::stack(LEVELS, ["up", "--no-tui"]).start();
    pk.wait_for("a plain warning");
    let mut follower = pk.other(["logs", "-f", "--level", "warn"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    std::fs::write(pk.folder().join("go"), "").unwrap();
    pk.wait_for("level=debug later");
    let fatal = pk.pk(["logs", "--level", "fatal"]).stdout();
    assert_eq!(fatal, "api | {\"msg\":\"x\",\"severity\":\"CRITICAL\"}\n");
    pk.pk(["down"]).assert_code(0);
    let mut text = String::new();
    let mut out = follower.stdout.take().unwrap();
    out.read_to_string(&mut text).unwrap();
    follower.wait().unwrap();
    assert_eq!(
        text,
        "api | {\"msg\":\"x\",\"severity\":\"CRITICAL\"}\n\
         api | ts=1 lvl=WRN msg=slow\n\
         api | {\"msg\":\"later\",\"level\":\"error\"}\n"
    );
    pk.wait();
}

#[test]
fn colours_are_kept_and_made_where_they_are_wanted() {
    let pk = Pk::stack(
        "name: shop\ntasks: {api: {command: \"printf '\\\\033[35mred\\\\033[0m\\\\nlevel=warn x\\\\n'\"}}",
        ["up", "--no-tui"],
    );
    assert_eq!(up(&pk).status.code(), Some(0));
    let shown = |name: &str, args: &[&str]| {
        let mut command = another(&pk, &[&["logs"], args].concat());
        let output = command.env(name, "1").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(shown("NO_COLOR", &[]), "api | red\napi | level=warn x\n");
    assert_eq!(
        shown("NO_COLOR", &["--raw"]),
        "api | \x1b[35mred\x1b[0m\napi | level=warn x\n"
    );
    let colored = shown("CLICOLOR_FORCE", &[]);
    assert!(colored.contains("\x1b[35mred\x1b[0m"), "{colored:?}");
    assert!(colored.contains("mwarn\x1b[0m x"), "{colored:?}");
}

#[test]
fn times_are_those_at_which_lines_came() {
    let pk = Pk::stack(
        "name: shop\ntasks: {api: {command: 'echo one; sleep 1.2; echo two'}}",
        ["up", "--no-tui"],
    );
    assert_eq!(up(&pk).status.code(), Some(0));
    let json = logs(&pk, &["--output", "json"]);
    let times: Vec<String> = (json.lines())
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["time"].as_str().unwrap().to_owned()
        })
        .collect();
    let (one, two) = ("api | one\n", "api | two\n");
    assert_eq!(logs(&pk, &["--since", &times[1]]), two);
    assert_eq!(logs(&pk, &["--until", &times[1]]), one);
    assert_eq!(logs(&pk, &["--since", "5m"]), format!("{one}{two}"));
    assert_eq!(logs(&pk, &["--until", "5m"]), "");
    // The whole seconds of the second line are after the first one.
    let clock = &times[1][11..19];
    for (flag, shown) in [("--since", two), ("--until", one)] {
        let output = another(&pk, &["logs", flag, clock])
            .env("TZ", "UTC")
            .output();
        assert_eq!(String::from_utf8(output.unwrap().stdout).unwrap(), shown);
    }
    let stamped = another(&pk, &["logs", "--timestamps", "--since", &times[1]])
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let stamped = String::from_utf8(stamped.stdout).unwrap();
    let time: jiff::Timestamp = times[1].parse().unwrap();
    let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3f");
    assert_eq!(stamped, format!("{time}+00:00 {two}"));
}

#[test]
fn of_several_starts_one_is_shown() {
    let pk = Pk::stack(
        "name: shop
tasks:
  api:
    restart: {policy: on-failure, backoff: 10ms, max_restarts: 2}
    command: 'echo x >> starts; echo start $(wc -l < starts); exit 1'
",
        ["up", "--no-tui"],
    );
    assert_eq!(up(&pk).status.code(), Some(1));
    assert_eq!(logs(&pk, &["--attempt", "2"]), "api | start 2\n");
    let all = logs(&pk, &["--grep", "START", "-i", "-n", "2"]);
    assert_eq!(all, "api | start 2\napi | start 3\n");
}
