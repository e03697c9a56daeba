//! Writes without holding anybody up.
//!
//! A terminal that is paused, or a reader that does not read, blocks a write for as long as
//! it likes. So writes happen on a thread of their own: a signal is still heard meanwhile.

use std::io::Write;

use tokio::sync::{mpsc, oneshot};

/// How many pieces wait to be written; then the face waits, and falls behind the log.
const QUEUE: usize = 16;

/// Nobody reads any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output is closed")]
pub struct Closed;

#[derive(Debug)]
pub struct Printer {
    pieces: mpsc::Sender<Vec<u8>>,
    done: oneshot::Receiver<()>,
}

impl Printer {
    /// Prints to `out` until that fails.
    pub fn start(mut out: impl Write + Send + 'static) -> Self {
        let (pieces, mut queue) = mpsc::channel::<Vec<u8>>(QUEUE);
        let (finished, done) = oneshot::channel();
        // Without a thread the queue is closed at once, which is what a closed output is.
        let _ = std::thread::Builder::new()
            .name("printer".to_owned())
            .spawn(move || {
                while let Some(piece) = queue.blocking_recv() {
                    if out.write_all(&piece).and_then(|()| out.flush()).is_err() {
                        break;
                    }
                }
                drop(queue);
                let _ = finished.send(());
            });
        Self { pieces, done }
    }

    /// Queues a piece.
    ///
    /// # Errors
    /// A write has failed.
    pub async fn print(&self, piece: Vec<u8>) -> Result<(), Closed> {
        if piece.is_empty() {
            return Ok(());
        }
        self.pieces.send(piece).await.map_err(|_| Closed)
    }

    /// Waits until all is written.
    pub async fn finish(self) {
        drop(self.pieces);
        let _ = self.done.await;
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

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
        let printer = Printer::start(sink.clone());
        for n in 0..100 {
            printer.print(format!("{n} ").into_bytes()).await.unwrap();
        }
        printer.finish().await;
        let written = sink.0.lock().unwrap().clone();
        assert!(written.ends_with(b"98 99 "));
    }

    #[tokio::test]
    async fn a_closed_output_is_told() {
        let printer = Printer::start(Broken);
        let mut result = Ok(());
        for _ in 0..=QUEUE + 1 {
            result = printer.print(vec![b'x']).await;
        }
        assert_eq!(result, Err(Closed));
        printer.finish().await;
    }
}
