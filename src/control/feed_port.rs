//! The port of a face that shows a whole stack which another process runs.
//!
//! ```text
//!  lines     ─► store    ◄─┐
//!  changes   ─► broadcast ◄┼─ task ◄── /v1/feed, in the order in which it comes
//!  snapshots ─► watch    ◄─┘
//!  command   ─────────────────────► /v1/commands
//! ```
//!
//! What is read here is in the order of the stack: a change comes after the lines that were
//! before it, the verdict after everything. A face that shows every line says so
//! ([`FeedPort::paced`]): then no more is brought than it takes, and what it does not come to
//! is lost where it was kept, once.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::changes::{Changes, Told};
use super::port::{ControlPort, Found, PortError, Reply, TerminalReply, UnitWatch, Why};
use super::protocol::{Act, Lines, OpenTexts, State};
use super::reload::{ReloadAsk, ReloadReply};
use super::remote;
use super::remote_live::{self, RemoteStats};
use super::terminal::{Input, TerminalError, TerminalWatch};
use super::wire::{Connection, Event, EventStream, WireError};
use crate::domain::event::Command;
use crate::domain::exec::ExecContext;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::UnitPorts;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::terminal::TerminalSize;
use crate::domain::time::Instant;
use crate::domain::timeline::Timeline;
use crate::logs::{
    Archive, Cursor, Extent, Found as Matches, Gap, LogLine, LogSource, MemoryStore, OpenLine,
    Page, Search, Selection, Start,
};

/// How many lines that were there before are brought along where the stack ran already.
const HISTORY: usize = 10_000;

/// How often a face gets a turn to take a change.
const TURNS: usize = 16;

/// How long a face that shows every line may take to take a change.
const WRITING: Duration = Duration::from_secs(1);

/// How many lines are brought before the face has taken them, if it is to set the pace.
const AHEAD: u64 = 16_384;

/// Sees a stack by its feed.
#[derive(Debug)]
pub struct FeedPort {
    /// For one request after the other; without it each goes to the socket.
    commands: Option<tokio::sync::Mutex<Connection>>,
    /// Where the stack listens, if it does.
    socket: Option<PathBuf>,
    stats: RemoteStats,
    runtime: tokio::runtime::Handle,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    changes: broadcast::WeakSender<Told>,
    /// For the first who asks: nothing that came meanwhile is lost to it.
    first: Mutex<Option<broadcast::Receiver<Told>>>,
    logs: Paced,
    /// Where all lines are read, unless they are brought.
    files: Option<Arc<Archive>>,
    /// The stack's time and ours at the same moment.
    met: (Instant, tokio::time::Instant),
    /// End with this.
    _tasks: JoinSet<()>,
}

/// How the lines come to a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineWay {
    /// Each in its place between the changes.
    Brought,
    /// Out of the files of the stack, with all its history, if it keeps any.
    Files,
}

impl FeedPort {
    /// Sees a stack from its very beginning, over two streams whose other ends are served.
    /// Statistics and terminals come over `socket`, if it listens somewhere.
    ///
    /// # Errors
    /// Nobody serves them any more.
    pub async fn from_start(
        feed: UnixStream,
        commands: UnixStream,
        socket: Option<PathBuf>,
        lines: LineWay,
    ) -> Result<Self, WireError> {
        let feed = Connection::through(feed).await?;
        let path = match lines {
            LineWay::Brought => "/v1/feed?from_start=true&open=true",
            LineWay::Files => "/v1/feed?from_start=true&files=true&open=true",
        };
        let feed = EventStream::through(feed, path).await?;
        let commands = Connection::through(commands).await?;
        Self::follow(feed, Some(commands.into()), socket, lines).await
    }

    /// Connects to a stack that runs. What happens from now on is seen, and the last lines of
    /// what was written before.
    ///
    /// # Errors
    /// Nobody is there, or nobody that is understood.
    pub async fn connect(socket: PathBuf) -> Result<Self, WireError> {
        let feed =
            EventStream::open(&socket, &format!("/v1/feed?last={HISTORY}&open=true")).await?;
        Self::follow(feed, None, Some(socket), LineWay::Brought).await
    }

