//! What a unit has written of a line that it has not ended, as a person sees it.

use super::Screen;
use crate::harness::{Pk, poll};

/// Asks, and goes on when it is told to.
const STACK: &str = "name: shop
services:
  api:
    environment: {API_TOKEN: s3cr3t-value, WORDS: 'begins as s3cr3t'}
    command: |
      echo one
      printf 'password? '; until [ -e go ]; do sleep 0.02; done; echo given
      printf '%s' \"$WORDS\"; until [ -e on ]; do sleep 0.02; done; echo ' not'
      exec sleep 1000
";

/// `pk ARGS` in a terminal, and the lines of `api` that are to be seen of it.
fn asks(args: &str, before: &str, state: &str) {
    let pk = Pk::stack(STACK, []).file("taken", "");
    let place = pk.path(state);
    let pk = pk.env("XDG_STATE_HOME", place.to_str().unwrap());
    let Some(screen) = Screen::open(pk, args, 80, 24) else {
        return;
    };
    let is_last = |text: &str, line: &str| {
        let mut rows = text.lines().map(str::trim_end);
        let last = rows.rfind(|row| row.starts_with(before));
        last.is_some_and(|last| last.ends_with(line))
    };
    screen.wait("the prompt", |text| {
        is_last(text, &format!("{before}password?"))
    });
    std::fs::write(screen.pk().path("go"), "").unwrap();
    let text = screen.wait("half a secret", |text| is_last(text, "begins as"));
    assert!(text.contains(&format!("{before}password? given")), "{text}");
    assert_eq!(text.matches("password?").count(), 1, "{text}");
    assert!(!text.contains("s3c"), "{text}");
    std::fs::write(screen.pk().path("on"), "").unwrap();
    let text = screen.wait("the end of it", |text| {
        is_last(text, "begins as s3cr3t not")
    });
    assert_eq!(text.matches("begins").count(), 1, "{text}");
    assert_eq!(text.matches("password?").count(), 1, "{text}");
}

fn follow() -> String {
    format!("up -d; {} logs -f", env!("CARGO_BIN_EXE_pk"))
}

#[test]
fn whoever_follows_sees_a_prompt_once() {
    asks(&follow(), "api | ", ".state");
}

#[test]
fn so_it_is_where_lines_are_kept_in_memory() {
    asks(&follow(), "api | ", "taken");
}

#[test]
fn so_it_is_in_plain_lines() {
    asks("up --no-tui", "api | ", ".state");
}

#[test]
fn the_dashboard_shows_it_in_its_place() {
    // Who marks no unit sees one, without its name before its lines.
    asks("up", "  ", ".state");
}

#[test]
fn a_pipe_gets_whole_lines() {
    let pk = Pk::stack(STACK, ["up", "--no-tui"]).start();
    pk.wait_for("one");
    poll("the open line", || {
        let open = pk.pk(["logs"]).stdout();
        open.contains("password? ").then_some(())
    });
    let mut follower = pk.other(["logs", "-f", "-n", "5"]);
    follower.stdout(std::process::Stdio::piped());
    let mut follower = follower.spawn().unwrap();
    std::fs::write(pk.folder().join("go"), "").unwrap();
    pk.wait_for("password? given");
    pk.pk(["down"]).assert_code(0);
    let mut text = String::new();
    let mut out = follower.stdout.take().unwrap();
    std::io::Read::read_to_string(&mut out, &mut text).unwrap();
    follower.wait().unwrap();
    assert_eq!(
        text,
        "api | one\napi | password? given\napi | begins as s3cr3t\n"
    );
    assert!(!pk.so_far().contains("password? \n"), "{}", pk.so_far());
    pk.wait();
}
