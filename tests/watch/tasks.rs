//! Tasks: run again, or skipped as up to date.

use rustix::process::Signal;

use super::{armed, starts, write};
use crate::harness::Pk;

#[test]
fn a_task_runs_again_and_takes_along_only_who_asked_for_it() {
    let yaml = "\
tasks:
  gen:
    command: echo \"made $(cat src)\"
    watch: {paths: [src], debounce: 10ms}
services:
  fol:
    command: echo up; exec sleep 1000
    depends_on: {gen: {condition: succeeded, restart: true}}
  sta:
    command: exec sleep 1000
    depends_on: {gen: succeeded}
";
    let pk = Pk::stack(yaml, ["up"]).file("src", "one").start();
    pk.wait_for("fol | up");
    pk.wait_for("sta > started");
    armed(&pk);
    write(pk.folder(), "src", "two");
    pk.wait_for("gen | made two");
    pk.wait_for("fol > started again");
    assert_eq!(starts(&pk, "sta"), 1, "{}", pk.so_far());
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}

#[test]
fn a_task_that_is_up_to_date_is_not_run_and_says_so() {
    let yaml = "\
tasks:
  gen:
    command: echo made; cp src/a out
    inputs: ['src/**']
    outputs: [out]
  ask:
    command: echo asked
    status: test -e out
    depends_on: [gen]
";
    let pk = |pk: Pk| {
        let folder = pk.path("");
        (pk.code(0).run(), folder)
    };
    let first = Pk::stack(yaml, ["up"]).file("src/a", "one");
    let (ended, _) = pk(first);
    ended.assert_shows(&[
        "gen | made",
        "ask > up to date, not run: its `status` command",
    ]);
    let again = Pk::stack(yaml, ["up"])
        .file("src/a", "one")
        .file("out", "one");
    let (ended, _) = pk(again);
    ended
        .assert_shows(&["gen > up to date, not run: no input changed since out was made"])
        .assert_hides(&["gen | made", "gen > started"]);
}

#[test]
fn a_watch_keeps_up_only_where_it_is_asked_to() {
    let yaml = "tasks:\n  gen: {command: echo \"made $(cat src)\", watch: {paths: [src], debounce: 10ms}}\n";
    Pk::stack(yaml, ["up"]).file("src", "one").run();
    let pk = Pk::stack(yaml, ["up", "--watch"])
        .file("src", "one")
        .start();
    pk.wait_for("gen > completed");
    armed(&pk);
    write(pk.folder(), "src", "two");
    pk.wait_for("gen | made two");
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}
