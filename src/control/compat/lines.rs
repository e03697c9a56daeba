//! What processes wrote, as it was kept until now.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;

use super::Api;
use super::refusal::{Refusal, json};
use crate::domain::id::InstanceId;
use crate::logs::{LogLine, LogSource, Selection, Start};

type Shared = State<Arc<Api>>;

/// Bytes of text of one answer, of which the newest are given.
const MOST: usize = 16 << 20;

/// Lines that are taken from the store at once.
const STEP: usize = 512;

#[derive(Serialize)]
struct Logs {
    logs: Vec<String>,
}

/// `limit` lines before the last `end` ones; 0: all.
pub(super) async fn log(
    State(api): Shared,
    Path((name, end, limit)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let number = |text: &str| {
        let number = text.parse::<i64>();
        let number = number.map_err(|_| Refusal::bad(format!("`{text}` is not a number")))?;
        Ok(usize::try_from(number.max(0)).unwrap_or(usize::MAX))
    };
    let (end, limit) = (number(&end)?, number(&limit)?);
    let id = api.look().known(&name)?.id;
    let logs = api.port.logs();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let lines = before(&*logs, id, api.cleared(id), end, limit);
    Ok(json(&Logs { logs: lines }))
}

/// Up to `limit` lines that stand before the last `skipped` ones, and none older than `first`.
fn before(
    logs: &dyn LogSource,
    id: InstanceId,
    first: u64,
    skipped: usize,
    limit: usize,
) -> Vec<String> {
    let mut cursor = logs.cursor(Selection::Only(vec![id]), Start::Now);
    let (mut skipped, mut bytes) = (skipped, 0);
    let mut lines = Vec::new();
    while lines.len() < limit && bytes < MOST {
        let wanted = if skipped > 0 {
            skipped
        } else {
            limit - lines.len()
        };
        let page = logs.read_back(&mut cursor, wanted.min(STEP));
        if page.is_empty() {
            break;
        }
        for line in page.lines.iter().rev() {
            if line.seq < first {
                lines.reverse();
                return lines;
            }
            if skipped > 0 {
                skipped -= 1;
            } else {
                bytes += line.bytes.len();
                lines.push(text(line));
            }
        }
    }
    lines.reverse();
    lines
}

pub(super) fn text(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.bytes).into_owned()
}

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

/// What was written until now is not shown here any more. Nothing is taken from the store.
pub(super) async fn clear(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let id = api.look().known(&name)?.id;
    let extent = api.port.logs().extent(&Selection::Only(vec![id]));
    api.clear(id, extent.end);
    Ok(json(&Name { name: &name }))
}
