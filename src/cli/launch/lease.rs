//! The lease: what face and supervisor have to say to each other before and beside the feed.
//!
//! ```text
//!  supervisor ─► face: Began, or Failed; later Ended, Panicked  a line of JSON each
//!  face ─► supervisor: that it gives the lease away             one byte
//!  its end, on either side: the other one has ended
//! ```

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, Interest};

use crate::control::ControlPort;
use crate::domain::outcome::Outcome;
use crate::domain::verdict::Verdict;

/// How long a supervisor that is ending may take to say its last word.
const LAST_WORD: Duration = Duration::from_secs(3);

/// The longest text of all words together.
const MAX: usize = 1 << 20;

/// What the lease is given away by.
const GIVEN_AWAY: u8 = b'd';

/// What a supervisor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The stack runs.
    Began {
        /// What is to be said before the first unit starts.
        opening: Vec<String>,
        /// Below which cgroup its groups are.
        stand: Option<PathBuf>,
    },
    /// It came to its verdict. The feed says so as well, but only behind all lines.
    Ended {
        verdict: Box<Verdict>,
        /// That of the task that all of it was for.
        outcome: Option<Outcome>,
        /// All that were ever written.
        lines: u64,
    },
    /// What is to be said when all is over, once the lease has ended.
    Noted { lines: Vec<String> },
    /// It cannot run, and the supervisor ends.
    Failed { what: String },
    /// A mistake in pk itself.
    Panicked { text: String },
}

/// The face's end.
#[derive(Debug)]
pub struct Lease {
    stream: UnixStream,
    text: Vec<u8>,
}

impl Lease {
    pub(super) fn new(stream: UnixStream) -> Self {
        let text = Vec::new();
        Self { stream, text }
    }

    /// The next word; `None`: the supervisor has ended without one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Word> {
        let stream = self.stream.try_clone().ok()?;
        stream.set_nonblocking(true).ok()?;
        let mut stream = tokio::net::UnixStream::from_std(stream).ok()?;
        let mut chunk = [0; 4096];
        loop {
            if let Some(word) = self.take() {
                return Some(word);
            }
            match stream.read(&mut chunk).await {
                Ok(read @ 1..) if self.text.len() < MAX => {
                    self.text.extend_from_slice(&chunk[..read]);
                }
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn take(&mut self) -> Option<Word> {
        let end = memchr::memchr(b'\n', &self.text)?;
        let rest = self.text.split_off(end + 1);
        let line = std::mem::replace(&mut self.text, rest);
        serde_json::from_slice(&line).ok()
    }

    /// Gives the lease away: the stack goes on when this process ends.
    ///
    /// # Errors
    /// The supervisor is gone.
    pub fn give_away(mut self) -> io::Result<()> {
        self.stream.write_all(&[GIVEN_AWAY])
    }

    /// Ends the lease: the supervisor is not needed any more.
    pub(super) fn let_go(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }

    /// Ends the lease, and waits for the supervisor's end: what it said since the first word.
    pub(super) fn end(mut self) -> Vec<Word> {
        self.let_go();
        let _ = self.stream.set_nonblocking(false);
        let _ = self.stream.set_read_timeout(Some(LAST_WORD));
        let mut rest = [0; 4096];
        while self.text.len() < MAX {
            match self.stream.read(&mut rest) {
                Ok(read @ 1..) => self.text.extend_from_slice(&rest[..read]),
                Ok(_) | Err(_) => break,
            }
        }
        std::iter::from_fn(|| self.take()).collect()
    }
}

/// What became of a lease, as its supervisor sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The stack goes on by itself.
    GivenAway,
    /// The face has ended, or has seen all that it wanted.
    FaceGone,
}

/// The supervisor's end.
#[derive(Debug)]
pub(super) struct Leased {
    stream: UnixStream,
}

impl Leased {
    pub fn new(stream: UnixStream) -> Self {
        Self { stream }
    }

    /// For who says a word from elsewhere.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.stream.try_clone().map(Self::new)
    }

    /// A face that is gone is noticed elsewhere, and one that has stopped to read is not
    /// waited for.
    pub fn say(&self, word: &Word) {
        if let Ok(mut line) = serde_json::to_vec(word) {
            line.push(b'\n');
            let _ = (&self.stream).write_all(&line);
        }
    }

    /// Says how the stack has ended.
    pub fn say_ended(&self, port: &dyn ControlPort, task: Option<&str>) {
        let snapshots = port.snapshots();
        let last = Arc::clone(&snapshots.borrow());
        let Some(verdict) = &last.verdict else {
            return;
        };
        let outcome = task.and_then(|task| last.get(task)?.outcome.clone());
        self.say(&Word::Ended {
            verdict: Box::new(verdict.clone()),
            outcome,
            lines: port.logs().taken(),
        });
    }

    /// Resolves once the lease has ended.
    pub async fn ended(&self) -> Ended {
        let gone = Ended::FaceGone;
        let Ok(stream) = self.stream.try_clone() else {
            return gone;
        };
        if stream.set_nonblocking(true).is_err() {
            return gone;
        }
        let Ok(stream) = tokio::net::UnixStream::from_std(stream) else {
            return gone;
        };
        loop {
            let mut word = [0];
            match stream.try_read(&mut word) {
                Ok(1) if word == [GIVEN_AWAY] => return Ended::GivenAway,
                Ok(1) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if stream.ready(Interest::READABLE).await.is_err() {
                        return gone;
                    }
                }
                Ok(_) | Err(_) => return gone,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Lease, Leased) {
        let (face, supervisor) = UnixStream::pair().unwrap();
        (Lease::new(face), Leased::new(supervisor))
    }

    fn panicked(text: &str) -> Word {
        let text = text.to_owned();
        Word::Panicked { text }
    }

    #[tokio::test]
    async fn words_arrive_in_order() {
        let (mut lease, leased) = pair();
        let began = Word::Began {
            opening: vec!["shop: 5 units".into()],
            stand: Some("/sys/fs/cgroup/pk.1.2".into()),
        };
        leased.say(&began);
        leased.say(&panicked("one"));
        assert_eq!(lease.next().await, Some(began));
        leased.try_clone().unwrap().say(&panicked("two"));
        drop(leased);
        assert_eq!(lease.end(), [panicked("one"), panicked("two")]);
    }

    #[tokio::test]
    async fn a_supervisor_that_ends_without_a_word_is_noticed() {
        let (mut lease, leased) = pair();
        drop(leased);
        assert_eq!(lease.next().await, None);
    }

    #[tokio::test]
    async fn how_a_lease_ends_is_told_apart() {
        let (lease, leased) = pair();
        drop(lease);
        assert_eq!(leased.ended().await, Ended::FaceGone);
        let (lease, leased) = pair();
        lease.give_away().unwrap();
        assert_eq!(leased.ended().await, Ended::GivenAway);
    }
}
