//! Whether a task has anything to do: asked before it is executed.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::runner::{Ask, Tools};
use super::{bounds, request};
use crate::contain::{HelperEnd, SpawnRequest, run_helper};
use crate::domain::exit::ExitStatus;
use crate::domain::spec::UnitSpec;
use crate::watch::{Staleness, staleness};

/// How long the `status` command may take: below what a spawn may.
const STATUS_LIMIT: Duration = Duration::from_secs(20);

/// What came of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It has to run.
    Stale,
    /// It need not, and why.
    UpToDate(String),
    /// It was stopped before that was known; the same in words.
    Interrupted(String),
}

/// Whether the task has anything to do; whatever stops it meanwhile ends the question.
pub(super) async fn ask(
    spec: &UnitSpec,
    tools: &Tools,
    environment: &[(OsString, OsString)],
    asked: &mut mpsc::UnboundedReceiver<Ask>,
) -> Freshness {
    if spec.freshness.is_none() {
        return Freshness::Stale;
    }
    let judging = judge(spec, tools, environment);
    tokio::pin!(judging);
    loop {
        tokio::select! {
            judged = &mut judging => return judged,
            ask = asked.recv() => match ask {
                Some(Ask::Signal(..) | Ask::Kill | Ask::StopCommand(..) | Ask::TypeKeys(_))
                | None => {
                    return Freshness::Interrupted("stopped before it was started".to_owned());
                }
                // There is nothing to probe yet.
                Some(Ask::StartProbe(_) | Ask::SlowProbe(_) | Ask::StopProbe(_)) => {}
            },
        }
    }
}

/// A task is up to date if its outputs are newer than its inputs, or its `status` command
/// succeeds.
async fn judge(spec: &UnitSpec, tools: &Tools, environment: &[(OsString, OsString)]) -> Freshness {
    let Some(freshness) = &spec.freshness else {
        return Freshness::Stale;
    };
    let (inputs, outputs) = (freshness.inputs.clone(), freshness.outputs.clone());
    let folder = tools.folder.clone();
    let compared = tokio::task::spawn_blocking(move || staleness(&folder, &inputs, &outputs));
    if let Ok(Staleness::UpToDate) = compared.await {
        let made = shown(&freshness.outputs, &tools.folder);
        return Freshness::UpToDate(format!("no input changed since {made} was made"));
    }
    let Some(status) = &freshness.status else {
        return Freshness::Stale;
    };
    let stage = request::stage(status, spec, environment);
    let Ok(options) = bounds::helper_options(spec) else {
        return Freshness::Stale;
    };
    let request = SpawnRequest::command(stage).with_options(options);
    match run_helper(&tools.containment, &request, STATUS_LIMIT).await {
        Ok(output) if output.end == HelperEnd::Exited(ExitStatus::SUCCESS) => {
            Freshness::UpToDate("its `status` command succeeded".to_owned())
        }
        // A question that has no answer is no reason to leave the work undone.
        Ok(_) | Err(_) => Freshness::Stale,
    }
}

/// The first of the paths, relative to the stack's folder.
fn shown(paths: &[String], folder: &Path) -> String {
    let Some(first) = paths.first() else {
        return String::new();
    };
    let below = Path::new(first).strip_prefix(folder).ok();
    let first = below.map_or(first.clone(), |below| below.to_string_lossy().into_owned());
    if paths.len() > 1 {
        format!("{first}, …")
    } else {
        first
    }
}
