//! Groups of real processes.

mod alone;
mod groups;
mod helpers;
mod pipelines;
mod spawn_errors;

use std::time::Duration;

use pk::contain::{Containment, Group, Output, Running, SpawnRequest, StageRequest};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

fn containment() -> Containment {
    Containment::detect().unwrap()
}

fn sh(script: &str) -> StageRequest {
    StageRequest::new(["sh", "-c", script], "/")
}

fn spawn(script: &str) -> (Group, Running) {
    let group = containment().group();
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
