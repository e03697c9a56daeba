//! All that a face shows, to one client that stays: states, changes and lines in one stream.
//!
//! On connections of their own a change and the lines before it overtake each other. Here
//! they come in the order of their times, and the last state, which holds the verdict, after
//! all else.
//!
//! ```text
//!  state ─► ( lines and changes ─► state )… ─► end
//! ```
//!
//! It pulls like every client: one that does not read holds nobody up, and is told what it
//! missed.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::history::Head;
use super::log_pages;
use super::open_watch::{self, OpenWatch};
use super::protocol::{FeedQuery, Problem};
use super::routes::{Asked, Served, Shared};
use super::streams::{event, resync, sse};
use crate::domain::snapshot::Snapshot;
use crate::logs::{Cursor, LogLine, LogSource, OpenLine, Page, Selection, Start};

/// Changes that are taken from the history at once.
const CHANGES: usize = 64;

/// Lines that are taken from the store at once.
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
    open: Option<OpenWatch>,
    /// Lines that were read and not yet sent.
    lines: VecDeque<LogLine>,
    phase: Phase,
    _room: OwnedSemaphorePermit,
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
    Round(Round),
    Over,
}

/// All that was there at one moment.
#[derive(Clone, Copy)]
struct Round {
    /// The changes up to here.
    head: Head,
    /// The lines up to this number.
    lines: u64,
    /// They were read.
    read: bool,
    /// When the stack began, by the clock of the lines.
    began: i128,
}

/// Begins a stream.
pub(super) async fn feed(
    State(served): Shared,
    asked: Result<Asked<FeedQuery>, Problem>,
) -> Result<Response, Problem> {
    let query = asked?.0;
    let room = served.follow()?;
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
    let selection = match query.files && logs.place().is_some() {
        true => Selection::Only(Vec::new()),
        false => Selection::All,
    };
    let feed = Feed {
        snapshots,
        head,
        change,
        cursor: logs.cursor(selection, start),
        wake: logs.wake(),
        open: (query.open).then(|| OpenWatch::new(Arc::clone(&logs), Selection::All)),
        lines: VecDeque::new(),
        logs,
        served,
        phase: Phase::First { from_start },
        _room: room,
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
                feed.phase = Phase::Round(feed.round().await);
            }
            Phase::Wait => {
                let more = feed.snapshots.has_changed().is_ok();
                tokio::select! {
                    _ = feed.head.changed() => {}
                    _ = feed.wake.changed() => {}
                    open = opened(&mut feed.open) => {
                        let snapshot = feed.served.snapshot();
                        events.extend(open_watch::told(&open, &snapshot).map(Ok));
                        return Some((events, feed));
                    }
                    result = feed.snapshots.changed(), if more => if result.is_ok() {
                        feed.snapshots.mark_changed();
                    }
                }
                feed.phase = Phase::Round(feed.round().await);
            }
            Phase::Round(round) => feed.advance(round, &mut events),
            Phase::Over => return None,
        }
        if !events.is_empty() {
            return Some((events, feed));
        }
    }
}

/// What is open, when that is another and asked for.
async fn opened(watch: &mut Option<OpenWatch>) -> Vec<OpenLine> {
    if let Some(watch) = watch
        && let Some(open) = watch.changed().await
    {
        return open;
    }
    std::future::pending().await
}

impl Feed {
    /// All that is there now. The changes first: what a unit writes because of one comes
    /// after it, and what led to one is taken before it, though it may not be readable yet.
    async fn round(&mut self) -> Round {
        self.served.history.catch_up();
        let head = *self.head.borrow_and_update();
        let lines = self.logs.taken();
        self.wake.mark_unchanged();
        poll_fn(|context| self.logs.poll_kept(context, lines)).await;
        let passed = self.served.port.now().since_start();
        let passed = i128::try_from(passed.as_nanos()).unwrap_or_default();
        Round {
            head,
            lines,
            read: false,
            // Anew each time: the clock may be set meanwhile.
            began: Timestamp::now().as_nanosecond() - passed,
        }
    }

    /// Sends some of the round; the state after the last of it.
    fn advance(&mut self, mut round: Round, events: &mut Events) {
        if self.lines.is_empty() && !round.read {
            let page = self.logs.read(&mut self.cursor, LINES);
            let last = page.lines.last().map(|line| line.seq + 1);
            round.read = page.lines.len() < LINES || last.is_none_or(|last| last >= round.lines);
            let Page { lines, gaps } = page;
            self.lines = lines.into();
            if !gaps.is_empty() {
                let lines = Vec::new();
                events.extend(self.lines_event(&Page { gaps, lines }));
            }
        }
        // What came since belongs to the next round, with the changes that led to it.
        let is_of_round = |line: &LogLine| line.seq < round.lines;
        round.read |= self.lines.back().is_some_and(|last| !is_of_round(last));
        self.phase = Phase::Round(round);
        let left = round.head.last.saturating_sub(self.change);
        if left == 0 {
            let all = self.lines.iter().take_while(|line| is_of_round(line));
            self.send(all.count(), events);
            if round.read {
                self.conclude(round, events);
            }
            return;
        }
        let most = usize::try_from(left).map_or(CHANGES, |left| left.min(CHANGES));
        let batch = self.served.history.after(self.change, most);
        if batch.missed > 0 {
            events.push(Ok(resync(Some(batch.missed))));
        }
        self.change += batch.missed;
        for (change, at) in batch.changes.iter().zip(&batch.times) {
            let at = i128::try_from(at.since_start().as_nanos()).unwrap_or(i128::MAX);
            let at = round.began.saturating_add(at);
            let earlier = |line: &&LogLine| line.time.as_nanosecond() <= at;
            let count = self.lines.iter().take_while(earlier).count();
            let all = count == self.lines.len();
            self.send(count, events);
            if all && !round.read {
                // There may be more before this change.
                return;
            }
            events.push(Ok(Event::default().event("change").data(change.get())));
            self.change += 1;
        }
    }

    fn conclude(&mut self, round: Round, events: &mut Events) {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let over = snapshot.verdict.is_some();
        let fresh = self.snapshots.has_changed().unwrap_or(false);
        self.snapshots.mark_unchanged();
        self.phase = Phase::Wait;
        // The last one has to wait for the last of the changes.
        if round.head.ended || (fresh && !over) {
            events.extend(self.state(&snapshot));
        }
        if round.head.ended {
            self.phase = Phase::Over;
            events.push(Ok(Event::default().event("end").data("{}")));
        }
    }

    fn send(&mut self, count: usize, events: &mut Events) {
        if count > 0 {
            let lines = self.lines.drain(..count).collect();
            let gaps = Vec::new();
            events.extend(self.lines_event(&Page { gaps, lines }));
        }
    }

    fn lines_event(&self, page: &Page) -> Option<Result<Event, Infallible>> {
        let lines = log_pages::lines(page, &self.served.snapshot());
        event("lines", &lines).map(Ok)
    }

    fn state(&self, snapshot: &Snapshot) -> Option<Result<Event, Infallible>> {
        let state = self.served.state(snapshot).ok()?;
        event("snapshot", &state).map(Ok)
    }
}
