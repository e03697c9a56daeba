//! Many clients, also rude ones.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::protocol::{ask, connect, socket};
use super::{down, shop};
use crate::harness::{Running, poll};

/// How many descriptors pk has open.
fn descriptors(pk: &Running) -> usize {
    let (_, supervisor) = pk.guard_and_supervisor();
    let folder = format!("/proc/{}/fd", supervisor.as_raw_nonzero());
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn fifty_clients_that_come_and_go_leave_nothing() {
    let pk = shop();
    let socket = socket(&pk);
    ask(&socket, "GET", "/v1/state", "");
    let before = descriptors(&pk);
    let (answered, until) = (AtomicU64::new(0), Instant::now() + Duration::from_secs(3));
    std::thread::scope(|scope| {
        for client in 0..50 {
            let (socket, answered) = (&socket, &answered);
            scope.spawn(move || {
                let mut turn = client;
                while Instant::now() < until {
                    turn += 1;
                    match turn % 5 {
                        0 => assert_eq!(ask(socket, "GET", "/v1/state", "").0, 200),
                        1 => assert_eq!(ask(socket, "GET", "/v1/logs?last=10", "").0, 200),
                        2 => {
                            let act = r#"{"command":"restart","units":["web"]}"#;
                            assert_eq!(ask(socket, "POST", "/v1/commands", act).0, 200);
                        }
                        // Gone in the middle of a stream, and of a request.
                        3 => {
                            let mut stream = connect(socket);
                            let _ = stream.write_all(
                                b"GET /v1/changes/stream?after=start HTTP/1.1\r\nhost: pk\r\n\r\n",
                            );
                            let _ = stream.read(&mut [0; 100]);
                        }
                        _ => {
                            let _ = connect(socket).write_all(b"GET /v1/log");
                        }
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let answered = answered.load(Ordering::Relaxed);
    // Each of them at least once, however loaded the machine is.
    assert!(answered >= 50, "{answered}");
    pk.pk(["wait", "--all", "--for", "started", "--timeout", "30s"]);
    pk.pk(["wait", "web", "db", "api"]).assert_code(0);
    // Each one that left is noticed soon.
    poll("all clients to be gone", || {
        let now = descriptors(&pk);
        // A unit that writes for the first time opens two files.
        (now <= before + 2 + 2 * 3).then_some(())
    });
    down(pk);
}

#[test]
fn one_that_never_reads_holds_nobody_up() {
    let pk = shop();
    let socket = socket(&pk);
    let mut idle: Vec<_> = (0..20).map(|_| connect(&socket)).collect();
    for stream in &mut idle {
        stream
            .write_all(b"GET /v1/state/stream HTTP/1.1\r\nhost: pk\r\n\r\n")
            .unwrap();
    }
    for _ in 0..20 {
        pk.pk(["restart", "web", "--wait"]).assert_code(0);
    }
    let started = Instant::now();
    pk.pk(["down"]).assert_code(0);
    assert!(started.elapsed() < Duration::from_secs(10));
    drop(idle);
    pk.wait().assert_code(0);
}

/// Asks for a stream and reads what comes at once.
fn follow(socket: &std::path::Path, path: &str) -> (std::os::unix::net::UnixStream, String) {
    let mut stream = connect(socket);
    write!(stream, "GET {path} HTTP/1.1\r\nhost: pk\r\n\r\n").unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    (stream, String::from_utf8_lossy(&head).into_owned())
}

#[test]
fn however_many_follow_others_still_see_and_steer() {
    let pk = shop();
    let socket = socket(&pk);
    let mut followers = Vec::new();
    let refused = loop {
        let (stream, head) = follow(&socket, "/v1/changes/stream");
        match &*head {
            "HTTP/1.1 200" => followers.push(stream),
            other => break other.to_owned(),
        }
        assert!(followers.len() < 512);
    };
    assert_eq!(refused, "HTTP/1.1 503");
    assert!(followers.len() >= 256, "{}", followers.len());
    assert_eq!(ask(&socket, "GET", "/v1/logs?wait=1s&last=0", "").0, 503);
    assert_eq!(ask(&socket, "GET", "/v1/state", "").0, 200);
    pk.pk(["ps"]).assert_code(0);
    pk.pk(["restart", "web", "--wait"]).assert_code(0);
    pk.pk(["wait", "db"]).assert_code(0);
    // Who leaves makes room.
    followers.pop();
    poll("room for another one", || {
        let (_, head) = follow(&socket, "/v1/state/stream");
        (head == "HTTP/1.1 200").then_some(())
    });
    down(pk);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let pk = shop();
    let mut stream = connect(&socket(&pk));
    write!(
        stream,
        "POST /v1/commands HTTP/1.1\r\nhost: pk\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("\"timed_out\""), "{answer}");
    down(pk);
}

#[test]
fn down_gives_up_in_time_also_on_one_that_does_not_answer() {
    let pk = shop();
    let (_, supervisor) = pk.guard_and_supervisor();
    rustix::process::kill_process(supervisor, rustix::process::Signal::STOP).unwrap();
    let started = Instant::now();
    let late = pk.pk(["down", "--timeout", "300ms"]);
    late.assert_code(124);
    assert!(late.stderr().contains("does not answer"), "{late}");
    assert!(started.elapsed() < Duration::from_secs(8), "{late}");
    rustix::process::kill_process(supervisor, rustix::process::Signal::CONT).unwrap();
    pk.pk(["down"]);
    pk.wait();
}

#[test]
fn a_long_runtime_folder_is_no_hindrance() {
    let long = "x".repeat(60);
    let stack = crate::harness::Pk::stack(super::SHOP, ["up"]);
    let folder = stack.path(&long).join(&long);
    std::fs::create_dir_all(&folder).unwrap();
    let pk = stack
        .env("XDG_RUNTIME_DIR", folder.to_str().unwrap())
        .start();
    pk.wait_for("migrate > completed");
    let mut other = pk.other(["ps"]);
    other.env("XDG_RUNTIME_DIR", &folder);
    pk.ended(other).assert_code(0).assert_shows(&["migrate"]);
    let mut other = pk.other(["down"]);
    other.env("XDG_RUNTIME_DIR", &folder);
    pk.ended(other).assert_code(0);
    pk.wait();
}
