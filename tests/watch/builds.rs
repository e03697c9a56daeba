//! Build before swap.

use rustix::process::Signal;

use super::{armed, starts, write};
use crate::harness::{Pk, poll};

const BUILT: &str = "\
services:
  api:
    command: echo \"has $(cat bin)\"; exec sleep 1000
    watch:
      paths: [src]
      debounce: 10ms
      run: echo \"building $(cat src/a)\"; test ! -e src/broken && cp src/a bin
";

#[test]
fn a_failed_build_keeps_the_old_run_and_shows_as_the_units_state() {
    let pk = Pk::stack(BUILT, ["up"])
        .file("src/a", "one")
        .file("bin", "one")
        .start();
    pk.wait_for("api | has one");
    armed(&pk);
    write(pk.folder(), "src/broken", "x");
    pk.wait_for("api > build failed: exit code 1");
    assert_eq!(starts(&pk, "api"), 1);
    let shown = || pk.pk(["ps"]).stdout().contains("build failed: exit code 1");
    poll("the state to say so", || shown().then_some(()));
    let logs = pk.pk(["logs", "api", "--output", "json"]);
    assert!(logs.stdout().contains("\"stream\":\"build\""), "{logs}");
    std::fs::remove_file(pk.folder().join("src/broken")).unwrap();
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    poll("the state to say so", || (!shown()).then_some(()));
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "changed: building",
        "api # building one",
        "api > build failed",
        "api # building two",
        "api > started again",
        "api | has two",
    ]);
}

#[test]
fn a_save_during_a_build_cancels_it_whole() {
    let yaml = "services:\n  api:\n    command: exec sleep 1000\n    watch:\n      paths: [src]\n      debounce: 10ms\n      run: \"echo begin $(cat src/a); test -e go || { sleep 1000 & setsid sleep 1000; }\"\n";
    let pk = Pk::stack(yaml, ["up"]).file("src/a", "zero").start();
    pk.wait_for("api > started");
    armed(&pk);
    write(pk.folder(), "src/a", "one");
    pk.wait_for("begin one");
    write(pk.folder(), "go", "");
    write(pk.folder(), "src/a", "two");
    pk.wait_for("begin two");
    pk.wait_for("api > started again");
    // Nothing of the first build is left.
    poll("its processes to be gone", || {
        let sleeps = |(_, name): &(i32, String)| name == "sleep";
        (pk.members().iter().filter(|member| sleeps(member)).count() <= 1).then_some(())
    });
    pk.signal(Signal::INT);
    pk.wait().assert_shows(&["changed: building anew"]);
}

#[test]
fn a_build_ends_with_the_stack() {
    let yaml = "services:\n  api:\n    command: exec sleep 1000\n    watch: {paths: [a], debounce: 10ms, run: \"echo begin; trap '' TERM; sleep 1000\"}\n";
    let pk = Pk::stack(yaml, ["up"]).file("a", "").start();
    pk.wait_for("api > started");
    armed(&pk);
    write(pk.folder(), "a", "one");
    pk.wait_for("api # begin");
    pk.signal(Signal::INT);
    // The harness asserts that nothing is left.
    pk.wait().assert_code(130);
}
