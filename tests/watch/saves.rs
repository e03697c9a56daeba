//! What a save leads to.

use rustix::process::Signal;
use std::fs;

use super::{READER, armed, replace, starts, write};
use crate::harness::{Pk, Running, poll};

fn end(pk: Running) -> crate::harness::Ended {
    pk.signal(Signal::INT);
    pk.wait()
}

#[test]
fn a_save_restarts_and_names_the_file_in_the_log_and_in_events() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    let events = pk.pk(["events", "--output", "json"]);
    assert!(
        events.stdout().contains("\"files_changed\"") && events.stdout().contains("\"src/a\""),
        "{events}"
    );
    end(pk).assert_code(130).assert_order(&[
        "api | has one",
        "api > src/a changed: restarting",
        "api > stopping",
        "api > started again",
        "api | has two",
    ]);
}

#[test]
fn a_touch_the_same_bytes_and_a_new_mode_do_nothing() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    let path = pk.folder().join("src/a");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    drop(file);
    write(pk.folder(), "src/a", "one");
    replace(pk.folder(), "src/a", "one");
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // What comes after it shows that these were looked at.
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    assert_eq!(starts(&pk, "api"), 2, "{}", pk.so_far());
    end(pk);
}

#[test]
fn editors_save_in_many_ways() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    let folder = pk.folder().to_owned();
    let file = |name: &str| folder.join("src").join(name);
    // vim: a test file, a backup by rename, a new file under the old name.
    write(&folder, "src/4913", "");
    fs::remove_file(file("4913")).unwrap();
    fs::rename(file("a"), file("a~")).unwrap();
    write(&folder, "src/a", "vim");
    fs::remove_file(file("a~")).unwrap();
    pk.wait_for("api | has vim");
    // emacs: a lock by a link to nowhere, a backup by copy.
    std::os::unix::fs::symlink("me@here.1:2", file(".#a")).unwrap();
    fs::copy(file("a"), file("a~")).unwrap();
    write(&folder, "src/a", "emacs");
    fs::remove_file(file(".#a")).unwrap();
    pk.wait_for("api | has emacs");
    // JetBrains: two renames.
    write(&folder, "src/a___jb_tmp___", "jetbrains");
    fs::rename(file("a"), file("a___jb_old___")).unwrap();
    fs::rename(file("a___jb_tmp___"), file("a")).unwrap();
    fs::remove_file(file("a___jb_old___")).unwrap();
    pk.wait_for("api | has jetbrains");
    // VS Code: in place.
    write(&folder, "src/a", "code");
    pk.wait_for("api | has code");
    replace(&folder, "src/a", "replaced");
    pk.wait_for("api | has replaced");
    assert_eq!(starts(&pk, "api"), 6, "{}", pk.so_far());
    end(pk);
}

#[test]
fn new_folders_are_picked_up_without_a_gap() {
    let yaml = "services:\n  api:\n    command: \"cat $(find src -name x | sort); exec sleep 1000\"\n    watch: {paths: ['src/**/x'], debounce: 20ms}\n";
    let pk = Pk::stack(yaml, ["up"]).file("src/x", "top\n").start();
    pk.wait_for("api | top");
    armed(&pk);
    for round in 0..5 {
        let text = format!("deep {round}\n");
        write(pk.folder(), &format!("src/{round}/b/c/x"), &text);
        pk.wait_for(&format!("api | deep {round}"));
    }
    write(pk.folder(), "src/3/b/c/x", "deeper\n");
    pk.wait_for("api | deeper");
    // A folder that was made elsewhere, and one that moves.
    write(pk.folder(), "made/x", "moved in\n");
    fs::rename(pk.folder().join("made"), pk.folder().join("src/in")).unwrap();
    pk.wait_for("api | moved in");
    fs::rename(pk.folder().join("src/in"), pk.folder().join("src/on")).unwrap();
    pk.wait_for_times("api | moved in", 2);
    write(pk.folder(), "src/on/x", "and on\n");
    pk.wait_for("api | and on");
    end(pk);
}

