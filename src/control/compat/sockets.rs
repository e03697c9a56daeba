//! WebSockets: lines and states to clients that stay.
//!
//! A client is sent what it can take and no more: lines are pulled from the store, states
//! from the latest snapshot, so that nothing queues up for a slow one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::TryRecvError;

use super::lines::text;
use super::refusal::Refusal;
use super::state::ProcessState;
use super::{Api, FOLLOWERS};
use crate::control::changes::Changes;
use crate::domain::change::{UnitChange, What};
use crate::domain::id::InstanceId;
use crate::domain::snapshot::UnitView;
use crate::logs::{Cursor, LogSource, Selection, Start};

type Shared = State<Arc<Api>>;
type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

/// How long one message may take to be taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// Lines that are taken from the store at once.
const STEP: usize = 256;

impl Api {
    fn follow(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.followers)
            .try_acquire_owned()
            .map_err(|_| {
                let error = format!("{FOLLOWERS} clients follow this project already");
                Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
            })
    }
}

fn upgrade(upgrade: Upgrade) -> Result<WebSocketUpgrade, Refusal> {
    upgrade.map_err(|rejection| Refusal::bad(rejection.body_text()))
}

/// Whether it was taken.
async fn send(socket: &mut WebSocket, value: &impl Serialize) -> bool {
    let Ok(text) = serde_json::to_string(value) else {
        return false;
    };
    let sent = tokio::time::timeout(PATIENCE, socket.send(Message::Text(text.into()))).await;
    matches!(sent, Ok(Ok(())))
}

/// Waits until the client has gone. What it says is of no interest.
async fn left(socket: &mut WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        if matches!(message, Message::Close(_)) {
            return;
        }
    }
}

async fn close(mut socket: WebSocket) {
    let closed = async {
        if socket.send(Message::Close(None)).await.is_ok() {
            left(&mut socket).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(1), closed).await;
}

#[derive(Deserialize)]
pub(super) struct LogsQuery {
    #[serde(default)]
    name: String,
    #[serde(default)]
    offset: String,
    #[serde(default)]
    follow: String,
}

#[derive(Serialize)]
struct LogMessage<'a> {
    message: &'a str,
    process_name: &'a str,
}

/// The last `offset` lines of each process, and those that follow where that is asked for.
pub(super) async fn logs(
    State(api): Shared,
    Query(query): Query<LogsQuery>,
    asked: Upgrade,
) -> Result<Response, Refusal> {
    let offset = query.offset.parse::<i64>().map_err(|_| {
        Refusal::bad(format!(
            "`offset` must be a number, and is `{}`",
            query.offset
        ))
    })?;
    let offset = usize::try_from(offset.max(0)).unwrap_or(usize::MAX);
    let log = api.port.logs();
    let mut readers = Vec::new();
    {
        let look = api.look();
        for name in query.name.split(',').filter(|name| !name.is_empty()) {
            let id = look.known(name)?.id;
            let start = if offset == 0 {
                Start::Now
            } else {
                Start::Last(offset)
            };
            readers.push(Reader {
                id,
                name: name.to_owned(),
                cursor: log.cursor(Selection::Only(vec![id]), start),
            });
        }
    }
    let asked = upgrade(asked)?;
    let room = api.follow()?;
    let follow = query.follow == "true";
    Ok(asked.on_upgrade(move |mut socket| async move {
        tell_lines(&api, &*log, &mut socket, readers, follow).await;
        close(socket).await;
        drop(room);
    }))
}

struct Reader {
    id: InstanceId,
    name: String,
    cursor: Cursor,
}

