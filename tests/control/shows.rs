//! `ps`, `ls`, `explain`, `logs`, `events`, for people and for programs.

use serde_json::Value;

use super::{SHOP, down, shop};
use crate::harness::{Ended, Pk};

fn json(ended: &Ended) -> Value {
    ended.assert_code(0);
    serde_json::from_slice(&ended.stdout).unwrap()
}

fn json_lines(ended: &Ended) -> Vec<Value> {
    ended.assert_code(0);
    let text = ended.stdout();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_running_stack_is_shown() {
    let pk = shop();

    let ps = pk.pk(["ps"]).stdout();
    let rows: Vec<Vec<&str>> = ps
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["NAME", "PID", "FOR", "RESTARTS", "PORTS", "STATUS"]
    );
    let names: Vec<&str> = rows[1..].iter().map(|row| row[0]).collect();
    assert_eq!(names, ["db", "api", "web-1", "web-2", "migrate", "broken"]);
    assert_eq!(rows[1][3..], ["0", "-", "ready"]);
    assert_eq!((rows[5][1], rows[5][5]), ("-", "completed"));
    assert!(ps.contains("not started"), "{ps}");
    let some = pk.pk(["ps", "web-*", "@web", "db"]).stdout();
    assert_eq!(some.lines().count(), 5, "{some}");

    let listed = json(&pk.pk(["ps", "--output", "json"]));
    assert_eq!(listed["name"], "shop");
    assert_eq!(
        listed["folder"],
        pk.folder().canonicalize().unwrap().to_str().unwrap()
    );
    let db = &listed["units"][0];
    let keys: Vec<&String> = db.as_object().unwrap().keys().collect();
    for key in [
        "name",
        "unit",
        "kind",
        "phase",
        "readiness",
        "pid",
        "attempt",
        "restarts",
        "since",
        "status",
        "desired",
    ] {
        assert!(keys.iter().any(|own| *own == key), "{key} in {keys:?}");
    }
    assert_eq!(
        (&db["phase"], &db["readiness"]),
        (&"running".into(), &"ready".into())
    );
    assert_eq!(listed["units"][2]["unit"], "web");
    let pid = db["pid"].as_u64().unwrap();
    assert!(
        pk.members()
            .iter()
            .any(|&(member, _)| member.cast_unsigned() as u64 == pid)
    );

    let ls = pk.pk(["ls"]).stdout();
    assert!(ls.starts_with("NAME  PID"), "{ls}");
    assert!(ls.contains("/pk.yaml"), "{ls}");
    let stacks = json(&pk.pk(["ls", "--output", "json"]));
    assert_eq!(stacks[0]["pid"], listed["pid"]);

    pk.pk(["explain", "db"])
        .assert_code(0)
        .assert_shows(&["db: ready for "]);
    let explained = json(&pk.pk(["explain", "migrate", "--output", "json"]));
    assert_eq!(explained[0]["unit"]["outcome"], "completed");
    assert_eq!(explained[0]["explanation"][1], "last exit: exit code 0");
    pk.pk(["explain", "nobody"]).assert_code(3);

    // From below, from elsewhere, and by the file.
    std::fs::create_dir_all(pk.folder().join("a/b")).unwrap();
    let mut below = pk.other(["ps"]);
    below.current_dir(pk.folder().join("a/b"));
    pk.ended(below).assert_code(0);
    let folder = pk.folder().to_str().unwrap().to_owned();
    let mut elsewhere = pk.other(["-C", &folder, "ps"]);
    elsewhere.current_dir("/");
    pk.ended(elsewhere).assert_code(0);
    let mut nowhere = pk.other(["ps"]);
    nowhere.current_dir("/");
    let nowhere = pk.ended(nowhere);
    assert_eq!(
        nowhere.assert_code(3).stderr().lines().next(),
        Some("error: no stack of this folder is running")
    );
    pk.pk(["-f", "pk.yaml", "ps"]).assert_code(0);
    pk.pk(["logs", "--file", "pk.yaml", "db"]).assert_code(0);

    // However broken the file is meanwhile.
    std::fs::write(pk.folder().join("pk.yaml"), "services: [").unwrap();
    pk.pk(["ps"]).assert_code(0);
    down(pk);
}

