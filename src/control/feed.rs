//! All that a face shows, to one client that stays: states, changes and lines in one stream.
//!
//! On connections of their own a change and the lines before it overtake each other. Here a
//! change is sent once every line is that was there when the change was seen, and the last
//! state, which holds the verdict, after all else.
//!
//! ```text
//!  state ─► ( lines … ─► changes … ─► state )… ─► end
//! ```
//!
//! It pulls like every client: one that does not read holds nobody up, and is told what it
//! missed.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use tokio::sync::watch;

use super::history::Head;
use super::log_pages;
use super::protocol::{FeedQuery, Problem};
use super::routes::{Asked, Served, Shared};
use super::streams::{event, resync, sse};
use crate::domain::snapshot::Snapshot;
use crate::logs::{Cursor, LogSource, Selection, Start};

/// Changes that are taken from the history at once.
const CHANGES: usize = 64;

/// Lines of one event.
const LINES: usize = 512;

type Events = Vec<Result<Event, Infallible>>;

/// A client's place in all of it.
struct Feed {
    served: Arc<Served>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    head: watch::Receiver<Head>,
    /// The last change that was sent.
    change: u64,
    logs: Arc<dyn LogSource>,
    cursor: Cursor,
    wake: watch::Receiver<u64>,
    phase: Phase,
}

/// What is sent next.
#[derive(Clone, Copy)]
enum Phase {
    /// The first state.
    First {
        from_start: bool,
    },
    /// Whatever comes.
    Wait,
    /// The lines up to the number `lines`, then the changes up to that of `head`.
    Lines {
        lines: u64,
        head: Head,
    },
    Changes {
        head: Head,
    },
    Over,
}

/// Begins a stream.
pub(super) async fn feed(
    State(served): Shared,
    asked: Result<Asked<FeedQuery>, Problem>,
) -> Result<Response, Problem> {
    let query = asked?.0;
    let from_start = query.from_start;
    let head = served.history.head();
    let logs = served.port.logs();
    let mut snapshots = served.port.snapshots();
    snapshots.mark_changed();
    let change = if from_start { 0 } else { head.borrow().last };
    let start = match query.last {
        Some(lines) if !from_start => Start::Last(lines),
        Some(_) | None => Start::Oldest,
    };
    let feed = Feed {
        snapshots,
        head,
        change,
        cursor: logs.cursor(Selection::All, start),
        wake: logs.wake(),
        logs,
        served,
        phase: Phase::First { from_start },
    };
    Ok(sse(stream::unfold(feed, next)))
}

async fn next(mut feed: Feed) -> Option<(Events, Feed)> {
    loop {
        let mut events = Vec::new();
        match feed.phase {
            Phase::First { from_start } => {
                let snapshot = if from_start {
                    Arc::clone(&feed.served.first)
                } else {
                    Arc::clone(&feed.snapshots.borrow())
                };
                events.extend(feed.state(&snapshot));
                feed.phase = feed.target();
            }
            Phase::Wait => {
                let more = feed.snapshots.has_changed().is_ok();
                tokio::select! {
                    _ = feed.head.changed() => {}
                    _ = feed.wake.changed() => {}
                    result = feed.snapshots.changed(), if more => if result.is_ok() {
                        feed.snapshots.mark_changed();
                    }
                }
                feed.phase = feed.target();
            }
            Phase::Lines { lines, head } => {
                let page = feed.logs.read(&mut feed.cursor, LINES);
                let last = page.lines.last().map(|line| line.seq + 1);
                if page.lines.len() < LINES || last.is_none_or(|last| last >= lines) {
                    feed.phase = Phase::Changes { head };
                }
                if !page.is_empty() {
                    let lines = log_pages::lines(&page, &feed.served.snapshot());
                    events.extend(event("lines", &lines).map(Ok));
                }
            }
            Phase::Changes { head } => feed.changes(head, &mut events),
            Phase::Over => return None,
        }
        if !events.is_empty() {
            return Some((events, feed));
        }
    }
}

impl Feed {
    /// Up to where everything is sent now. What led to a change is there before it is.
    fn target(&mut self) -> Phase {
        let head = *self.head.borrow_and_update();
        let lines = *self.wake.borrow_and_update();
        Phase::Lines { lines, head }
    }

    fn changes(&mut self, head: Head, events: &mut Events) {
        let history = &self.served.history;
        if self.change < head.last {
            let left = usize::try_from(head.last - self.change).unwrap_or(usize::MAX);
            let batch = history.after(self.change, CHANGES.min(left));
            if batch.missed > 0 {
                events.push(Ok(resync(Some(batch.missed))));
            }
            for change in &batch.changes {
                events.push(Ok(Event::default().event("change").data(change.get())));
            }
            self.change = batch.last;
            return;
        }
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let over = snapshot.verdict.is_some();
        let fresh = self.snapshots.has_changed().unwrap_or(false);
        self.snapshots.mark_unchanged();
        self.phase = Phase::Wait;
        // The last one has to wait for the last of the changes.
        if head.ended || (fresh && !over) {
            events.extend(self.state(&snapshot));
        }
        if head.ended {
            self.phase = Phase::Over;
            events.push(Ok(Event::default().event("end").data("{}")));
        }
    }

    fn state(&self, snapshot: &Snapshot) -> Option<Result<Event, Infallible>> {
        let state = self.served.state(snapshot).ok()?;
        event("snapshot", &state).map(Ok)
    }
}
