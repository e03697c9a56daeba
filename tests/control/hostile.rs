//! Clients that speak no HTTP, or half of it.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::path::Path;
use std::time::Duration;

use super::protocol::{ask, connect, socket};
use super::{down, shop};

/// The next of numbers that look random and are the same each time.
fn next(seed: &mut u64) -> usize {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    usize::try_from(*seed >> 33).unwrap()
}

/// Sends it and reads what comes, for a moment.
fn throw(socket: &Path, bytes: &[u8], close: bool) -> String {
    let mut stream = connect(socket);
    stream
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    // It may be refused before all is sent.
    let _ = stream.write_all(bytes);
    if close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = [0; 4096];
    let length = stream.read(&mut answer).unwrap_or(0);
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[test]
fn whatever_is_sent_the_server_goes_on() {
    let pk = shop();
    let socket = socket(&pk);
    let (_, supervisor) = pk.guard_and_supervisor();
    let mut seed = 7;
    for _ in 0..300 {
        let length = 1 + next(&mut seed) % 2000;
        let bytes: Vec<u8> = (0..length)
            .map(|_| u8::try_from(next(&mut seed) & 0xff).unwrap())
            .collect();
        let _ = throw(&socket, &bytes, true);
    }
    let long = "x".repeat(100_000);
    let headers: String = (0..2000).map(|n| format!("h{n}: {n}\r\n")).collect();
    let post = "POST /v1/commands HTTP/1.1\r\nhost: pk\r\ncontent-type: application/json\r\n";
    let broken: Vec<Vec<u8>> = [
        format!("GET /{long} HTTP/1.1\r\nhost: pk\r\n\r\n"),
        format!("GET /v1/state HTTP/1.1\r\nhost: {long}\r\n\r\n"),
        format!("GET /v1/state HTTP/1.1\r\nhost: pk\r\n{headers}\r\n"),
        format!("{long} / HTTP/1.1\r\n\r\n"),
        "GET /v1/state HTTP/9.9\r\n\r\n".to_owned(),
        "GET /v1/state\r\n\r\n".to_owned(),
        "GET  HTTP/1.1\r\n\r\n".to_owned(),
        "GET /v1/%zz%00%ff HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/units/%2e%2e%2f/terminal/stream HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/units/%ff%fe/terminal/stream HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/logs?last=18446744073709551616 HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/logs?last=18446744073709551615&max=18446744073709551615 HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/logs?cursor=*0:18446744073709551615,%F0%9F%92%A9 HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/logs?wait=99999999999999999999h HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "CONNECT pk:80 HTTP/1.1\r\nhost: pk\r\n\r\n".to_owned(),
        "GET /v1/state HTTP/1.1\r\nhost: pk\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        format!("{post}content-length: 99999999999999999999\r\n\r\n{{}}"),
        format!("{post}content-length: -1\r\n\r\n{{}}"),
        format!("{post}content-length: 5\r\ncontent-length: 7\r\n\r\n{{}}"),
        format!("{post}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{{}}"),
        format!("{post}transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{{}}"),
        format!("{post}transfer-encoding: chunked\r\n\r\nnonsense\r\n"),
        format!("{post}content-length: 2\r\n\r\n\u{0}\u{0}"),
        format!("{post}content-length: 20000\r\n\r\n{}", "[".repeat(20_000)),
        format!("{post}content-length: 60000\r\n\r\n{}", r#"{"a":"#.repeat(12_000)),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect();
    for bytes in &broken {
        for close in [false, true] {
            let answer = throw(&socket, bytes, close);
            // Nothing at all, or HTTP; and no mistake of its own.
            let head = answer.lines().next().unwrap_or("HTTP/1.1 ");
            assert!(head.starts_with("HTTP/1."), "{answer}");
            assert!(
                !head.contains(" 500"),
                "{}: {answer}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
    // One after the other, without waiting for answers.
    let many = "GET /v1/session HTTP/1.1\r\nhost: pk\r\n\r\n".repeat(500);
    assert!(throw(&socket, many.as_bytes(), true).starts_with("HTTP/1.1 200"));

    assert_eq!(ask(&socket, "GET", "/v1/state", "").0, 200);
    assert_eq!(pk.guard_and_supervisor().1, supervisor);
    pk.pk(["restart", "web", "--wait"]).assert_code(0);
    down(pk);
}
