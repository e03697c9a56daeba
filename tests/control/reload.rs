//! A running stack goes over to what its file says now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::{down, down_with};
use crate::harness::{Pk, Running, poll};

/// Waits until the state says what the changes have said: that all runs.
fn settle(pk: &Running) {
    pk.pk(["wait", "--all"]).assert_code(0);
}

/// The pids of all that runs, by name.
fn pids(pk: &Running) -> BTreeMap<String, u64> {
    let listed = pk.pk(["ps", "--output", "json"]);
    let listed: Value = serde_json::from_str(&listed.assert_code(0).stdout()).unwrap();
    let units = listed["units"].as_array().unwrap().iter();
    units
        .filter_map(|unit| {
            let name = unit["name"].as_str().unwrap().to_owned();
            Some((name, unit["pid"].as_u64()?))
        })
        .collect()
}

fn save(pk: &Running, yaml: &str) {
    // As an editor does it.
    let new = pk.folder().join("pk.yaml~");
    std::fs::write(&new, yaml).unwrap();
    std::fs::rename(new, pk.folder().join("pk.yaml")).unwrap();
}

/// 50 services; `u7` says `word`, and two others depend on it.
fn fifty(word: &str) -> String {
    let mut yaml = "name: shop\nservices:\n".to_owned();
    for number in 0..50 {
        let what = if number == 7 { word } else { "same" };
        let more = match number {
            20 => ", depends_on: {u7: {condition: started, restart: true}}",
            21 => ", depends_on: [u7]",
            _ => "",
        };
        writeln!(
            yaml,
            "  u{number}: {{command: [sh, -c, 'echo {what}; exec sleep 1000'], shutdown: {{signal: KILL}}{more}}}"
        )
        .unwrap();
    }
    yaml
}

fn changed(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<String> {
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>()
    );
    let changed = before.iter().filter(|(name, pid)| after[*name] != **pid);
    changed.map(|(name, _)| name.clone()).collect()
}

#[test]
fn of_fifty_units_only_what_changed_restarts() {
    let pk = Pk::stack(&fifty("one"), ["up"]).start();
    pk.wait_for_times("> started", 50);
    settle(&pk);
    let before = pids(&pk);
    assert_eq!(before.len(), 50);

    save(&pk, &fifty("two"));
    let plan = "u7: changed, restarts if it runs\n\
                u20: restarts with what it depends on, if it runs\n";
    let shown = pk.pk(["reload", "--dry-run"]);
    assert_eq!(
        shown.assert_code(0).stdout(),
        format!("{plan}48 units not touched\n")
    );
    assert_eq!(pids(&pk), before);

    let done = pk.pk(["reload"]);
    assert_eq!(
        done.assert_code(0).stdout(),
        format!("{plan}48 units untouched\n")
    );
    pk.wait_for("reloaded: u7 changed");
    pk.wait_for("u7  | two");
    pk.wait_for("u20 > started again");
    // A change is told at once, a state a moment later.
    poll("the state", || {
        let now = pids(&pk);
        (now.len() == 50 && changed(&before, &now) == ["u20", "u7"]).then_some(())
    });

    let again = pk.pk(["reload"]);
    assert_eq!(again.assert_code(0).stdout(), "nothing changes\n");
    down(pk);
}

#[test]
fn units_come_and_go_and_what_was_scaled_stays() {
    let yaml = |rest: &str| {
        format!("name: shop\nservices:\n  web: {{command: exec sleep 1000, replicas: 1}}\n{rest}")
    };
    let pk = Pk::stack(&yaml("  old: {command: exec sleep 1000}\n"), ["up"]).start();
    pk.wait_for_times("> started", 2);
    pk.pk(["scale", "web=2"]).assert_code(0);
    pk.wait_for("web-2 > started");
    settle(&pk);
    let before = pids(&pk);
    save(&pk, &yaml("  new: {command: exec sleep 1000}\n"));
    let done = pk.pk(["reload", "--output", "json"]);
    let done: Value = serde_json::from_str(&done.assert_code(0).stdout()).unwrap();
    assert_eq!(done["applied"], true);
    assert_eq!(done["difference"]["added"], serde_json::json!(["new"]));
    assert_eq!(done["difference"]["removed"], serde_json::json!(["old"]));
    assert_eq!(done["difference"]["unchanged"], serde_json::json!(["web"]));
    pk.wait_for("new   > started");
    pk.wait_for("old   > removed from the stack");
    // A change is told at once, a state a moment later.
    let after = poll("the state", || {
        let pids = pids(&pk);
        pids.keys()
            .eq(["new", "web-1", "web-2"].iter())
            .then_some(pids)
    });
    for web in ["web-1", "web-2"] {
        assert_eq!(before[web], after[web]);
    }
    down(pk);
}

