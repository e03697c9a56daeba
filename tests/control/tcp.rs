//! A stack over TCP: who has the token may, nobody else.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{SHOP, protocol};
use crate::harness::{PATIENCE, Pk, Running, package, poll};

/// Where a stack says that it listens.
pub struct Listens {
    pub address: SocketAddr,
    pub token_file: PathBuf,
    pub token: String,
}

pub fn listens(pk: &Running) -> Listens {
    let listed: Value = serde_json::from_str(&pk.pk(["ps", "--output", "json"]).stdout()).unwrap();
    let listen = &listed["listen"];
    let text = |name: &str| listen[name].as_str().unwrap_or_default().to_owned();
    let token_file = PathBuf::from(text("token_file"));
    let token = std::fs::read_to_string(&token_file).unwrap();
    Listens {
        address: text("address").parse().unwrap(),
        token: token.trim().to_owned(),
        token_file,
    }
}

/// The shop, with its database up, over TCP as well.
pub fn listening_shop(args: &[&str]) -> Running {
    let mut all = vec!["up", "db", "--listen", "127.0.0.1:0"];
    all.extend(args);
    let pk = Pk::stack(SHOP, all).start();
    pk.wait_for("> ready after");
    pk.pk(["wait", "db"]).assert_code(0);
    pk
}

/// The head of the answer and its body.
fn ask_with(
    address: SocketAddr,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: &str,
) -> (String, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let length = body.len();
    head.push_str(&format!(
        "content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    ));
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let body = serde_json::from_str(body).unwrap_or(Value::Null);
    (head.to_owned(), body)
}

fn status(head: &str) -> u16 {
    let word = head.split_whitespace().nth(1);
    word.unwrap_or_else(|| panic!("{head:?}")).parse().unwrap()
}

impl Listens {
    /// The status and the body, for who does all as it should be.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let bearer = format!("Bearer {}", self.token);
        let headers = [("host", "localhost"), ("authorization", &*bearer)];
        let (head, body) = ask_with(self.address, (method, path), &headers, body);
        (status(&head), body)
    }
}

fn down(pk: Running) {
    pk.pk(["down"]).assert_code(0);
    pk.wait().assert_code(0);
}

#[test]
fn who_has_the_token_sees_and_steers() {
    let pk = listening_shop(&[]);
    let listens = listens(&pk);
    pk.wait_for(&format!(
        "listening on http://{}; the token",
        listens.address
    ));
    let listed = pk.pk(["ls"]);
    listed.assert_shows(&["LISTEN"]);
    assert!(
        listed.stdout().contains(&listens.address.to_string()),
        "{listed}"
    );
    let mode = std::fs::metadata(&listens.token_file)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(listens.token.len() >= 32);

    assert_eq!(listens.ask("GET", "/v1/session", "").1["name"], "shop");
    let (status, logs) = listens.ask("GET", "/v1/logs?units=db", "");
    assert_eq!(
        (status, &logs["lines"][0]["text"]),
        (200, &json!("db is up"))
    );
    let restart = r#"{"command":"restart","units":["db"]}"#;
    assert_eq!(listens.ask("POST", "/v1/commands", restart).0, 200);
    poll("the restart", || {
        let (_, state) = listens.ask("GET", "/v1/state", "");
        (state["snapshot"]["units"][0]["attempt"].as_u64()? > 1).then_some(())
    });
    // A process is taken in beside a unit only if the kernel says which one it is.
    let (status, problem) = listens.ask("POST", "/v1/units/db/exec", r#"{"pid":1}"#);
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));

    let address = listens.address;
    pk.pk(["wait", "db"]).assert_code(0);
    down(pk);
    assert!(TcpStream::connect(address).is_err());
    assert!(!listens.token_file.exists());
}

