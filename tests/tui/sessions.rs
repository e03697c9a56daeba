//! Whole sessions at a terminal.

use super::Screen;
use crate::harness::Pk;

const STACK: &str = r#"
name: small
services:
  db:
    command: 'echo opening; echo "needle one"; touch up; exec sleep 1000'
    readiness: {file: up, interval: 100ms}
  api:
    command: 'echo "run of api"; exec sleep 1000'
    depends_on: {db: ready}
  bad:
    command: 'echo "ERROR no such disk" >&2; exit 7'
  noisy:
    command: 'i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo "line $i of many"; done; exec sleep 1000'
"#;

fn open(args: &str, columns: u16, rows: u16) -> Option<Screen> {
    let screen = Screen::open(Pk::stack(STACK, []), args, columns, rows)?;
    screen.wait_for("UNIT");
    Some(screen)
}

/// Leaves by the window that asks, and sees the end.
#[track_caller]
fn leave(screen: &Screen) {
    screen.keys("q");
    screen.wait_for("leave small?");
    screen.keys("s");
    // Not as it was typed.
    screen.wait("the end", |text| {
        text.lines().any(|line| line.starts_with("left with"))
    });
}

#[test]
fn from_the_start_to_ready_and_to_the_end() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait("db ready", |text| {
        text.lines()
            .any(|line| line.contains("● db") && line.contains("ready"))
    });
    let text = screen.wait_for("✗ bad");
    assert!(text.contains("small"), "{text}");
    screen.wait_for("failed: exit code 7");
    screen.wait_for("ERROR no such disk");
    screen.wait_for("opening");
    leave(&screen);
    let text = screen.wait_for("left with");
    assert!(text.contains("bad failed: exit code 7"), "{text}");
    assert!(text.contains("left with 1"), "{text}");
}

#[test]
fn search_filter_and_a_restart() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    screen.keys("l C-f");
    screen.wait_for("search:");
    screen.keys("n e e d l e Enter");
    screen.wait_for("“needle” 1/1");
    screen.wait_for("needle one");
    screen.keys("Escape");
    screen.wait_until_gone("“needle”");
    screen.keys("/ a p i Enter");
    screen.wait_until_gone("● noisy");
    screen.wait("run of api", |text| text.contains("● api"));
    screen.keys("l");
    screen.wait("one run", |text| text.matches("run of api").count() == 1);
    screen.keys("r");
    screen.wait("two runs", |text| text.matches("run of api").count() == 2);
    screen.keys("Escape");
    screen.wait_for("● noisy");
    leave(&screen);
}

#[test]
fn a_failure_is_one_key_away_and_lines_are_copied() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("! go there");
    screen.keys("!");
    screen.wait_for("━ bad ");
    screen.wait_until_gone("! go there");
    screen.keys("y");
    screen.wait_for("1 line copied");
    crate::harness::poll("the clipboard", || {
        screen
            .clipboard()
            .contains("ERROR no such disk")
            .then_some(())
    });
    leave(&screen);
}

#[test]
fn all_sizes_in_a_storm() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    for turn in 0..30 {
        screen.resize(30 + turn * 5, 6 + turn);
    }
    screen.resize(150, 40);
    screen.wait("the log beside", |text| {
        text.lines()
            .nth(1)
            .is_some_and(|line| line.contains("UNIT") && line.contains("│─"))
    });
    screen.resize(80, 24);
    screen.wait("the log below", |text| {
        text.lines()
            .nth(1)
            .is_some_and(|line| line.contains("UNIT") && !line.contains('│'))
    });
    leave(&screen);
}

#[test]
fn a_second_terminal_attaches_and_leaves_the_stack_alone() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    for command in ["attach noisy", "up"] {
        screen.split(command);
        screen.wait_for("● noisy");
        screen.keys("End");
        screen.wait_for("line 3000 of many");
        screen.keys("q");
        screen.wait_for("leave, and let the stack run on");
        screen.keys("d");
        screen.wait_for("left `small` running");
        screen.keys("C-c");
    }
    screen.window(0);
    screen.wait_for("● noisy");
    leave(&screen);
}

