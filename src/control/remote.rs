//! The port to a stack in another process.
//!
//! ```text
//!  snapshots ◄─ watch ◄─── task ◄── /v1/state/stream
//!  changes   ◄─ broadcast ◄ task ◄── /v1/changes/stream
//!  logs      ◄─ store ◄──── task ◄── /v1/logs, page after page, once somebody asks
//!  command   ─────────────────────► /v1/commands
//! ```
//!
//! What a face reads it reads here, at once: tasks bring it. They end with the stack, or
//! with the port.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::changes::{Changes, Told};
use super::port::{Answered, Asked, ControlPort, PortError, Reply};
use super::protocol::{Act, ErrorCode, LogPage, LogQuery, State, Taken};
use super::reload::{ReloadAsk, ReloadError, ReloadReply, Reloaded};
use super::wire::{self, EventStream, WireError};
use crate::domain::admission::Answer;
use crate::domain::event::Command;
use crate::domain::listening::UnitPorts;
use crate::domain::snapshot::Snapshot;
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::{Gap, LogSource, MemoryStore};

/// How many lines that were there before are brought along.
const HISTORY: usize = 10_000;

/// In bytes: what is kept here of what the units write.
const BUDGET: usize = 32 << 20;

/// How long the last state waits for what led to it.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What is still being brought. A face that sees the verdict looks for no more.
#[derive(Clone, Copy, Debug, Default)]
struct Pending {
    changes: bool,
    logs: bool,
}

