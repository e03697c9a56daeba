//! Typing for a unit of a running stack, and looking at what units use.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use super::protocol::{ask, socket};
use crate::harness::{Pk, Running, poll};

const STACK: &str = "\
services:
  shell: {command: [sh, -i], environment: {PS1: '> '}, tty: true, shutdown: {signal: SIGHUP}}
  cat: {command: 'cat; echo the end', stdin: true}
  deaf: {command: sleep 1000}
";

fn stack() -> Running {
    let pk = Pk::stack(STACK, ["up"]).start();
    pk.wait_for_times("> started, pid", 3);
    pk
}

/// What a command prints that is given this to read.
fn piped(mut command: Command, typed: &str) -> (Option<i32>, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn what_is_piped_into_attach_reaches_the_unit_to_its_end() {
    let pk = stack();
    let (code, stdout, stderr) = piped(pk.other(["attach", "cat"]), "one\ntwo");
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "one\ntwothe end\n", "{stderr}");
    let (code, stdout, stderr) = piped(pk.other(["attach", "shell"]), "echo $((6*7))\nexit 3\n");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("\n42\r\n"), "{stdout:?}");
    assert!(stderr.contains("`shell`: failed: exit code 3"), "{stderr}");
    pk.pk(["down"]).assert_code(0);
}

#[test]
fn attach_says_why_it_cannot() {
    let pk = stack();
    let ended = pk.pk(["attach", "deaf"]);
    ended.assert_code(4);
    assert!(ended.stderr().contains("`deaf` reads no input"), "{ended}");
    let ended = pk.pk(["attach", "nobody"]);
    ended.assert_code(3);
    pk.pk(["down"]).assert_code(0);
}