#[test]
fn what_is_ignored_does_not_count_and_what_is_named_does() {
    let yaml = "services:\n  api:\n    command: exec sleep 1000\n    watch:\n      paths: [src, src/gen/named.log]\n      ignore: ['*.tmp']\n      debounce: 10ms\n";
    let pk = Pk::stack(yaml, ["up"])
        .file("src/.gitignore", "*.log\nskip/\n")
        .file("src/gen/named.log", "")
        .file("src/skip/x", "")
        .start();
    pk.wait_for("api > started");
    armed(&pk);
    for name in ["src/b.log", "src/skip/x", "src/c.tmp", "src/gen/other.log"] {
        write(pk.folder(), name, "changed");
    }
    write(pk.folder(), "src/gen/named.log", "changed");
    pk.wait_for("src/gen/named.log changed");
    write(pk.folder(), "src/plain", "changed");
    pk.wait_for("src/plain changed");
    let ended = end(pk);
    ended.assert_hides(&["b.log", "skip/x", "c.tmp", "other.log"]);
}

#[test]
fn a_signal_instead_of_a_restart() {
    let yaml = "services:\n  api:\n    command: |\n      trap 'echo \"has $(cat a)\"' HUP\n      echo \"has $(cat a)\"\n      while :; do sleep 0.01; done\n    watch: {paths: [a], action: {signal: SIGHUP}, debounce: 10ms}\n";
    let pk = Pk::stack(yaml, ["up"]).file("a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    replace(pk.folder(), "a", "two");
    pk.wait_for("api | has two");
    assert_eq!(starts(&pk, "api"), 1);
    end(pk).assert_shows(&["api > a changed: sent SIGHUP"]);
}

#[test]
fn a_cascade_goes_on_to_dependents_in_order() {
    let yaml = "services:\n  sql:\n    command: exec sleep 1000\n    readiness: {exec: 'true', interval: 100ms}\n    watch: {paths: [a], cascade: true, debounce: 10ms}\n  api:\n    command: exec sleep 1000\n    depends_on: {sql: ready}\n  web:\n    command: exec sleep 1000\n    depends_on: [api]\n  oth: {command: exec sleep 1000}\n";
    let pk = Pk::stack(yaml, ["up"]).file("a", "one").start();
    pk.wait_for("web > started");
    armed(&pk);
    write(pk.folder(), "a", "two");
    pk.wait_for("web > started again");
    assert_eq!(starts(&pk, "oth"), 1);
    end(pk).assert_order(&[
        "sql > a changed: restarting",
        "web > stopping",
        "api > stopping",
        "sql > stopping",
        "sql > started again",
        "api > started again",
        "web > started again",
    ]);
}

#[test]
fn a_crash_loop_gets_a_fresh_budget() {
    let yaml = "services:\n  api:\n    command: \"echo $(cat a); test $(cat a) = good && exec sleep 1000\"\n    restart: {policy: on-failure, max_restarts: 1, backoff: 10ms..10ms}\n    watch: {paths: [a], debounce: 10ms}\n  oth: {command: exec sleep 1000}\n";
    let pk = Pk::stack(yaml, ["up"]).file("a", "bad").start();
    pk.wait_for("api > failed");
    armed(&pk);
    write(pk.folder(), "a", "worse");
    pk.wait_for_times("api > failed", 2);
    pk.wait_for_times("api > restart 1/1", 2);
    write(pk.folder(), "a", "good");
    pk.wait_for("api | good");
    end(pk);
}

#[test]
fn a_unit_that_writes_what_it_watches_is_suspended_with_the_file_named() {
    let yaml = "services:\n  api:\n    command: \"date +%N > out/stamp; exec sleep 1000\"\n    watch: {paths: [out], debounce: 10ms}\n";
    let pk = Pk::stack(yaml, ["up"]).file("out/x", "").start();
    pk.wait_for("out/stamp is ignored from now on");
    let restarts = starts(&pk, "api");
    assert!(restarts < 15, "{restarts}");
    poll("the status to say so", || {
        let status = pk.pk(["watch", "status"]);
        status.stdout().contains("ignores out/stamp").then_some(())
    });
    // Other files still count.
    write(pk.folder(), "out/x", "changed");
    pk.wait_for("out/x changed: restarting");
    end(pk);
}

#[test]
fn what_a_person_stopped_stays_stopped() {
    let pk = Pk::stack(
        &format!("{READER}  oth: {{command: exec sleep 1000}}\n"),
        ["up"],
    )
    .file("src/a", "one")
    .start();
    pk.wait_for("api | has one");
    armed(&pk);
    pk.pk(["stop", "api"]).assert_code(0);
    write(pk.folder(), "src/a", "two");
    // Its change is told before that of the file which is written after it.
    pk.pk(["start", "api"]).assert_code(0);
    pk.wait_for("api | has two");
    write(pk.folder(), "src/a", "three");
    pk.wait_for("api | has three");
    assert_eq!(starts(&pk, "api"), 3, "{}", pk.so_far());
    end(pk);
}
