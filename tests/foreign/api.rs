//! The REST API of process-compose, asked as its clients ask.
//!
//! The types are those of its own client (`src/types` of process-compose 1.122): each field by
//! name and kind, and none besides, so that whoever reads these reads pk.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};
use tungstenite::Message;

use crate::harness::{PATIENCE, Pk, Running, free_port, poll};

const FILE: &str = "\
version: '0.5'
environment: [ALL=1]
processes:
  web:
    command: \"echo web here; echo 'again'; exec sleep 60\"
    description: the page
    namespace: [front, shown]
    environment: ['COLOUR=blue', 'API_TOKEN=very-secret-indeed']
    depends_on: {prepare: {condition: process_completed_successfully}}
    availability: {restart: on_failure, backoff_seconds: 2, max_restarts: 5}
    readiness_probe: {exec: {command: 'true'}, period_seconds: 1}
    shutdown: {signal: 2, timeout_seconds: 3}
    success_exit_codes: [3]
  prepare: {command: echo prepared}
  worker: {command: exec sleep 60, replicas: 2}
  off: {command: exec sleep 60, disabled: true, namespace: back}
  keys: {command: 'cat', is_tty: true}
";

/// Where a project answers.
#[derive(Clone)]
enum At {
    Socket(PathBuf),
    Port(u16),
}

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl At {
    fn connect(&self) -> Box<dyn Stream> {
        match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
            Self::Port(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port)).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                Box::new(stream)
            }
        }
    }

    fn ask_with(&self, headers: &[(&str, &str)], method: &str, path: &str, body: &str) -> Answer {
        let mut stream = self.connect();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let length = body.len();
        let request = format!(
            "{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split_whitespace().nth(1);
        let status = status.unwrap_or_else(|| panic!("{method} {path}: {text:?}"));
        Answer {
            status: status.parse().unwrap(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask_with(&[("host", "localhost")], method, path, body)
    }

    fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.ask("GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let body = answer.body.to_string();
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error} in {body}"))
    }

    fn state(&self, name: &str) -> ProcessState {
        self.get(&format!("/process/{name}"))
    }

    #[track_caller]
    fn wait_for(&self, name: &str, what: impl Fn(&ProcessState) -> bool) -> ProcessState {
        poll(name, || {
            let state = self.state(name);
            what(&state).then_some(state)
        })
    }

    fn websocket(&self, path: &str) -> tungstenite::WebSocket<Box<dyn Stream>> {
        let address = format!("ws://localhost{path}");
        tungstenite::client(address, self.connect())
            .map_or_else(|error| panic!("{error}"), |it| it.0)
    }
}

#[derive(Debug)]
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    #[track_caller]
    fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status, &self.body), (status, body));
    }

    /// Its client reads a failure so, of 400 alone.
    #[track_caller]
    fn fails_with(&self, words: &str) {
        let error = self.body["error"].as_str().unwrap_or_default();
        assert!(self.status == 400 && error.contains(words), "{self:?}");
    }
}

