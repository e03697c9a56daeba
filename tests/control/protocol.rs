//! The protocol as any program may speak it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::{down, shop};
use crate::harness::{PATIENCE, Pk, Running, poll};

pub fn socket(pk: &Running) -> PathBuf {
    let entries = std::fs::read_dir(pk.folder().join("pk")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.extension().is_some_and(|e| e == "sock"))
        .unwrap()
}

pub fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(socket: &Path, method: &str, path: &str, body: &str) -> UnixStream {
    let mut stream = connect(socket);
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: pk\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It may be refused before it is read.
    let _ = stream.write_all(body.as_bytes());
    stream
}

/// The status and the body.
pub fn ask(socket: &Path, method: &str, path: &str, body: &str) -> (u16, Value) {
    let mut text = String::new();
    let mut stream = send(socket, method, path, body);
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("{path}: {text:?}"));
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

/// The names, ids and data of a stream of events until that many, or until it ends.
fn events(socket: &Path, path: &str, count: usize) -> Vec<(String, String, Value)> {
    let reader = BufReader::new(send(socket, "GET", path, ""));
    let mut events = Vec::new();
    let (mut name, mut id) = (String::new(), String::new());
    for line in reader.lines() {
        let Ok(line) = line else { break };
        if let Some(text) = line.strip_prefix("event: ") {
            text.clone_into(&mut name);
        } else if let Some(text) = line.strip_prefix("id: ") {
            text.clone_into(&mut id);
        } else if let Some(text) = line.strip_prefix("data: ") {
            let data = serde_json::from_str(text).unwrap();
            events.push((std::mem::take(&mut name), std::mem::take(&mut id), data));
            if events.len() == count {
                break;
            }
        }
    }
    events
}

