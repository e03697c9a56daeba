//! Up in the order of what needs what, down in reverse, and what a signal does.

use rustix::process::Signal;

use crate::harness::{Pk, poll};

/// Three services, each of which says when it is asked to stop, and a task between.
const SHOP: &str = "\
defaults:
  services:
    command: |
      trap 'echo bye; exit 0' TERM
      echo hello
      while :; do sleep 0.02; done
    readiness: {log: hello}
services:
  web: {depends_on: [api]}
  api: {depends_on: [db, migrate]}
  db: {}
tasks:
  migrate:
    command: echo moved
    depends_on: [db]
";

#[test]
fn a_stack_goes_up_in_order_and_down_in_reverse() {
    let pk = Pk::stack(SHOP, ["up"]).start();
    pk.wait_for("web     > ready");
    pk.signal(Signal::INT);
    let ended = pk.wait();
    ended
        .assert_code(130)
        .assert_order(&[
            "4 units from pk.yaml",
            "db      > started, pid PID",
            "db      | hello",
            "db      > ready after TIME",
            "migrate > started",
            "migrate | moved",
            "migrate > completed in TIME",
            "api     > started",
            "api     > ready after TIME",
            "web     > started",
            "web     > ready after TIME",
            "stopping; Ctrl-C again kills what is left",
            "web     > stopping",
            "web     | bye",
            "web     > stopped",
            "api     > stopping",
            "api     | bye",
            "api     > stopped",
            "db      > stopping",
            "db      | bye",
            "db      > stopped",
            "ended after TIME",
            "completed  migrate",
            "stopped    web, api, db",
        ])
        .assert_shows(&[
            "api     > waiting for db to be ready, migrate to succeed\n",
            "web     > waiting for api to be ready\n",
        ]);
    assert_eq!(ended.stderr(), "");
}

#[test]
fn each_signal_has_its_code() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let pk = Pk::stack(SHOP, ["up"]).start();
        pk.wait_for("web     > ready");
        pk.signal(signal);
        pk.wait().assert_code(code).assert_order(&[
            "a second signal kills what is left",
            "web     > stopped",
            "db      > stopped",
        ]);
    }
}

#[test]
fn a_second_signal_kills_at_once() {
    let yaml = "\
services:
  deaf:
    command: |
      trap '' TERM
      echo hello
      while :; do sleep 0.02; done
    readiness: {log: hello}
    shutdown: {timeout: 10m}
  needy:
    command: sleep 1000
    depends_on: [deaf]
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("needy > started");
    pk.signal(Signal::INT);
    pk.wait_for("deaf  > stopping");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "Ctrl-C again kills",
        "needy > stopped",
        "deaf  > stopping",
        "killing what is left",
        "deaf  > killed\n",
        "deaf  > stopped (SIGKILL)",
    ]);
}

#[test]
fn who_does_not_stop_in_time_is_killed() {
    let yaml = "\
services:
  deaf:
    command: trap '' TERM; echo hello; while :; do sleep 0.02; done
    readiness: {log: hello}
    shutdown: {timeout: 300ms}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("deaf > ready");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "deaf > stopping",
        "deaf > killed: did not stop within 300ms",
        "deaf > stopped (SIGKILL)",
    ]);
}

#[test]
fn stragglers_of_a_service_go_with_it() {
    let yaml = "\
services:
  parent:
    command: sleep 1000 & sleep 1000 & echo hello; wait
    readiness: {log: hello}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for("parent > ready");
    // The shell does not wait until what it started has executed its program.
    poll("four processes", || (pk.members().len() >= 4).then_some(()));
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}

#[test]
fn named_units_come_with_what_they_require_or_alone() {
    let pk = Pk::stack(SHOP, ["up", "api"]).start();
    pk.wait_for("api     > ready");
    pk.signal(Signal::INT);
    pk.wait()
        .assert_shows(&["3 units", "db      > ready"])
        .assert_hides(&["web     >"]);
    let pk = Pk::stack(SHOP, ["up", "api", "--no-deps"]).start();
    pk.wait_for("api     > ready");
    pk.signal(Signal::INT);
    pk.wait()
        .assert_shows(&["1 unit "])
        .assert_hides(&["db      >", "migrate >", "waiting"]);
}

#[test]
fn profiles_are_started_when_asked_for() {
    let yaml = "\
tasks:
  always: {command: echo a}
  sometimes: {command: echo b, profiles: [dev]}
  never: {command: echo c, profiles: [prod]}
";
    Pk::stack(yaml, ["up"])
        .run()
        .assert_shows(&["always    | a"])
        .assert_hides(&["| b", "| c"]);
    Pk::stack(yaml, ["up", "--profile", "dev"])
        .run()
        .assert_shows(&["always    | a", "sometimes | b"])
        .assert_hides(&["| c"]);
}

#[test]
fn replicas_have_names_of_their_own() {
    let yaml = "\
services:
  web:
    command: echo hello; sleep 1000
    replicas: 2
    readiness: {log: hello}
tasks:
  after:
    command: echo both
    depends_on: [web]
";
    Pk::stack(yaml, ["up", "--ci"]).run().assert_shows(&[
        "web-1 | hello",
        "web-2 | hello",
        "after > waiting for web to be ready",
        "after | both",
        "stopped    web-1, web-2",
    ]);
}
