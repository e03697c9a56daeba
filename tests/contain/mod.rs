//! Groups of real processes.

/// Two tests for each of these: `NAME::in_a_cgroup` and `NAME::in_a_process_group`.
macro_rules! under_each_mechanism {
    ($($name:ident,)+) => {$(
        mod $name {
            #[tokio::test]
            async fn in_a_cgroup() {
                if let Some(containment) = $crate::contain::in_a_cgroup() {
                    super::$name(containment).await;
                }
            }

            #[tokio::test]
            async fn in_a_process_group() {
                super::$name($crate::contain::in_a_process_group()).await;
            }
        }
    )+};
}
use under_each_mechanism;

mod alone;
mod control;
mod groups;
mod hardship;
mod helpers;
mod keepers;
mod left_overs;
mod no_fork;
mod options;
mod pid_namespace;
mod pid_reuse;
mod pipelines;
mod scope;
mod spawn_errors;
mod users;
mod zoo;

use std::io::Write as _;
use std::time::Duration;

use pk::contain::{
    Choice, Containment, Group, Mechanism, Output, Running, SpawnRequest, StageRequest,
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// Set where cgroups must be had: a test that cannot run for want of them fails.
const MUST: &str = "PK_TEST_MUST_HAVE_CGROUPS";

/// `None`: none can be written here, which is said.
pub fn in_a_cgroup() -> Option<Containment> {
    match Containment::choose(Choice::Only(Mechanism::Cgroup)) {
        Ok(containment) => Some(containment),
        Err(error) => {
            let must = std::env::var_os(MUST).is_some()
                || rustix::process::geteuid().is_root()
                    && std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!must, "{error}");
            let thread = std::thread::current();
            say(&format!(
                "NOT RUN: {}: {error}",
                thread.name().unwrap_or("a test")
            ));
            None
        }
    }
}

/// Past the capture of the test harness.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn in_a_process_group() -> Containment {
    Containment::choose(Choice::Only(Mechanism::ProcessGroup)).unwrap()
}

/// `None`: none can be made here, which is said.
pub fn in_a_pid_namespace() -> Option<Containment> {
    match Containment::choose(Choice::Only(Mechanism::PidNamespace)) {
        Ok(containment) => Some(containment),
        Err(error) => {
            let thread = std::thread::current();
            say(&format!(
                "NOT RUN: {}: {error}",
                thread.name().unwrap_or("a test")
            ));
            None
        }
    }
}

fn sh(script: &str) -> StageRequest {
    StageRequest::new(["sh", "-c", script], "/")
}

fn spawn(containment: &Containment, script: &str) -> (Group, Running) {
    let group = containment.group();
    let running = group.spawn(&SpawnRequest::command(sh(script))).unwrap();
    (group, running)
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("not within the deadline")
}

/// Polls until `holds` does.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let _ = what;
    })
    .await;
}

/// Everything that a pipe carries until its end.
async fn text(output: Output) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(output.fd).unwrap();
    let mut all = String::new();
    soon(pipe.read_to_string(&mut all)).await.unwrap();
    all
}

/// The first line, while the pipe stays open.
async fn line(
    output: Output,
) -> (
    String,
    tokio::io::BufReader<tokio::net::unix::pipe::Receiver>,
) {
    use tokio::io::AsyncBufReadExt as _;
    let pipe = tokio::net::unix::pipe::Receiver::from_owned_fd(output.fd).unwrap();
    let mut reader = tokio::io::BufReader::new(pipe);
    let mut line = String::new();
    soon(reader.read_line(&mut line)).await.unwrap();
    (line.trim_end().to_owned(), reader)
}

/// Whether the process lives, zombies not counted.
fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(')')
            .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    })
}

/// Whether a process of that number is there, be it a zombie.
fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
