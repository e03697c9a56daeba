//! Server-sent events: states and changes to clients that stay.
//!
//! Each client pulls at its own pace from what all share: the latest snapshot, and the
//! history of changes. So nothing queues up for a slow one, and nobody waits for it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::history::Head;
use super::protocol::{ChangesQuery, ErrorCode, Problem};
use super::routes::{Asked, Served, Shared, json};
use crate::domain::snapshot::Snapshot;

/// Changes that are taken from the history at once.
const BATCH: usize = 64;

/// Changes of one page.
const PAGE: usize = 8192;

type Events = Vec<Result<Event, Infallible>>;

/// What is left of the stream of states.
struct States {
    served: Arc<Served>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    over: bool,
    _room: OwnedSemaphorePermit,
}

/// The state now and each that follows, coalesced as far as the client is slow.
pub(super) async fn states(State(served): Shared) -> Result<Response, Problem> {
    let room = served.follow()?;
    let mut snapshots = served.port.snapshots();
    snapshots.mark_changed();
    let states = States {
        served,
        snapshots,
        over: false,
        _room: room,
    };
    Ok(sse(stream::unfold(states, next_state)))
}

async fn next_state(mut states: States) -> Option<(Events, States)> {
    if states.over {
        return None;
    }
    let gone = states.snapshots.changed().await.is_err();
    let snapshot = Arc::clone(&states.snapshots.borrow_and_update());
    states.over = gone || snapshot.verdict.is_some();
    let mut events = Vec::new();
    if !gone && let Ok(state) = states.served.state(&snapshot) {
        let id = snapshot.revision.0.to_string();
        events.extend(event("snapshot", &state).map(|event| Ok(event.id(id))));
    }
    if states.over {
        events.push(Ok(Event::default().event("end").data("{}")));
    }
    Some((events, states))
}

/// A client's place among the changes.
struct Place {
    served: Arc<Served>,
    head: watch::Receiver<Head>,
    number: u64,
    /// What it asked to go on from is not kept.
    lost: bool,
    over: bool,
    _room: OwnedSemaphorePermit,
}

/// Each change from now on, or from where the client was (`Last-Event-ID`, or `after`).
pub(super) async fn changes(
    State(served): Shared,
    headers: HeaderMap,
    asked: Result<Asked<ChangesQuery>, Problem>,
) -> Result<Response, Problem> {
    let room = served.follow()?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = last.map(str::to_owned).or(asked?.0.after);
    let head = served.history.head();
    let (number, lost) = match after.as_deref() {
        None => (head.borrow().last, false),
        Some("start") => (0, false),
        Some(id) => match served.history.number(id) {
            Some(number) => (number, false),
            None => (head.borrow().last, true),
        },
    };
    let place = Place {
        served,
        head,
        number,
        lost,
        over: false,
        _room: room,
    };
    Ok(sse(stream::unfold(place, next_changes)))
}

async fn next_changes(mut place: Place) -> Option<(Events, Place)> {
    if place.over {
        return None;
    }
    let history = &place.served.history;
    if place.lost {
        place.lost = false;
        return Some((vec![Ok(resync(None))], place));
    }
    let head = {
        let head = place
            .head
            .wait_for(|head| head.last > place.number || head.ended)
            .await;
        // It lives as long as what holds it: this stream does.
        head.map_or(
            Head {
                last: place.number,
                ended: true,
            },
            |head| *head,
        )
    };
    let batch = history.after(place.number, BATCH);
    let mut events = Vec::new();
    if batch.missed > 0 {
        events.push(Ok(resync(Some(batch.missed))));
    }
    let first = batch.last - batch.changes.len() as u64;
    for (number, change) in (first + 1..).zip(&batch.changes) {
        let event = Event::default()
            .event("change")
            .id(history.id(number))
            .data(change.get());
        events.push(Ok(event));
    }
    if head.ended && batch.last >= head.last {
        place.over = true;
        events.push(Ok(Event::default().event("end").data("{}")));
    }
    place.number = batch.last;
    Some((events, place))
}

/// Changes are lost to this client: it should take a state. What follows is complete.
pub(super) fn resync(missed: Option<u64>) -> Event {
    let data = missed.map_or("{}".to_owned(), |missed| format!("{{\"missed\":{missed}}}"));
    Event::default().event("resync").data(data)
}

#[derive(Serialize)]
struct Page {
    changes: Vec<Arc<RawValue>>,
    after: String,
    missed: u64,
}

/// The changes that are kept after a place.
pub(super) async fn changes_page(
    State(served): Shared,
    asked: Result<Asked<ChangesQuery>, Problem>,
) -> Result<Response, Problem> {
    let history = &served.history;
    let number = match asked?.0.after.as_deref() {
        None => history.head().borrow().last,
        Some("start") => 0,
        Some(id) => history.number(id).ok_or_else(|| {
            Problem::new(ErrorCode::BadRequest, "no change of this stack has this id")
                .hint("`after=start` gives all that are kept")
        })?,
    };
    let batch = history.after(number, PAGE);
    Ok(json(&Page {
        after: history.id(batch.last),
        changes: batch.changes,
        missed: batch.missed,
    }))
}

pub(super) fn event(name: &str, data: &impl Serialize) -> Option<Event> {
    let text = serde_json::to_string(data).ok()?;
    Some(Event::default().event(name).data(text))
}

pub(super) fn sse(batches: impl stream::Stream<Item = Events> + Send + 'static) -> Response {
    use stream::StreamExt as _;
    let events = batches.flat_map(stream::iter);
    Sse::new(events)
        .keep_alive(KeepAlive::default())
        .into_response()
}