#[test]
fn what_units_wrote_is_shown() {
    let pk = shop();
    let logs = pk.pk(["logs"]);
    logs.assert_code(0)
        .assert_shows(&["db      | db is up\n", "web-2   | from web-2\n"]);
    assert_eq!(logs.stdout().lines().count(), 5, "{logs}");
    assert_eq!(pk.pk(["logs", "db"]).stdout(), "db | db is up\n");
    let last = pk.pk(["logs", "web", "-n", "1"]).stdout();
    assert_eq!(last.lines().count(), 1, "{last}");
    let stamped = pk.pk(["logs", "db", "--timestamps"]).stdout();
    let (time, rest) = stamped.split_once(' ').unwrap();
    assert_eq!(rest, "db | db is up\n");
    time.parse::<jiff::Timestamp>().unwrap();
    let lines = json_lines(&pk.pk(["logs", "migrate", "--output", "json"]));
    assert_eq!(lines.len(), 1);
    assert_eq!(
        (&lines[0]["unit"], &lines[0]["text"]),
        (&"migrate".into(), &"migrated".into())
    );
    assert_eq!(
        (&lines[0]["stream"], &lines[0]["attempt"]),
        (&"stdout".into(), &1.into())
    );
    pk.pk(["logs", "nobody"]).assert_code(3);

    let mut follower = pk.other(["logs", "-f", "web", "api"]);
    let follower = std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            follower.stdout(std::process::Stdio::piped());
            follower.output().unwrap()
        });
        pk.pk(["restart", "api", "--wait"]).assert_code(0);
        pk.wait_for_times("api     | hello", 2);
        pk.pk(["down"]).assert_code(0);
        ended.join().unwrap()
    });
    assert_eq!(follower.status.code(), Some(0));
    let text = String::from_utf8(follower.stdout).unwrap();
    assert_eq!(text.matches("api   | hello\n").count(), 2, "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    pk.wait().assert_code(0);
}

#[test]
fn what_happened_is_shown() {
    let pk = shop();
    pk.pk(["events"]).assert_code(0).assert_order(&[
        "db      > started, pid PID",
        "db      > ready after TIME",
        "migrate > completed in TIME",
    ]);
    let events = json_lines(&pk.pk(["events", "--output", "json"]));
    let ready = events
        .iter()
        .find(|event| event["unit"]["change"]["ready"].is_object());
    assert_eq!(ready.unwrap()["unit"]["name"], "db");
    let mut follower = pk.other(["events", "-f", "--output", "json"]);
    let output = std::thread::scope(|scope| {
        let ended = scope.spawn(|| {
            follower
                .stdout(std::process::Stdio::piped())
                .output()
                .unwrap()
        });
        pk.pk(["down"]).assert_code(0);
        ended.join().unwrap()
    });
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("shutting_down") || output.status.code() == Some(3),
        "{text}"
    );
    pk.wait().assert_code(0);
}

#[test]
fn without_a_stack_there_is_nothing_to_show() {
    for args in [
        &["ps"][..],
        &["logs"],
        &["events"],
        &["down"],
        &["stop", "db"],
        &["wait", "db"],
        &["scale", "web=3"],
    ] {
        Pk::stack(SHOP, args.iter().copied())
            .code(3)
            .stdout("")
            .stderr("error: no stack of this folder is running\n  help: `pk up` starts it, `pk ls` shows what else runs\n")
            .run();
    }
    Pk::stack(SHOP, ["ls"])
        .stderr("note: no stack is running\n")
        .run();
    Pk::stack(SHOP, ["ls", "--output", "json"])
        .stdout("[]\n")
        .run();
}

#[test]
fn shells_can_complete() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = Pk::new(["completions", shell]).stderr("").run();
        assert!(ended.stdout().contains("restart"), "{shell}");
    }
}
