//! The port to a stack in another process.
//!
//! ```text
//!  snapshots ◄─ watch ◄─── task ◄── /v1/state/stream
//!  changes   ◄─ broadcast ◄ task ◄── /v1/changes/stream
//!  logs      ◄─ the files of the stack, if it has any; else
//!            ◄─ store ◄──── task ◄── /v1/logs, page after page, once somebody asks
//!  command   ─────────────────────► /v1/commands
//! ```
//!
//! What a face reads it reads here, at once: tasks bring it. They end with the stack, or
//! with the port.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::changes::{Changes, Told};
use super::port::{Answered, ControlPort, Found, PortError, Reply, TerminalReply, UnitWatch, Why};
use super::protocol::{Act, ErrorCode, LogPage, LogQuery, OpenTexts, State, Taken, WhyQuery};
use super::reload::{ReloadAsk, ReloadError, ReloadReply, Reloaded};
use super::remote_live::{self, RemoteStats};
use super::terminal::{Input, TerminalError, TerminalWatch};
use super::wire::{self, EventStream, WireError};
use crate::domain::admission::Answer;
use crate::domain::event::Command;
use crate::domain::exec::{ExecAsk, ExecContext};
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::UnitPorts;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::terminal::{TerminalDenial, TerminalSize};
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::{Archive, Gap, LogSource, MemoryStore, OpenLine};

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
    /// Where the lines are, if they are kept on disk.
    kept: Option<PathBuf>,
    logs: OnceLock<Arc<dyn LogSource>>,
    stats: RemoteStats,
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
            kept: state.logs,
            logs: OnceLock::new(),
            stats: RemoteStats::default(),
            pending,
            runtime: tokio::runtime::Handle::current(),
            tasks: std::sync::Mutex::new(tasks),
        })
    }
}

