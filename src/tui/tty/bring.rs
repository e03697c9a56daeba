//! Brings the screens of units from the port, and takes there what is typed.
//!
//! One task per terminal, which waits while the dashboard has not taken what it brought: of a
//! flood the port then gives the latest screen. What is typed goes through one task, so that it
//! arrives in the order in which it was typed.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::control::{ControlPort, Input, TerminalError, TerminalEvent};
use crate::domain::id::InstanceId;
use crate::domain::terminal::{TerminalDenial, TerminalSize};

/// Events that may wait for the dashboard.
const WAITING: usize = 4;

/// What a terminal told.
pub type Told = (InstanceId, TerminalEvent);

/// Something for a unit's terminal.
#[derive(Clone, Debug)]
enum Sent {
    Typed(InstanceId, Bytes),
    Size(InstanceId, TerminalSize),
}

/// The way to the terminals of a stack and back.
#[derive(Debug)]
pub struct Bringer {
    port: Arc<dyn ControlPort>,
    watching: BTreeMap<InstanceId, AbortHandle>,
    told: mpsc::Sender<Told>,
    sent: mpsc::UnboundedSender<Sent>,
}

impl Bringer {
    /// Must be called within a runtime. What the terminals tell comes out of the receiver;
    /// `refused` is told why something could not be typed.
    pub fn new(
        port: Arc<dyn ControlPort>,
        refused: impl Fn(String) + Send + 'static,
    ) -> (Self, mpsc::Receiver<Told>) {
        let (told, receiver) = mpsc::channel(WAITING);
        let (sent, typed) = mpsc::unbounded_channel();
        tokio::spawn(deliver(Arc::clone(&port), typed, refused));
        let bringer = Self {
            port,
            watching: BTreeMap::new(),
            told,
            sent,
        };
        (bringer, receiver)
    }

    /// Brings the screens of these units, and of no other.
    pub fn watch(&mut self, ids: &[InstanceId]) {
        self.watching.retain(|id, task| {
            let stays = ids.contains(id);
            if !stays {
                task.abort();
            }
            stays
        });
        for id in ids {
            self.watching.entry(*id).or_insert_with(|| {
                let work = bring(Arc::clone(&self.port), *id, self.told.clone());
                tokio::spawn(work).abort_handle()
            });
        }
    }

    pub fn type_for(&self, id: InstanceId, bytes: Bytes) {
        let _ = self.sent.send(Sent::Typed(id, bytes));
    }

    pub fn resize(&self, id: InstanceId, size: TerminalSize) {
        let _ = self.sent.send(Sent::Size(id, size));
    }
}

async fn bring(port: Arc<dyn ControlPort>, id: InstanceId, told: mpsc::Sender<Told>) {
    // The snapshots tell of a unit that is gone, and of a stack that is.
    let Ok(mut watch) = port.watch_terminal(id).await else {
        return;
    };
    while let Some(event) = watch.next().await {
        if told.send((id, event)).await.is_err() {
            return;
        }
    }
}

async fn deliver(
    port: Arc<dyn ControlPort>,
    mut typed: mpsc::UnboundedReceiver<Sent>,
    refused: impl Fn(String),
) {
    let mut next = None;
    loop {
        let sent = match next.take() {
            Some(sent) => sent,
            None => match typed.recv().await {
                Some(sent) => sent,
                None => return,
            },
        };
        let done = match sent {
            Sent::Typed(id, bytes) => {
                let mut all = BytesMut::from(&bytes[..]);
                while let Ok(more) = typed.try_recv() {
                    match more {
                        Sent::Typed(other, bytes) if other == id => all.extend_from_slice(&bytes),
                        Sent::Typed(..) | Sent::Size(..) => {
                            next = Some(more);
                            break;
                        }
                    }
                }
                port.send_input(id, Input::Bytes(all.freeze())).await
            }
            Sent::Size(id, mut size) => {
                // Of a storm of them the last one counts.
                while let Ok(more) = typed.try_recv() {
                    match more {
                        Sent::Size(other, newer) if other == id => size = newer,
                        Sent::Typed(..) | Sent::Size(..) => {
                            next = Some(more);
                            break;
                        }
                    }
                }
                // A terminal that cannot be resized is shown as it is.
                let _ = port.resize_terminal(id, size).await;
                Ok(())
            }
        };
        match done {
            Ok(()) | Err(TerminalError::Gone) => {}
            Err(TerminalError::Denied(TerminalDenial::NotRunning)) => {
                refused("it does not run: nobody reads what is typed".to_owned());
            }
            Err(error) => refused(error.to_string()),
        }
    }
}
