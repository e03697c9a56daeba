//! What a shell and its terminal see of a pk in the foreground.

use rustix::process::{Pid, Signal, kill_process};

use super::Place;
use super::shell::Shell;
use crate::harness::{Pk, children, poll};

/// The third field of `/proc/PID/stat`.
pub fn state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The process group in the foreground of its terminal: the eighth field.
pub fn foreground(pid: Pid) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    fields.nth(5)?.parse().ok()
}

const TICKS: &str = "\
name: ticks
services:
  tick: {command: 'i=0; while :; do i=$((i+1)); echo $i > now; echo at $i; sleep 0.02; done'}
tasks:
  late: {command: 'until [ -e go ]; do sleep 0.01; done', timeout: 100s}
";

#[test]
fn a_stopped_face_holds_up_nothing_and_misses_nothing() {
    let place = Place::new(TICKS);
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!("./{} up --no-tui; echo code $?\n", place.name));
    shell.wait_for("at 3", 1);
    let face = shell.stop_face(&place);
    // Units go on, and what follows from them does too.
    let now = || -> u32 {
        let text = std::fs::read_to_string(place.path().join("now")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    let then = now();
    poll("the unit to go on", || (now() > then + 10).then_some(()));
    std::fs::write(place.path().join("go"), "").unwrap();
    let waited = place
        .command(&["wait", "late", "--for", "succeeded"])
        .output()
        .unwrap();
    assert!(waited.status.success(), "{waited:?}");
    // In the background it is shown as well; in the foreground Ctrl-C reaches it.
    shell.type_in("bg\n");
    shell.wait_for("late > completed", 1);
    shell.type_in("fg\n");
    poll("pk in the foreground", || {
        (foreground(face) == Some(face.as_raw_nonzero().get())).then_some(())
    });
    let seen = now() + 5;
    shell.wait_for(&format!("at {seen}\r\n"), 1);
    shell.type_in("\x03");
    shell.wait_for("ticks ended after", 1);
    shell.type_in("echo code $?\n");
    shell.wait_for("code 130", 1);
    let screen = shell.screen();
    for tick in 1..=seen {
        assert!(
            screen.contains(&format!("at {tick}\r\n")),
            "{tick} in {screen}"
        );
    }
}

#[test]
fn a_stack_ends_without_waiting_for_a_stopped_face() {
    let place = Place::new("services:\n  a: {command: exec sleep 1000}\n");
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!("./{} up --no-tui; echo code $?\n", place.name));
    shell.wait_for("a  > started", 1);
    shell.type_in("\x1a");
    shell.wait_for("Stopped", 1);
    let down = place.command(&["down"]).output().unwrap();
    assert!(down.status.success(), "{down:?}");
    shell.type_in("fg\n");
    shell.wait_for("a  > stopped", 1);
    poll("the end of all", || {
        (children(shell.bash()).is_empty()).then_some(())
    });
}

#[test]
fn a_terminal_that_was_left_in_disorder_is_set_back() {
    // A shell without job control stays in the foreground with pk, and sets nothing back.
    let place = Place::new("services:\n  a: {command: exec sleep 1000}\n");
    let Some(mut shell) = Shell::open(&place) else {
        return;
    };
    shell.type_in(&format!(
        "sh -c './{} up --no-tui; while [ ! -e go ]; do sleep 0.02; done; stty -a > after'\n",
        place.name
    ));
    shell.wait_for("a  > started", 1);
    let sh = poll("the shell inside", || {
        children(shell.bash()).first().copied()
    });
    let face = *children(sh).first().unwrap();
    let guard = *children(face).first().unwrap();
    let settings = |args: &str| {
        let tty = format!("/proc/{}/fd/0", shell.bash().as_raw_nonzero());
        let line = format!("stty {args} < {tty}");
        std::process::Command::new("sh")
            .args(["-c", &line])
            .output()
            .unwrap()
    };
    // As a dashboard has it.
    assert!(settings("-echo -icanon").status.success());
    assert!(String::from_utf8_lossy(&settings("-a").stdout).contains("-icanon"));
    kill_process(face, Signal::KILL).unwrap();
    poll("the terminal to be as it was", || {
        let text = String::from_utf8_lossy(&settings("-a").stdout).into_owned();
        (text.contains(" icanon") && text.contains(" echo ")).then_some(())
    });
    poll("the guard to be gone", || {
        (state(guard).is_none_or(|state| state == 'Z')).then_some(())
    });
    std::fs::write(place.path().join("go"), "").unwrap();
}

#[test]
fn a_pipe_behind_pk_ends_with_it() {
    let pk = Pk::stack(
        "tasks:\n  a: {command: echo one; sleep 0.1; echo two}\n",
        ["up"],
    );
    let program = pk.command().get_program().to_owned();
    let mut command = std::process::Command::new("sh");
    command
        .args(["-c", "\"$0\" up | cat; echo end"])
        .arg(program)
        .current_dir(pk.path("."))
        .env("XDG_RUNTIME_DIR", pk.path("."));
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("a  | one\na  | two\n"), "{stdout}");
    assert!(stdout.ends_with("end\n"), "{stdout}");
}

#[test]
fn the_guard_is_small_and_goes_by_another_name() {
    let pk = Pk::stack("services:\n  a: {command: exec sleep 1000}\n", ["up"]).start();
    pk.wait_for("a  > started");
    // Faces that come and go make the supervisor use its memory.
    for _ in 0..20 {
        pk.pk(["ps"]).assert_code(0);
    }
    let (guard, supervisor) = pk.guard_and_supervisor();
    let file = |pid: Pid, name: &str| {
        let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
        std::fs::read_to_string(path).unwrap()
    };
    assert_eq!(file(guard, "comm"), "stack-guard\n");
    assert!(
        !file(guard, "cmdline").contains("pk"),
        "{}",
        file(guard, "cmdline")
    );
    let private: u64 = file(guard, "smaps_rollup")
        .lines()
        .filter(|line| line.starts_with("Private_"))
        .map(|line| {
            line.split_whitespace()
                .nth(1)
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    crate::contain::say(&format!("the guard has {private} KiB for itself"));
    assert!(private <= 300, "{private} KiB");
    // Each leads a session of its own.
    for pid in [guard, supervisor] {
        assert_eq!(rustix::process::getsid(Some(pid)).unwrap(), pid);
    }
    assert_eq!(
        std::fs::read_dir(format!("/proc/{}/task", guard.as_raw_nonzero()))
            .unwrap()
            .count(),
        1
    );
    pk.signal(Signal::INT);
    pk.wait().assert_code(130);
}