impl RemotePort {
    /// Paths name an instance by its name.
    fn name(&self, instance: InstanceId) -> Result<UnitName, TerminalError> {
        name_of(&self.snapshots.borrow(), instance)
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

/// How many changes a `resync` says are lost.
pub(super) fn missed(data: &str) -> u64 {
    #[derive(serde::Deserialize)]
    struct Resync {
        #[serde(default)]
        missed: u64,
    }
    serde_json::from_str::<Resync>(data).map_or(1, |resync| resync.missed.max(1))
}

/// What became of a command.
pub(super) fn answered(taken: Result<Taken, WireError>) -> Result<Answered, PortError> {
    match taken {
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
}

/// What became of a reload.
pub(super) fn reloaded(answer: Result<Reloaded, WireError>) -> Result<Reloaded, ReloadError> {
    match answer {
        Ok(reloaded) => Ok(reloaded),
        Err(WireError::Refused(problem)) => Err(match (problem.bad_files, problem.denial) {
            (Some(bad), _) => ReloadError::BadFiles(bad),
            (None, Some(denial)) => ReloadError::Denied(denial),
            (None, None) => PortError::Refused(problem.message).into(),
        }),
        Err(WireError::Gone) => Err(PortError::Gone.into()),
        Err(other @ (WireError::Garbled(_) | WireError::Silent)) => {
            Err(PortError::Refused(other.to_string()).into())
        }
    }
}

/// What paths call an instance.
pub(super) fn name_of(
    snapshot: &Snapshot,
    instance: InstanceId,
) -> Result<UnitName, TerminalError> {
    let unit = snapshot.units.iter().find(|unit| unit.id == instance);
    let unit = unit.ok_or(TerminalDenial::NoSuchUnit)?;
    Ok(unit.name.clone())
}

/// Once the stack has ended there is nobody to send: a receiver that is closed.
pub(super) fn subscribe(changes: &broadcast::WeakSender<Told>) -> broadcast::Receiver<Told> {
    let sender = changes.upgrade();
    sender
        .unwrap_or_else(|| broadcast::Sender::new(1))
        .subscribe()
}

async fn follow_changes(mut stream: EventStream, changes: broadcast::Sender<Told>) {
    while let Some(event) = stream.next().await {
        let told = match &*event.name {
            "change" => match serde_json::from_str(&event.data) {
                Ok(change) => Told::Change(change),
                Err(_) => Told::Missed(1),
            },
            "resync" => Told::Missed(missed(&event.data)),
            "end" => return,
            _ => continue,
        };
        // Nobody listens: nobody misses it.
        let _ = changes.send(told);
    }
}

/// The lines where they are kept, all of them; `None`: they have to be brought.
pub(super) fn kept(place: Option<&Path>) -> Option<Arc<Archive>> {
    Archive::at(place?).ok().map(Arc::new)
}

pub(super) async fn follow_logs(socket: PathBuf, store: MemoryStore) {
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

/// Brings what the streams of these units, or of all, have open; until the stack ends.
pub async fn follow_open(
    socket: PathBuf,
    units: Option<String>,
    mut give: impl FnMut(Vec<OpenLine>),
) {
    let path = match units {
        // Names need no escaping.
        Some(units) => format!("/v1/logs/open/stream?units={units}"),
        None => "/v1/logs/open/stream".to_owned(),
    };
    // Where there is no place for one more who follows, lines are shown once they have ended.
    let Ok(mut events) = EventStream::open(&socket, &path).await else {
        return;
    };
    while let Some(event) = events.next().await {
        if event.name == "open"
            && let Ok(open) = serde_json::from_str::<OpenTexts>(&event.data)
        {
            give(open.open_lines());
        }
    }
    give(Vec::new());
}

fn failed(error: &WireError) -> PortError {
    match error {
        WireError::Gone => PortError::Gone,
        WireError::Refused(problem) => PortError::Refused(problem.message.clone()),
        WireError::Garbled(_) | WireError::Silent => PortError::Refused(error.to_string()),
    }
}

/// What stands under a path.
pub(super) async fn asked<T: serde::de::DeserializeOwned>(
    socket: &Path,
    path: &str,
) -> Result<T, PortError> {
    wire::get(socket, path).await.map_err(|e| failed(&e))
}

pub(super) async fn watched(
    socket: &Path,
    units: &[UnitName],
) -> Result<Vec<UnitWatch>, PortError> {
    let names: Vec<&str> = units.iter().map(UnitName::as_str).collect();
    let path = match names[..] {
        [] => "/v1/watch".to_owned(),
        [..] => format!("/v1/watch?units={}", names.join(",")),
    };
    asked(socket, &path).await
}

pub(super) async fn why_watched(socket: &Path, path: &Path) -> Result<Why, PortError> {
    let query = WhyQuery {
        path: path.to_string_lossy().into_owned(),
    };
    let answer = wire::post(socket, "/v1/watch/why", &query).await;
    answer.map_err(|error| failed(&error))
}

pub(super) async fn exec(socket: &Path, unit: &str, pid: u32) -> Result<ExecContext, PortError> {
    let path = format!("/v1/units/{unit}/exec");
    let answer = wire::post(socket, &path, &ExecAsk { pid }).await;
    answer.map_err(|error| failed(&error))
}

impl ControlPort for RemotePort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            let act = Act::of(command).ok_or(PortError::Unsupported)?;
            answered(wire::post(&self.socket, "/v1/commands", &act).await)
        })
    }

    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        Box::pin(async move { reloaded(wire::post(&self.socket, "/v1/reload", &ask).await) })
    }

    fn timeline(&self) -> Found<'_, Timeline> {
        Box::pin(asked(&self.socket, "/v1/timeline"))
    }

    fn listening(&self) -> Found<'_, Vec<UnitPorts>> {
        Box::pin(asked(&self.socket, "/v1/ports"))
    }

    fn processes(&self, instance: InstanceId) -> Found<'_, Vec<UnitProcess>> {
        Box::pin(async move {
            let name = self.name(instance).map_err(|_| PortError::Gone)?;
            asked(&self.socket, &format!("/v1/units/{name}/processes")).await
        })
    }

    fn held(&self) -> Found<'_, Held> {
        Box::pin(asked(&self.socket, "/v1/containment"))
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn changes(&self) -> Changes {
        Changes::remote(subscribe(&self.changes))
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        let source = self.logs.get_or_init(|| {
            let lock = self.tasks.lock();
            let mut tasks = lock.unwrap_or_else(std::sync::PoisonError::into_inner);
            if let Some(kept) = kept(self.kept.as_deref()) {
                tasks.spawn_on(Arc::clone(&kept).watch(), &self.runtime);
                let (socket, copy) = (self.socket.clone(), Arc::clone(&kept));
                let open = follow_open(socket, None, move |open| copy.copy_open(open));
                tasks.spawn_on(open, &self.runtime);
                return kept;
            }
            let store = MemoryStore::new(BUDGET);
            let (socket, copy) = (self.socket.clone(), store.clone());
            let pending = Arc::clone(&self.pending);
            pending.send_modify(|pending| pending.logs = true);
            let follow = async move {
                follow_logs(socket, copy).await;
                pending.send_modify(|pending| pending.logs = false);
            };
            tasks.spawn_on(follow, &self.runtime);
            let (socket, copy) = (self.socket.clone(), store.clone());
            let open = follow_open(socket, None, move |open| copy.copy_open(open));
            tasks.spawn_on(open, &self.runtime);
            Arc::new(store)
        });
        Arc::clone(source)
    }

    fn watched(&self, units: Vec<UnitName>) -> Found<'_, Vec<UnitWatch>> {
        Box::pin(async move { watched(&self.socket, &units).await })
    }

    fn why_watched(&self, path: PathBuf) -> Found<'_, Why> {
        Box::pin(async move { why_watched(&self.socket, &path).await })
    }

    fn stats(&self) -> watch::Receiver<Arc<StackStats>> {
        self.stats.subscribe(&self.socket, &self.runtime)
    }

    fn watch_terminal(&self, instance: InstanceId) -> TerminalReply<'_, TerminalWatch> {
        Box::pin(async move {
            let name = self.name(instance)?;
            remote_live::watch_terminal(&self.socket, name.as_str()).await
        })
    }

    fn send_input(&self, instance: InstanceId, input: Input) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            let name = self.name(instance)?;
            remote_live::send_input(&self.socket, name.as_str(), input).await
        })
    }

    fn resize_terminal(&self, instance: InstanceId, size: TerminalSize) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            let name = self.name(instance)?;
            remote_live::resize_terminal(&self.socket, name.as_str(), size).await
        })
    }

    fn exec(&self, instance: InstanceId, pid: u32) -> Found<'_, ExecContext> {
        Box::pin(async move {
            let name = self.name(instance).map_err(|_| PortError::Gone)?;
            exec(&self.socket, name.as_str(), pid).await
        })
    }

    fn now(&self) -> Instant {
        let (theirs, ours) = self.met;
        theirs + ours.elapsed()
    }
}