#[test]
fn suspended_and_back() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    screen.keys("C-z");
    // The shell has its terminal back, as it was.
    screen.wait_for("ready>");
    screen.wait_until_gone("● noisy");
    let settings = screen.settings();
    assert!(!settings.is_empty());
    screen.shell("fg");
    screen.wait_for("● noisy");
    screen.keys("q");
    screen.wait_for("leave small?");
    screen.keys("s");
    screen.wait_for("small ended");
    assert_eq!(screen.settings(), settings);
}

#[test]
fn a_unit_that_floods_stops_neither_the_clock_nor_the_keys() {
    let pk = Pk::stack(
        "name: flood\nservices:\n  loud: {command: [yes, again and again]}\n",
        [],
    );
    let Some(screen) = Screen::open(pk, "up", 100, 24) else {
        return;
    };
    screen.wait_for("again and again");
    let mut seen = std::collections::BTreeSet::new();
    screen.wait("a clock that goes on", |text| {
        let header = text.lines().next().unwrap_or_default();
        seen.extend(
            header
                .rsplit_once("up ")
                .map(|(_, age)| age.trim().to_owned()),
        );
        seen.len() > 3
    });
    for _ in 0..20 {
        screen.keys("?");
        screen.wait_for("closes");
        screen.keys("Escape");
        screen.wait_until_gone("closes");
    }
    screen.keys("q");
    screen.wait_for("leave flood?");
    screen.keys("s");
    screen.wait_for("flood ended");
}

#[test]
fn the_editor_gets_the_terminal_and_gives_it_back() {
    let pk = Pk::stack(STACK, [])
        .file(
            "edit.sh",
            "echo \"editing $(basename $1)\"; read answer; test \"$answer\" = yes\n",
        )
        .env("EDITOR", "sh edit.sh")
        .env("VISUAL", "");
    let Some(screen) = Screen::open(pk, "up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    screen.keys("C-e");
    screen.wait_for("editing pk.yaml");
    screen.wait_until_gone("● noisy");
    screen.shell("yes");
    screen.wait_for("● noisy");
    screen.wait_for("read the file again: nothing changes");
    leave(&screen);
}

#[test]
fn a_closed_terminal_stops_the_stack() {
    let Some(screen) = open("up", 80, 24) else {
        return;
    };
    screen.wait_for("● noisy");
    screen.close();
    crate::harness::poll("the end of all", || {
        screen.pk().members().is_empty().then_some(())
    });
}

#[test]
fn keys_are_those_of_the_persons_configuration() {
    let pk = Pk::stack(STACK, []).file(
        "config/pk/config.yaml",
        "theme: sixteen\nkeys:\n  help: H\n  quit: Q\n",
    );
    let folder = pk.path("config").display().to_string();
    let Some(screen) = Screen::open(pk.env("XDG_CONFIG_HOME", &folder), "up", 80, 24) else {
        return;
    };
    screen.wait_for("H help");
    screen.keys("H");
    screen.wait_for("any other key closes");
    screen.keys("Escape");
    screen.wait_until_gone("any other key closes");
    screen.keys("Q");
    screen.wait_for("leave small?");
    screen.keys("s");
    screen.wait_for("left with");
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let pk = Pk::stack(STACK, []).file("config/pk/config.yaml", "keys: {fly: f}\n");
    let folder = pk.path("config").display().to_string();
    let Some(screen) = Screen::open(pk.env("XDG_CONFIG_HOME", &folder), "up", 80, 24) else {
        return;
    };
    screen.wait_for("no action is named `fly`");
    screen.wait_for("config.yaml:1:8");
    screen.wait_for("left with 2");
}

#[test]
fn no_tui_is_lines() {
    let Some(screen) = Screen::open(Pk::stack(STACK, []), "up --no-tui", 80, 24) else {
        return;
    };
    screen.wait_for("line 3000");
    screen.keys("C-c");
    screen.wait_for("left with 130");
}
