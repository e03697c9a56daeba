//! The example `visits`: real servers, where they are installed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Pk, Running, free_port, package};

/// What the example itself needs.
pub const SERVERS: &[&str] = &[
    "initdb",
    "psql",
    "redis-server",
    "redis-cli",
    "nginx",
    "python3-psycopg2",
];

/// With what Debian keeps beside the PATH.
const SEARCH: &str = "PATH=$PATH:/usr/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' :)";

/// Says which of the programs are missing; in CI, which installs them, that is a failure.
pub fn missing(what: &str, programs: &[&str]) -> bool {
    let has = |program: &&str| {
        let script = match *program {
            "python3-psycopg2" => "/usr/bin/python3 -c 'import psycopg2'",
            _ => &format!("{SEARCH}; command -v \"$1\""),
        };
        Command::new("sh")
            .args(["-c", script, "sh", program])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let missing: Vec<&&str> = programs.iter().filter(|program| !has(program)).collect();
    let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(missing.is_empty() || !is_ci, "CI has no {missing:?}");
    if !missing.is_empty() {
        let text = format!("not tried: {what} needs {missing:?}\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
    !missing.is_empty()
}

/// Where one copy of the example keeps its data and listens.
#[derive(Debug)]
pub struct Place {
    data: tempfile::TempDir,
    postgres: u16,
    redis: u16,
    pub http: u16,
    app: u16,
}

impl Place {
    pub fn new() -> Self {
        let data = tempfile::Builder::new()
            .prefix("pk-data-")
            .tempdir()
            .unwrap();
        // The servers give up root, and must reach their files all the same.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(data.path(), open).unwrap();
        Self {
            data,
            postgres: free_port(),
            redis: free_port(),
            http: free_port(),
            app: free_port(),
        }
    }

    pub fn data(&self) -> &Path {
        self.data.path()
    }

    pub fn env(&self) -> [(&'static str, String); 5] {
        [
            ("VISITS_DATA", self.data().display().to_string()),
            ("VISITS_PG_PORT", self.postgres.to_string()),
            ("VISITS_REDIS_PORT", self.redis.to_string()),
            ("VISITS_HTTP_PORT", self.http.to_string()),
            ("VISITS_APP_PORT", self.app.to_string()),
        ]
    }

    /// A command line in a copy of the example, which the test may change.
    pub fn pk<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Pk {
        let mut pk = Pk::new(args);
        let example = package().join("examples/visits");
        for file in std::fs::read_dir(example).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            pk = pk.file(file.file_name().to_str().unwrap(), &text);
        }
        self.env()
            .iter()
            .fold(pk, |pk, (name, value)| pk.env(name, value))
    }

    /// The same from another terminal, while it runs.
    pub fn other<'a>(&self, pk: &Running, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = pk.other(args);
        command.envs(self.env());
        command
    }

    /// A program that works on these servers.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{SEARCH}; exec \"$@\""), "sh", program])
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.postgres.to_string())
            .env("PGUSER", "pk")
            .env("PGDATABASE", "postgres")
            .env("REDIS_PORT", self.redis.to_string());
        command
    }

    pub fn redis_port(&self) -> String {
        self.redis.to_string()
    }
}

/// One request through nginx: the status and the body, if the whole of both came back.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}");
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))?;
    (length.parse() == Ok(body.len())).then(|| (status, body.to_owned()))
}
