//! Why a unit is where it is, in words: one answer for every face.

use std::time::Duration;

use super::health::Readiness;
use super::machine::Machine;
use super::outcome::{Failure, Outcome};
use super::phase::{Phase, PhaseName, Stop};
use super::snapshot::{Snapshot, UnitView, Wait, WaitFor, WatchView};
use super::spec::Condition;
use super::text::short_duration;
use super::time::Instant;

/// Why a dependency in that state can no longer meet a condition: completes
/// "skipped: db …".
#[must_use]
pub fn why_hopeless(machine: &Machine, condition: Condition) -> String {
    match machine.phase() {
        Phase::Exited(Outcome::Completed) => match condition {
            Condition::Ready => "completed without being ready".to_owned(),
            Condition::LogReady => "completed without the line it was to log".to_owned(),
            Condition::Started | Condition::Completed | Condition::Succeeded => {
                "completed".to_owned()
            }
        },
        Phase::Exited(Outcome::Failed(failed)) => format!("failed ({})", failed.failure.brief()),
        Phase::Exited(Outcome::Skipped(_)) => "was skipped".to_owned(),
        Phase::Exited(Outcome::Stopped) => "was stopped".to_owned(),
        Phase::Idle => "is not started".to_owned(),
        Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Reaping { .. }
        | Phase::Backoff { .. } => format!("is not {condition}"),
    }
}

/// A restart that is to come: completes "web: …".
#[must_use]
pub fn backoff(
    delay: Duration,
    restart: u32,
    budget: Option<u32>,
    failure: Option<&Failure>,
) -> String {
    let of = budget.map_or_else(String::new, |budget| format!("/{budget}"));
    let why = failure.map_or_else(|| "it ended".to_owned(), ToString::to_string);
    format!("restart {restart}{of} in {}: {why}", short_duration(delay))
}

/// How far a dependency is on its way to a condition.
#[must_use]
pub fn how_far(machine: &Machine, condition: Condition) -> String {
    match machine.phase() {
        Phase::Running { .. } => match condition {
            Condition::Ready => match machine.health().progress(machine.spec()) {
                Some((done, needed)) if needed > 1 => format!("ready {done}/{needed}"),
                Some(_) | None => "not ready yet".to_owned(),
            },
            Condition::LogReady => "has not logged its line yet".to_owned(),
            Condition::Started | Condition::Completed | Condition::Succeeded => {
                "running".to_owned()
            }
        },
        Phase::Idle if machine.spec().schedule.is_some() => "waits for its time".to_owned(),
        Phase::Idle
        | Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Stopping { .. }
        | Phase::Reaping { .. }
        | Phase::Backoff { .. }
        | Phase::Exited(_) => machine.phase().name().as_str().to_owned(),
    }
}

/// A unit's state in a few words, without anything that changes by the second.
#[must_use]
pub fn status(view: &UnitView) -> String {
    let mut text = state(view);
    if let Some(said) = &view.said {
        text.push_str(&format!("; says: {said}"));
    }
    if view.schedule.is_some_and(|schedule| schedule.paused) && view.phase != PhaseName::Idle {
        text.push_str("; schedule paused");
    }
    if let Some(watch) = &view.watch {
        if let Some(files) = &watch.building {
            text.push_str(&format!("; building, as {files} changed"));
        } else if let Some(failure) = &watch.build_failure {
            text.push_str(&format!("; build failed: {}", failure.failure));
        }
        if watch.paused {
            text.push_str("; watch paused");
        }
        if let Some(path) = watch.muted.first() {
            text.push_str(&format!("; ignores {path}, which it writes itself"));
        }
    }
    text
}

/// The same, and when it is started next by the clock.
#[must_use]
pub fn status_at(view: &UnitView, now: Instant) -> String {
    match next_run(view, now) {
        Some(next) => format!("{}; {next}", view.status),
        None => view.status.clone(),
    }
}

/// When a unit is started next by the clock; `None`: it is not.
#[must_use]
pub fn next_run(view: &UnitView, now: Instant) -> Option<String> {
    let at = view.schedule?.next?;
    Some(format!("next run in {}", short_duration(left(at, now))))
}

fn state(view: &UnitView) -> String {
    match view.phase {
        PhaseName::Idle => match view.schedule {
            Some(schedule) if !schedule.paused => "scheduled".to_owned(),
            Some(_) | None => "not started".to_owned(),
        },
        PhaseName::Waiting => match &view.wait {
            Some(Wait::Dependencies(waits)) if !waits.is_empty() => {
                format!("waiting for {}", waits_text(waits))
            }
            Some(Wait::StuckRun) => "waiting for its stuck run to end".to_owned(),
            Some(_) | None => "waiting".to_owned(),
        },
        PhaseName::Starting => "starting".to_owned(),
        PhaseName::Running => match (view.readiness, &view.wait) {
            (_, Some(Wait::Dependents(names))) => {
                let names: Vec<&str> = names.iter().map(super::id::UnitName::as_str).collect();
                format!("waiting for {} to stop first", names.join(", "))
            }
            (Readiness::Ready, _) => "ready".to_owned(),
            (Readiness::Unprobed, _) => "running".to_owned(),
            (Readiness::Unhealthy, _) => "unhealthy".to_owned(),
            (
                Readiness::Unready,
                Some(Wait::Ready {
                    last_failure: Some(last),
                    ..
                }),
            ) => {
                format!("not ready ({last})")
            }
            (Readiness::Unready, _) => "not ready".to_owned(),
        },
        PhaseName::Stopping => "stopping".to_owned(),
        PhaseName::Reaping => match &view.wait {
            Some(Wait::Drain) => "ending".to_owned(),
            Some(_) | None => "stopping what its leader left".to_owned(),
        },
        PhaseName::Backoff => match &view.wait {
            Some(Wait::Backoff {
                failure: Some(failure),
                ..
            }) => format!("waiting to restart ({failure})"),
            Some(_) | None => "waiting to restart".to_owned(),
        },
        PhaseName::Exited if view.up_to_date.is_some() => "up to date".to_owned(),
        PhaseName::Exited => view
            .outcome
            .as_ref()
            .map_or_else(String::new, ToString::to_string),
    }
}

