//! Pages of lines.
//!
//! A client holds its own place as text, so the server holds nothing for it: whoever follows
//! asks for the next page and says how long it would wait for one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;

use super::protocol::{ErrorCode, Line, Lines, LogPage, LogQuery, OpenText, Problem, UnitGap};
use super::routes::{Asked, Body, Served, Shared, json};
use super::{history, open_watch};
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::snapshot::Snapshot;
use crate::domain::text::parse_duration;
use crate::logs::{Cursor, LogSource, Page, Selection, Start};

/// The most lines of one page.
const MAX_LINES: usize = 4096;

/// A page is not filled further once it holds so many bytes.
const MAX_BYTES: usize = 1 << 20;

/// Lines that are taken from the store at once.
const STEP: usize = 64;

/// The longest wait for a line; a client that wants to wait longer asks again.
const MAX_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn by_query(
    State(served): Shared,
    asked: Result<Asked<LogQuery>, Problem>,
) -> Result<Response, Problem> {
    page(&served, &asked?.0).await
}

/// For cursors that are too long for an address.
pub(super) async fn by_body(
    State(served): Shared,
    asked: Result<Body<LogQuery>, Problem>,
) -> Result<Response, Problem> {
    page(&served, &asked?.0).await
}

async fn page(served: &Served, query: &LogQuery) -> Result<Response, Problem> {
    let bad = |message: String| Problem::new(ErrorCode::BadRequest, message);
    let logs = served.port.logs();
    let mut cursor = match &query.cursor {
        Some(text) => text
            .parse::<Cursor>()
            .map_err(|error| bad(format!("`cursor`: {error}")))?,
        None => {
            let selection = match &query.units {
                Some(names) => selection(names, &served.snapshot())?,
                None => Selection::All,
            };
            let start = match query.last {
                None => Start::Oldest,
                Some(0) => Start::Now,
                Some(lines) => Start::Last(lines),
            };
            logs.cursor(selection, start)
        }
    };
    let wait = match &query.wait {
        Some(text) => parse_duration(text).map_err(|error| bad(format!("`wait`: {error}")))?,
        None => Duration::ZERO,
    };
    let max = query.max.unwrap_or(MAX_LINES).min(MAX_LINES);
    let deadline = tokio::time::Instant::now() + wait.min(MAX_WAIT);
    let open = |cursor: &Cursor| match query.open {
        true => open_watch::texts(&logs.open_lines(cursor.selection()), &served.snapshot()),
        false => Vec::new(),
    };
    let mut wake = logs.wake();
    let mut room = None;
    let mut snapshots = served.port.snapshots();
    loop {
        wake.borrow_and_update();
        // Looked at before the lines: what was written until then is there.
        let ended = served.snapshot().verdict.is_some();
        let page = read(&*logs, &mut cursor, max);
        if !page.is_empty() || ended || max == 0 {
            let open = open(&cursor);
            return Ok(json(&written(
                &page,
                &cursor,
                ended,
                open,
                &served.snapshot(),
            )));
        }
        if wait > Duration::ZERO && room.is_none() {
            room = Some(served.follow()?);
        }
        tokio::select! {
            result = wake.changed() => if result.is_err() {
                return Ok(json(&written(&page, &cursor, true, open(&cursor), &served.snapshot())));
            },
            () = history::ended(&mut snapshots), if !ended => {}
            () = tokio::time::sleep_until(deadline) => {
                return Ok(json(&written(&page, &cursor, ended, open(&cursor), &served.snapshot())));
            }
        }
    }
}

/// Lines until the page is full, in number or in bytes.
fn read(logs: &dyn LogSource, cursor: &mut Cursor, max: usize) -> Page {
    let mut page = Page::default();
    let mut bytes = 0;
    while page.lines.len() < max && bytes < MAX_BYTES {
        let more = logs.read(cursor, STEP.min(max - page.lines.len()));
        if more.is_empty() {
            break;
        }
        bytes += more
            .lines
            .iter()
            .map(|line| line.bytes.len())
            .sum::<usize>();
        page.gaps.extend(more.gaps);
        page.lines.extend(more.lines);
    }
    page
}

fn written(
    page: &Page,
    cursor: &Cursor,
    ended: bool,
    open: Vec<OpenText>,
    snapshot: &Snapshot,
) -> LogPage {
    let Lines { lines, gaps } = lines(page, snapshot);
    LogPage {
        ended: ended && page.is_empty(),
        lines,
        gaps,
        cursor: cursor.to_string(),
        open,
    }
}

/// As clients read them.
pub(super) fn lines(page: &Page, snapshot: &Snapshot) -> Lines {
    let names: BTreeMap<InstanceId, &UnitName> = snapshot
        .units
        .iter()
        .map(|unit| (unit.id, &unit.name))
        .collect();
    let name = |id: InstanceId| {
        let known = names.get(&id).map(|name| (*name).clone());
        known.unwrap_or_else(|| UnitName::new(format!("#{}", id.0)))
    };
    Lines {
        lines: (page.lines.iter())
            .map(|line| Line::new(line, name(line.origin.run.instance)))
            .collect(),
        gaps: (page.gaps.iter())
            .map(|gap| UnitGap {
                unit: name(gap.instance),
                instance: gap.instance,
                lines: gap.lines,
            })
            .collect(),
    }
}

/// Units or instances by name.
pub(super) fn selection(names: &str, snapshot: &Arc<Snapshot>) -> Result<Selection, Problem> {
    let mut ids = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let named = snapshot
            .units
            .iter()
            .filter(|unit| unit.name.as_str() == name || unit.unit.as_str() == name);
        let before = ids.len();
        ids.extend(named.map(|unit| unit.id));
        if ids.len() == before {
            let message = format!("no unit is named `{name}`");
            return Err(Problem::new(ErrorCode::UnknownUnit, message));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(Selection::Only(ids))
}
