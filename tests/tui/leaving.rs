//! Ways to leave the dashboard, and what is left of it on the terminal.

use super::Screen;
use crate::harness::{Pk, poll};

const STACK: &str = r#"
name: small
services:
  api: {command: 'echo "pid $$ of api"; exec sleep 1000'}
"#;

/// The dashboard that was started by hand, as the kernel numbers it.
pub fn face(screen: &Screen, args: &str) -> i32 {
    poll("the face", || {
        let members = screen.pk().members();
        // The face is the oldest: guard and supervisor were made by it.
        let faces = members
            .into_iter()
            .filter(|(_, line)| line.trim_end().ends_with(args));
        faces.map(|(pid, _)| pid).min()
    })
}

/// The terminal is one to type in again: the screen of before, cursor, mouse, settings.
#[track_caller]
pub fn assert_is_back(screen: &Screen, settings: &str) {
    poll("the screen of before", || {
        let state = screen.state("#{alternate_on} #{cursor_flag} #{mouse_any_flag}");
        (state == "0 1 0").then_some(())
    });
    assert_eq!(screen.settings(), settings);
}

#[test]
fn detached_and_attached_again() {
    let Some(screen) = Screen::open(Pk::stack(STACK, []), "up", 80, 24) else {
        return;
    };
    let text = screen.wait_for(" of api");
    let line = text.lines().find(|line| line.contains(" of api")).unwrap();
    let line = line.trim().to_owned();
    screen.keys("q");
    screen.wait_for("leave small?");
    screen.keys("d");
    screen.wait("the shell", |text| {
        text.lines().any(|line| line.starts_with("left with 0"))
    });
    assert!(screen.run(&["ps"]).contains("api"));
    for _ in 0..2 {
        screen.shell(&format!("clear; {} attach", env!("CARGO_BIN_EXE_pk")));
        // It is the run of before, and its log is whole.
        screen.wait_for("● api");
        screen.wait_for(&line);
        screen.keys("q");
        screen.wait_for("leave, and let the stack run on");
        screen.keys("d");
        screen.wait_for("left `small` running");
    }
    screen.shell(&format!("clear; {} attach", env!("CARGO_BIN_EXE_pk")));
    screen.wait_for("● api");
    screen.keys("q");
    screen.wait_for("stop the stack");
    screen.keys("s");
    screen.wait_for("`small` has ended");
    poll("the end of all", || {
        let members = screen.pk().members();
        let pk = |(_, line): &(i32, String)| line.contains("sleep 1000");
        (!members.iter().any(pk)).then_some(())
    });
}

/// Kills a face as it draws, in a shell that sets nothing back itself.
fn killed(before: &str, args: &str) {
    let Some(screen) = Screen::open(Pk::stack(STACK, []), before, 80, 24) else {
        return;
    };
    screen.wait_for("left with");
    let settings = screen.settings();
    screen.shell(&format!("{} {args}", env!("CARGO_BIN_EXE_pk")));
    screen.wait_for("● api");
    let pid = rustix::process::Pid::from_raw(face(&screen, args)).unwrap();
    let drawn = screen.state("#{alternate_on} #{cursor_flag} #{mouse_any_flag}");
    assert_eq!(drawn, "1 0 1");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_is_back(&screen, &settings);
}

#[test]
fn a_killed_dashboard_leaves_the_terminal_as_it_was() {
    killed("check", "up");
}

#[test]
fn so_does_a_killed_one_that_was_attached() {
    killed("up -d", "attach");
}

#[test]
fn less_shows_a_file_in_its_pane() {
    if !std::path::Path::new("/usr/bin/less").exists() {
        eprintln!("skipped: there is no less");
        return;
    }
    let lines: String = (1..=300)
        .map(|n| format!("line {n} of the file\n"))
        .collect();
    let yaml = "name: small\nservices:\n  pager: {command: [less, text], tty: true}\n  plain: \
                {command: exec sleep 1000}\n";
    let pk = Pk::stack(yaml, []).file("text", &lines);
    let Some(screen) = Screen::open(pk, "up", 100, 30) else {
        return;
    };
    screen.wait_for("line 3 of the file");
    screen.keys("Enter I G");
    screen.wait_for("line 300 of the file");
    screen.shell("?line 42 ");
    screen.wait_for("line 42 of the file");
    // A smaller pane shows less of it, drawn anew.
    screen.resize(70, 20);
    screen.wait("the new size", |text| {
        text.contains("line 42 of the file") && text.lines().all(|line| line.chars().count() <= 70)
    });
    screen.keys("q");
    screen.wait_for("✓ pager");
    screen.wait_until_gone("typing");
    screen.keys("q");
    screen.wait_for("leave small?");
    screen.keys("s");
    screen.wait_for("left with");
}
