//! Build before swap.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{armed, starts, write};
use crate::harness::{Pk, free_port, poll};

const BUILT: &str = "\
services:
  api:
    command: echo \"has $(cat bin)\"; exec sleep 1000
    watch:
      paths: [src]
      debounce: 10ms
      run: echo \"building $(cat src/a)\"; test ! -e src/broken && cp src/a bin
";

#[test]
fn a_failed_build_keeps_the_old_run_and_shows_as_the_units_state() {
    let pk = Pk::stack(BUILT, ["up"])
        .file("src/a", "one")
        .file("bin", "one")
        .start();
    pk.wait_for("api | has one");
    armed(&pk);
    write(pk.folder(), "src/broken", "x");
    pk.wait_for("api > build failed: exit code 1");
    assert_eq!(starts(&pk, "api"), 1);
    let shown = || pk.pk(["ps"]).stdout().contains("build failed: exit code 1");
    poll("the state to say so", || shown().then_some(()));
    let logs = pk.pk(["logs", "api", "--output", "json"]);
    assert!(logs.stdout().contains("\"stream\":\"build\""), "{logs}");
    std::fs::remove_file(pk.folder().join("src/broken")).unwrap();
    write(pk.folder(), "src/a", "two");
    pk.wait_for("api | has two");
    poll("the state to say so", || (!shown()).then_some(()));
    pk.signal(Signal::INT);
    pk.wait().assert_code(130).assert_order(&[
        "changed: building",
        "api # building one",
        "api > build failed",
        "api # building two",
        "api > started again",
        "api | has two",
    ]);
}

#[test]
fn a_save_during_a_build_cancels_it_whole() {
    let yaml = "services:\n  api:\n    command: exec sleep 1000\n    watch:\n      paths: [src]\n      debounce: 10ms\n      run: \"echo begin $(cat src/a); test -e go || { echo holding; sleep 1000 & setsid sleep 1000; }\"\n";
    let pk = Pk::stack(yaml, ["up"]).file("src/a", "zero").start();
    pk.wait_for("api > started");
    armed(&pk);
    write(pk.folder(), "src/a", "one");
    pk.wait_for("begin one");
    pk.wait_for("holding");
    write(pk.folder(), "go", "");
    write(pk.folder(), "src/a", "two");
    pk.wait_for("begin two");
    pk.wait_for("api > started again");
    // Nothing of the first build is left.
    poll("its processes to be gone", || {
        let sleeps = |(_, name): &(i32, String)| name == "sleep";
        (pk.members().iter().filter(|member| sleeps(member)).count() <= 1).then_some(())
    });
    pk.signal(Signal::INT);
    pk.wait().assert_shows(&["changed: building anew"]);
}

#[test]
fn a_build_ends_with_the_stack() {
    let yaml = "services:\n  api:\n    command: exec sleep 1000\n    watch: {paths: [a], debounce: 10ms, run: \"echo begin; trap '' TERM; sleep 1000\"}\n";
    let pk = Pk::stack(yaml, ["up"]).file("a", "").start();
    pk.wait_for("api > started");
    armed(&pk);
    write(pk.folder(), "a", "one");
    pk.wait_for("api # begin");
    pk.signal(Signal::INT);
    // The harness asserts that nothing is left.
    pk.wait().assert_code(130);
}

/// Says what was built last, with a start that takes its time.
const SERVER: &str = r#"
import http.server, sys, time
text = open("bin").read()
time.sleep(0.05)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(text.encode())
    def log_message(self, *a): pass
class Server(http.server.HTTPServer):
    allow_reuse_address = True
Server(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

/// What a client was answered, and when it had asked.
type Asked = (Instant, Option<String>);

fn ask(port: u16) -> Asked {
    let asked = Instant::now();
    let answer = || {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .ok()?;
        socket.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).ok()?;
        Some(text.split("\r\n\r\n").nth(1)?.to_owned())
    };
    (asked, answer())
}

/// A client that asks every 10 ms while every second build fails: it sees the server away once
/// for each build that succeeds, between the stop and what is ready after it, and never else.
#[test]
fn only_the_swap_itself_is_seen_by_a_client() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("did not run: no python3 here");
        return;
    }
    let port = free_port();
    let yaml = format!(
        "services:\n  api:\n    command: [python3, server.py, '{port}']\n    readiness: {{tcp: {port}}}\n    watch:\n      paths: [src]\n      debounce: 10ms\n      run: \"sleep 0.1; grep -q good src/a && cp src/a bin\"\n"
    );
    let pk = Pk::stack(&yaml, ["up"])
        .file("server.py", SERVER)
        .file("src/a", "good 0")
        .file("bin", "good 0")
        .start();
    pk.wait_for("api > ready");
    armed(&pk);
    let over = AtomicBool::new(false);
    let mut swaps = Vec::new();
    let asked: Vec<Asked> = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut asked = Vec::new();
            while !over.load(Ordering::Relaxed) {
                asked.push(ask(port));
                std::thread::sleep(Duration::from_millis(10));
            }
            asked
        });
        for round in 1..=6_usize {
            if round % 2 == 1 {
                write(pk.folder(), "src/a", &format!("bad {round}"));
                pk.wait_for_times("api > build failed", round.div_ceil(2));
                continue;
            }
            let before = Instant::now();
            let text = format!("good {round}");
            write(pk.folder(), "src/a", &text);
            poll("the new server", || (ask(port).1? == text).then_some(()));
            swaps.push((before, Instant::now()));
        }
        over.store(true, Ordering::Relaxed);
        client.join().unwrap()
    });
    let within = |at: &Instant| swaps.iter().any(|(from, to)| from <= at && at <= to);
    for (at, answer) in &asked {
        assert!(answer.is_some() || within(at), "{}", pk.so_far());
    }
    assert_eq!(starts(&pk, "api"), 1 + swaps.len(), "{}", pk.so_far());
    let gaps = gaps(&asked);
    assert!(gaps.len() <= swaps.len(), "{gaps:?}");
    println!("{} answers; the server was away for {gaps:?}", asked.len());
    pk.signal(Signal::INT);
    pk.wait().assert_hides(&["bad", "api > failed"]);
}

/// How long in a row there was no answer.
fn gaps(asked: &[Asked]) -> Vec<Duration> {
    let mut gaps = Vec::new();
    let mut since: Option<Instant> = None;
    for (at, answer) in asked {
        match (answer, since) {
            (None, None) => since = Some(*at),
            (Some(_), Some(began)) => {
                gaps.push(at.duration_since(began));
                since = None;
            }
            (None, Some(_)) | (Some(_), None) => {}
        }
    }
    gaps
}
