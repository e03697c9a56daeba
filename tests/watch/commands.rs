//! `pk watch` and the flags of `up`.

use rustix::process::Signal;

use super::{READER, armed, starts, write};
use crate::harness::Pk;

#[test]
fn status_says_what_is_watched_and_what_is_left_out() {
    let pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .file("src/deep/b", "")
        .file("src/c.log", "")
        .file("src/target/x", "")
        .file("src/.gitignore", "*.log\ntarget/\n")
        .start();
    pk.wait_for("api | has one");
    armed(&pk);
    let status = pk.pk(["watch", "status"]);
    status.assert_code(0).assert_shows(&[
        "  src: 3 files in 2 folders",
        "left out: 1 by `*.log` in src/.gitignore",
        "left out: 1 by `target/` in src/.gitignore",
        "last: nothing has changed yet",
    ]);
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    pk.pk(["watch", "status", "api"])
        .assert_shows(&["last: src/a changed", "restarted"]);
    pk.pk(["watch", "status", "nobody"]).assert_code(3);
    let explain = pk.pk(["explain", "api"]);
    explain.assert_shows(&["watch: src/a changed"]);
    for (path, words) in [
        ("src/a", "api: src/a counts: it is below `src`"),
        (
            "src/c.log",
            "does not count: ignored by `*.log` in src/.gitignore",
        ),
        (
            "src/target/deep/x",
            "ignored by `target/` in src/.gitignore",
        ),
        (
            "pk.yaml",
            "does not count: it is outside of what is watched",
        ),
        ("src/.git/x", "which pk always leaves out"),
    ] {
        pk.pk(["watch", "why", path]).assert_shows(&[words]);
    }
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn what_changes_while_paused_counts_once_afterwards() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    pk.pk(["watch", "pause"]).assert_code(0);
    pk.wait_for("api > watch paused");
    let again = pk.pk(["watch", "pause", "api"]);
    assert!(again.stderr().contains("already paused"), "{again}");
    write(pk.folder(), "src/a", "two");
    pk.wait_for("src/a changed: waits for `pk watch resume`");
    assert_eq!(starts(&pk, "api"), 1);
    pk.pk(["watch", "resume"]).assert_code(0);
    pk.wait_for("api | has two");
    assert_eq!(starts(&pk, "api"), 2);
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn without_a_watch_nothing_is_watched() {
    let pk = Pk::stack(READER, ["up", "--no-watch"])
        .file("src/a", "one")
        .start();
    pk.wait_for("api | has one");
    let status = pk.pk(["watch", "status"]);
    assert!(
        status.stderr().contains("no unit watches files"),
        "{status}"
    );
    pk.pk(["watch", "pause", "api"]).assert_code(4);
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}
