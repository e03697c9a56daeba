//! Where watching goes wrong, or could.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rustix::process::Signal;

use super::{READER, armed, replace, starts, write};
use crate::harness::{Pk, poll};

#[test]
fn a_root_that_is_deleted_and_made_anew_is_watched_again() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    for round in ["two", "three"] {
        fs::remove_dir_all(pk.folder().join("src")).unwrap();
        write(pk.folder(), "src/a", round);
        pk.wait_for(&format!("api | has {round}"));
    }
    fs::rename(pk.folder().join("src"), pk.folder().join("away")).unwrap();
    write(pk.folder(), "away/a", "elsewhere");
    write(pk.folder(), "src/a", "four");
    pk.wait_for("api | has four");
    assert!(!pk.so_far().contains("has elsewhere"));
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn a_root_that_is_not_there_yet_counts_when_it_comes() {
    let yaml = READER.replace("[src]", "[later/on/src, later/file]");
    let pk = Pk::stack(&yaml, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    write(pk.folder(), "later/on/src/x", "1");
    pk.wait_for("later/on/src/x changed: restarting");
    pk.wait_for("api > started again");
    write(pk.folder(), "later/file", "1");
    pk.wait_for("later/file changed: restarting");
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn links_are_resolved_and_a_loop_of_them_ends() {
    let pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .file("shared/lib/x", "1")
        .file("single/file", "1");
    let link = |to: &str, name: &str| {
        std::os::unix::fs::symlink(to, pk.path(name)).unwrap();
    };
    link("../src", "src/loop");
    link("..", "src/up");
    link("../shared", "src/shared");
    link("../single/file", "src/linked");
    link("nowhere", "src/dangling");
    let pk = pk.start();
    pk.wait_for("api | has one");
    armed(&pk);
    let status = pk.pk(["watch", "status"]);
    status.assert_shows(&["src: 3 files in 3 folders"]);
    write(pk.folder(), "shared/lib/x", "2");
    pk.wait_for("src/shared/lib/x changed");
    replace(pk.folder(), "single/file", "2");
    pk.wait_for("src/linked changed");
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn saves_of_every_kind_count_through_a_link() {
    let pk = Pk::stack(READER, ["up"])
        .file("src/x", "")
        .file("real/a", "one");
    std::os::unix::fs::symlink("../real/a", pk.path("src/a")).unwrap();
    let pk = pk.start();
    pk.wait_for("api | has one");
    armed(&pk);
    let anew = |name: &str, text: &str| {
        fs::remove_file(pk.folder().join(name)).unwrap();
        write(pk.folder(), name, text);
    };
    for round in 1..=2 {
        write(pk.folder(), "real/a", &format!("written {round}"));
        pk.wait_for(&format!("api | has written {round}"));
        replace(pk.folder(), "real/a", &format!("renamed {round}"));
        pk.wait_for(&format!("api | has renamed {round}"));
        anew("real/a", &format!("made {round}"));
        pk.wait_for(&format!("api | has made {round}"));
    }
    // An editor that knows nothing of links puts a file in the place of it.
    replace(pk.folder(), "src/a", "no link");
    pk.wait_for("api | has no link");
    anew("src/a", "made anew");
    pk.wait_for("api | has made anew");
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn a_link_that_is_turned_elsewhere_counts() {
    let yaml = "services:\n  api:\n    command: echo \"has $(cat current/a)\"; exec sleep 1000\n    watch: {paths: [current], debounce: 10ms}\n";
    let pk = Pk::stack(yaml, ["up"])
        .file("v1/a", "one")
        .file("v2/a", "two");
    std::os::unix::fs::symlink("v1", pk.path("current")).unwrap();
    let pk = pk.start();
    pk.wait_for("api | has one");
    armed(&pk);
    std::os::unix::fs::symlink("v2", pk.folder().join("next")).unwrap();
    fs::rename(pk.folder().join("next"), pk.folder().join("current")).unwrap();
    pk.wait_for("api | has two");
    write(pk.folder(), "v2/a", "three");
    pk.wait_for("api | has three");
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn names_that_are_no_utf8_count() {
    let pk = Pk::stack(READER, ["up"]).file("src/a", "one").start();
    pk.wait_for("api | has one");
    armed(&pk);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 \x1b[31m.txt");
    fs::write(pk.folder().join("src").join(name), "x").unwrap();
    pk.wait_for("changed: restarting");
    pk.wait_for("api > started again");
    assert!(!pk.so_far().contains('\x1b'), "{}", pk.so_far());
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn a_folder_that_cannot_be_read_is_told() {
    if rustix::process::geteuid().is_root() {
        println!("did not run: root may read everything");
        return;
    }
    use std::os::unix::fs::PermissionsExt as _;
    let pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .file("src/closed/x", "");
    let closed = pk.path("src/closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let pk = pk.start();
    pk.wait_for("cannot watch src/closed for `api`");
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    pk.signal(Signal::INT);
    pk.wait();
}

/// A limit of its own, in a user namespace.
#[test]
fn when_watches_run_out_files_are_looked_at_instead_and_that_is_said_once() {
    let script = "echo 3 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let through = ["unshare", "-Ur", "sh", "-c", script, "sh"];
    let works = Command::new(through[0])
        .args(&through[1..])
        .arg("true")
        .output();
    if !works.is_ok_and(|output| output.status.success()) {
        println!("did not run: no user namespace can be made here");
        return;
    }
    let pk = Pk::stack(READER, ["up", "--containment", "process-group"])
        .file("src/a", "one")
        .file("src/b/c/d/e", "")
        .through(&through)
        .start();
    pk.wait_for("api | has one");
    pk.wait_for("fs.inotify.max_user_watches=");
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    write(pk.folder(), "src/b/c/d/e", "new");
    pk.wait_for("src/b/c/d/e changed");
    assert_eq!(pk.so_far().matches("sysctl").count(), 1);
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn files_can_be_looked_at_instead_of_being_watched() {
    let pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .env("PK_WATCH", "poll")
        .start();
    pk.wait_for("api | has one");
    armed(&pk);
    let status = pk.pk(["watch", "status"]);
    status.assert_shows(&["looked at every 1s: PK_WATCH=poll"]);
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    write(pk.folder(), "src/new/deep", "x");
    pk.wait_for("src/new/deep changed");
    pk.signal(Signal::INT);
    pk.wait();
}

/// The kernel keeps some thousand events: more than that come while pk is stopped.
#[test]
fn an_overflow_leads_to_one_look_and_not_to_a_blind_restart() {
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 100_000 {
        println!("did not run: the queue holds {limit} events");
        return;
    }
    let pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .file("src/flood/x", "")
        .file("src/.gitignore", "noise*\n")
        .start();
    pk.wait_for("api | has one");
    armed(&pk);
    let (_, supervisor) = pk.guard_and_supervisor();
    let flood = |rounds: usize| {
        for n in 0..rounds {
            let file = pk.folder().join(format!("src/flood/noise{}", n % 64));
            fs::write(&file, "x").unwrap();
            fs::remove_file(file).unwrap();
        }
    };
    rustix::process::kill_process(supervisor, rustix::process::Signal::STOP).unwrap();
    flood(limit / 2);
    rustix::process::kill_process(supervisor, rustix::process::Signal::CONT).unwrap();
    pk.wait_for("some events");
    // Nothing that counts has changed.
    write(pk.folder(), "src/b", "x");
    pk.wait_for("src/b changed");
    pk.wait_for("api > started again");
    assert_eq!(starts(&pk, "api"), 2, "{}", pk.so_far());
    // What is lost in the flood is found.
    rustix::process::kill_process(supervisor, rustix::process::Signal::STOP).unwrap();
    flood(limit / 2);
    write(pk.folder(), "src/a", "two");
    write(pk.folder(), "src/late/deep/file", "x");
    rustix::process::kill_process(supervisor, rustix::process::Signal::CONT).unwrap();
    pk.wait_for("api | has two");
    write(pk.folder(), "src/late/deep/file", "y");
    poll("a new folder to be watched", || {
        pk.so_far()
            .contains("src/late/deep/file changed")
            .then_some(())
    });
    pk.signal(Signal::INT);
    pk.wait();
}

#[test]
fn ignored_folders_take_no_watches() {
    let mut pk = Pk::stack(READER, ["up"])
        .file("src/a", "one")
        .file("src/.gitignore", "node_modules/\n");
    for n in 0..200 {
        pk = pk.file(&format!("src/node_modules/{n}/deep/x"), "");
    }
    for n in 0..20 {
        pk = pk.file(&format!("src/{n}/x"), "");
    }
    let pk = pk.start();
    pk.wait_for("api | has one");
    armed(&pk);
    let (_, supervisor) = pk.guard_and_supervisor();
    let fds = format!("/proc/{}/fdinfo", supervisor.as_raw_nonzero());
    let watches: usize = fs::read_dir(fds)
        .unwrap()
        .flatten()
        .filter_map(|fd| fs::read_to_string(fd.path()).ok())
        .map(|text| text.lines().filter(|l| l.starts_with("inotify wd")).count())
        .sum();
    // 21 folders, and those on the way to them.
    assert!((21..35).contains(&watches), "{watches}");
    pk.signal(Signal::INT);
    pk.wait();
}
