//! Asking systemd's user manager for a scope, of a bus that is played here.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pk::contain::{Containment, SpawnRequest};

use super::{in_a_cgroup, say, sh, soon};

/// Set in the process that asks.
const ROLE: &str = "PK_TEST_SCOPE";

/// Whom no file here belongs to.
const NOBODY: u32 = 65534;

/// What the process does that asks: the same as any that uses this.
#[test]
fn role() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let containment = Containment::detect().unwrap();
        let group = containment.group();
        let running = group.spawn(&SpawnRequest::command(sh("exit 0"))).unwrap();
        soon(running.exited()).await.unwrap();
        println!(
            "held by {}: {}.",
            containment.mechanism(),
            containment.reason()
        );
        if let Some(path) = group.cgroup_path() {
            println!("in {}.", path.display());
        }
    });
}

/// Runs the role as an ordinary user, with its bus there.
fn ask(bus: &Path) -> Output {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        let user = format!("--reuid={NOBODY}");
        command.args([&user, &format!("--regid={NOBODY}"), "--clear-groups"]);
        command.arg(std::env::current_exe().unwrap());
        command
    } else {
        Command::new(std::env::current_exe().unwrap())
    };
    command
        .args(["contain::scope::role", "--exact", "--nocapture"])
        .current_dir("/")
        .env(ROLE, "1")
        .env(
            "DBUS_SESSION_BUS_ADDRESS",
            format!("unix:path={},guid=12", bus.display()),
        )
        .output()
        .unwrap()
}

/// The socket of a bus, in a folder that everybody may enter.
fn bus() -> (tempfile::TempDir, PathBuf, UnixListener) {
    let folder = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), everybody.clone()).unwrap();
    let path = folder.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, everybody).unwrap();
    (folder, path, listener)
}

/// Lets its user in, as the specification says, and greets him.
fn greet(listener: &UnixListener) -> UnixStream {
    let (mut stream, _) = listener.accept().unwrap();
    let asked = line(&mut stream);
    let uid = asked.strip_prefix("\0AUTH EXTERNAL ").unwrap();
    let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
    let hex: String = (peer.uid.as_raw().to_string().bytes())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(uid.trim_end(), hex);
    stream.write_all(b"OK 1234deadbeef\r\n").unwrap();
    assert_eq!(line(&mut stream), "BEGIN\r\n");
    let hello = call(&mut stream);
    assert!(holds(&hello, b"Hello"));
    // Something that nobody asked for comes first.
    answer(&mut stream, 4, 77, "s", &string("org.example.Signal"));
    answer(&mut stream, 2, 1, "s", &string(":1.7"));
    stream
}

fn line(stream: &mut UnixStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        line.push(byte[0]);
    }
    String::from_utf8(line).unwrap()
}

/// One whole message.
fn call(stream: &mut UnixStream) -> Vec<u8> {
    let mut message = vec![0; 16];
    stream.read_exact(&mut message).unwrap();
    assert_eq!(message[..2], [b'l', 1], "a call, little-endian");
    let word = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap()) as usize;
    let length = (16 + word(12)).next_multiple_of(8) + word(4);
    message.resize(length, 0);
    stream.read_exact(&mut message[16..]).unwrap();
    message
}

fn holds(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}