#[test]
fn nobody_else_does() {
    let pk = listening_shop(&[]);
    let Listens { address, token, .. } = listens(&pk);
    let right = format!("Bearer {token}");
    let wrong = format!("Bearer {}0", &token[..token.len() - 1].replace('0', "1"));
    let host = ("host", "localhost");
    let refused = |headers: &[(&str, &str)], status: u16, code: &str| {
        for asked in [
            ("GET", "/v1/state"),
            ("POST", "/v1/commands"),
            ("GET", "/none"),
        ] {
            let (head, body) = ask_with(address, asked, headers, r#"{"command":"shutdown"}"#);
            assert_eq!(
                (self::status(&head), &body["code"]),
                (status, &json!(code)),
                "{asked:?} {headers:?}: {head}"
            );
            assert!(body["message"].is_string());
            let challenged = head.to_lowercase().contains("www-authenticate: bearer");
            assert_eq!(challenged, status == 401, "{head}");
        }
    };
    refused(&[host], 401, "unauthorized");
    refused(&[host, ("authorization", &wrong)], 401, "unauthorized");
    refused(&[host, ("authorization", &token)], 401, "unauthorized");
    let right = ("authorization", &*right);
    refused(&[("host", "evil.example"), right], 403, "forbidden");
    refused(&[right], 403, "forbidden");
    let origin = |origin| [host, right, ("origin", origin)];
    refused(&origin("http://evil.example"), 403, "forbidden");
    refused(&origin("http://localhost:1"), 403, "forbidden");
    refused(&origin("null"), 403, "forbidden");
    let own = format!("http://{address}");
    let headers = [("host", &own["http://".len()..]), right, ("origin", &own)];
    let (head, _) = ask_with(address, ("GET", "/v1/state"), &headers, "");
    assert_eq!(status(&head), 200);
    // The stack still runs: nothing of all that was done.
    pk.pk(["wait", "db"]).assert_code(0);
    down(pk);
}

/// Each operation of the document, with what it is asked by.
fn operations() -> Vec<(String, String)> {
    let document = pk::control::openapi();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            all.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(all.len() > 10);
    all
}

#[test]
fn every_route_is_in_the_document() {
    let source = std::fs::read_to_string(package().join("src/control/routes.rs")).unwrap();
    let routes: BTreeSet<&str> = source
        .split(".route(")
        .skip(1)
        .filter_map(|rest| rest.split('"').nth(1))
        .filter(|path| *path != "/v1/openapi.json")
        .collect();
    let operations = operations();
    let told: BTreeSet<&str> = operations.iter().map(|(_, path)| &**path).collect();
    assert_eq!(routes, told);
}

#[test]
fn who_may_only_read_changes_nothing() {
    let pk = listening_shop(&["--listen-read-only"]);
    let listens = listens(&pk);
    let units = || {
        let (status, state) = listens.ask("GET", "/v1/state", "");
        assert_eq!(status, 200);
        let units = state["snapshot"]["units"].as_array().unwrap();
        let of = |unit: &Value| {
            (
                unit["attempt"].clone(),
                unit["pid"].clone(),
                unit["phase"].clone(),
            )
        };
        units.iter().map(of).collect::<Vec<_>>()
    };
    let before = units();
    for (method, path) in operations() {
        let reads = ["/v1/logs", "/v1/watch/why"].contains(&&*path);
        if method == "GET" {
            // Those that go on do not end by themselves; they are asked for elsewhere.
            continue;
        }
        let asked = path.replace("{unit}", "db");
        let body = r#"{"command":"shutdown","path":"x"}"#;
        let (status, answer) = listens.ask(&method, &asked, body);
        let refused = (status, &answer["code"]) == (403, &json!("read_only"));
        assert_eq!(refused, !reads, "{method} {path}: {status} {answer}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "post", "BREW"] {
        let (status, answer) = listens.ask(method, "/v1/commands", r#"{"command":"shutdown"}"#);
        assert!(
            status == 403 && answer["code"] == "read_only",
            "{method}: {status}"
        );
    }
    assert_eq!(listens.ask("POST", "/v1/logs", r#"{"last":1}"#).0, 200);
    assert_eq!(units(), before);
    // The socket is no further than it was.
    pk.pk(["restart", "db", "--wait"]).assert_code(0);
    down(pk);
}

#[test]
fn in_the_background_too() {
    let token = "a-token-of-my-own-choice";
    let pk = Pk::stack(
        SHOP,
        [
            "up",
            "-d",
            "--listen",
            "127.0.0.1:0",
            "--token-file",
            "token",
            "db",
        ],
    )
    .file("token", token);
    let path = pk.path("token");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let started = pk.command().output().unwrap();
    let said = String::from_utf8_lossy(&started.stdout).into_owned();
    assert!(said.contains("listening on http://127.0.0.1:"), "{said}");
    let seen = Pk::new(["ls", "--output", "json"])
        .cwd(path.parent().unwrap())
        .env("XDG_RUNTIME_DIR", path.parent().unwrap().to_str().unwrap());
    let ls = seen.command().output().unwrap();
    let listed: Value = serde_json::from_slice(&ls.stdout).unwrap();
    let listens = Listens {
        address: listed[0]["listen"]["address"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap(),
        token: token.to_owned(),
        token_file: path.clone(),
    };
    assert_eq!(listens.ask("GET", "/v1/state", "").0, 200);
    assert_eq!(
        listens
            .ask("POST", "/v1/commands", r#"{"command":"shutdown"}"#)
            .0,
        200
    );
    poll("the end", || pk.members().is_empty().then_some(()));
    // It is the user's.
    assert_eq!(std::fs::read_to_string(path).unwrap(), token);
}

#[test]
fn what_is_not_safe_is_not_done() {
    let refused = |args: &[&str], code: i32, says: &str, make: &dyn Fn(&Path)| {
        let mut all = vec!["up"];
        all.extend(args);
        let pk = Pk::stack(SHOP, all);
        make(&pk.path(""));
        let ended = pk.code(code).stdout("").run();
        assert!(ended.stderr().contains(says), "{ended}");
    };
    let none = |_: &Path| {};
    refused(&["--listen", "0.0.0.0:0"], 2, "not encrypted", &none);
    refused(
        &["--listen", "[::]:0"],
        2,
        "--listen-beyond-loopback",
        &none,
    );
    refused(&["--listen", "example.org:80"], 2, "127.0.0.1:4000", &none);
    refused(&["--listen-read-only"], 2, "--listen", &none);
    let token = |text: &'static str, mode: u32| {
        move |folder: &Path| {
            std::fs::write(folder.join("token"), text).unwrap();
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.join("token"), mode).unwrap();
        }
    };
    let args = ["--listen", "0", "--token-file", "token"];
    refused(&args, 1, "holds no token", &token("short", 0o600));
    refused(
        &args,
        1,
        "chmod 600",
        &token("long enough to be one", 0o644),
    );
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(
        &["--listen", &address],
        1,
        "takes a port that is free",
        &none,
    );
}

#[test]
fn beyond_this_machine_if_told_so_and_never_without_a_token() {
    let pk = Pk::stack(
        SHOP,
        [
            "up",
            "db",
            "--listen",
            "0.0.0.0:0",
            "--listen-beyond-loopback",
        ],
    )
    .start();
    pk.wait_for("> ready after");
    let mut listens = listens(&pk);
    listens.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(listens.ask("GET", "/v1/session", "").0, 200);
    let (head, _) = ask_with(
        listens.address,
        ("GET", "/v1/session"),
        &[("host", "localhost")],
        "",
    );
    assert_eq!(status(&head), 401);
    // A stack that runs listens as it was told when it began.
    let late = pk.pk(["up", "--listen", "0"]);
    late.assert_code(4);
    assert!(
        late.stderr().contains("for the `up` that starts it"),
        "{late}"
    );
    down(pk);
}

#[test]
fn nothing_of_it_is_left_by_one_that_was_killed() {
    let pk = listening_shop(&[]);
    let listens = listens(&pk);
    let (_, supervisor) = pk.guard_and_supervisor();
    rustix::process::kill_process(supervisor, Signal::KILL).unwrap();
    poll("the end of it", || {
        (pk.pk(["ps"]).code == Some(3)).then_some(())
    });
    poll("its end over TCP", || {
        TcpStream::connect(listens.address).err()
    });
    // Whoever looks next clears away what is left, once nobody holds it any more.
    poll("nothing to be left", || {
        assert_eq!(pk.pk(["ls"]).stdout(), "");
        let left = std::fs::read_dir(pk.folder().join("pk")).unwrap().count();
        (left == 0).then_some(())
    });
}

#[test]
fn the_token_is_in_no_answer() {
    let pk = listening_shop(&[]);
    let listens = listens(&pk);
    let socket = protocol::socket(&pk);
    for path in ["/v1/session", "/v1/state", "/v1/openapi.json"] {
        let (_, answer) = protocol::ask(&socket, "GET", path, "");
        assert!(!answer.to_string().contains(&listens.token), "{path}");
    }
    let bundle = pk.pk(["doctor", "--bundle", "report"]);
    assert!(bundle.code.is_some());
    let report = std::fs::read_to_string(pk.folder().join("report")).unwrap();
    assert!(!report.contains(&listens.token));
    down(pk);
}
