//! Two hundred clients at once that do what clients do, and leave whenever they like.
//!
//! `PK_STORM_SECONDS=60` for the whole minute.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::protocol::{ask, socket};
use crate::harness::{PATIENCE, Pk, poll};

const CLIENTS: u64 = 200;

/// In microseconds; ten times what is promised on a machine that does nothing else.
const LATENCY: u64 = 50_000;

/// The ticker says how long its writes took: who is held up writes late.
const STACK: &str = "\
name: storm
services:
  ticker:
    command: [perl, '-MTime::HiRes=sleep,time', -e, '$$| = 1; my ($$n, $$worst) = (0, 0); while (1) { my $$t = time; print qq{tick $$n\\n}; my $$took = time - $$t; $$worst = $$took if $$took > $$worst; $$n++; printf qq{worst %.6f\\n}, $$worst if $$n % 100 == 0; sleep 0.01 }']
  a: {command: 'while echo a; do sleep 0.02; done', replicas: 2}
  b: {command: 'echo b; exec sleep 1000', depends_on: [ticker]}
tasks:
  t: {command: 'echo t'}
";

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What came of requests.
#[derive(Debug, Default)]
struct Tally {
    answered: u64,
    /// By type.
    refused: BTreeMap<String, u64>,
    left: u64,
    /// What is none of these.
    wrong: Vec<String>,
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: pk\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Asks, and reads all of the answer, or leaves before that.
fn one(socket: &Path, random: &mut Random, tally: &mut Tally) {
    let restart = |unit: &str| format!(r#"{{"command":"restart","units":["{unit}"]}}"#);
    let (text, stays) = match random.below(10) {
        0..=2 => (request("GET", "/v1/state", ""), false),
        3 => (request("GET", "/v1/ports", ""), false),
        4 => (request("GET", "/v1/logs?last=50&units=a", ""), false),
        5 => (
            request("POST", "/v1/logs", r#"{"last":10,"wait":"2s"}"#),
            false,
        ),
        6 => (request("GET", "/v1/feed?last=20", ""), true),
        7 => (request("GET", "/v1/changes/stream?after=start", ""), true),
        8 => (request("POST", "/v1/commands", &restart("a")), false),
        _ => (request("POST", "/v1/commands", &restart("b")), false),
    };
    // The backlog may be full for a moment: then a connection is waited for, as by all.
    let Ok(mut stream) = UnixStream::connect(socket) else {
        tally.wrong.push("cannot connect".to_owned());
        return;
    };
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let leaves = stays || random.below(4) == 0;
    if leaves && random.below(4) == 0 {
        let half = text.len() / 2;
        let _ = stream.write_all(&text.as_bytes()[..half]);
        tally.left += 1;
        return;
    }
    if stream.write_all(text.as_bytes()).is_err() {
        tally.wrong.push("cannot send".to_owned());
        return;
    }
    if leaves {
        let mut some = [0; 700];
        for _ in 0..random.below(8) {
            let _ = stream.read(&mut some);
        }
        tally.left += 1;
        return;
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        tally.wrong.push(format!("{error} after {text}"));
        return;
    }
    let answer = String::from_utf8_lossy(&answer);
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    if answer.starts_with("HTTP/1.1 200") {
        tally.answered += 1;
    } else if let Some(code) = serde_json::from_str::<Value>(body)
        .ok()
        .and_then(|problem| Some(problem["code"].as_str()?.to_owned()))
    {
        *tally.refused.entry(code).or_default() += 1;
    } else {
        tally.wrong.push(format!("{text}\n{answer}"));
    }
}

/// How much later than asked for a thread runs that has slept, at the 99th percentile, in
/// microseconds: what the machine takes for itself while the storm lasts.
fn lateness(until: Instant) -> u64 {
    let mut late = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        std::thread::sleep(Duration::from_millis(1));
        late.push(
            u64::try_from(began.elapsed().as_micros())
                .unwrap()
                .saturating_sub(1000),
        );
    }
    late.sort_unstable();
    late[late.len() * 99 / 100]
}

/// What came of it, and how late threads ran meanwhile.
fn storm(socket: &Path, time: Duration, seed: u64) -> (Tally, u64) {
    let all = Mutex::new(Tally::default());
    let until = Instant::now() + time;
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(move || lateness(until));
        for client in 0..CLIENTS {
            let all = &all;
            scope.spawn(move || {
                let mut random = Random(
                    seed.wrapping_add(client)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15),
                );
                let mut tally = Tally::default();
                while Instant::now() < until {
                    one(socket, &mut random, &mut tally);
                    // As people and scripts do: not all the time.
                    std::thread::sleep(Duration::from_millis(random.below(100)));
                }
                let mut all = all.lock().unwrap();
                all.answered += tally.answered;
                all.left += tally.left;
                all.wrong.extend(tally.wrong);
                for (code, count) in tally.refused {
                    *all.refused.entry(code).or_default() += count;
                }
            });
        }
        late.join().unwrap()
    });
    (all.into_inner().unwrap(), late)
}

