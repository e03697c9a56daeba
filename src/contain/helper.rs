//! Short commands beside a run: probes, stop commands, hooks.
//!
//! Each has a group of its own, so it neither keeps a run's group from being empty nor
//! outlives its deadline.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::time::{Instant, timeout_at};

use super::error::ContainError;
use super::group::Group;
use super::mechanism::Containment;
use super::request::SpawnRequest;
use crate::domain::exit::ExitStatus;

/// How a helper came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelperEnd {
    Exited(ExitStatus),
    /// Its deadline passed, and its whole group was killed.
    TimedOut,
}

/// What a helper left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct HelperOutput {
    pub end: HelperEnd,
    /// The last bytes of what it wrote, stdout and stderr as they came.
    pub tail: Vec<u8>,
}

/// How much of a helper's output is kept, in bytes.
const TAIL: usize = 8 * 1024;
const CHUNK: usize = 4096;
/// What a pipe holds unless it is told otherwise (`pipe(7)`).
const PIPE_CAPACITY: usize = 64 * 1024;

/// Runs a command in a group of its own until its first process ends or `limit` has passed;
/// what is left of the group then is killed. Dropping the future kills it as well.
///
/// # Errors
/// [`ContainError::Spawn`], [`ContainError::Wait`].
pub async fn run_helper(
    containment: &Containment,
    command: impl Into<SpawnRequest>,
    limit: Duration,
) -> Result<HelperOutput, ContainError> {
    let deadline = Instant::now() + limit;
    let group: Group = containment.group();
    let mut running = group.spawn(&command.into())?;
    let mut tail = Tail {
        pipes: (running.take_outputs().into_iter())
            .map(|output| receiver(output.fd))
            .collect::<io::Result<_>>()
            .map_err(ContainError::Wait)?,
        bytes: Vec::new(),
    };
    let ended = timeout_at(deadline, async {
        tokio::select! {
            statuses = running.exited() => statuses,
            () = tail.follow() => running.exited().await,
        }
    })
    .await;
    // Nothing of a helper outlives it: the number is still the group's own here.
    drop(group);
    tail.drain();
    let end = match ended {
        Ok(statuses) => {
            HelperEnd::Exited(statuses?.first().copied().unwrap_or(ExitStatus::SUCCESS))
        }
        Err(_) => HelperEnd::TimedOut,
    };
    Ok(HelperOutput {
        end,
        tail: tail.bytes,
    })
}

fn receiver(fd: OwnedFd) -> io::Result<Receiver> {
    Receiver::from_owned_fd(fd)
}

struct Tail {
    pipes: Vec<Receiver>,
    bytes: Vec<u8>,
}

impl Tail {
    /// Reads until every pipe is at its end.
    async fn follow(&mut self) {
        while !self.pipes.is_empty() {
            let readable = {
                let waits: Vec<_> = (self.pipes.iter())
                    .map(|pipe| Box::pin(pipe.readable()))
                    .collect();
                first(waits).await
            };
            let pipe = &self.pipes[readable];
            let mut chunk = [0; CHUNK];
            let read = pipe.try_read(&mut chunk);
            if !self.take(&chunk, read) {
                self.pipes.swap_remove(readable);
            }
        }
    }

    /// Takes what is buffered, without waiting. Bounded: who kept the pipe may go on writing.
    fn drain(&mut self) {
        for pipe in std::mem::take(&mut self.pipes) {
            for _ in 0..PIPE_CAPACITY / CHUNK {
                let mut chunk = [0; CHUNK];
                // Past the runtime, which may not have heard yet that there is something.
                match rustix::io::read(&pipe, &mut chunk) {
                    Ok(0) | Err(_) => break,
                    Ok(read) => {
                        self.take(&chunk, Ok(read));
                    }
                }
            }
        }
    }

    /// `false`: the pipe is at its end.
    fn take(&mut self, chunk: &[u8], read: io::Result<usize>) -> bool {
        match read {
            Ok(0) => false,
            Ok(read) => {
                self.bytes.extend_from_slice(&chunk[..read]);
                if self.bytes.len() > 2 * TAIL {
                    self.bytes.drain(..self.bytes.len() - TAIL);
                }
                true
            }
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

/// The index of the first future to be ready.
async fn first<F: Future + Unpin>(mut futures: Vec<F>) -> usize {
    std::future::poll_fn(move |context| {
        for (index, future) in futures.iter_mut().enumerate() {
            if std::pin::Pin::new(future).poll(context).is_ready() {
                return std::task::Poll::Ready(index);
            }
        }
        std::task::Poll::Pending
    })
    .await
}
