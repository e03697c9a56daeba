//! Ctrl-Z, again and again and where there is no shell that could say `fg`.

use rustix::process::{Signal, kill_process};

use super::Place;
use super::shell::Shell;
use super::terminal::{foreground, state};
use crate::harness::poll;

/// Each ends and is started again all the time, so that there is always somebody on the way.
const WIDE: u32 = 64;

fn wide() -> String {
    use std::fmt::Write as _;
    let mut yaml = "name: wide\nservices:\n".to_owned();
    for number in 0..WIDE {
        let after = 300 + number * 7;
        writeln!(
            yaml,
            "  s{number}: {{command: [sleep, '0.{after}'], restart: {{policy: always, \
             backoff: 10ms, factor: 1, max_restarts: unlimited}}}}"
        )
        .unwrap();
    }
    yaml
}

/// `PK_STOPS=200 cargo test --test tests -- job_control` does it that often.
#[test]
fn stopped_and_continued_again_and_again_while_many_start() {
    let stops = std::env::var("PK_STOPS").ok();
    let stops: usize = stops.and_then(|stops| stops.parse().ok()).unwrap_or(5);
    let place = Place::new(&wide());
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!("./{} up --no-tui\n", place.name));
    // Not after the start, in it.
    shell.wait_for("s0  > started", 1);
    let face = shell.face(&place);
    for turn in 1..=stops {
        shell.type_in("\x1a");
        shell.wait_for("Stopped", turn);
        shell.type_in("fg\n");
        poll("pk in the foreground", || {
            let is_there = foreground(face) == Some(face.as_raw_nonzero().get());
            (is_there && state(face) != Some('T')).then_some(())
        });
    }
    // Everybody was started, and goes on being so.
    for number in 0..WIDE {
        let name = format!("s{number}");
        // Of one of its starts: the terminal's echo of a key may stand within the words of another.
        shell.wait_for(&format!("{name:<3} > started"), 1);
    }
    let again = "> started again";
    let before = shell.screen().matches(again).count();
    shell.wait_for(again, before + 100);
    shell.type_in("\x03");
    shell.wait_for("wide ended after", 1);
    shell.type_in("echo code $?\n");
    shell.wait_for("code 130", 1);
    poll("nobody but the shell", || {
        let left = place.members().into_iter();
        let is_kept = |pid: i32| {
            [shell.terminal(), shell.bash()]
                .iter()
                .any(|kept| kept.as_raw_nonzero().get() == pid)
        };
        (left.filter(|(pid, _)| !is_kept(*pid)).count() == 0).then_some(())
    });
}

/// The kernel continues whoever is stopped in a process group that has lost its shell, with a
/// SIGHUP: else nobody ever could.
#[test]
fn a_stopped_face_that_loses_its_shell_stops_the_stack() {
    let place = Place::new(
        "services:\n  a: {command: 'trap \"echo end >> ended; exit\" TERM; \
                            while :; do sleep 0.01; done'}\n",
    );
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!("./{} up --no-tui\n", place.name));
    shell.wait_for("a  > started", 1);
    shell.stop_face(&place);
    kill_process(shell.bash(), Signal::KILL).unwrap();
    poll("the end of all", || {
        place.members().is_empty().then_some(())
    });
    // In order, not by the guard.
    let ended = std::fs::read_to_string(place.path().join("ended")).unwrap();
    assert_eq!(ended, "end\n");
}

/// As `ssh -t host pk up` and `tmux new pk up` have it.
#[test]
fn without_a_shell_ctrl_z_stops_nobody() {
    let place = Place::new(
        "name: ticks\nservices:\n  tick: {command: 'i=0; while :; do i=$((i+1)); echo at $i; \
         sleep 0.02; done'}\n",
    );
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!("exec ./{} up --no-tui\n", place.name));
    shell.wait_for("at 3\r\n", 1);
    for _ in 0..3 {
        shell.type_in("\x1a");
        let seen = shell.screen().matches("| at ").count();
        shell.wait_for("| at ", seen + 20);
    }
    shell.type_in("\x03");
    shell.wait_for("ticks ended after", 1);
    poll("the end of all", || {
        let left = place.members().into_iter();
        let terminal = shell.terminal().as_raw_nonzero().get();
        (left.filter(|(pid, _)| *pid != terminal).count() == 0).then_some(())
    });
}

/// tmux continues what is stopped so; this terminal, as most, does not.
#[test]
fn nor_does_it_stop_a_dashboard_there() {
    let place = Place::new("name: small\nservices:\n  a: {command: exec sleep 1000}\n");
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    let line = format!(
        "stty cols 80 rows 24; TERM=xterm exec ./{} up\n",
        place.name
    );
    shell.type_in(&line);
    // The alternate screen.
    shell.wait_for("\x1b[?1049h", 1);
    shell.wait_for("running", 1);
    for turn in 2..=4 {
        shell.type_in("\x1a");
        // Left and taken again.
        shell.wait_for("\x1b[?1049h", turn);
    }
    shell.type_in("q");
    shell.wait_for("leave", 1);
    shell.type_in("s");
    poll("the end of all", || {
        let left = place.members().into_iter();
        let terminal = shell.terminal().as_raw_nonzero().get();
        (left.filter(|(pid, _)| *pid != terminal).count() == 0).then_some(())
    });
}
