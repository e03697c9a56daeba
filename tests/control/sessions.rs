//! One session per stack, whatever happened to the one before.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::{SHOP, down, shop};
use crate::harness::{Pk, poll};

fn sockets(pk: &crate::harness::Running) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(pk.folder().join("pk")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|e| e == "sock"))
        .collect()
}

#[test]
fn the_runtime_folder_is_closed_and_left_empty() {
    let pk = shop();
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&pk.folder().join("pk")), 0o700);
    assert_eq!(mode(&sockets(&pk)[0]), 0o600);
    let folder = pk.folder().join("pk");
    pk.pk(["down"]).assert_code(0);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    pk.wait().assert_code(0);
}

#[test]
fn after_sigkill_the_next_up_works_at_once() {
    let pk = shop();
    pk.signal(Signal::KILL);
    poll("the end of the stack", || {
        (pk.pk(["ps"]).code == Some(3)).then_some(())
    });
    let mut next = pk.other(["up", "db"]);
    let mut next = next
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    poll("the next stack", || {
        (pk.pk(["wait", "db"]).code == Some(0)).then_some(())
    });
    let ls = pk.pk(["ls"]).stdout();
    assert_eq!(ls.lines().count(), 2, "{ls}");
    assert!(ls.contains(&next.id().to_string()), "{ls}");
    pk.pk(["down"]).assert_code(0);
    assert_eq!(next.wait().unwrap().code(), Some(0));
}

/// While what it ran is still being ended.
#[test]
fn the_next_up_does_not_wait_for_what_a_killed_supervisor_left() {
    let pk = shop();
    let (_, supervisor) = pk.guard_and_supervisor();
    rustix::process::kill_process(supervisor, Signal::KILL).unwrap();
    let mut next = pk.other(["up", "db"]);
    let mut next = next
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    poll("the next stack", || {
        assert_eq!(next.try_wait().unwrap(), None, "it was refused");
        (pk.pk(["wait", "db"]).code == Some(0)).then_some(())
    });
    let ls = pk.pk(["ls"]).stdout();
    assert_eq!(ls.lines().count(), 2, "{ls}");
    assert!(ls.contains(&next.id().to_string()), "{ls}");
    let ps = pk.pk(["ps", "migrate"]).stdout();
    assert!(ps.contains("not started"), "{ps}");
    pk.pk(["down"]).assert_code(0);
    assert_eq!(next.wait().unwrap().code(), Some(0));
    pk.wait().assert_code(1);
}

#[test]
fn down_and_up_again_and_again() {
    let pk = shop();
    let folder = pk.folder().to_owned();
    pk.pk(["down"]).assert_code(0);
    for _ in 0..5 {
        let mut next = pk.other(["up", "db"]);
        let mut next = next
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        poll("the next stack", || {
            (pk.pk(["wait", "db"]).code == Some(0)).then_some(())
        });
        pk.pk(["down"]).assert_code(0);
        assert_eq!(std::fs::read_dir(folder.join("pk")).unwrap().count(), 0);
        assert_eq!(next.wait().unwrap().code(), Some(0));
    }
    pk.wait().assert_code(0);
}

#[test]
fn of_many_ups_at_once_one_wins() {
    let pk = shop();
    pk.pk(["down"]).assert_code(0);
    let mut ups: Vec<_> = (0..6)
        .map(|_| {
            let mut bare = pk.other(["up"]);
            bare.stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let mut codes = Vec::new();
    poll("all but one", || {
        ups.retain_mut(|up| match up.try_wait().unwrap() {
            Some(status) => {
                codes.push(status.code());
                false
            }
            None => true,
        });
        (ups.len() == 1).then_some(())
    });
    assert_eq!(codes, [Some(4); 5]);
    poll("the winner", || {
        (pk.pk(["wait", "db"]).code == Some(0)).then_some(())
    });
    pk.pk(["down"]).assert_code(0);
    assert_eq!(ups[0].wait().unwrap().code(), Some(0));
    pk.wait().assert_code(0);
}

#[test]
fn copies_in_two_folders_run_side_by_side() {
    let (one, two) = (shop(), shop());
    for pk in [one, two] {
        assert_eq!(pk.pk(["ls"]).stdout().lines().count(), 2);
        down(pk);
    }
    // Two stacks of one folder are told apart by their files.
    let pk = Pk::stack(SHOP, ["up", "db"])
        .file(
            "other.yaml",
            "name: other\nservices:\n  x: {command: exec sleep 1000}\n",
        )
        .start();
    pk.wait_for("db      > ready");
    let mut other = pk.other(["-f", "other.yaml", "up"]);
    let mut other = other.stdout(Stdio::null()).spawn().unwrap();
    poll("the other", || {
        (pk.pk(["-f", "other.yaml", "wait", "x"]).code == Some(0)).then_some(())
    });
    assert_eq!(pk.pk(["ls"]).stdout().lines().count(), 3);
    assert!(pk.pk(["ps"]).stdout().contains("db"));
    pk.pk(["-f", "other.yaml", "down"]).assert_code(0);
    other.wait().unwrap();
    down(pk);
}

#[test]
fn a_runtime_folder_that_is_not_ours_is_refused() {
    let pk = Pk::stack(SHOP, ["up"]);
    std::fs::create_dir(pk.path("real")).unwrap();
    symlink(pk.path("real"), pk.path("pk")).unwrap();
    let ended = pk.code(1).stdout("").run();
    assert!(ended.stderr().contains("is a symbolic link"), "{ended}");

    let pk = Pk::stack(SHOP, ["ps"]);
    std::fs::create_dir(pk.path("pk")).unwrap();
    std::fs::set_permissions(pk.path("pk"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let ended = pk.code(1).stdout("").run();
    assert!(
        ended.stderr().contains("is open to other users (mode 755"),
        "{ended}"
    );

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can give a folder away");
        return;
    }
    let pk = Pk::stack(SHOP, ["up"]);
    std::fs::create_dir(pk.path("pk")).unwrap();
    std::os::unix::fs::chown(pk.path("pk"), Some(65534), None).unwrap();
    let ended = pk.code(1).stdout("").run();
    assert!(
        ended
            .stderr()
            .contains("belongs to the user with the number 65534"),
        "{ended}"
    );
}

#[test]
fn another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can be another user");
        return;
    }
    let pk = shop();
    let socket = sockets(&pk).remove(0);
    let as_nobody = |args: &[&str]| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(args);
        pk.ended(command)
    };
    let path = socket.to_str().unwrap();
    let curl = [
        "curl",
        "-sS",
        "-i",
        "--unix-socket",
        path,
        "http://pk/v1/state",
    ];
    let closed = as_nobody(&curl);
    assert_eq!(closed.code, Some(7), "{closed}");
    // Even where the folders stand open: the kernel says who it is.
    for (path, mode) in [
        (pk.folder(), 0o755),
        (&pk.folder().join("pk"), 0o755),
        (&socket, 0o666),
    ] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let refused = as_nobody(&curl);
    assert!(refused.stdout().starts_with("HTTP/1.1 403"), "{refused}");
    assert!(
        refused.stdout().contains("\"code\":\"forbidden\""),
        "{refused}"
    );
    std::fs::set_permissions(
        pk.folder().join("pk"),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    down(pk);
}