/// One as text, several as a list.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Namespaces {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    dead_code,
    reason = "that it is there, and of which kind, is what is tested"
)]
struct ProcessState {
    name: String,
    namespace: Namespaces,
    status: String,
    system_time: String,
    age: i64,
    is_ready: String,
    has_ready_probe: bool,
    restarts: i64,
    exit_code: i64,
    #[serde(default)]
    success_exit_codes: Vec<i64>,
    pid: i64,
    is_elevated: bool,
    password_provided: bool,
    mem: i64,
    cpu: f64,
    is_running: bool,
    next_run_time: Option<jiff::Timestamp>,
    last_activity_time: Option<jiff::Timestamp>,
    #[serde(default)]
    is_watched: bool,
    #[serde(default)]
    watch_trigger_path: String,
    watch_trigger_time: Option<jiff::Timestamp>,
    process_start_time: Option<jiff::Timestamp>,
    process_ready_time: Option<jiff::Timestamp>,
    process_end_time: Option<jiff::Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcessesState {
    data: Vec<ProcessState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Logs {
    logs: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogMessage {
    message: String,
    process_name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateEvent {
    #[serde(default)]
    snapshot: bool,
    state: ProcessState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "that it is there, and of which kind, is what is tested"
)]
struct ProjectState {
    file_names: Vec<String>,
    up_time: i64,
    start_time: jiff::Timestamp,
    process_num: i64,
    running_process_num: i64,
    user_name: String,
    host_name: String,
    version: String,
    memory_state: Option<MemoryState>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[expect(
    dead_code,
    reason = "that it is there, and of which kind, is what is tested"
)]
struct MemoryState {
    allocated: u64,
    total_allocated: u64,
    system_memory: u64,
    gc_cycles: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    name: String,
    tcp_ports: Vec<u16>,
    udp_ports: Vec<u16>,
}

/// The project, once `web` is ready.
fn project() -> (Running, At) {
    let pk = Pk::new(["up", "--compat-api", "./api.sock"])
        .file("process-compose.yaml", FILE)
        .start();
    pk.wait_for("answering as process-compose on the socket");
    let at = At::Socket(pk.folder().join("api.sock"));
    at.wait_for("web", |state| state.is_ready == "Ready");
    (pk, at)
}

fn stop(pk: Running, at: &At) {
    at.ask("POST", "/project/stop/", "")
        .is(200, &json!({"status": "stopped"}));
    pk.wait();
}

#[test]
fn states_are_as_its_client_reads_them() {
    let (pk, at) = project();
    assert_eq!(at.get::<Value>("/live"), json!({"status": "alive"}));
    assert!(at.get::<Value>("/hostname")["name"].is_string());
    let web = at.wait_for("web", |state| state.mem > 0);
    assert_eq!((&*web.status, web.is_running), ("Running", true));
    assert!(web.has_ready_probe && web.pid > 0 && web.age > 0);
    assert_eq!(web.success_exit_codes, [3]);
    let names = ["front", "shown"].map(str::to_owned).to_vec();
    assert_eq!(web.namespace, Namespaces::Several(names));
    assert!(web.process_start_time <= web.process_ready_time);
    assert_eq!(web.process_end_time, None);
    let prepared = at.state("prepare");
    assert_eq!((&*prepared.status, prepared.exit_code), ("Completed", 0));
    assert_eq!(prepared.namespace, Namespaces::One("default".to_owned()));
    assert!(prepared.process_end_time >= prepared.process_start_time);
    assert_eq!(at.state("off").status, "Disabled");
    let all: ProcessesState = at.get("/processes");
    let names: Vec<_> = all.data.iter().map(|state| &*state.name).collect();
    let expected = ["keys", "off", "prepare", "web", "worker-0", "worker-1"];
    assert_eq!(names, expected);
    at.ask("GET", "/process/nobody", "")
        .fails_with("no such process: nobody");
    let name = pk.folder().file_name().unwrap().to_str().unwrap();
    let said: Value = at.get("/project/name");
    assert_eq!(said, json!({"projectName": name}));
    let state: ProjectState = at.get("/project/state/?withMemory=true");
    assert_eq!((state.process_num, state.running_process_num), (6, 4));
    assert!(state.file_names[0].ends_with("process-compose.yaml"));
    assert!(state.memory_state.unwrap().allocated > 0);
    let state: ProjectState = at.get("/project/state");
    assert!(state.memory_state.is_none());
    let spaces: Vec<String> = at.get("/namespaces");
    assert_eq!(spaces, ["back", "default", "front", "shown"]);
    stop(pk, &at);
}

#[test]
fn a_configuration_has_its_names_and_numbers() {
    let (pk, at) = project();
    let web: Value = at.get("/process/info/web");
    let working_dir = web["workingDir"].as_str().unwrap().to_owned();
    assert!(working_dir.starts_with('/'));
    assert_eq!(
        web,
        json!({
            "name": "web",
            "command": "echo web here; echo 'again'; exec sleep 60",
            "environment": ["API_TOKEN=********", "COLOUR=blue"],
            "restartPolicy": {"restart": 2, "backoffSeconds": 2, "maxRestarts": 5},
            "dependsOn": {"prepare": {"condition": 1}},
            "readinessProbe": {
                "exec": {"command": "true"},
                "periodSeconds": 1, "timeoutSeconds": 1,
                "successThreshold": 1, "failureThreshold": 3
            },
            "shutDownParams": {"shutDownTimeout": 3, "signal": 2},
            "workingDir": working_dir,
            "namespace": ["front", "shown"],
            "replicas": 1,
            "description": "the page",
            "replicaName": "web",
            "executable": web["executable"],
            "args": ["-c", "echo web here; echo 'again'; exec sleep 60"],
            "successExitCodes": [3]
        })
    );
    let second: Value = at.get("/process/info/worker-1");
    let of = |name: &str| second[name].clone();
    assert_eq!(
        [
            of("name"),
            of("replicaName"),
            of("replicaNum"),
            of("replicas")
        ],
        [json!("worker"), json!("worker-1"), json!(1), json!(2)]
    );
    stop(pk, &at);
}

#[test]
fn processes_are_started_stopped_and_restarted() {
    let (pk, at) = project();
    at.ask("POST", "/process/start/off", "")
        .is(200, &json!({"name": "off"}));
    at.wait_for("off", |state| state.status == "Running");
    at.ask("POST", "/process/start/off", "")
        .fails_with("process off is already running");
    let before = at.state("web").pid;
    at.ask("POST", "/process/restart/web", "")
        .is(200, &json!({"name": "web"}));
    at.wait_for("web", |state| {
        state.pid != before && state.is_ready == "Ready"
    });
    at.ask("PATCH", "/process/stop/off", "")
        .is(200, &json!({"name": "off"}));
    let stopped = at.wait_for("off", |state| !state.is_running);
    assert_eq!((&*stopped.status, stopped.exit_code), ("Completed", -1));
    at.ask("PATCH", "/process/stop/off", "")
        .fails_with("process off is not running");
    at.ask("PATCH", "/process/stop/nobody", "")
        .fails_with("process nobody does not exist");
    at.ask("PATCH", "/processes/stop", r#"["worker-0", "off"]"#)
        .is(
            207,
            &json!({"worker-0": "ok", "off": "process off is not running"}),
        );
    at.ask("PATCH", "/processes/stop", r#"["off"]"#)
        .fails_with("no such processes or not running: [off]");
    at.ask("PATCH", "/processes/stop", r#"["worker-1"]"#)
        .is(200, &json!({"worker-1": "ok"}));
    at.ask("PATCH", "/process/signal/web/9", "")
        .is(200, &json!({"name": "web"}));
    at.wait_for("web", |state| state.restarts == 1);
    at.ask("PATCH", "/process/signal/web/99", "")
        .fails_with("no signal has the number 99");
    at.ask("POST", "/process/start/nobody", "")
        .fails_with("no such process: nobody");
    at.ask("GET", "/process/start/web", "").is(
        405,
        &json!({"error": "this path takes another method than GET"}),
    );
    stop(pk, &at);
}

#[test]
fn namespaces_start_and_stop_together() {
    let (pk, at) = project();
    let name = |name: &str| json!({ "name": name });
    at.ask("POST", "/namespace/start/back", "")
        .is(200, &name("back"));
    at.wait_for("off", |state| state.is_running);
    at.ask("POST", "/namespace/stop/front", "")
        .is(200, &name("front"));
    at.wait_for("web", |state| state.status == "Completed");
    assert!(at.state("worker-0").is_running);
    let before = at.state("off").pid;
    at.ask("POST", "/namespace/restart/back", "")
        .is(200, &name("back"));
    at.wait_for("off", |state| state.is_running && state.pid != before);
    at.ask("POST", "/namespace/stop/none", "")
        .fails_with("namespace none not found");
    stop(pk, &at);
}

#[test]
fn a_process_is_scaled_and_the_file_read_again() {
    let (pk, at) = project();
    let before = at.state("worker-1").pid;
    at.ask("PATCH", "/process/scale/worker/3", "")
        .is(200, &json!({"name": "worker"}));
    at.wait_for("worker-2", |state| state.is_running);
    assert_eq!(at.state("worker-1").pid, before);
    // Any of them stands for the process.
    at.ask("PATCH", "/process/scale/worker-2/2", "")
        .is(200, &json!({"name": "worker-2"}));
    poll("two workers", || {
        (at.ask("GET", "/process/worker-2", "").status == 400).then_some(())
    });
    at.ask("PATCH", "/process/scale/worker/0", "")
        .fails_with("cannot scale to 0");
    at.ask("PATCH", "/process/scale/nobody/2", "")
        .fails_with("no process is named `nobody`");
    let other = FILE.replace("exec sleep 60, disabled", "exec sleep 61, disabled");
    let other = format!("{other}  more: {{command: exec sleep 60}}\n");
    std::fs::write(pk.folder().join("process-compose.yaml"), other).unwrap();
    at.ask("POST", "/project/configuration", "")
        .is(200, &json!({"more": "added", "off": "updated"}));
    at.wait_for("more", |state| state.is_running);
    // What was scaled by hand stays so.
    assert!(at.state("worker-1").is_running);
    std::fs::write(pk.folder().join("process-compose.yaml"), "processes: 1\n").unwrap();
    at.ask("POST", "/project/configuration", "")
        .fails_with("process-compose.yaml");
    stop(pk, &at);
}

#[test]
fn lines_are_given_from_the_end() {
    let (pk, at) = project();
    let logs = |path: &str| at.get::<Logs>(path).logs;
    poll("two lines", || {
        (logs("/process/logs/web/0/0").len() == 2).then_some(())
    });
    assert_eq!(logs("/process/logs/web/0/0"), ["web here", "again"]);
    assert_eq!(logs("/process/logs/web/0/1"), ["again"]);
    assert_eq!(logs("/process/logs/web/1/5"), ["web here"]);
    assert_eq!(logs("/process/logs/web/9/5"), [""; 0]);
    at.ask("GET", "/process/logs/web/x/1", "")
        .fails_with("`x` is not a number");
    at.ask("DELETE", "/process/logs/web", "")
        .is(200, &json!({"name": "web"}));
    assert_eq!(logs("/process/logs/web/0/0"), [""; 0]);
    pk.pk(["logs", "web"]).assert_shows(&["web here", "again"]);
    at.ask("POST", "/process/send-keys/keys", r#"{"keys": "hello\\n"}"#)
        .is(200, &json!({"name": "keys"}));
    poll("what was typed", || {
        logs("/process/logs/keys/0/0")
            .iter()
            .any(|line| line == "hello")
            .then_some(())
    });
    at.ask("POST", "/process/send-keys/web", r#"{"keys": "x"}"#)
        .fails_with("process web");
    stop(pk, &at);
}

fn next<T: serde::de::DeserializeOwned>(
    socket: &mut tungstenite::WebSocket<Box<dyn Stream>>,
) -> Option<T> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                return Some(
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")),
                );
            }
            Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn lines_come_over_a_websocket() {
    let (pk, at) = project();
    let mut socket = at.websocket("/process/logs/ws?name=web,prepare&offset=10");
    let mut heard = Vec::new();
    while let Some(LogMessage {
        message,
        process_name,
    }) = next(&mut socket)
    {
        heard.push(format!("{process_name}: {message}"));
    }
    heard.sort();
    assert_eq!(heard, ["prepare: prepared", "web: again", "web: web here"]);
    let mut socket = at.websocket("/process/logs/ws?name=keys&offset=0&follow=true");
    at.ask("POST", "/process/send-keys/keys", r#"{"keys": "hello\n"}"#);
    let LogMessage { message, .. } = next(&mut socket).unwrap();
    assert_eq!(message, "hello");
    at.ask("GET", "/process/logs/ws?name=nobody&offset=0", "")
        .fails_with("no such process: nobody");
    at.ask("GET", "/process/logs/ws?name=web&offset=x", "")
        .fails_with("offset");
    stop(pk, &at);
    // All that was written came, then the end.
    while next::<LogMessage>(&mut socket).is_some() {}
}

#[test]
fn states_come_over_a_websocket() {
    let (pk, at) = project();
    let mut socket = at.websocket("/process/states/ws?name=off,web");
    let mut first = BTreeMap::new();
    for _ in 0..2 {
        let event: StateEvent = next(&mut socket).unwrap();
        assert!(event.snapshot);
        first.insert(event.state.name.clone(), event.state.status);
    }
    assert_eq!(first["off"], "Disabled");
    assert_eq!(first["web"], "Running");
    at.ask("POST", "/process/start/off", "");
    let mut until = |status: &str| loop {
        let event: StateEvent = next(&mut socket).unwrap();
        assert!(!event.snapshot);
        assert_eq!(event.state.name, "off");
        if event.state.status == status {
            return event.state;
        }
    };
    assert!(until("Running").is_running);
    at.ask("PATCH", "/process/stop/off", "");
    assert_eq!(until("Completed").exit_code, -1);
    stop(pk, &at);
    while next::<StateEvent>(&mut socket).is_some() {}
}

#[test]
fn the_shortest_run_is_told_of() {
    let (pk, at) = project();
    let mut socket = at.websocket("/process/states/ws?name=prepare");
    next::<StateEvent>(&mut socket).unwrap();
    at.ask("POST", "/process/start/prepare", "");
    let mut heard = Vec::new();
    loop {
        let StateEvent { state, .. } = next(&mut socket).unwrap();
        heard.push(state.status.clone());
        if state.status == "Completed" && heard.len() > 1 {
            break;
        }
    }
    assert!(heard.iter().any(|status| status == "Running"), "{heard:?}");
    stop(pk, &at);
}

#[test]
fn the_graph_hangs_below_who_is_needed_by_nobody() {
    let (pk, at) = project();
    let graph: Value = at.get("/graph");
    assert_eq!(
        graph,
        json!({"nodes": {"web": {
            "name": "web", "process_status": "Running", "is_ready": "Ready",
            "depends_on": {"prepare": {
                "name": "prepare", "process_status": "Completed", "is_ready": "-",
                "dependency_type": "completed_successfully"
            }}
        }}})
    );
    stop(pk, &at);
}

#[test]
fn ports_are_those_that_it_listens_on() {
    let port = free_port();
    let listen = "use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalAddr => \"127.0.0.1\", \
                  LocalPort => $ARGV[0], Listen => 5) or die $!; sleep 60;";
    let file = format!("processes:\n  web: {{command: exec perl listen.pl {port}}}\n");
    let pk = Pk::new(["up", "--compat-api", "./api.sock"])
        .file("process-compose.yaml", &file)
        .file("listen.pl", listen)
        .start();
    pk.wait_for("answering as process-compose");
    let at = At::Socket(pk.folder().join("api.sock"));
    poll("a port", || {
        let ports: Ports = at.get("/process/ports/web");
        assert_eq!((&*ports.name, ports.udp_ports.len()), ("web", 0));
        (ports.tcp_ports == [port]).then_some(())
    });
    stop(pk, &at);
}

#[test]
fn what_has_no_meaning_is_refused() {
    let (pk, at) = project();
    for path in ["/process", "/project"] {
        let answer = at.ask("POST", path, "{}");
        let error = answer.body["error"].as_str().unwrap();
        assert_eq!(answer.status, 501);
        assert!(error.contains("change the file"), "{error}");
    }
    assert_eq!(at.ask("GET", "/swagger/index.html", "").status, 404);
    stop(pk, &at);
}

#[test]
fn a_port_is_for_this_user_and_its_own_pages() {
    let port = free_port();
    let pk = Pk::new(["up", "--compat-api", &port.to_string()])
        .file("process-compose.yaml", FILE)
        .start();
    pk.wait_for(&format!(
        "answering as process-compose on http://127.0.0.1:{port}"
    ));
    let at = At::Port(port);
    let own = format!("http://localhost:{port}");
    let asked = |headers: &[(&str, &str)]| at.ask_with(headers, "GET", "/live", "").status;
    assert_eq!(asked(&[("host", "localhost")]), 200);
    let host = format!("localhost:{port}");
    assert_eq!(asked(&[("host", &host), ("origin", &own)]), 200);
    assert_eq!(asked(&[("host", "evil.example")]), 403);
    let page = ("origin", "http://evil.example");
    assert_eq!(asked(&[("host", "localhost"), page]), 403);
    let socket = [
        ("host", "localhost"),
        page,
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let asked = at.ask_with(&socket, "GET", "/process/states/ws", "");
    assert_eq!(asked.status, 403, "{asked:?}");
    let listed: Value = serde_json::from_str(&pk.pk(["ps", "--output", "json"]).stdout()).unwrap();
    let place = format!("127.0.0.1:{port}");
    assert_eq!(listed["api"], json!({"at": {"tcp": place}, "token": false}));
    stop(pk, &at);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn another_user_of_the_machine_is_turned_away() {
    use std::os::unix::process::CommandExt as _;

    let id = std::process::Command::new("id").uid(65_534).output();
    if id.is_err() || std::fs::read("/proc/net/tcp").is_err() {
        eprintln!(
            "did not run: nobody else can be had here, or the kernel does not tell who it is"
        );
        return;
    }
    let port = free_port();
    let pk = Pk::new(["up", "-p", &port.to_string()])
        .file("process-compose.yaml", FILE)
        .start();
    pk.wait_for("answering as process-compose");
    let at = At::Port(port);
    assert_eq!(at.ask("GET", "/live", "").status, 200);
    let script = format!(
        "exec 3<>/dev/tcp/127.0.0.1/{port}; \
         printf 'GET /live HTTP/1.1\\r\\nhost: localhost\\r\\nconnection: close\\r\\n\\r\\n' >&3; cat <&3"
    );
    let asked = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir("/")
        .uid(65_534)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&asked.stdout).into_owned();
    assert!(told.starts_with("HTTP/1.1 403"), "{told} {asked:?}");
    assert!(told.contains("another user of this machine"), "{told}");
    stop(pk, &at);
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let token = "a-token-that-is-long-enough";
    let port = free_port();
    let pk = Pk::new(["up", "-p", &port.to_string()])
        .file("process-compose.yaml", FILE)
        .env("PC_API_TOKEN", token)
        .start();
    pk.wait_for("its token is");
    let at = At::Port(port);
    let asked = |shown: &[(&str, &str)]| {
        let mut headers = vec![("host", "localhost")];
        headers.extend(shown);
        at.ask_with(&headers, "GET", "/processes", "").status
    };
    assert_eq!(asked(&[]), 401);
    assert_eq!(
        asked(&[("X-PC-Token-Key", "a-token-that-is-long-enougH")]),
        401
    );
    assert_eq!(asked(&[("Authorization", token)]), 401);
    let twice = [("X-PC-Token-Key", token), ("X-PC-Token-Key", token)];
    assert_eq!(asked(&twice), 401);
    assert_eq!(asked(&twice[..1]), 200);
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}

#[test]
fn a_token_comes_from_a_file_as_well() {
    let pk = Pk::new(["up", "--compat-api"])
        .file("process-compose.yaml", FILE)
        .file("token", "a-token-that-is-long-enough\n")
        .env("PC_API_TOKEN_PATH", "token")
        .env("PC_SOCKET_PATH", "named.sock")
        .start();
    pk.wait_for("its token is");
    let at = At::Socket(pk.folder().join("named.sock"));
    assert_eq!(at.ask("GET", "/live", "").status, 401);
    let shown = [
        ("host", "x"),
        ("x-pc-token-key", "a-token-that-is-long-enough"),
    ];
    assert_eq!(at.ask_with(&shown, "GET", "/live", "").status, 200);
    pk.pk(["down"]).assert_code(0);
    pk.wait();
}

#[test]
fn what_would_be_open_to_others_is_not_opened() {
    let up = |args: &[&str]| {
        let mut all = vec!["up"];
        all.extend(args);
        Pk::new(all).file("process-compose.yaml", FILE)
    };
    let refused = |pk: Pk, words: &str| {
        let ended = pk.code(1).run();
        assert!(ended.stderr().contains(words), "{ended}");
    };
    refused(up(&["--compat-api", "0.0.0.0:0"]), "PC_API_TOKEN");
    let short = up(&["--compat-api", "0"]).env("PC_API_TOKEN", "short");
    refused(short, "20 characters");
    refused(up(&["-u", "process-compose.yaml"]), "no socket");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    refused(up(&["-p", &port]), "name another port");
    let unit = up(&["--compat-api", "web"]).code(2).run();
    assert!(unit.stderr().contains("write it as 8080"), "{unit}");
}

#[test]
fn the_socket_is_its_users_and_goes_with_the_project() {
    let (pk, at) = project();
    let At::Socket(path) = &at else {
        panic!("no socket");
    };
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = pk.pk(["up", "--compat-api", "./other.sock"]);
    second.assert_code(4);
    assert!(
        second.stderr().contains("for the `up` that starts it"),
        "{second}"
    );
    let path = path.clone();
    stop(pk, &at);
    assert!(!path.exists());
}

#[test]
fn units_of_pks_own_file_are_told_of_too() {
    let file = "services:\n  web: {command: sleep 60, replicas: 2, readiness: {tcp: '127.0.0.1:1'}}\n\
                tasks:\n  once: {command: 'true'}\n";
    let pk = Pk::stack(file, ["up", "--compat-api"]).start();
    pk.wait_for("answering as process-compose on the socket");
    let record: Value = serde_json::from_str(&pk.pk(["ps", "--output", "json"]).stdout()).unwrap();
    let at = At::Socket(record["api"]["at"]["socket"].as_str().unwrap().into());
    at.wait_for("once", |state| state.status == "Completed");
    assert_eq!(at.state("web-2").is_ready, "Not Ready");
    let info: Value = at.get("/process/info/web-2");
    assert_eq!(
        (&info["name"], &info["replicaNum"], &info["replicas"]),
        (&json!("web"), &json!(1), &json!(2))
    );
    at.ask("PATCH", "/process/scale/web/3", "")
        .is(200, &json!({"name": "web"}));
    at.wait_for("web-3", |state| state.is_running);
    at.ask("PATCH", "/process/scale/once/3", "")
        .fails_with("`replicas` say how many");
    stop(pk, &at);
}