#[test]
fn two_hundred_clients_hold_nothing_up_and_leave_nothing() {
    let seconds = std::env::var("PK_STORM_SECONDS").ok();
    let seconds = seconds.map_or(5, |text| text.parse().unwrap());
    let pk = Pk::stack(STACK, ["up"]).start();
    poll("all to run", || {
        (pk.pk(["wait", "a", "b", "ticker"]).code == Some(0)).then_some(())
    });
    let socket = socket(&pk);
    let diagnostics = || {
        let (status, own) = ask(&socket, "GET", "/v1/diagnostics", "");
        assert_eq!(status, 200, "{own}");
        own
    };
    // The face of `up` is one itself.
    let followers = diagnostics()["followers"].clone();
    // What is made once and kept is there before it is measured.
    let _ = storm(&socket, Duration::from_secs(2), 1);
    poll("all to have left", || {
        (diagnostics()["followers"] == followers).then_some(())
    });
    let before = diagnostics();
    let (tally, late) = storm(&socket, Duration::from_secs(seconds), 2);
    assert!(
        tally.wrong.is_empty(),
        "{} wrong: {}",
        tally.wrong.len(),
        tally.wrong[0]
    );
    assert!(tally.answered > CLIENTS, "{tally:?}");
    let number = |own: &Value, name: &str| own[name].as_u64().unwrap();
    let after = poll("all to have left", || {
        let after = diagnostics();
        let gone = after["followers"] == followers;
        // Three units may have opened two files of their logs each.
        let closed = number(&after, "descriptors") <= number(&before, "descriptors") + 8;
        (gone && closed).then_some(after)
    });
    eprintln!(
        "{seconds} s: {} answered, {} left before, refused: {:?}",
        tally.answered, tally.left, tally.refused
    );
    for name in ["descriptors", "resident"] {
        eprintln!("{name}: {} before, {} after", before[name], after[name]);
    }
    eprintln!(
        "event loop: {}; threads ran late by {late} us",
        after["event_loop"]
    );
    let grown = number(&after, "resident").saturating_sub(number(&before, "resident"));
    assert!(grown < 48 << 20, "{grown} bytes more");
    let p99 = after["event_loop"]["p99_us"].as_u64().unwrap();
    assert!(
        p99 < LATENCY + 4 * late,
        "{after}; threads ran late by {late} us"
    );
    // Nobody was held up in writing, and all are as they should be.
    pk.pk(["wait", "a", "b", "ticker"]).assert_code(0);
    let worst = pk
        .pk(["logs", "ticker", "--grep", "^worst", "-n", "1"])
        .stdout();
    let worst: f64 = worst.split_whitespace().last().unwrap().parse().unwrap();
    eprintln!("longest write of a unit: {:.1} ms", worst * 1e3);
    assert!(worst < 1.0, "{worst}");
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}