fn waits_text(waits: &[WaitFor]) -> String {
    const SHOWN: usize = 3;
    let mut texts: Vec<String> = waits
        .iter()
        .take(SHOWN)
        .map(|wait| format!("{} to be {} ({})", wait.name, wait.condition, wait.state))
        .collect();
    if waits.len() > SHOWN {
        texts.push(format!("{} more", waits.len() - SHOWN));
    }
    texts.join(", ")
}

/// Why a unit is stopped, completing "stopping: …".
#[must_use]
pub fn stop_reason(stop: &Stop, name_of: impl Fn(super::id::InstanceId) -> String) -> String {
    match stop {
        Stop::Requested => "asked to".to_owned(),
        Stop::Restart => "to restart".to_owned(),
        Stop::Files(files) => format!("{files} changed"),
        Stop::Dependency(on) => format!("{} ends", name_of(*on)),
        Stop::Changed => "its definition changed".to_owned(),
        Stop::Removed => "it is no longer in the file".to_owned(),
        Stop::Shutdown => "the stack stops".to_owned(),
        Stop::Failed(failure) => failure.to_string(),
    }
}

/// Everything that is to be said of one unit: its state, since when, what it waits for
/// and until when. One line each.
#[must_use]
pub fn explain(view: &UnitView, snapshot: &Snapshot) -> Vec<String> {
    let now = snapshot.at;
    let passed = short_duration(now.since(view.since));
    let mut lines = vec![match view.phase {
        PhaseName::Exited => format!("{}: {}, {passed} ago", view.name, view.status),
        PhaseName::Idle
        | PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Running
        | PhaseName::Stopping
        | PhaseName::Reaping
        | PhaseName::Backoff => format!("{}: {} for {passed}", view.name, view.status),
    }];
    if let Some(wait) = &view.wait {
        lines.extend(wait_lines(wait, now, snapshot));
    }
    lines.extend(next_run(view, now));
    if view.restarts > 0 {
        lines.push(format!("restarted {} times", view.restarts));
    }
    if let Some(exit) = &view.exit {
        lines.push(format!("last exit: {exit}"));
    }
    if let Some(reason) = &view.up_to_date {
        lines.push(format!("was not run: {reason}"));
    }
    if let Some(watch) = &view.watch {
        lines.extend(watch_lines(watch, now));
    }
    lines
}

fn watch_lines(watch: &WatchView, now: Instant) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(last) = &watch.last {
        let ago = short_duration(now.since(last.at));
        lines.push(format!("watch: {} changed {ago} ago", last.files));
    }
    if let Some(failure) = &watch.build_failure {
        lines.push(format!(
            "runs what was built before {} changed",
            failure.files
        ));
    }
    for path in &watch.muted {
        lines.push(format!(
            "ignores {path}: it changed after each of its starts; `pk watch resume` undoes that"
        ));
    }
    lines
}

fn wait_lines(wait: &Wait, now: Instant, snapshot: &Snapshot) -> Vec<String> {
    let until = |at: &Option<Instant>, what: &str| {
        at.map(|at| format!("{what} in {}", short_duration(left(at, now))))
    };
    match wait {
        Wait::Dependencies(waits) => waits
            .iter()
            .map(|wait| {
                format!(
                    "waits for {} to be {}: {}",
                    wait.name, wait.condition, wait.state
                )
            })
            .collect(),
        Wait::StuckRun => vec!["waits for a former run that SIGKILL has not ended".to_owned()],
        Wait::Spawn => vec!["waits for its command to be executed".to_owned()],
        Wait::Ready {
            progress,
            last_failure,
            until: at,
        } => {
            let mut lines = Vec::new();
            if let Some((done, needed)) = progress {
                lines.push(format!("waits for its probe: {done} of {needed} successes"));
            }
            lines.extend(
                last_failure
                    .as_ref()
                    .map(|last| format!("last check: {last}")),
            );
            lines.extend(until(at, "fails as not ready"));
            lines
        }
        Wait::Dependents(names) => names
            .iter()
            .map(|name| format!("waits for {name} to stop first"))
            .collect(),
        Wait::Grace { stop, until: at } => {
            let name_of = |id| {
                let unit = snapshot.units.iter().find(|unit| unit.id == id);
                unit.map_or_else(|| "its dependency".to_owned(), |unit| unit.name.to_string())
            };
            let mut lines = Vec::new();
            lines.extend(
                stop.as_ref()
                    .map(|stop| format!("stops: {}", stop_reason(stop, name_of))),
            );
            lines.extend(until(at, "is killed"));
            lines
        }
        Wait::Kill { until: at } => {
            let mut lines = vec!["was sent SIGKILL".to_owned()];
            lines.extend(until(at, "is given up as stuck"));
            lines
        }
        Wait::Drain => vec!["waits for the rest of its output".to_owned()],
        Wait::Backoff { until: at, .. } => {
            vec![format!("restarts in {}", short_duration(left(*at, now)))]
        }
    }
}

fn left(at: Instant, now: Instant) -> Duration {
    at.since(now)
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
