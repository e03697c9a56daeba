//! `/v1/diagnostics`: how well pk itself does.

use axum::extract::State;
use axum::response::Response;

use super::protocol::Problem;
use super::routes::{Shared, json, unanswered};
use crate::domain::diagnostics::Diagnostics;

pub(super) async fn diagnostics(State(served): Shared) -> Result<Response, Problem> {
    let event_loop = served.port.latency().await;
    Ok(json(&Diagnostics {
        event_loop: event_loop.map_err(|error| unanswered(&served, &error))?,
        followers: served.following(),
        descriptors: descriptors(),
        resident: resident(),
    }))
}

fn descriptors() -> Option<u32> {
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    u32::try_from(open).ok()
}

/// proc_pid_statm(5): the second number, in pages.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}
