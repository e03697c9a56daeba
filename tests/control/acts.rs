//! The commands that change a running stack, and their exit codes.

use std::process::Stdio;

use rustix::process::Signal;

use super::{SHOP, down, down_with, shop};
use crate::harness::Pk;

#[test]
fn units_stop_and_start_and_restart() {
    let pk = shop();
    let stopped = pk.pk(["stop", "api", "web"]);
    assert_eq!(
        stopped.assert_code(0).stdout(),
        "api: stopped\nweb-1: stopped\nweb-2: stopped\n"
    );
    // Returned when nothing of it is left.
    assert!(!pk.pk(["ps", "api"]).stdout().contains("running"));
    let again = pk.pk(["stop", "api"]);
    assert_eq!(
        again.assert_code(0).stderr(),
        "note: nothing to do: not running\n"
    );
    pk.pk(["wait", "api", "--for", "stopped"]).assert_code(0);
    pk.pk(["wait", "api"])
        .assert_code(1)
        .assert_shows(&["api: stopped"]);

    let started = pk.pk(["start", "@web", "--wait"]);
    assert_eq!(
        started.assert_code(0).stdout(),
        "api: running\nweb-1: running\nweb-2: running\n"
    );
    pk.pk(["start", "api"]).assert_code(0);

    pk.pk(["restart", "db", "--wait"])
        .assert_code(0)
        .assert_shows(&["db: ready"]);
    pk.wait_for("db      > started again");
    let killed = pk.pk(["kill", "web-*"]);
    assert_eq!(
        killed.assert_code(0).stdout(),
        "web-1: stopped\nweb-2: stopped\n"
    );
    down(pk);
}

#[test]
fn what_fails_is_told_by_the_code() {
    let pk = shop();
    pk.pk(["start", "broken", "--wait"])
        .assert_code(1)
        .assert_shows(&["broken: failed: exit code 3"]);
    pk.pk(["wait", "broken", "--for", "completed"])
        .assert_code(0);
    pk.pk(["wait", "broken", "--for", "succeeded"])
        .assert_code(1);
    pk.pk(["wait", "migrate", "db"]).assert_code(0);
    let late = pk.pk(["wait", "db", "--for", "completed", "--timeout", "50ms"]);
    assert_eq!(
        late.assert_code(124).stderr(),
        "error: timed out after 50ms\n  help: db: ready\n"
    );
    for args in [
        &["start", "nobody"][..],
        &["stop", "no-*"],
        &["kill", "@nowhere"],
        &["scale", "nobody=2"],
        &["signal", "HUP", "migrate"],
    ] {
        let ended = pk.pk(args.iter().copied());
        ended.assert_code(3);
        assert_eq!(ended.stdout(), "", "{ended}");
        assert!(ended.stderr().starts_with("error: "), "{ended}");
    }
    let misspelt = pk.pk(["restart", "wbe"]);
    assert_eq!(
        misspelt.stderr(),
        "error: `shop` has no unit named `wbe`\n  help: did you mean `web`?\n"
    );
    pk.pk(["scale", "db=2"]).assert_code(4);
    for args in [
        &["stop"][..],
        &["stop", "--all", "db"],
        &["signal", "NOPE", "db"],
        &["scale", "web"],
        &["wait", "db", "--timeout", "5"],
    ] {
        pk.pk(args.iter().copied()).assert_code(2);
    }
    // Somebody has asked for what is broken.
    down_with(pk, 1);
}

#[test]
fn units_are_signalled_disabled_and_scaled() {
    let trap = "services:\n  t: {command: 'trap \"echo got it\" USR1; echo set; while :; do sleep 0.01; done', readiness: {log: set}}\n  web: {command: exec sleep 1000, replicas: 1}\n";
    let pk = Pk::stack(trap, ["up"]).start();
    pk.wait_for("t     > ready");
    pk.pk(["wait", "--all"]).assert_code(0);
    pk.pk(["signal", "usr1", "t"]).assert_code(0);
    pk.wait_for("t     | got it");

    pk.pk(["disable", "web"]).assert_code(0);
    pk.pk(["wait", "web", "--for", "stopped"]).assert_code(0);
    assert_eq!(
        pk.pk(["disable", "web"]).stderr(),
        "note: nothing to do: already disabled\n"
    );
    pk.pk(["enable", "web"]).assert_code(0);
    pk.pk(["wait", "web", "--for", "started"]).assert_code(0);

    pk.pk(["scale", "web=3"]).assert_code(0);
    pk.pk(["wait", "web"])
        .assert_code(0)
        .assert_shows(&["web-1: running", "web-3: running"]);
    pk.pk(["scale", "web=1"]).assert_code(0);
    pk.wait_for("web-3 > stopped");
    pk.pk(["down", "--now"]).assert_code(0);
    pk.wait();
}

#[test]
fn up_on_a_running_stack() {
    let pk = Pk::stack(SHOP, ["up"]).start();
    pk.wait_for("migrate > completed");
    let denied = pk.pk(["up"]);
    denied.assert_code(4);
    assert_eq!(denied.stdout(), "");
    assert!(
        denied
            .stderr()
            .starts_with("error: `shop` runs already: pid "),
        "{denied}"
    );
    pk.pk(["up", "api"]).assert_code(0);
    pk.wait_for("api     > started");
    pk.pk(["up", "nobody"]).assert_code(2);
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}

#[test]
fn down_waits_until_a_slow_unit_is_gone() {
    let slow = "name: shop\nservices:\n  slow: {command: 'trap \"until [ -e go ]; do sleep 0.01; done; echo bye; exit\" TERM; echo set; while :; do sleep 0.01; done', readiness: {log: set}}\n";
    let pk = Pk::stack(slow, ["up"]).start();
    pk.wait_for("slow > ready");
    let late = pk.pk(["down", "--timeout", "1ms"]);
    assert!(
        late.assert_code(124).stderr().contains("still stopping"),
        "{late}"
    );
    pk.pk(["start", "slow"]).assert_code(4);
    let mut down = pk.other(["down"]).stderr(Stdio::null()).spawn().unwrap();
    std::fs::write(pk.folder().join("go"), "").unwrap();
    // It may have come when all was over.
    assert!(matches!(down.wait().unwrap().code(), Some(0 | 3)));
    let left = pk.members();
    assert!(
        left.iter().all(|(_, line)| !line.contains("sleep")),
        "{left:?}"
    );
    pk.wait().assert_code(0).assert_shows(&["slow | bye"]);
}
