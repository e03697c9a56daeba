//! Pipes of real processes, pumped into a store.

use std::time::Duration;

use pk::contain::{
    Choice, Containment, Group, Mechanism, Pipe, Running, SpawnRequest, StageRequest,
};
use pk::domain::id::{Attempt, InstanceId, RunId};
use pk::logs::{
    Cut, LogError, LogLine, LogSink as _, LogSource as _, MemoryStore, Origin, PumpEnd, Selection,
    Start, Stream, pump,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

const RUN: RunId = RunId {
    instance: InstanceId(3),
    attempt: Attempt(1),
};

/// A run with its pumps, as a runner holds it.
struct Fixture {
    store: MemoryStore,
    group: Group,
    running: Running,
    stop: watch::Sender<bool>,
    pumps: JoinSet<Result<PumpEnd, LogError>>,
}

fn start(script: &str) -> Fixture {
    let store = MemoryStore::default();
    let only = Choice::Only(Mechanism::ProcessGroup);
    let group = Containment::choose(only).unwrap().group();
    let stage = StageRequest::new(["sh", "-c", script], "/");
    let mut running = group.spawn(&SpawnRequest::command(stage)).unwrap();
    let stop = watch::Sender::new(false);
    let mut pumps = JoinSet::new();
    for output in running.take_outputs() {
        let writer = store.open(Origin {
            run: RUN,
            stage: 0,
            stream: match output.pipe {
                Pipe::Stdout => Stream::Stdout,
                Pipe::Stderr => Stream::Stderr,
            },
        });
        let mut told = stop.subscribe();
        pumps.spawn(pump(output.fd, writer, async move {
            let _ = told.wait_for(|&told| told).await;
        }));
    }
    Fixture {
        store,
        group,
        running,
        stop,
        pumps,
    }
}

impl Fixture {
    async fn pumped(&mut self) -> Vec<PumpEnd> {
        let mut ends = Vec::new();
        while let Some(end) = soon(self.pumps.join_next()).await {
            ends.push(end.unwrap().unwrap());
        }
        ends
    }

    fn lines(&self) -> Vec<LogLine> {
        let mut cursor = self.store.cursor(Selection::All, Start::Oldest);
        self.store.read(&mut cursor, usize::MAX).lines
    }
}

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("not within the deadline")
}

#[tokio::test]
async fn every_line_is_there_once_with_its_stream_also_the_last_one() {
    let mut run = start("echo out; echo err >&2; printf 'last'");
    assert_eq!(run.pumped().await, [PumpEnd::EndOfFile; 2]);
    let mut found: Vec<_> = (run.lines().into_iter())
        .map(|line| (line.origin.stream, line.bytes, line.cut))
        .collect();
    found.sort_by_key(|(stream, ..)| *stream);
    assert_eq!(
        found,
        [
            (Stream::Stdout, "out".into(), Cut::Newline),
            (Stream::Stdout, "last".into(), Cut::Unterminated),
            (Stream::Stderr, "err".into(), Cut::Newline),
        ]
    );
}

#[tokio::test]
async fn a_hundred_thousand_lines_come_in_order() {
    let mut run = start("seq 0 99999");
    run.pumped().await;
    let lines = run.lines();
    assert_eq!(lines.len(), 100_000);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line.bytes, number.to_string(), "line {number}");
        assert_eq!(line.seq, number as u64);
    }
}

#[tokio::test]
async fn late_lines_of_a_descendant_are_kept_until_the_group_is_empty() {
    let mut run = start("(sleep 0.2; echo late; printf tail) & echo early; exit 0");
    soon(run.running.exited()).await.unwrap();
    soon(run.group.emptied()).await.unwrap();
    // Told to stop with everything still in the pipe, perhaps.
    run.stop.send_replace(true);
    run.pumped().await;
    let lines: Vec<_> = run.lines().into_iter().map(|line| line.bytes).collect();
    assert_eq!(lines, ["early", "late", "tail"]);
}

#[tokio::test]
async fn a_stranger_that_keeps_the_pipe_and_floods_it_holds_up_nothing() {
    let mut run = start("while :; do sleep 0.01; done");
    let pid = run.running.pid();
    let mut stranger = std::process::Command::new("sh")
        .args([
            "-c",
            &format!("exec >/proc/{pid}/fd/1 2>/proc/{pid}/fd/2; yes & exec sleep 1000"),
        ])
        .spawn()
        .unwrap();
    let mut wake = run.store.wake();
    soon(wake.wait_for(|lines| *lines > 1000)).await.unwrap();
    let _ = run.group.kill().unwrap();
    soon(run.running.exited()).await.unwrap();
    soon(run.group.emptied()).await.unwrap();
    run.stop.send_replace(true);
    let ends = run.pumped().await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert_eq!(ends, [PumpEnd::Stopped; 2]);
    run.group.release().await.unwrap();
}

#[tokio::test]
async fn what_is_in_the_pipe_is_taken_by_a_pump_that_is_told_to_stop_at_once() {
    let store = MemoryStore::default();
    let (read, write) = rustix::pipe::pipe().unwrap();
    rustix::io::write(&write, b"one\ntwo\nthr").unwrap();
    let writer = store.open(Origin {
        run: RUN,
        stage: 0,
        stream: Stream::Stdout,
    });
    let end = soon(pump(read, writer, std::future::ready(()))).await;
    assert_eq!(end.unwrap(), PumpEnd::Stopped);
    let texts: Vec<_> = (store.tail(RUN.instance, 9).into_iter())
        .map(|line| (line.bytes, line.cut))
        .collect();
    assert_eq!(
        texts,
        [
            ("one".into(), Cut::Newline),
            ("two".into(), Cut::Newline),
            ("thr".into(), Cut::Unterminated)
        ]
    );
    drop(write);
}