fn string(text: &str) -> Vec<u8> {
    let mut bytes = u32::try_from(text.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend(text.as_bytes());
    bytes.push(0);
    bytes
}

/// Answers with one string.
fn answer(stream: &mut UnixStream, kind: u8, to: u32, signature: &str, body: &[u8]) {
    let mut fields = vec![5, 1, b'u', 0];
    fields.extend(to.to_le_bytes());
    fields.extend([8, 1, b'g', 0, 1]);
    fields.extend(signature.as_bytes());
    fields.extend([0, 0]);
    if kind == 3 {
        fields.resize(fields.len().next_multiple_of(8), 0);
        fields.extend([4, 1, b's', 0]);
        fields.extend(string("org.freedesktop.DBus.Error.AccessDenied"));
    }
    let mut message = vec![b'l', kind, 0, 1];
    message.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    message.extend(9u32.to_le_bytes());
    message.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    message.extend(fields);
    message.resize(message.len().next_multiple_of(8), 0);
    message.extend(body);
    stream.write_all(&message).unwrap();
}

fn said(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Whether an ordinary user can write no cgroup here, as in a login session.
fn needs_one() -> bool {
    let needs = rustix::process::geteuid().is_root() || in_a_cgroup().is_none();
    if !needs {
        say("NOT RUN: asking for a scope: there is a cgroup without asking");
    }
    needs
}

#[test]
fn what_the_manager_refuses_is_told() {
    if !needs_one() {
        return;
    }
    let (_folder, path, listener) = bus();
    let manager = std::thread::spawn(move || {
        let mut stream = greet(&listener);
        assert!(holds(&call(&mut stream), b"StartTransientUnit"));
        answer(&mut stream, 3, 2, "s", &string("not today"));
    });
    let said = said(&ask(&path));
    manager.join().unwrap();
    assert!(
        said.contains("held by process-group: no cgroup: ")
            && said.contains("systemd's user manager was asked, but it refuses a scope: not today"),
        "{said}"
    );
}

#[test]
fn a_bus_that_hangs_up_is_told() {
    if !needs_one() {
        return;
    }
    let (_folder, path, listener) = bus();
    let manager = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let said = said(&ask(&path));
    manager.join().unwrap();
    assert!(said.contains("cannot be spoken to"), "{said}");
}

#[test]
fn without_a_bus_nothing_is_said_of_it() {
    if !needs_one() {
        return;
    }
    let said = said(&ask(Path::new("/no/such/bus")));
    assert!(
        said.contains("held by process-group: no cgroup: ") && !said.contains("manager"),
        "{said}"
    );
}

/// Removed when it is dropped.
struct Scope(PathBuf);

impl Drop for Scope {
    fn drop(&mut self) {
        for _ in 0..1000 {
            if std::fs::remove_dir(&self.0).is_ok() || !self.0.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

#[tokio::test]
async fn a_scope_that_is_given_is_used() {
    if !rustix::process::geteuid().is_root() {
        return say("NOT RUN: a scope that is given: only root can play who gives one");
    }
    let Some(containment) = in_a_cgroup() else {
        return;
    };
    let group = containment.group();
    let _running = group.spawn(&SpawnRequest::command(sh("true"))).unwrap();
    let own = group.cgroup_path().unwrap().ancestors().nth(2).unwrap();
    let own = own.to_owned();
    let (_folder, path, listener) = bus();
    let manager = std::thread::spawn(move || {
        let mut stream = greet(&listener);
        let asked = call(&mut stream);
        let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
        let pid = peer.pid.as_raw_nonzero().get();
        let name = format!("pk-{pid}.scope");
        for part in [name.as_bytes(), b"StartTransientUnit", b"Delegate", b"PIDs"] {
            assert!(holds(&asked, part), "{}", String::from_utf8_lossy(&asked));
        }
        assert!(holds(
            &asked,
            &[4u32.to_le_bytes(), pid.to_le_bytes()].concat()
        ));
        let scope = Scope(own.join(name));
        std::fs::create_dir(&scope.0).unwrap();
        for file in [
            "",
            "cgroup.procs",
            "cgroup.threads",
            "cgroup.subtree_control",
        ] {
            let file = scope.0.join(file);
            std::os::unix::fs::chown(file, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        std::fs::write(scope.0.join("cgroup.procs"), pid.to_string()).unwrap();
        answer(
            &mut stream,
            2,
            2,
            "o",
            &string("/org/freedesktop/systemd1/job/1"),
        );
        scope
    });
    let output = tokio::task::spawn_blocking(move || ask(&path))
        .await
        .unwrap();
    let scope = manager.join().unwrap();
    let said = said(&output);
    assert!(
        said.contains("held by cgroup: the strongest here."),
        "{said}"
    );
    assert!(
        said.contains(&format!("in {}/pk.", scope.0.display())),
        "{said}"
    );
}
