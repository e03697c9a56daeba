//! Between a run's terminal or input and those who read and type.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, watch};

use super::Input;
use super::alternate::UsualScreen;
use super::screen::Screen;
use crate::contain::Terminal;
use crate::domain::terminal::TerminalSize;
use crate::logs::StreamWriter;

/// Read at a time, in bytes: as much as the kernel gives at once.
const CHUNK: usize = 4096;

/// What a terminal may still hold when its last program has ended, in bytes.
const REST: usize = 1 << 20;

/// How often a terminal that nobody has open is looked at again.
const REOPENED: Duration = Duration::from_millis(50);

/// Moves what the run writes to the log, and to its screen if it has one, until `stop`
/// resolves and what is there has been taken.
pub(in crate::supervisor) async fn pump(
    terminal: Arc<Terminal>,
    screen: Option<Arc<Screen>>,
    mut writer: Box<dyn StreamWriter>,
    stop: impl Future<Output = ()>,
) {
    let mut usual = UsualScreen::default();
    let mut text = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut rest = None;
    tokio::pin!(stop);
    loop {
        std::future::poll_fn(|context| writer.poll_ready(context)).await;
        let read = match rest {
            Some(_) => terminal.read_now(&mut chunk),
            None => tokio::select! {
                biased;
                () = &mut stop => {
                    rest = Some(REST);
                    continue;
                }
                read = terminal.read(&mut chunk) => read,
            },
        };
        match read {
            Ok(length) if length > 0 => {
                let bytes = &chunk[..length];
                if let Some(screen) = &screen {
                    screen.feed(bytes);
                }
                text.clear();
                usual.take(bytes, &mut text);
                if !text.is_empty() {
                    writer.write(&text);
                }
                match &mut rest {
                    Some(left) if *left <= length => break,
                    Some(left) => *left -= length,
                    // One that floods lets the others have their turn.
                    None => tokio::task::yield_now().await,
                }
            }
            Ok(_) | Err(_) if rest.is_some() => break,
            // Nobody has it open; a program that has closed it may open it again by its name.
            Ok(_) | Err(_) => tokio::select! {
                () = &mut stop => rest = Some(REST),
                () = tokio::time::sleep(REOPENED) => {}
            },
        }
    }
    text.clear();
    usual.flush(&mut text);
    if !text.is_empty() {
        writer.write(&text);
    }
    writer.close();
    std::future::poll_fn(|context| writer.poll_kept(context)).await;
}

/// Types what comes, until nobody can send any more.
pub(in crate::supervisor) async fn type_into_terminal(
    terminal: Arc<Terminal>,
    mut inputs: mpsc::Receiver<Input>,
) {
    while let Some(input) = inputs.recv().await {
        let bytes = match input {
            Input::Bytes(bytes) => bytes,
            Input::End => Bytes::copy_from_slice(&[terminal.end_of_input()]),
        };
        if terminal.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Writes what comes into the pipe that the run reads, which is closed at the end.
pub(in crate::supervisor) async fn type_into_pipe(
    input: OwnedFd,
    mut inputs: mpsc::Receiver<Input>,
) {
    let Ok(mut pipe) = pipe::Sender::from_owned_fd(input) else {
        return;
    };
    while let Some(Input::Bytes(bytes)) = inputs.recv().await {
        // Nobody reads it any more: whoever types from here on is told so.
        if pipe.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Keeps the terminal at the size that its faces ask for.
pub(in crate::supervisor) async fn follow_size(
    terminal: Arc<Terminal>,
    mut sizes: watch::Receiver<TerminalSize>,
) {
    loop {
        // At first too: a face may have asked while the run was being started.
        let size = *sizes.borrow_and_update();
        // A terminal that has ended has no size any more.
        let _ = terminal.resize(size.rows, size.columns);
        if sizes.changed().await.is_err() {
            return;
        }
    }
}
