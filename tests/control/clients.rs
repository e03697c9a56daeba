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
    assert!(answered > 200, "{answered}");
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