/// Reaches a stack by its socket.
#[derive(Debug)]
pub struct RemotePort {
    socket: PathBuf,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    changes: broadcast::WeakSender<Told>,
    /// The stack's time and ours at the same moment.
    met: (Instant, tokio::time::Instant),
    logs: OnceLock<MemoryStore>,
    pending: Arc<watch::Sender<Pending>>,
    runtime: tokio::runtime::Handle,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

impl RemotePort {
    /// Connects. What happens from now on is seen.
    ///
    /// # Errors
    /// Nobody is there, or nobody that is understood.
    pub async fn connect(socket: PathBuf) -> Result<Self, WireError> {
        let changes = place(EventStream::open(&socket, "/v1/changes/stream").await)?;
        let mut states = place(EventStream::open(&socket, "/v1/state/stream").await)?;
        let state: State = match &mut states {
            Some(states) => {
                let first = states.next().await.ok_or(WireError::Gone)?;
                serde_json::from_str(&first.data)
                    .map_err(|error| WireError::Garbled(error.to_string()))?
            }
            None => wire::get(&socket, "/v1/state").await?,
        };
        let met = (state.now, tokio::time::Instant::now());
        let change_sender = broadcast::Sender::new(state.snapshot.changes_at_once());
        let (snapshot_sender, snapshots) = watch::channel(Arc::new(state.snapshot));
        let weak = change_sender.downgrade();
        let pending = Arc::new(watch::Sender::new(Pending {
            changes: true,
            logs: false,
        }));
        let mut tasks = JoinSet::new();
        match states {
            Some(states) => {
                tasks.spawn(follow_states(states, snapshot_sender, pending.subscribe()));
            }
            None => {
                tasks.spawn(ask_for_states(socket.clone(), snapshot_sender));
            }
        }
        let done = Arc::clone(&pending);
        tasks.spawn(async move {
            if let Some(changes) = changes {
                follow_changes(changes, change_sender).await;
            }
            done.send_modify(|pending| pending.changes = false);
        });
        Ok(Self {
            socket,
            snapshots,
            changes: weak,
            met,
            logs: OnceLock::new(),
            pending,
            runtime: tokio::runtime::Handle::current(),
            tasks: std::sync::Mutex::new(tasks),
        })
    }
}

/// Between two questions where there is no place among those who are told.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// `None`: so many follow the stack that there is no place. Whoever would steer it is not
/// kept out by that.
fn place(opened: Result<EventStream, WireError>) -> Result<Option<EventStream>, WireError> {
    match opened {
        Ok(stream) => Ok(Some(stream)),
        Err(WireError::Refused(problem)) if problem.code == ErrorCode::TooMany => Ok(None),
        Err(error) => Err(error),
    }
}

async fn ask_for_states(socket: PathBuf, snapshots: watch::Sender<Arc<Snapshot>>) {
    while let Ok(state) = wire::get::<State>(&socket, "/v1/state").await {
        let over = state.snapshot.verdict.is_some();
        if state.snapshot.revision > snapshots.borrow().revision {
            snapshots.send_replace(Arc::new(state.snapshot));
        }
        if over {
            return;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

async fn follow_states(
    mut states: EventStream,
    snapshots: watch::Sender<Arc<Snapshot>>,
    mut pending: watch::Receiver<Pending>,
) {
    while let Some(event) = states.next().await {
        match &*event.name {
            "snapshot" => {
                let Ok(state) = serde_json::from_str::<State>(&event.data) else {
                    return;
                };
                if state.snapshot.verdict.is_some() {
                    let rest = pending.wait_for(|pending| !pending.changes && !pending.logs);
                    let _ = tokio::time::timeout(CATCH_UP, rest).await;
                }
                snapshots.send_replace(Arc::new(state.snapshot));
            }
            "end" => return,
            _ => {}
        }
    }
}

async fn follow_changes(mut stream: EventStream, changes: broadcast::Sender<Told>) {
    #[derive(serde::Deserialize)]
    struct Resync {
        #[serde(default)]
        missed: u64,
    }
    while let Some(event) = stream.next().await {
        let told = match &*event.name {
            "change" => match serde_json::from_str(&event.data) {
                Ok(change) => Told::Change(change),
                Err(_) => Told::Missed(1),
            },
            "resync" => {
                let resync = serde_json::from_str::<Resync>(&event.data);
                Told::Missed(resync.map_or(1, |resync| resync.missed.max(1)))
            }
            "end" => return,
            _ => continue,
        };
        // Nobody listens: nobody misses it.
        let _ = changes.send(told);
    }
}

async fn follow_logs(socket: PathBuf, store: MemoryStore) {
    let mut query = LogQuery {
        last: Some(HISTORY),
        ..LogQuery::default()
    };
    loop {
        let Ok(page) = wire::post::<LogPage>(&socket, "/v1/logs", &query).await else {
            return;
        };
        for gap in &page.gaps {
            store.copy_gap(Gap {
                instance: gap.instance,
                lines: gap.lines,
            });
        }
        for line in page.lines {
            store.copy(&line.log_line());
        }
        if page.ended {
            return;
        }
        query = LogQuery {
            cursor: Some(page.cursor),
            wait: Some("30s".to_owned()),
            ..LogQuery::default()
        };
    }
}

/// What was asked for, or why it is not to be had.
fn given<T>(answer: Result<T, WireError>) -> Result<T, PortError> {
    answer.map_err(|error| match error {
        WireError::Gone => PortError::Gone,
        WireError::Refused(problem) => PortError::Refused(problem.message),
        WireError::Garbled(_) | WireError::Silent => PortError::Refused(error.to_string()),
    })
}

impl ControlPort for RemotePort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            let act = Act::of(command).ok_or(PortError::Unsupported)?;
            match wire::post::<Taken>(&self.socket, "/v1/commands", &act).await {
                Ok(Taken { answer, revision }) => Ok(Answered { answer, revision }),
                Err(WireError::Refused(problem)) => match problem.denial {
                    Some(denial) => Ok(Answered {
                        answer: Answer::Denied(denial),
                        revision: problem.revision.unwrap_or_default(),
                    }),
                    None if problem.code == ErrorCode::Ended => Err(PortError::Gone),
                    None => Err(PortError::Refused(problem.message)),
                },
                Err(WireError::Gone) => Err(PortError::Gone),
                Err(WireError::Garbled(what)) => Err(PortError::Refused(what)),
                Err(silent @ WireError::Silent) => Err(PortError::Refused(silent.to_string())),
            }
        })
    }

    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        Box::pin(async move {
            match wire::post::<Reloaded>(&self.socket, "/v1/reload", &ask).await {
                Ok(reloaded) => Ok(reloaded),
                Err(WireError::Refused(problem)) => {
                    Err(match (problem.bad_files, problem.denial) {
                        (Some(bad), _) => ReloadError::BadFiles(bad),
                        (None, Some(denial)) => ReloadError::Denied(denial),
                        (None, None) => PortError::Refused(problem.message).into(),
                    })
                }
                Err(WireError::Gone) => Err(PortError::Gone.into()),
                Err(other @ (WireError::Garbled(_) | WireError::Silent)) => {
                    Err(PortError::Refused(other.to_string()).into())
                }
            }
        })
    }

    fn timeline(&self) -> Asked<'_, Timeline> {
        Box::pin(async { given(wire::get(&self.socket, "/v1/timeline").await) })
    }

    fn listening(&self) -> Asked<'_, Vec<UnitPorts>> {
        Box::pin(async { given(wire::get(&self.socket, "/v1/ports").await) })
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn changes(&self) -> Changes {
        // Once the stack has ended there is nobody to send: a receiver that is closed.
        let sender = self.changes.upgrade();
        Changes::remote(
            sender
                .unwrap_or_else(|| broadcast::Sender::new(1))
                .subscribe(),
        )
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        let store = self.logs.get_or_init(|| {
            let store = MemoryStore::new(BUDGET);
            let lock = self.tasks.lock();
            let mut tasks = lock.unwrap_or_else(std::sync::PoisonError::into_inner);
            let (socket, copy) = (self.socket.clone(), store.clone());
            let pending = Arc::clone(&self.pending);
            pending.send_modify(|pending| pending.logs = true);
            let follow = async move {
                follow_logs(socket, copy).await;
                pending.send_modify(|pending| pending.logs = false);
            };
            tasks.spawn_on(follow, &self.runtime);
            store
        });
        Arc::new(store.clone())
    }

    fn now(&self) -> Instant {
        let (theirs, ours) = self.met;
        theirs + ours.elapsed()
    }
}
