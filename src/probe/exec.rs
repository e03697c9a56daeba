//! Succeeds when a command exits with 0.

use std::time::Duration;

use super::ProbeResult;
use super::connect::late;
use crate::contain::{Containment, HelperEnd, HelperOutput, SpawnRequest, run_helper};
use crate::domain::exit::ExitStatus;

/// Runs `command` in a group of its own, which is killed after `timeout`.
pub(super) async fn check(
    containment: &Containment,
    command: &SpawnRequest,
    timeout: Duration,
) -> ProbeResult {
    match run_helper(containment, command, timeout).await {
        Ok(HelperOutput { end, tail }) => match end {
            HelperEnd::Exited(ExitStatus::SUCCESS) => ProbeResult::Success,
            HelperEnd::Exited(status) => ProbeResult::Failure(said(&status.to_string(), &tail)),
            HelperEnd::TimedOut => ProbeResult::Failure(said(&late(timeout), &tail)),
        },
        Err(error) => ProbeResult::Failure(error.to_string()),
    }
}

/// With the last thing that the command said, which is mostly why.
fn said(what: &str, tail: &[u8]) -> String {
    let tail = String::from_utf8_lossy(tail);
    match tail.lines().rev().map(str::trim).find(|l| !l.is_empty()) {
        Some(line) => format!("{what}: {line}"),
        None => what.to_owned(),
    }
}
