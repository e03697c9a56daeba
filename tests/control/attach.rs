//! `up` in a terminal on a stack that runs already.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc;

use super::{down, shop};
use crate::harness::PATIENCE;

#[test]
fn a_terminal_shows_the_stack_and_leaves_it_running() {
    if !std::path::Path::new("/usr/bin/script").exists() {
        eprintln!("skipped: there is no `script` to make a terminal with");
        return;
    }
    let pk = shop();
    // `script` gives what it runs a terminal, and types there what it is given.
    let up = pk.other(["up"]);
    let mut command = Command::new("script");
    command
        .args([
            "-qefc",
            // Without `exec` a `sh` of dash stays between, and ends by the signal itself.
            &format!("exec {} up --no-tui", up.get_program().display()),
            "/dev/null",
        ])
        .current_dir(pk.folder())
        .env("XDG_RUNTIME_DIR", pk.folder())
        .env("NO_COLOR", "1");
    let mut terminal = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut keys = terminal.stdin.take().unwrap();
    let mut screen = terminal.stdout.take().unwrap();
    let (send, seen) = mpsc::channel();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = screen.read(&mut chunk) {
            let _ = send.send(String::from_utf8_lossy(&chunk[..length]).into_owned());
        }
    });
    let mut text = String::new();
    let mut wait_for = |wanted: &str| {
        while !text.contains(wanted) {
            text.push_str(
                &seen
                    .recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| panic!("{wanted}: {text}")),
            );
        }
        text.clone()
    };
    // What was written before, and what happens from now on.
    wait_for("Ctrl-C leaves it running");
    wait_for("db      | db is up");
    pk.pk(["restart", "api", "--wait"]).assert_code(0);
    wait_for("api     > started again");
    keys.write_all(b"\x03").unwrap();
    wait_for("left `shop` running");
    assert_eq!(terminal.wait().unwrap().code(), Some(0));
    assert!(pk.pk(["ps", "db"]).stdout().contains("ready"));
    down(pk);
}
