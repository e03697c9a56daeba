//! Writes without holding anybody up.
//!
//! A terminal that is paused, or a reader that does not read, blocks a write for as long as
//! it likes. So writes happen on a thread of their own: a signal is still heard meanwhile.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};

use tokio::sync::{mpsc, oneshot};

use super::progress::Progress;
use crate::cli::output;

/// How many pieces wait to be written; then the face waits, and falls behind the log.
const QUEUE: usize = 16;

/// Written at once, so that progress is seen.
const CHUNK: usize = 16 * 1024;

/// Why nothing more can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Nobody reads any more.
    #[error("the output is closed")]
    Closed,
    #[error("cannot write: {0}")]
    Failed(String),
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(output::reason(&error)),
        }
    }
}

#[derive(Debug)]
pub struct Printer {
    pieces: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
    failure: Arc<OnceLock<WriteError>>,
    progress: Arc<Progress>,
}

impl Printer {
    /// Prints to `out` until that fails.
    pub fn start(mut out: impl Write + Send + 'static, progress: Arc<Progress>) -> Self {
        let (pieces, mut queue) = mpsc::channel::<Vec<u8>>(QUEUE);
        let (finished, done) = oneshot::channel();
        let failure = Arc::new(OnceLock::new());
        let (failed, written) = (Arc::clone(&failure), Arc::clone(&progress));
        // Without a thread the queue is closed at once, as after a write that failed.
        let started = std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || {
                while let Some(piece) = queue.blocking_recv() {
                    if let Err(error) = write(&mut out, &piece, &written) {
                        let _ = failed.set(error.into());
                        break;
                    }
                }
                drop(queue);
                let _ = finished.send(());
            });
        if let Err(error) = started {
            let _ = failure.set(error.into());
        }
        Self {
            pieces,
            done,
            failure,
            progress,
        }
    }

    /// Queues a piece.
    ///
    /// # Errors
    /// A write has failed.
    pub async fn print(&self, piece: Vec<u8>) -> Result<(), WriteError> {
        if piece.is_empty() {
            return Ok(());
        }
        self.progress.queued(&piece);
        self.pieces.send(piece).await.map_err(|_| self.failed())
    }

    /// Resolves once a write has failed, also if nothing more is to be written.
    pub async fn broken(&self) -> WriteError {
        self.pieces.closed().await;
        self.failed()
    }

    fn failed(&self) -> WriteError {
        let failure = self.failure.get().cloned();
        failure.unwrap_or(WriteError::Closed)
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// A write has failed.
    pub async fn finish(self) -> Result<(), WriteError> {
        drop(self.pieces);
        let _ = self.done.await;
        self.failure.get().cloned().map_or(Ok(()), Err)
    }
}

fn write(out: &mut impl Write, piece: &[u8], progress: &Progress) -> io::Result<()> {
    for chunk in piece.chunks(CHUNK) {
        out.write_all(chunk)?;
        progress.wrote(chunk);
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn all_that_was_queued_is_written() {
        let sink = Sink::default();
        let printer = Printer::start(sink.clone(), Arc::default());
        for n in 0..100 {
            printer.print(format!("{n} ").into_bytes()).await.unwrap();
        }
        printer.finish().await.unwrap();
        let written = sink.0.lock().unwrap().clone();
        assert!(written.ends_with(b"98 99 "));
    }

    #[tokio::test]
    async fn a_closed_output_is_told() {
        let printer = Printer::start(Broken, Arc::default());
        let mut result = Ok(());
        for _ in 0..=QUEUE + 1 {
            result = printer.print(vec![b'x']).await;
        }
        assert_eq!(result, Err(WriteError::Closed));
        assert_eq!(printer.finish().await, Err(WriteError::Closed));
        let printer = Printer::start(Broken, Arc::default());
        printer.print(vec![b'x']).await.unwrap();
        assert_eq!(printer.broken().await, WriteError::Closed);
        let full = WriteError::from(io::Error::from_raw_os_error(28));
        assert_eq!(full.to_string(), "cannot write: No space left on device");
    }
}
