//! How soon things start: `cargo bench --bench start`.
//!
//! - from exec of pk to its first process, of a file with ten services;
//! - from the opening of a port, 30 ms after the spawn, to the start of who waits for it;
//! - the shop of `examples/` to ready, against the sum along its critical path, started by
//!   hand as fast as its parts allow.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench fails by panicking and prints its figures"
)]

mod bounds;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

const PK: &str = env!("CARGO_BIN_EXE_pk");
const SHOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop");

fn main() -> ExitCode {
    // `cargo test` builds benches and may run them: only `cargo bench` measures.
    if !std::env::args().any(|arg| arg == "--bench") {
        return ExitCode::SUCCESS;
    }
    let mut bounds = bounds::Bounds::new();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let first = median(15, first_process);
    let text = format!("exec of pk to its first process, 10 services, ms: {first:?}");
    bounds.hold(&text, millis(first), 15.0);
    let late = median(20, port_to_dependent);
    let text = format!("port open to start of its dependent, ms: {late:?}");
    bounds.hold(&text, millis(late), 20.0);
    let by_hand = median(5, shop_by_hand);
    let by_pk = median(5, shop_by_pk);
    let ratio = by_pk.as_secs_f64() / by_hand.as_secs_f64();
    let text = format!(
        "shop to ready: {by_pk:?}; its critical path by hand: {by_hand:?}; ratio {ratio:.2}"
    );
    bounds.hold(&text, ratio, 1.3);
    bounds.end()
}

fn median(runs: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..runs).map(|_| measure()).collect();
    times.sort();
    times[runs / 2]
}

fn pk(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PK);
    command.arg("-C").arg(folder).args(args);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn stop(mut pk: Child) {
    let pid = rustix::process::Pid::from_child(&pk);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    pk.wait().unwrap();
}

fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within 20 s");
        sleep(Duration::from_micros(200));
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

fn first_process() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let mut file = "services:\n".to_owned();
    for n in 0..10 {
        file.push_str(&format!("  s{n}: {{command: [sleep, '100']}}\n"));
    }
    fs::write(folder.path().join("pk.yaml"), file).unwrap();
    let began = Instant::now();
    let running = pk(folder.path(), &["up"]).spawn().unwrap();
    let children = format!("/proc/{}/task", running.id());
    let took = until(|| {
        let threads = fs::read_dir(&children).ok()?;
        let any = threads.flatten().any(|thread| {
            fs::read_to_string(thread.path().join("children")).is_ok_and(|text| !text.is_empty())
        });
        any.then(|| began.elapsed())
    });
    stop(running);
    took
}

fn port_to_dependent() -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = format!(
        "use IO::Socket::INET; select(undef, undef, undef, 0.03); \
         my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => {port}, \
         Listen => 8, ReuseAddr => 1) or die; open(my $f, '>', 'open'); close $f; sleep 100"
    );
    let file = format!(
        "services:\n  late:\n    command: [perl, -e, \"{server}\"]\n    readiness: {{tcp: {port}}}\n\
         tasks:\n  next: {{command: ': > started', depends_on: [late]}}\n"
    )
    .replace("$s", "$$s")
    .replace("$f", "$$f");
    fs::write(folder.path().join("pk.yaml"), file).unwrap();
    let running = pk(folder.path(), &["up"]).spawn().unwrap();
    let started = until(|| modified(&folder.path().join("started")));
    let open = modified(&folder.path().join("open")).unwrap();
    stop(running);
    started.duration_since(open).unwrap_or_default()
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.ends_with(b"200")
}

/// Ports that nobody has right now: database, API, web.
fn ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

fn shop_by_hand() -> Duration {
    let [db, api, web] = ports();
    let run = |program: &str, script: &str| {
        let mut command = Command::new(program);
        command.arg(script).current_dir(SHOP).stdout(Stdio::null());
        for (name, port) in [("DB_PORT", db), ("API_PORT", api), ("WEB_PORT", web)] {
            command.env(name, port.to_string());
        }
        command.spawn().unwrap()
    };
    let began = Instant::now();
    let mut running = vec![run("perl", "db.pl")];
    until(|| TcpStream::connect(("127.0.0.1", db)).ok());
    assert!(run("bash", "migrate.sh").wait().unwrap().success());
    running.push(run("perl", "api.pl"));
    until(|| answers(api, "/ready").then_some(()));
    running.push(run("perl", "web.pl"));
    until(|| answers(web, "/").then_some(()));
    let took = began.elapsed();
    for mut child in running {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    took
}

fn shop_by_pk() -> Duration {
    let [db, api, web] = ports();
    let mut command = pk(Path::new(SHOP), &["up", "--ci"]);
    for (name, port) in [
        ("SHOP_DB_PORT", db),
        ("SHOP_API_PORT", api),
        ("SHOP_WEB_PORT", web),
    ] {
        command.env(name, port.to_string());
    }
    let began = Instant::now();
    let running = command.spawn().unwrap();
    until(|| answers(web, "/").then_some(()));
    let took = began.elapsed();
    stop(running);
    took
}