#[test]
fn every_request_gets_an_answer_with_a_type() {
    let pk = shop();
    let socket = socket(&pk);
    let get = |path: &str| ask(&socket, "GET", path, "");
    let post = |body: &str| ask(&socket, "POST", "/v1/commands", body);

    let (status, session) = get("/v1/session");
    assert_eq!((status, &session["name"]), (200, &json!("shop")));
    let (status, state) = get("/v1/state");
    assert_eq!(
        (status, &state["snapshot"]["units"][0]["name"]),
        (200, &json!("db"))
    );
    assert_eq!(
        post(r#"{"command":"start","units":["db"]}"#).1["answer"],
        json!({"ignored": "already_running"})
    );

    let typed = |(status, problem): (u16, Value), expected: (u16, &str)| {
        assert_eq!(
            (status, &problem["code"]),
            (expected.0, &json!(expected.1)),
            "{problem}"
        );
        assert!(
            problem["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty()),
            "{problem}"
        );
    };
    typed(get("/"), (404, "not_found"));
    typed(get("/v1/../etc/passwd"), (404, "not_found"));
    typed(get("/v1/commands"), (405, "method_not_allowed"));
    typed(
        ask(&socket, "DELETE", "/v1/state", ""),
        (405, "method_not_allowed"),
    );
    typed(post(""), (400, "bad_request"));
    typed(post("[]"), (400, "bad_request"));
    typed(post(r#"{"command":"reload"}"#), (400, "bad_request"));
    typed(
        post(r#"{"command":"start","units":[1]}"#),
        (400, "bad_request"),
    );
    typed(
        post(r#"{"command":"scale","unit":"db","replicas":-1}"#),
        (400, "bad_request"),
    );
    typed(
        post(r#"{"command":"start","units":["nobody"]}"#),
        (404, "unknown_unit"),
    );
    typed(
        post(r#"{"command":"signal","units":["migrate"],"signal":"HUP"}"#),
        (409, "not_running"),
    );
    typed(
        post(r#"{"command":"scale","unit":"db","replicas":2}"#),
        (409, "denied"),
    );
    typed(get("/v1/logs?cursor=nonsense"), (400, "bad_request"));
    typed(get("/v1/logs?wait=soon"), (400, "bad_request"));
    typed(get("/v1/logs?last=-1"), (400, "bad_request"));
    typed(get("/v1/logs?color=red"), (400, "bad_request"));
    typed(get("/v1/logs?units=nobody"), (404, "unknown_unit"));
    typed(get("/v1/changes?after=x"), (400, "bad_request"));
    let long = format!(
        r#"{{"command":"start","units":["{}"]}}"#,
        "x".repeat(2 << 20)
    );
    typed(post(&long), (413, "too_large"));
    down(pk);
}

#[test]
fn nonsense_harms_nobody() {
    let pk = shop();
    let socket = socket(&pk);
    let mut seed: u64 = 42;
    for _ in 0..200 {
        let mut bytes: Vec<u8> = b"GET /v1/logs?last=1 HTTP/1.1\r\nhost: pk\r\n\r\n".to_vec();
        for _ in 0..4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = usize::try_from(seed >> 33).unwrap() % bytes.len();
            bytes[at] = u8::try_from(seed & 0xff).unwrap();
        }
        let mut stream = connect(&socket);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 64]);
    }
    assert_eq!(ask(&socket, "GET", "/v1/state", "").0, 200);
    down(pk);
}

#[test]
fn pages_of_lines_go_on_where_they_ended() {
    let counting = "services:\n  n: {command: 'seq 100; exec sleep 1000'}\n";
    let pk = Pk::stack(counting, ["up"]).start();
    pk.wait_for("n  | 100\n");
    let socket = socket(&pk);
    let page = |query: &str| {
        let (status, page) = ask(&socket, "GET", &format!("/v1/logs?{query}"), "");
        assert_eq!(status, 200, "{page}");
        page
    };
    let texts = |page: &Value| -> Vec<String> {
        let lines = page["lines"].as_array().unwrap();
        lines
            .iter()
            .map(|line| line["text"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = page("max=30");
    let mut all = texts(&first);
    let mut cursor = first["cursor"].clone();
    loop {
        let next = page(&format!("max=33&cursor={}", cursor.as_str().unwrap()));
        if texts(&next).is_empty() {
            break;
        }
        all.extend(texts(&next));
        cursor = next["cursor"].clone();
    }
    let expected: Vec<String> = (1..=100).map(|n| n.to_string()).collect();
    assert_eq!(all, expected);
    assert_eq!(texts(&page("last=2&units=n")), ["99", "100"]);
    // One that waits is answered when something comes, and at the end.
    let (waiting, ended) = std::thread::scope(|scope| {
        let path = format!("/v1/logs?wait=60s&cursor={}", cursor.as_str().unwrap());
        let waiting = scope.spawn({
            let (socket, path) = (socket.clone(), path.clone());
            move || ask(&socket, "GET", &path, "").1
        });
        pk.pk(["restart", "n"]).assert_code(0);
        let waiting = waiting.join().unwrap();
        let path = "/v1/logs?wait=60s&last=0".to_owned();
        let ended = scope.spawn({
            let socket = socket.clone();
            move || ask(&socket, "GET", &path, "").1
        });
        // Whether it is there before or after the end, it is answered.
        pk.wait_for_times("n  | 100\n", 2);
        pk.pk(["down"]).assert_code(0);
        (waiting, ended.join().unwrap())
    });
    assert_eq!(waiting["lines"][0]["text"], "1");
    assert!(ended.is_object(), "{ended}");
    pk.wait().assert_code(0);
}

#[test]
fn changes_are_followed_and_resumed() {
    let pk = shop();
    let socket = socket(&pk);
    let (_, page) = ask(&socket, "GET", "/v1/changes?after=start", "");
    let kept = page["changes"].as_array().unwrap().len();
    assert_eq!(page["missed"], 0);
    let all = events(&socket, "/v1/changes/stream?after=start", kept);
    let data: Vec<&Value> = all.iter().map(|(_, _, data)| data).collect();
    assert_eq!(
        data,
        page["changes"]
            .as_array()
            .unwrap()
            .iter()
            .collect::<Vec<_>>()
    );
    assert!(all.iter().all(|(name, _, _)| name == "change"));
    // From the middle on.
    let from = format!("/v1/changes/stream?after={}", all[2].1);
    assert_eq!(events(&socket, &from, kept - 3), all[3..]);
    let unknown = events(&socket, "/v1/changes/stream?after=other.3", 1);
    assert_eq!(unknown[0].0, "resync");

    let states = std::thread::scope(|scope| {
        let states = scope.spawn(|| events(&socket, "/v1/state/stream", usize::MAX));
        poll("the stream", || {
            (ask(&socket, "GET", "/v1/state", "").0 == 200).then_some(())
        });
        pk.pk(["down"]).assert_code(0);
        states.join().unwrap()
    });
    let (last, before) = (&states[states.len() - 1], &states[states.len() - 2]);
    assert_eq!(last.0, "end");
    assert!(before.2["snapshot"]["verdict"].is_object(), "{before:?}");
    pk.wait().assert_code(0);
}

#[test]
fn requests_are_answered_while_the_stack_stops() {
    let slow = "services:\n  slow: {command: 'trap \"until [ -e go ]; do sleep 0.01; done; exit\" TERM; echo set; while :; do sleep 0.01; done', readiness: {log: set}}\n";
    let pk = Pk::stack(slow, ["up"]).start();
    pk.wait_for("slow > ready");
    let socket = socket(&pk);
    assert_eq!(
        ask(&socket, "POST", "/v1/commands", r#"{"command":"shutdown"}"#).0,
        200
    );
    let (status, problem) = ask(
        &socket,
        "POST",
        "/v1/commands",
        r#"{"command":"start","units":["slow"]}"#,
    );
    assert_eq!((status, &problem["code"]), (409, &json!("shutting_down")));
    std::fs::write(pk.folder().join("go"), "").unwrap();
    let mut answered = 0;
    // Until the socket is gone, each one that connects gets a whole answer.
    while let Ok(mut stream) = UnixStream::connect(&socket) {
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
            .write_all(b"GET /v1/state HTTP/1.1\r\nhost: pk\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text:?}");
        answered += 1;
    }
    eprintln!("{answered} answered until the end");
    pk.wait().assert_code(0);
}

const FILE: &str = "schemas/openapi.json";

/// Set `PK_UPDATE_SCHEMA` to write the file anew.
#[test]
fn the_document_in_the_repository_is_the_generated_one() {
    let path = crate::harness::package().join(FILE);
    let document = pk::control::openapi();
    let generated = format!("{}\n", serde_json::to_string_pretty(&document).unwrap());
    if std::env::var_os("PK_UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == generated,
        "{FILE} is not what the types make; run the test with PK_UPDATE_SCHEMA=1"
    );
}

/// What the server says is what the document says it does.
#[test]
fn answers_are_as_the_document_says() {
    let pk = shop();
    pk.pk(["start", "broken", "--wait"]).assert_code(1);
    let socket = socket(&pk);
    let (_, document) = ask(&socket, "GET", "/v1/openapi.json", "");
    assert_eq!(document, pk::control::openapi());
    let check = |method: &str, path: &str, query: &str, body: &str| {
        let (status, answer) = ask(&socket, method, &format!("{path}{query}"), body);
        let responses = &document["paths"][path][method.to_lowercase()]["responses"];
        let status = if status == 200 { "200" } else { "default" };
        let mut schema = responses[status]["content"]["application/json"]["schema"].clone();
        assert!(schema.is_object(), "{method} {path} {status}");
        schema["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {path}: {errors:#?}\n{answer:#}"
        );
    };
    check("GET", "/v1/session", "", "");
    check("GET", "/v1/state", "", "");
    check("GET", "/v1/changes", "?after=start", "");
    check("GET", "/v1/changes", "?after=nonsense", "");
    check("GET", "/v1/logs", "?last=3", "");
    check("POST", "/v1/logs", "", r#"{"last":3}"#);
    check(
        "POST",
        "/v1/commands",
        "",
        r#"{"command":"restart","units":["web"]}"#,
    );
    check(
        "POST",
        "/v1/commands",
        "",
        r#"{"command":"start","units":["db"]}"#,
    );
    check(
        "POST",
        "/v1/commands",
        "",
        r#"{"command":"start","units":["nobody"]}"#,
    );
    super::down_with(pk, 1);
}