async fn tell_lines(
    api: &Api,
    log: &dyn LogSource,
    socket: &mut WebSocket,
    mut readers: Vec<Reader>,
    follow: bool,
) {
    let mut wake = log.wake();
    let mut snapshots = api.port.snapshots();
    loop {
        wake.borrow_and_update();
        // Looked at before the lines: what was written until then is there.
        let over = snapshots.borrow_and_update().verdict.is_some();
        let mut more = false;
        for reader in &mut readers {
            let page = log.read(&mut reader.cursor, STEP);
            more |= !page.is_empty();
            let first = api.cleared(reader.id);
            for line in page.lines.iter().filter(|line| line.seq >= first) {
                let message = LogMessage {
                    message: &text(line),
                    process_name: &reader.name,
                };
                if !send(socket, &message).await {
                    return;
                }
            }
        }
        if more {
            continue;
        }
        if over || !follow {
            return;
        }
        tokio::select! {
            changed = wake.changed() => if changed.is_err() {
                return;
            },
            _ = snapshots.wait_for(|last| last.verdict.is_some()) => {}
            () = left(socket) => return,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct StatesQuery {
    #[serde(default)]
    name: String,
}

#[derive(Serialize)]
struct StateEvent<'a> {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    snapshot: bool,
    state: &'a ProcessState,
}

/// Every process as it is, and then each turn that one takes.
pub(super) async fn states(
    State(api): Shared,
    Query(query): Query<StatesQuery>,
    asked: Upgrade,
) -> Result<Response, Refusal> {
    let names: BTreeSet<String> = (query.name.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let asked = upgrade(asked)?;
    let room = api.follow()?;
    // From before the first look: what happens between is told twice rather than never.
    let changes = api.port.changes();
    Ok(asked.on_upgrade(move |mut socket| async move {
        let teller = Teller {
            told: BTreeMap::new(),
            seen: BTreeMap::new(),
            names,
        };
        tell_states(&api, &mut socket, teller, changes).await;
        close(socket).await;
        drop(room);
    }))
}

struct Teller {
    /// What the client knows.
    told: BTreeMap<InstanceId, ProcessState>,
    /// From what that was made: what did not change is shared between snapshots.
    seen: BTreeMap<InstanceId, Arc<UnitView>>,
    /// None: all.
    names: BTreeSet<String>,
}

impl Teller {
    /// Tells what has changed since; whether the client took it.
    async fn tell(&mut self, api: &Api, socket: &mut WebSocket, snapshot: bool) -> bool {
        let states: Vec<(InstanceId, ProcessState)> = {
            let look = api.look();
            let seen = &mut self.seen;
            let mut is_new = |view: &Arc<UnitView>| {
                let before = seen.insert(view.id, Arc::clone(view));
                before.is_none_or(|before| !Arc::ptr_eq(&before, view))
            };
            let views = look.snapshot.units.iter().filter(|view| is_new(view));
            views.map(|view| (view.id, look.state(view))).collect()
        };
        for (id, state) in states {
            let is_wanted = self.names.is_empty() || self.names.contains(&state.name);
            let known = self.told.get(&id).map(ProcessState::turn);
            if !is_wanted || known == Some(state.turn()) {
                continue;
            }
            let event = StateEvent {
                snapshot,
                state: &state,
            };
            if !send(socket, &event).await {
                return false;
            }
            self.told.insert(id, state);
        }
        true
    }

    /// A run that was over before anybody looked was one nevertheless.
    async fn started(&mut self, id: InstanceId, pid: u32, socket: &mut WebSocket) -> bool {
        let Some(known) = self.told.get_mut(&id) else {
            return true;
        };
        if known.pid == pid {
            return true;
        }
        known.status = "Running";
        known.is_running = true;
        known.pid = pid;
        known.exit_code = 0;
        // The next look tells how it is by then.
        self.seen.remove(&id);
        let event = StateEvent {
            snapshot: false,
            state: known,
        };
        send(socket, &event).await
    }
}

async fn tell_states(api: &Api, socket: &mut WebSocket, mut teller: Teller, mut changes: Changes) {
    let mut snapshots = api.port.snapshots();
    let mut first = true;
    loop {
        // Changes are published before the snapshot that shows them.
        let over = snapshots.borrow_and_update().verdict.is_some();
        let mut starts = Vec::new();
        loop {
            match changes.try_recv() {
                Ok(change) => starts.extend(start_of(&change.what)),
                // The snapshots tell the rest.
                Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        for (id, pid) in starts {
            if !teller.started(id, pid, socket).await {
                return;
            }
        }
        if !teller.tell(api, socket, first).await || over {
            return;
        }
        first = false;
        tokio::select! {
            changed = snapshots.changed() => if changed.is_err() {
                return;
            },
            () = left(socket) => return,
        }
    }
}

fn start_of(what: &What) -> Option<(InstanceId, u32)> {
    let What::Unit {
        instance,
        change: UnitChange::Started { pid, .. },
        ..
    } = what
    else {
        return None;
    };
    Some((*instance, *pid))
}
