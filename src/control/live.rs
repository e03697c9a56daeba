//! What a face shows live: what the runs use, and what their terminals show; and what it
//! types for them.
//!
//! Each client pulls at its own pace: one that is slow misses samples, and is given a whole
//! screen instead of all that led to it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::history;
use super::port::PortError;
use super::protocol::{Drawn, ErrorCode, Problem, Typed, Written};
use super::routes::{Body, Served, Shared, json};
use super::streams::{event, sse};
use super::terminal::{Input, TerminalError, TerminalEvent, TerminalWatch};
use crate::domain::exec::ExecAsk;
use crate::domain::id::InstanceId;
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::terminal::{TerminalDenial, TerminalSize};

type Events = Vec<Result<Event, Infallible>>;
type Snapshots = watch::Receiver<Arc<Snapshot>>;

fn the_end() -> Result<Event, Infallible> {
    Ok(Event::default().event("end").data("{}"))
}

struct Samples {
    stats: watch::Receiver<Arc<StackStats>>,
    snapshots: Snapshots,
    over: bool,
    _room: OwnedSemaphorePermit,
}

/// Each sample, for as long as the client stays.
pub(super) async fn stats(State(served): Shared) -> Result<Response, Problem> {
    let room = served.follow()?;
    let samples = Samples {
        stats: served.port.stats(),
        snapshots: served.port.snapshots(),
        over: false,
        _room: room,
    };
    Ok(sse(stream::unfold(samples, next_sample)))
}

async fn next_sample(mut samples: Samples) -> Option<(Events, Samples)> {
    if samples.over {
        return None;
    }
    let come = tokio::select! {
        changed = samples.stats.changed() => changed.is_ok(),
        () = history::ended(&mut samples.snapshots) => false,
    };
    samples.over = !come;
    let events = if come {
        let stats = Arc::clone(&samples.stats.borrow_and_update());
        event("stats", &*stats).map(Ok).into_iter().collect()
    } else {
        vec![the_end()]
    };
    Some((events, samples))
}

struct Watching {
    terminal: TerminalWatch,
    snapshots: Snapshots,
    over: bool,
    _room: OwnedSemaphorePermit,
}

/// The screen of an instance, and what comes.
pub(super) async fn terminal(
    State(served): Shared,
    Path(unit): Path<String>,
) -> Result<Response, Problem> {
    let id = find(&served, &unit)?;
    let room = served.follow()?;
    let terminal = served.port.watch_terminal(id).await;
    let watching = Watching {
        terminal: terminal.map_err(|error| denied(&unit, error))?,
        snapshots: served.port.snapshots(),
        over: false,
        _room: room,
    };
    Ok(sse(stream::unfold(watching, next_of_terminal)))
}

async fn next_of_terminal(mut watching: Watching) -> Option<(Events, Watching)> {
    if watching.over {
        return None;
    }
    let come = tokio::select! {
        biased;
        come = watching.terminal.next() => come,
        () = history::ended(&mut watching.snapshots) => watching.terminal.try_next(),
    };
    watching.over = come.is_none();
    let events = match come {
        Some(TerminalEvent::Screen { size, bytes }) => {
            let output = Written::from(&bytes);
            event("screen", &Drawn { size, output })
                .map(Ok)
                .into_iter()
                .collect()
        }
        Some(TerminalEvent::Output(bytes)) => event("output", &Written::from(&bytes))
            .map(Ok)
            .into_iter()
            .collect(),
        None => vec![the_end()],
    };
    Some((events, watching))
}

/// Types something.
pub(super) async fn input(
    State(served): Shared,
    Path(unit): Path<String>,
    typed: Result<Body<Typed>, Problem>,
) -> Result<Response, Problem> {
    let Typed { input, end } = typed?.0;
    let id = find(&served, &unit)?;
    let input = bytes::Bytes::from(input);
    let bytes = (!input.is_empty()).then_some(Input::Bytes(input));
    for input in bytes.into_iter().chain(end.then_some(Input::End)) {
        let sent = served.port.send_input(id, input).await;
        sent.map_err(|error| denied(&unit, error))?;
    }
    Ok(json(&serde_json::Map::new()))
}

/// Who is in the group of an instance now.
pub(super) async fn processes(
    State(served): Shared,
    Path(unit): Path<String>,
) -> Result<Response, Problem> {
    let id = find(&served, &unit)?;
    match served.port.processes(id).await {
        Ok(processes) => Ok(json(&processes)),
        Err(PortError::Gone) => Err(Problem::new(ErrorCode::Ended, "the stack has ended")),
        Err(error) => Err(Problem::new(ErrorCode::Denied, error.to_string())),
    }
}

/// Whose process has the connection, where the kernel says so.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub u32);

/// Takes the asking process in beside an instance.
pub(super) async fn exec(
    State(served): Shared,
    Path(unit): Path<String>,
    peer: Option<Extension<Peer>>,
    ask: Result<Body<ExecAsk>, Problem>,
) -> Result<Response, Problem> {
    let ExecAsk { pid } = ask?.0;
    let id = find(&served, &unit)?;
    if peer.is_none_or(|Extension(Peer(peer))| peer != pid) {
        let message = "a process can be taken in beside a unit only if it asks for it itself";
        return Err(Problem::new(ErrorCode::Forbidden, message));
    }
    match served.port.exec(id, pid).await {
        Ok(context) => Ok(json(&context)),
        Err(PortError::Gone) => Err(Problem::new(ErrorCode::Ended, "the stack has ended")),
        Err(error) => Err(Problem::new(ErrorCode::Denied, error.to_string())),
    }
}

/// Resizes a terminal.
pub(super) async fn size(
    State(served): Shared,
    Path(unit): Path<String>,
    size: Result<Body<TerminalSize>, Problem>,
) -> Result<Response, Problem> {
    let size = size?.0;
    let size = TerminalSize::new(size.rows, size.columns);
    let id = find(&served, &unit)?;
    let resized = served.port.resize_terminal(id, size).await;
    resized.map_err(|error| denied(&unit, error))?;
    Ok(json(&size))
}

fn find(served: &Served, unit: &str) -> Result<InstanceId, Problem> {
    let snapshot = served.snapshot();
    snapshot
        .get(unit)
        .map(|view| view.id)
        .ok_or_else(|| Problem::new(ErrorCode::UnknownUnit, format!("no unit is named `{unit}`")))
}

fn denied(unit: &str, error: TerminalError) -> Problem {
    let code = match &error {
        TerminalError::Gone => ErrorCode::Ended,
        TerminalError::Denied(TerminalDenial::NoSuchUnit) => ErrorCode::UnknownUnit,
        TerminalError::Denied(TerminalDenial::NotRunning) => ErrorCode::NotRunning,
        TerminalError::Denied(
            TerminalDenial::NoInput | TerminalDenial::NoTerminal | TerminalDenial::NotReading,
        ) => ErrorCode::Denied,
        TerminalError::Refused(_) => ErrorCode::Internal,
    };
    let mut problem = Problem::new(code, format!("{unit}: {error}"));
    if let TerminalError::Denied(denial) = error {
        problem.terminal = Some(denial);
    }
    problem
}