/// A command on a terminal of its own, by way of `script(1)`.
struct OnTerminal {
    child: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl OnTerminal {
    fn start(pk: &Running, script: &str) -> Self {
        let mut command = Command::new("script");
        let folder = pk.folder();
        command.args([
            "-qefc",
            &format!("stty rows 30 cols 90; {script}"),
            "/dev/null",
        ]);
        command
            .current_dir(folder)
            .env("XDG_RUNTIME_DIR", folder)
            .env("TERM", "xterm");
        command
            .env("PK", env!("CARGO_BIN_EXE_pk"))
            .env("SHELL", "/bin/sh");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (mut stdout, copy) = (child.stdout.take().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                copy.lock().unwrap().extend_from_slice(&chunk[..length]);
            }
        });
        Self { child, shown }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn wait_for(&self, text: &str) {
        let deadline = std::time::Instant::now() + crate::harness::PATIENCE;
        while !self.text().contains(text) {
            assert!(
                std::time::Instant::now() < deadline,
                "waited in vain for {text:?} in {:?}",
                self.text()
            );
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    fn keys(&mut self, keys: &str) {
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(keys.as_bytes()).unwrap();
        stdin.flush().unwrap();
    }

    fn wait(mut self) -> String {
        poll("the end of script", || self.child.try_wait().unwrap());
        self.text()
    }
}

#[test]
fn a_terminal_is_lent_to_a_unit_and_given_back() {
    let pk = stack();
    let mut face = OnTerminal::start(
        &pk,
        "\"$PK\" attach shell; echo left with $?; stty -a; read line; echo \"read $line\"",
    );
    face.wait_for("attached to `shell`; ctrl-p ctrl-q detaches");
    face.wait_for("> ");
    face.keys("echo $((6*7))\r");
    face.wait_for("42");
    face.keys("stty size\r");
    face.wait_for("30 90");
    // Keys that would end pk, or the shell's own foreground, are the unit's.
    face.keys("sleep 1000\r");
    face.wait_for("sleep 1000");
    face.keys("\x03");
    face.keys("echo $((50+5))\r");
    face.wait_for("55");
    face.keys("\x10\x11");
    face.wait_for("detached; `shell` goes on");
    face.wait_for("left with 0");
    face.keys("a line\r");
    face.wait_for("read a line");
    let shown = face.wait();
    assert!(
        shown.contains(" icanon") && shown.contains(" echo "),
        "{shown}"
    );
    // What it shows is kept for who comes next.
    let mut again = OnTerminal::start(&pk, "\"$PK\" attach shell");
    again.wait_for("$((50+5))");
    again.keys("exit\r");
    again.wait_for("`shell`: completed");
    again.wait();
    pk.pk(["down"]).assert_code(0);
}

const CONSOLE: &str = "\
services:
  console: {command: [sh, -i], environment: {PS1: '> '}, foreground: true, shutdown: {signal: SIGHUP}, depends_on: [web]}
  web: {command: sleep 1000}
tasks:
  ask: {command: 'read answer; exit $answer', foreground: true}
";

fn console() -> Running {
    let pk = Pk::stack(CONSOLE, ["up"]).start();
    pk.wait_for("web     > started");
    pk
}

#[test]
fn start_lends_the_terminal_to_what_takes_it_over() {
    let pk = console();
    let ended = pk.pk(["start", "console"]);
    ended.assert_code(4);
    assert!(ended.stderr().contains("there is none here"), "{ended}");
    pk.pk(["run", "ask"]).assert_code(4);
    let ended = pk.pk(["start", "--all"]);
    ended.assert_code(0);
    assert!(ended.stderr().contains("`console` is left out"), "{ended}");
    assert!(!pk.so_far().contains("console > started"));

    let mut face = OnTerminal::start(
        &pk,
        "\"$PK\" start console; echo left with $?; read line; echo \"read $line\"",
    );
    face.wait_for("attached to `console`");
    face.wait_for("> ");
    face.keys("echo $((6*7))\r");
    face.wait_for("42");
    face.keys("stty size\r");
    face.wait_for("30 90");
    face.keys("exit\r");
    face.wait_for("`console`: completed");
    face.wait_for("left with 0");
    // Nobody else takes what is typed now.
    face.keys("a line\r");
    face.wait_for("read a line");
    face.wait();

    let mut face = OnTerminal::start(&pk, "\"$PK\" run ask; echo left with $?");
    face.wait_for("attached to `ask`");
    face.keys("7\r");
    face.wait_for("left with 7");
    face.wait();
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}

#[test]
fn what_is_typed_before_it_runs_is_kept_for_it() {
    let yaml = "\
tasks:
  ask:
    command: 'read answer; echo it is $answer'
    stdin: true
    status: 'until test -e go; do sleep 0.02; done; exit 1'
";
    let pk = Pk::stack(yaml, ["up", "--keep-project"]).start();
    let state = || pk.pk(["ps", "--output", "json"]).stdout();
    poll("its start", || state().contains("starting").then_some(()));
    let body = r#"{"input": {"text": "seven\n"}}"#;
    let (code, said) = ask(&socket(&pk), "POST", "/v1/units/ask/input", body);
    assert_eq!(code, 200, "{said}");
    std::fs::write(pk.folder().join("go"), "").unwrap();
    pk.wait_for("| it is seven");
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}

#[test]
fn the_dashboard_makes_room_for_what_takes_over_the_terminal() {
    let pk = console();
    let mut face = OnTerminal::start(&pk, "\"$PK\" attach; echo left with $?");
    face.wait_for("console");
    face.keys("s");
    face.wait_for("attached to `console`");
    face.keys("echo $((6*7))\r");
    face.wait_for("42");
    face.keys("exit\r");
    face.wait_for("gave the terminal back");
    pk.pk(["down"]).assert_code(0);
    face.wait_for("left with 0");
    face.wait();
    pk.wait();
}

#[test]
fn what_takes_over_the_terminal_is_not_named_where_there_is_none() {
    for args in [&["up", "console"][..], &["up", "-d", "console"]] {
        let pk = Pk::stack(CONSOLE, args.iter().copied());
        let ended = pk.code(4).run();
        assert!(
            ended.stderr().contains("`console` takes over the terminal"),
            "{ended}"
        );
    }
    let both = "tasks: {a: {command: 'true', foreground: true, schedule: {every: 1h}}}\n";
    let ended = Pk::stack(both, ["check"]).code(2).run();
    assert!(ended.stderr().contains("no clock can lend"), "{ended}");
}

#[test]
fn lines_are_typed_for_a_unit_that_reads_a_pipe() {
    let pk = stack();
    let mut face = OnTerminal::start(&pk, "trap : INT; \"$PK\" attach cat; echo left with $?");
    face.wait_for("attached to `cat`; ctrl-c detaches, ctrl-d ends its input");
    // Rubbed out before Enter: the terminal edits the line, and Enter ends it.
    face.keys("onx\x7fe\r");
    // Edited and echoed by the terminal, then written by `cat`.
    face.wait_for("\x08 \x08e\r\none\r\n");
    face.keys("\x03");
    face.wait_for("left with 0");
    face.wait();
    let mut face = OnTerminal::start(&pk, "\"$PK\" attach cat");
    face.wait_for("ctrl-d ends its input");
    face.keys("\x04");
    face.wait_for("the end");
    face.wait_for("`cat`: completed");
    face.wait();
    pk.pk(["down"]).assert_code(0);
}

#[test]
fn stats_are_shown_once_or_live() {
    let pk = stack();
    let ended = pk.pk(["stats"]);
    ended.assert_code(0);
    let text = ended.stdout();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("NAME   CPU%"), "{ended}");
    assert_eq!(
        lines.filter(|line| line.contains("iB")).count(),
        3,
        "{ended}"
    );

    let ended = pk.pk(["stats", "--output", "json", "deaf"]);
    let listed: serde_json::Value = serde_json::from_str(&ended.stdout()).unwrap();
    let runs = listed["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1, "{ended}");
    assert_eq!(runs[0]["name"], "deaf");
    assert_eq!(runs[0]["cpu_percent"].as_f64(), Some(0.0), "{ended}");
    assert!(runs[0]["memory"].as_u64().unwrap() > 10_000, "{ended}");
    assert!(
        listed["pid"].is_u64() && listed["at"].is_string(),
        "{ended}"
    );

    let mut live = OnTerminal::start(&pk, "trap : INT; \"$PK\" stats; echo left with $?");
    // Drawn over what was drawn before.
    live.wait_for("\x1b[4A\x1b[J");
    live.keys("\x03");
    live.wait_for("left with 0");
    live.wait();
    pk.pk(["stats", "nobody"]).assert_code(3);
    pk.pk(["down"]).assert_code(0);
    let folder = tempfile::tempdir().unwrap();
    let mut none = pk.other(["stats"]);
    none.env("XDG_RUNTIME_DIR", folder.path());
    pk.ended(none).assert_code(3);
}