#[test]
fn a_bad_file_changes_nothing_and_says_why() {
    let yaml = "name: shop\nservices:\n  a: {command: exec sleep 1000}\n";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("> started");
    settle(&pk);
    let before = pids(&pk);
    for (bad, says) in [
        ("name: shop\nservices:\n  a: {comand: x}\n", "comand"),
        (
            "name: other\nservices:\n  a: {command: x}\n",
            "named `other`",
        ),
        ("name: shop\nservices: [\n", "pk.yaml:2"),
    ] {
        save(&pk, bad);
        for args in [&["reload"][..], &["reload", "--dry-run"]] {
            let refused = pk.pk(args.iter().copied());
            refused.assert_code(2);
            let said = refused.stderr();
            assert!(said.contains(says), "{refused}");
            assert!(said.contains("all stays as it was"), "{refused}");
        }
    }
    std::fs::remove_file(pk.folder().join("pk.yaml")).unwrap();
    pk.pk(["reload"]).assert_code(2);
    assert_eq!(pids(&pk), before);
    save(&pk, yaml);
    pk.pk(["reload"])
        .assert_code(0)
        .assert_shows(&["nothing changes"]);
    down(pk);
    let gone = Pk::stack(yaml, ["reload"]).code(3).run();
    assert_eq!(gone.stdout(), "");
}

#[test]
fn a_storm_of_saves_ends_in_the_last_state() {
    let yaml = |word: &str| {
        format!(
            "name: shop\nservices:\n  same: {{command: exec sleep 1000}}\n  a: {{command: [sh, -c, 'echo say {word}; exec sleep 1000'], shutdown: {{signal: KILL}}}}\n"
        )
    };
    let pk = Pk::stack(&yaml("first"), ["up", "--reload"]).start();
    pk.wait_for_times("> started", 2);
    settle(&pk);
    let before = pids(&pk)["same"];
    // Saves before the first one is seen to work would prove less.
    save(&pk, &yaml("second"));
    pk.wait_for("| say second");
    for number in 0..100 {
        if number % 10 == 3 {
            save(&pk, "services: [\n");
        } else {
            save(&pk, &yaml(&format!("no.{number}")));
        }
    }
    pk.wait_for("| say no.99");
    // It is what runs, not only what ran once.
    let last = poll("a reload that finds nothing to do", || {
        let said = pk.pk(["reload", "--dry-run"]).stdout();
        let now = pids(&pk);
        let shown = pk.so_far();
        let told = shown.rsplit("started again, pid ").next()?.lines().next()?;
        let settled = told == now.get("a")?.to_string();
        (said == "nothing changes\n" && settled).then_some(now)
    });
    assert_eq!(last["same"], before);
    save(&pk, "name: shop\nservices:\n  a: {comand: x}\n");
    pk.wait_for("not reloaded, all stays as it was: pk.yaml:3:");
    assert_eq!(pids(&pk), last);
    down_with(pk, 0);
}

#[test]
fn files_that_are_included_are_watched_too() {
    let stack = Pk::stack(
        "name: shop\ninclude: [more/more.yaml]\nservices:\n  a: {command: exec sleep 1000}\n",
        ["up", "--reload"],
    );
    let more =
        |word: &str| format!("services:\n  b: {{command: echo say {word}; exec sleep 1000}}\n");
    let pk = stack.file("more/more.yaml", &more("one")).start();
    pk.wait_for("| say one");
    // Watched as soon as it is known, which nothing outside tells: save until it is seen.
    let mut number = 0;
    poll("a reload", || {
        number += 1;
        std::fs::write(
            pk.folder().join("more/more.yaml"),
            more(&format!("no.{number}")),
        )
        .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        pk.so_far().contains("| say no.").then_some(())
    });
    pk.pk(["up", "--reload"]).assert_code(4);
    down(pk);
}
