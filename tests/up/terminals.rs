//! Units with a terminal or with typed input.

use std::time::Duration;

use pk::control::{ControlPort as _, Input, RemotePort, TerminalError, TerminalEvent};
use pk::domain::terminal::{TerminalDenial, TerminalSize};

use crate::harness::{PATIENCE, Pk, Running};

#[test]
fn a_terminal_is_the_units_own_and_its_session_too() {
    let yaml = "\
tasks:
  t:
    command: |
      test -t 0 && test -t 1 && test -t 2 && echo all three
      stty size </dev/tty
      test \"$(ps -o tpgid= -p $$)\" -eq \"$(ps -o pgid= -p $$)\" && echo in the foreground
      test \"$(ps -o sid= -p $$)\" -eq $$ && echo leads its session
    tty: true
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&[
        "t  | all three\n",
        "t  | 24 80\n",
        "t  | in the foreground\n",
        "t  | leads its session\n",
    ]);
}

#[test]
fn a_terminal_for_the_output_alone_keeps_colours_and_reads_nothing() {
    let yaml = "\
tasks:
  t:
    command: 'test -t 1 && test -t 2 && echo out; test -t 0 || echo not in; cat; echo end'
    tty: output
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&["t  | out\n", "t  | not in\n", "t  | end\n"]);
}

#[test]
fn a_shell_on_a_terminal_has_job_control_and_nothing_of_it_is_left() {
    let yaml = "\
tasks:
  t:
    command:
      - bash
      - -c
      - 'set -m; sleep 1000 & sleep 1001 & jobs; kill -STOP %1; trap \"\" HUP; echo leaving'
    tty: true
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&["Running", "t  | leaving\n"]);
    let ended = Pk::stack(yaml, ["up", "--containment", "process-group"]).run();
    ended.assert_shows(&["Running", "t  | leaving\n"]);
}

#[test]
fn what_is_drawn_on_the_alternate_screen_is_no_line() {
    let yaml = "\
tasks:
  t:
    command: printf 'before\\n\\033[?1049h\\033[Hdrawn\\n\\033[?1049lafter\\n'
    tty: true
";
    let ended = Pk::stack(yaml, ["up"]).run();
    ended.assert_shows(&["t  | before\n", "t  | after\n"]);
    assert!(!ended.stdout().contains("drawn"), "{ended}");
}

#[test]
fn a_flood_through_a_terminal_is_whole() {
    let yaml = "tasks:\n  t: {command: seq 20000, tty: output}\n";
    let ended = Pk::stack(yaml, ["up"]).run();
    let lines: Vec<_> = (ended.stdout().lines())
        .filter_map(|line| line.strip_prefix("t  | ")?.parse::<u32>().ok())
        .collect();
    assert!(lines.iter().copied().eq(1..=20000), "{} lines", lines.len());
}

