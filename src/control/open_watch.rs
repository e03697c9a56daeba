//! Open lines, told as they grow: to clients that cannot see them in the files.
//!
//! A line whose rest follows at once is not told of, so that a flood of lines costs nothing
//! here; nor is one told of more often than it can be seen.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use super::history;
use super::log_pages;
use super::protocol::{OpenQuery, OpenText, OpenTexts, Problem};
use super::routes::{Asked, Served, Shared};
use super::streams::{event, sse};
use crate::domain::id::UnitName;
use crate::domain::snapshot::Snapshot;
use crate::logs::{LogSource, OpenLine, Selection};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(30);

/// Who wants to know what is open.
pub(super) struct OpenWatch {
    logs: Arc<dyn LogSource>,
    wake: watch::Receiver<u64>,
    selection: Selection,
    told: Vec<OpenLine>,
    /// Some line was too young to be told of.
    again: bool,
    next: Instant,
}

impl OpenWatch {
    pub fn new(logs: Arc<dyn LogSource>, selection: Selection) -> Self {
        let mut wake = logs.wake();
        wake.mark_changed();
        Self {
            wake,
            logs,
            selection,
            told: Vec::new(),
            again: false,
            next: Instant::now(),
        }
    }

    /// What is open, once that is not what was told last. `None`: nothing is written any more.
    /// May be given up at any time.
    pub async fn changed(&mut self) -> Option<Vec<OpenLine>> {
        loop {
            tokio::time::sleep_until(self.next).await;
            if !self.again {
                self.wake.changed().await.ok()?;
            }
            self.wake.mark_unchanged();
            self.next = Instant::now() + LOOK;
            let mut open = self.logs.open_lines(&self.selection);
            let all = open.len();
            open.retain(|line| line.is_settled);
            self.again = open.len() < all;
            if open != self.told {
                self.told.clone_from(&open);
                return Some(open);
            }
        }
    }
}

/// As clients read them.
pub(super) fn texts(open: &[OpenLine], snapshot: &Snapshot) -> Vec<OpenText> {
    let text = |line: &OpenLine| {
        let id = line.origin.run.instance;
        let unit = snapshot.units.iter().find(|unit| unit.id == id);
        let name = unit.map_or_else(
            || UnitName::new(format!("#{}", id.0)),
            |unit| unit.name.clone(),
        );
        OpenText::new(line, name)
    };
    open.iter().map(text).collect()
}

/// As an event of a stream.
pub(super) fn told(open: &[OpenLine], snapshot: &Snapshot) -> Option<Event> {
    let open = texts(open, snapshot);
    event("open", &OpenTexts { open })
}

struct Place {
    served: Arc<Served>,
    watch: OpenWatch,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    over: bool,
    _room: OwnedSemaphorePermit,
}

/// What is open now, and whenever that has changed.
pub(super) async fn stream(
    State(served): Shared,
    asked: Result<Asked<OpenQuery>, Problem>,
) -> Result<Response, Problem> {
    let selection = match &asked?.0.units {
        Some(names) => log_pages::selection(names, &served.snapshot())?,
        None => Selection::All,
    };
    let room = served.follow()?;
    let place = Place {
        watch: OpenWatch::new(served.port.logs(), selection),
        snapshots: served.port.snapshots(),
        served,
        over: false,
        _room: room,
    };
    Ok(sse(stream::unfold(place, next)))
}

async fn next(mut place: Place) -> Option<(Vec<Result<Event, Infallible>>, Place)> {
    if place.over {
        return None;
    }
    let open = tokio::select! {
        open = place.watch.changed() => open,
        () = history::ended(&mut place.snapshots) => None,
    };
    let events = match open {
        Some(open) => told(&open, &place.served.snapshot())
            .map(Ok)
            .into_iter()
            .collect(),
        None => {
            place.over = true;
            vec![Ok(Event::default().event("end").data("{}"))]
        }
    };
    Some((events, place))
}
