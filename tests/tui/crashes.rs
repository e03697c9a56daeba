//! A dashboard that ends at any moment, also while it draws, leaves the terminal as it was.
//!
//! `PK_CRASHES=100 cargo test --test tests -- crashes` does each that often.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Screen;
use super::leaving::{assert_is_back, face};
use crate::harness::{Pk, poll};

/// It draws all the time.
const STACK: &str = "\
name: busy
services:
  api: {command: 'i=0; while :; do i=$((i+1)); echo line $i; sleep 0.003; done'}
";

/// `variables` for the pk that is ended by `crash`.
fn at_any_moment(variables: &str, crash: impl Fn(&Screen, Pid)) {
    let turns = std::env::var("PK_CRASHES").ok();
    let turns: u64 = turns.and_then(|turns| turns.parse().ok()).unwrap_or(5);
    let pk = env!("CARGO_BIN_EXE_pk");
    let Some(screen) = Screen::open(Pk::stack(STACK, []), "check", 80, 24) else {
        return;
    };
    screen.wait_for("left with");
    let settings = screen.settings();
    for turn in 1..=turns {
        screen.shell(&format!("clear; {variables}{pk} up"));
        screen.wait_for("● api");
        let pid = Pid::from_raw(face(&screen, " up")).unwrap();
        // Any moment: not the one at which a frame was seen.
        std::thread::sleep(Duration::from_micros(turn * 7919 % 70_000));
        crash(&screen, pid);
        assert_is_back(&screen, &settings);
        poll("the end of all of pk", || {
            let members = screen.pk().members();
            (!members.iter().any(|(_, line)| line.starts_with(pk))).then_some(())
        });
        // What is written late changes nothing.
        assert_is_back(&screen, &settings);
    }
}

#[test]
fn killed_at_any_moment_it_leaves_the_terminal_as_it_was() {
    at_any_moment("", |_, pid| kill_process(pid, Signal::KILL).unwrap());
}

#[test]
fn hung_up_at_any_moment_it_leaves_the_terminal_as_it_was() {
    at_any_moment("", |_, pid| kill_process(pid, Signal::HUP).unwrap());
}

#[test]
fn after_a_panic_at_any_moment_the_terminal_is_as_it_was() {
    at_any_moment("PK_TEST_PANIC=face:panic ", |screen, pid| {
        let told = screen.pk().path("panic");
        std::fs::write(&told, "").unwrap();
        poll("the end of the face", || {
            kill_process(pid, Signal::CONT).is_err().then_some(())
        });
        std::fs::remove_file(told).unwrap();
    });
}