    async fn follow(
        mut feed: EventStream,
        commands: Option<tokio::sync::Mutex<Connection>>,
        socket: Option<PathBuf>,
        lines: LineWay,
    ) -> Result<Self, WireError> {
        let first = feed.next().await.ok_or(WireError::Gone)?;
        let state: State = serde_json::from_str(&first.data)
            .map_err(|error| WireError::Garbled(error.to_string()))?;
        let met = (state.now, tokio::time::Instant::now());
        let change_sender = broadcast::Sender::new(state.snapshot.changes_at_once());
        let (snapshot_sender, snapshots) = watch::channel(Arc::new(state.snapshot));
        let changes = change_sender.downgrade();
        let first = Mutex::new(Some(change_sender.subscribe()));
        let logs = Paced::default();
        let mut tasks = JoinSet::new();
        let mut files = None;
        if let (LineWay::Files, Some(place)) = (lines, &state.logs) {
            files = remote::kept(Some(place));
            match (&files, &socket) {
                (Some(files), _) => {
                    tasks.spawn(Arc::clone(files).watch());
                }
                (None, Some(socket)) => {
                    let copying = remote::follow_logs(socket.clone(), logs.store.clone());
                    tasks.spawn(copying);
                }
                (None, None) => {}
            }
        }
        let sinks = Sinks {
            snapshots: snapshot_sender,
            changes: change_sender,
            logs: logs.clone(),
            files: files.clone(),
        };
        tasks.spawn(async move {
            while let Some(event) = feed.next().await {
                if !sinks.take(&event) {
                    break;
                }
                sinks.settle().await;
                sinks.logs.wait_for_the_face().await;
            }
        });
        Ok(Self {
            commands,
            socket,
            stats: RemoteStats::default(),
            runtime: tokio::runtime::Handle::current(),
            snapshots,
            changes,
            first,
            logs,
            files,
            met,
            _tasks: tasks,
        })
    }
}

impl FeedPort {
    /// The face reads every line, and sets the pace.
    #[must_use]
    pub fn paced(self) -> Self {
        self.logs.sets_the_pace.store(true, Ordering::Relaxed);
        self
    }
}

impl FeedPort {
    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<T, WireError> {
        match (&self.commands, &self.socket) {
            (Some(connection), _) => connection.lock().await.post(path, body).await,
            (None, Some(socket)) => super::wire::post(socket, path, body).await,
            (None, None) => Err(WireError::Gone),
        }
    }

    async fn asked<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T, PortError> {
        let socket = self.socket.as_deref().ok_or(PortError::Unsupported)?;
        remote::asked(socket, path).await
    }

    /// Paths name an instance by its name.
    fn terminal(&self, instance: InstanceId) -> Result<(&PathBuf, UnitName), TerminalError> {
        let socket = self.socket.as_ref().ok_or(TerminalError::Gone)?;
        Ok((socket, remote::name_of(&self.snapshots.borrow(), instance)?))
    }
}

/// Where what comes is put. Closed when it is dropped.
struct Sinks {
    snapshots: watch::Sender<Arc<Snapshot>>,
    changes: broadcast::Sender<Told>,
    logs: Paced,
    files: Option<Arc<Archive>>,
}

/// The lines that were brought, and how many of them were taken.
#[derive(Clone, Debug, Default)]
struct Paced {
    store: MemoryStore,
    sets_the_pace: Arc<AtomicBool>,
    taken: Arc<watch::Sender<u64>>,
}

impl Paced {
    async fn wait_for_the_face(&self) {
        if !self.sets_the_pace.load(Ordering::Relaxed) {
            return;
        }
        let brought = *self.store.wake().borrow();
        let mut taken = self.taken.subscribe();
        // An error says that the port is gone, and this task with it.
        let _ = taken.wait_for(|taken| taken + AHEAD >= brought).await;
    }
}

impl LogSource for Paced {
    fn cursor(&self, selection: Selection, start: Start) -> Cursor {
        self.store.cursor(selection, start)
    }

    fn read(&self, cursor: &mut Cursor, max: usize) -> Page {
        let page = self.store.read(cursor, max);
        if let Some(line) = page.lines.last() {
            let next = line.seq + 1;
            self.taken.send_if_modified(|taken| {
                let newer = next > *taken;
                *taken = next.max(*taken);
                newer
            });
        }
        page
    }

    fn read_back(&self, cursor: &mut Cursor, max: usize) -> Page {
        self.store.read_back(cursor, max)
    }

    fn tail(&self, instance: InstanceId, lines: usize) -> Vec<LogLine> {
        self.store.tail(instance, lines)
    }

    fn open_lines(&self, selection: &Selection) -> Vec<OpenLine> {
        self.store.open_lines(selection)
    }

    fn extent(&self, selection: &Selection) -> Extent {
        self.store.extent(selection)
    }

    fn search(&self, search: &mut Search, keep: usize) -> Matches {
        self.store.search(search, keep)
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.store.wake()
    }
}

