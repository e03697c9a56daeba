//! How soon a running stack answers: `cargo bench --bench control`.
//!
//! - `pk ps` from a shell, against `curl --unix-socket` of the same pages;
//! - the state of 100 units over a connection that is kept, against a bare round trip over a
//!   Unix socket, while a unit logs as fast as it can;
//! - 10,000 units that start at once, against 1,000: told to whoever follows, in time that
//!   grows with their number.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod bounds;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const PK: &str = env!("CARGO_BIN_EXE_pk");

fn main() -> ExitCode {
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bounds = bounds::Bounds::new();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    {
        let stack = Stack::start(&hundred(), &["up"]);
        let (ps, curl) = shell(&stack);
        let ratio = ps.as_secs_f64() / curl.as_secs_f64();
        let text = format!("pk ps: {ps:?}; curl of the same pages: {curl:?}; ratio {ratio:.2}");
        bounds.hold(&text, ratio, 1.5);
    }
    {
        let mut file = hundred();
        file.push_str("  loud: {command: [yes, a line that a unit writes]}\n");
        let stack = Stack::start(&file, &["up"]);
        // Until it logs at full speed.
        std::thread::sleep(Duration::from_secs(1));
        let bare = percentiles(bare_round_trip(4000));
        let (state, length) = state(&stack, 4000);
        let state = percentiles(state);
        let text = format!(
            "state of 101 units ({length} bytes), p50 {:?}; bare round trip {:?}",
            state.0, bare.0
        );
        bounds.hold(&text, micros(state.0) / micros(bare.0), 5.0);
        let text = format!(
            "the same, p99, ms, beside a unit at full speed: {:?}",
            state.1
        );
        bounds.hold(&text, micros(state.1) / 1e3, 2.0);
        let own = ask(&stack.socket, "/v1/diagnostics");
        println!("{}", own.split("\r\n\r\n").nth(1).unwrap_or_default());
    }
    // Each may live at the same moment as all others, and has some descriptors then.
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = limit.map_or(10_000, |limit| (limit as usize / 8).min(10_000));
    let (few, many) = (starting(most / 10), starting(most));
    let ratio = many.as_secs_f64() / few.as_secs_f64() / 10.0;
    let text = format!(
        "starting at once, until all is told: {} in {few:?}, {most} in {many:?}; per unit {ratio:.2}",
        most / 10
    );
    bounds.hold(&text, ratio, 1.5);
    bounds.end()
}

/// A stack, until it is dropped.
struct Stack {
    folder: tempfile::TempDir,
    up: Child,
    socket: PathBuf,
}

fn pk(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PK);
    command
        .args(args)
        .current_dir(folder)
        .env("XDG_RUNTIME_DIR", folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

impl Stack {
    fn start(file: &str, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("pk.yaml"), file).unwrap();
        let up = pk(folder.path(), args).spawn().unwrap();
        let socket = until(|| {
            let entries = fs::read_dir(folder.path().join("pk")).ok()?;
            let mut paths = entries.flatten().map(|entry| entry.path());
            paths.find(|path| path.extension().is_some_and(|end| end == "sock"))
        });
        let waited = pk(folder.path(), &["wait", "--all", "--for", "started"]).status();
        assert!(waited.unwrap().success());
        Self { folder, up, socket }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let _ = pk(self.folder.path(), &["down", "--now"]).status();
        let _ = self.up.wait();
    }
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 20 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn hundred() -> String {
    let mut file = "name: hundred\nservices:\n".to_owned();
    for unit in 0..100 {
        let _ = writeln!(file, "  unit-{unit}: {{command: [sleep, '1000']}}");
    }
    file
}

/// The medians of one after the other, so that both have the same machine.
fn shell(stack: &Stack) -> (Duration, Duration) {
    let socket = stack.socket.to_str().unwrap();
    let timed = |command: &mut Command| {
        let began = Instant::now();
        assert!(command.status().unwrap().success());
        began.elapsed()
    };
    let (mut own, mut curls) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        own.push(timed(&mut pk(stack.folder.path(), &["ps"])));
        let mut curl = Command::new("curl");
        curl.args(["-s", "--unix-socket", socket])
            .args(["http://pk/v1/state", "http://pk/v1/ports"])
            .stdout(Stdio::null());
        curls.push(timed(&mut curl));
    }
    (percentiles(own).0, percentiles(curls).0)
}

/// The 50th and the 99th.
fn percentiles(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn bare_round_trip(count: usize) -> Vec<Duration> {
    let (mut one, mut other) = UnixStream::pair().unwrap();
    let echo = std::thread::spawn(move || {
        let mut byte = [0];
        while other.read_exact(&mut byte).is_ok() && other.write_all(&byte).is_ok() {}
    });
    let mut byte = [7];
    let times = (0..count)
        .map(|_| {
            let began = Instant::now();
            one.write_all(&byte).unwrap();
            one.read_exact(&mut byte).unwrap();
            began.elapsed()
        })
        .collect();
    drop(one);
    echo.join().unwrap();
    times
}

fn ask(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: pk\r\nconnection: close\r\n\r\n"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The times, and how long an answer is.
fn state(stack: &Stack, count: usize) -> (Vec<Duration>, usize) {
    let mut stream = UnixStream::connect(&stack.socket).unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut length = 0;
    let times = (0..count)
        .map(|_| {
            let began = Instant::now();
            stream
                .write_all(b"GET /v1/state HTTP/1.1\r\nhost: pk\r\n\r\n")
                .unwrap();
            length = 0;
            let mut whole = usize::MAX;
            while length < whole {
                let read = stream.read(&mut buffer[length..]).unwrap();
                assert!(read > 0);
                length += read;
                if whole == usize::MAX
                    && let Some(end) = buffer[..length].windows(4).position(|w| w == b"\r\n\r\n")
                {
                    let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                    let body = head.split("content-length: ").nth(1).unwrap();
                    let body: usize = body.split("\r\n").next().unwrap().parse().unwrap();
                    whole = end + 4 + body;
                }
            }
            began.elapsed()
        })
        .collect();
    (times, length)
}

/// How long it takes from the start of `pk` until all units have run and been told of.
fn starting(count: usize) -> Duration {
    let mut file = "name: many\ntasks:\n".to_owned();
    for unit in 0..count {
        let _ = writeln!(file, "  unit-{unit}: {{command: ['true']}}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pk.yaml"), file).unwrap();
    let began = Instant::now();
    let ended = pk(folder.path(), &["up", "--ci"]).status().unwrap();
    let took = began.elapsed();
    assert!(ended.success());
    took
}
