//! What is live, brought from a stack in another process for as long as somebody looks.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::protocol::{Drawn, ErrorCode, Typed, Written};
use super::terminal::{Input, TerminalError, TerminalEvent, TerminalWatch};
use super::wire::{self, EventStream, WireError};
use crate::domain::stats::StackStats;
use crate::domain::terminal::TerminalSize;

/// Events of a terminal that may wait here for a face; the rest waits at the other side.
const WAITING: usize = 16;

/// Brings samples while anybody looks at them.
#[derive(Debug)]
pub(super) struct RemoteStats {
    latest: Arc<watch::Sender<Arc<StackStats>>>,
    bringing: Mutex<Option<AbortHandle>>,
}

impl Default for RemoteStats {
    fn default() -> Self {
        Self {
            latest: Arc::new(watch::Sender::default()),
            bringing: Mutex::default(),
        }
    }
}

impl RemoteStats {
    pub(super) fn subscribe(
        &self,
        socket: &Path,
        runtime: &tokio::runtime::Handle,
    ) -> watch::Receiver<Arc<StackStats>> {
        let mut bringing = self.bringing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut receiver = self.latest.subscribe();
        receiver.mark_unchanged();
        // One that is just ending because nobody looked brings nothing more.
        if let Some(former) = bringing.take() {
            former.abort();
        }
        let (socket, latest) = (socket.to_owned(), Arc::clone(&self.latest));
        *bringing = Some(runtime.spawn(bring(socket, latest)).abort_handle());
        receiver
    }
}

impl Drop for RemoteStats {
    fn drop(&mut self) {
        let bringing = self.bringing.get_mut();
        if let Some(task) = bringing.unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

async fn bring(socket: PathBuf, latest: Arc<watch::Sender<Arc<StackStats>>>) {
    let Ok(mut events) = EventStream::open(&socket, "/v1/stats/stream").await else {
        return;
    };
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            // Closing the connection tells the other side that nobody looks.
            () = latest.closed() => return,
        };
        match event {
            Some(event) if event.name == "stats" => {
                if let Ok(stats) = serde_json::from_str(&event.data) {
                    latest.send_replace(Arc::new(stats));
                }
            }
            Some(event) if event.name == "end" => return,
            Some(_) => {}
            None => return,
        }
    }
}

/// Begins to watch the terminal of an instance by its name.
pub(super) async fn watch_terminal(
    socket: &Path,
    name: &str,
) -> Result<TerminalWatch, TerminalError> {
    let path = format!("/v1/units/{name}/terminal/stream");
    let events = EventStream::open(socket, &path).await.map_err(refused)?;
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(bring_terminal(events, sender));
    Ok(TerminalWatch::remote(receiver))
}

async fn bring_terminal(mut events: EventStream, sender: mpsc::Sender<TerminalEvent>) {
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = sender.closed() => return,
        };
        let Some(event) = event else { return };
        let told = match &*event.name {
            "screen" => serde_json::from_str::<Drawn>(&event.data)
                .ok()
                .map(TerminalEvent::from),
            "output" => serde_json::from_str::<Written>(&event.data)
                .ok()
                .map(|written| TerminalEvent::Output(written.into())),
            "end" => return,
            _ => None,
        };
        if let Some(told) = told
            && sender.send(told).await.is_err()
        {
            return;
        }
    }
}

pub(super) async fn send_input(
    socket: &Path,
    name: &str,
    input: Input,
) -> Result<(), TerminalError> {
    let path = format!("/v1/units/{name}/input");
    let sent = wire::post::<serde_json::Value>(socket, &path, &Typed::from(input)).await;
    sent.map(drop).map_err(refused)
}

pub(super) async fn resize_terminal(
    socket: &Path,
    name: &str,
    size: TerminalSize,
) -> Result<(), TerminalError> {
    let path = format!("/v1/units/{name}/terminal/size");
    let sent = wire::post::<TerminalSize>(socket, &path, &size).await;
    sent.map(drop).map_err(refused)
}

fn refused(error: WireError) -> TerminalError {
    match error {
        WireError::Gone => TerminalError::Gone,
        WireError::Refused(problem) => match problem.terminal {
            Some(denial) => TerminalError::Denied(denial),
            None if problem.code == ErrorCode::Ended => TerminalError::Gone,
            None => TerminalError::Refused(problem.message),
        },
        WireError::Garbled(what) => TerminalError::Refused(what),
        silent @ WireError::Silent => TerminalError::Refused(silent.to_string()),
    }
}