#[test]
fn keys_are_typed_to_stop_a_unit() {
    let yaml = "\
services:
  typed:
    command: 'echo up; read line; echo \"typed $line\"'
    tty: true
    shutdown: {send_keys: [quit, Enter], timeout: 60s}
  interrupted:
    command: 'trap \"echo interrupted; exit 0\" INT; echo up; while :; do sleep 0.05; done'
    tty: true
    shutdown: {send_keys: C-c, timeout: 60s}
  piped:
    command: 'echo up; read line; echo \"piped $line\"'
    stdin: true
    shutdown: {send_keys: [\"bye\\n\"], timeout: 60s}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    pk.wait_for_times("| up\n", 3);
    pk.signal(rustix::process::Signal::INT);
    let ended = pk.wait();
    ended.assert_shows(&["| typed quit\n", "interrupted\n", "| piped bye\n"]);
}

#[test]
fn keys_for_a_unit_that_reads_none_are_a_mistake() {
    let yaml = "services:\n  s: {command: 'true', shutdown: {send_keys: q}}\n";
    let ended = Pk::stack(yaml, ["check"]).code(2).run();
    assert!(
        ended
            .stderr()
            .contains("`send_keys` for a unit that reads no keys"),
        "{ended}"
    );
}

/// A face in another process: the port over the socket.
fn remote(pk: &Running) -> (tokio::runtime::Runtime, RemotePort) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let socket = crate::harness::poll("the socket", || {
        let folder = std::fs::read_dir(pk.folder().join("pk")).ok()?;
        let mut paths = folder.flatten().map(|entry| entry.path());
        paths.find(|path| path.extension().is_some_and(|e| e == "sock"))
    });
    let port = runtime.block_on(RemotePort::connect(socket)).unwrap();
    (runtime, port)
}

fn id(port: &RemotePort, name: &str) -> pk::domain::id::InstanceId {
    crate::harness::poll(name, || Some(port.snapshots().borrow().get(name)?.id))
}

const SHELLS: &str = "\
services:
  shell: {command: [sh, -i], environment: {PS1: '> '}, tty: true}
  cat: {command: 'cat; echo the end', stdin: true}
  deaf: {command: sleep 1000}
";

#[test]
fn a_face_sees_the_screen_types_and_resizes() {
    let pk = Pk::stack(SHELLS, ["up"]).start();
    let (runtime, port) = remote(&pk);
    let id = |name: &str| id(&port, name);
    let (shell, cat, deaf) = (id("shell"), id("cat"), id("deaf"));
    runtime.block_on(async {
        let mut watch = port.watch_terminal(shell).await.unwrap();
        let mut face = vt100::Parser::default();
        let mut shows = async |text: &str| {
            let seen = async {
                loop {
                    match watch.next().await.expect("the stack is there") {
                        TerminalEvent::Screen { size, bytes } => {
                            let rows = size.rows.try_into().unwrap();
                            face = vt100::Parser::new(rows, size.columns.try_into().unwrap(), 0);
                            face.process(&bytes);
                        }
                        TerminalEvent::Output(bytes) => face.process(&bytes),
                    }
                    if face.screen().contents().contains(text) {
                        return;
                    }
                }
            };
            let seen = tokio::time::timeout(PATIENCE, seen).await;
            assert!(seen.is_ok(), "{text:?} in\n{}", face.screen().contents());
        };
        let type_in = async |text: &'static str| {
            let input = Input::Bytes(text.as_bytes().into());
            port.send_input(shell, input).await.unwrap();
        };
        shows("> ").await;
        type_in("echo $((6*7))\r").await;
        shows("42").await;
        let size = TerminalSize::new(7, 33);
        port.resize_terminal(shell, size).await.unwrap();
        type_in("stty size\r").await;
        shows("7 33").await;
        // Ctrl-C ends what runs in the foreground, and not the shell.
        type_in("sh -c 'echo $((6*8)); exec sleep 1000'\r").await;
        shows("48").await;
        type_in("\x03").await;
        // What is typed before the shell has taken it in is thrown away with the rest.
        shows("^C\n> ").await;
        type_in("echo still $((1+1))\r").await;
        shows("still 2").await;

        let input = Input::Bytes("to the cat\n".into());
        port.send_input(cat, input.clone()).await.unwrap();
        pk.wait_for("cat   | to the cat\n");
        port.send_input(cat, Input::End).await.unwrap();
        pk.wait_for("cat   | the end\n");

        let denied = |denial| Err(TerminalError::Denied(denial));
        let sent = port.send_input(deaf, input.clone()).await;
        assert_eq!(sent, denied(TerminalDenial::NoInput));
        let watched = port.watch_terminal(cat).await.map(|_| ());
        assert_eq!(watched, denied(TerminalDenial::NoTerminal));
        let ended = tokio::time::timeout(PATIENCE, async {
            while port.send_input(cat, input.clone()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            port.send_input(cat, input.clone()).await
        });
        assert_eq!(ended.await.unwrap(), denied(TerminalDenial::NotRunning));
    });
    pk.pk(["down"]).assert_code(0);
}

#[test]
fn a_face_sees_what_the_runs_use_while_it_looks() {
    let yaml = "\
services:
  busy: {command: 'while :; do :; done', nice: 19}
  idle: {command: sleep 1000 & sleep 1000}
";
    let pk = Pk::stack(yaml, ["up"]).start();
    let (runtime, port) = remote(&pk);
    let id = |name: &str| id(&port, name);
    let (busy, idle) = (id("busy"), id("idle"));
    runtime.block_on(async {
        let mut stats = port.stats();
        let seen = tokio::time::timeout(PATIENCE, async {
            loop {
                stats.changed().await.unwrap();
                let sample = stats.borrow_and_update().clone();
                let (Some(busy), Some(idle)) = (sample.of(busy), sample.of(idle)) else {
                    continue;
                };
                if busy.cpu_percent.is_some_and(|percent| percent > 1.0)
                    && idle.cpu_percent == Some(0.0)
                    && idle.processes == 3
                {
                    return busy.clone();
                }
            }
        });
        let busy = seen.await.unwrap();
        assert_eq!((busy.name.as_str(), busy.processes), ("busy", 1));
        assert!(
            busy.memory > 100_000 && busy.memory_peak >= busy.memory,
            "{busy:?}"
        );
        drop(stats);
        // Who comes back later gets samples again.
        let mut stats = port.stats();
        let again = tokio::time::timeout(PATIENCE, stats.changed()).await;
        again.unwrap().unwrap();
    });
    pk.pk(["down"]).assert_code(0);
}