impl Sinks {
    /// Lets the face take a change before the lines that follow it are there. One that does
    /// not look is not waited for.
    async fn settle(&self) {
        for _ in 0..TURNS {
            if self.changes.is_empty() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // One that shows every line may just be writing what came before.
        let until = tokio::time::Instant::now() + WRITING;
        while self.logs.sets_the_pace.load(Ordering::Relaxed)
            && !self.changes.is_empty()
            && tokio::time::Instant::now() < until
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// `false`: nothing follows that could be understood.
    fn take(&self, event: &Event) -> bool {
        // An error of the broadcast: nobody listens, nobody misses it.
        match &*event.name {
            "snapshot" => match serde_json::from_str::<State>(&event.data) {
                Ok(state) => {
                    self.snapshots.send_replace(Arc::new(state.snapshot));
                }
                Err(_) => return false,
            },
            "lines" => match serde_json::from_str::<Lines>(&event.data) {
                Ok(lines) => self.lines(lines),
                Err(_) => return false,
            },
            "change" => {
                let told = serde_json::from_str(&event.data).map_or(Told::Missed(1), Told::Change);
                let _ = self.changes.send(told);
            }
            "resync" => {
                let _ = self.changes.send(Told::Missed(remote::missed(&event.data)));
            }
            "open" => match serde_json::from_str::<OpenTexts>(&event.data) {
                Ok(open) => match &self.files {
                    Some(files) => files.copy_open(open.open_lines()),
                    None => self.logs.store.copy_open(open.open_lines()),
                },
                Err(_) => return false,
            },
            "end" => return false,
            _ => {}
        }
        true
    }

    fn lines(&self, lines: Lines) {
        for gap in lines.gaps {
            self.logs.store.copy_gap(Gap {
                instance: gap.instance,
                lines: gap.lines,
            });
        }
        for line in lines.lines {
            self.logs.store.copy(&line.log_line());
        }
    }
}

impl ControlPort for FeedPort {
    fn command(&self, command: Command) -> Reply<'_> {
        Box::pin(async move {
            let act = Act::of(command).ok_or(super::port::PortError::Unsupported)?;
            remote::answered(self.post("/v1/commands", &act).await)
        })
    }

    fn reload(&self, ask: ReloadAsk) -> ReloadReply<'_> {
        Box::pin(async move { remote::reloaded(self.post("/v1/reload", &ask).await) })
    }

    fn timeline(&self) -> Found<'_, Timeline> {
        Box::pin(async move { self.asked("/v1/timeline").await })
    }

    fn listening(&self) -> Found<'_, Vec<UnitPorts>> {
        Box::pin(async move { self.asked("/v1/ports").await })
    }

    fn processes(&self, instance: InstanceId) -> Found<'_, Vec<UnitProcess>> {
        Box::pin(async move {
            let found = self.terminal(instance).map_err(|_| PortError::Gone);
            let (_, name) = found?;
            self.asked(&format!("/v1/units/{name}/processes")).await
        })
    }

    fn held(&self) -> Found<'_, Held> {
        Box::pin(async move { self.asked("/v1/containment").await })
    }

    fn watched(&self, units: Vec<UnitName>) -> Found<'_, Vec<UnitWatch>> {
        Box::pin(async move {
            let socket = self.socket.as_deref().ok_or(PortError::Unsupported)?;
            remote::watched(socket, &units).await
        })
    }

    fn why_watched(&self, path: PathBuf) -> Found<'_, Why> {
        Box::pin(async move {
            let socket = self.socket.as_deref().ok_or(PortError::Unsupported)?;
            remote::why_watched(socket, &path).await
        })
    }

    fn stats(&self) -> watch::Receiver<Arc<StackStats>> {
        match &self.socket {
            Some(socket) => self.stats.subscribe(socket, &self.runtime),
            None => watch::channel(Arc::default()).1,
        }
    }

    fn watch_terminal(&self, instance: InstanceId) -> TerminalReply<'_, TerminalWatch> {
        Box::pin(async move {
            let (socket, name) = self.terminal(instance)?;
            remote_live::watch_terminal(socket, name.as_str()).await
        })
    }

    fn send_input(&self, instance: InstanceId, input: Input) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            let (socket, name) = self.terminal(instance)?;
            remote_live::send_input(socket, name.as_str(), input).await
        })
    }

    fn resize_terminal(&self, instance: InstanceId, size: TerminalSize) -> TerminalReply<'_, ()> {
        Box::pin(async move {
            let (socket, name) = self.terminal(instance)?;
            remote_live::resize_terminal(socket, name.as_str(), size).await
        })
    }

    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn changes(&self) -> Changes {
        let first = (self.first.lock())
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Changes::remote(first.unwrap_or_else(|| remote::subscribe(&self.changes)))
    }

    fn logs(&self) -> Arc<dyn LogSource> {
        match &self.files {
            Some(files) => Arc::clone(files) as Arc<dyn LogSource>,
            None => Arc::new(self.logs.clone()),
        }
    }

    fn exec(&self, instance: InstanceId, pid: u32) -> Found<'_, ExecContext> {
        Box::pin(async move {
            let (socket, name) = self.terminal(instance).map_err(|_| PortError::Gone)?;
            remote::exec(socket, name.as_str(), pid).await
        })
    }

    fn now(&self) -> Instant {
        let (theirs, ours) = self.met;
        theirs + ours.elapsed()
    }
}
