//! A process as process-compose tells of it.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::exit::ExitStatus;
use crate::domain::health::Readiness;
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::{Lifetime, UnitSpec};
use crate::domain::stats::RunStats;
use crate::domain::time::Instant;

/// A time in the stack as a time of day.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: Instant,
    wall: Timestamp,
}

impl Clock {
    /// `now` is the time in the stack at this moment.
    #[must_use]
    pub fn now(now: Instant) -> Self {
        Self {
            now,
            wall: Timestamp::now(),
        }
    }

    /// How long the stack has been there.
    pub(super) fn up(&self) -> Duration {
        self.now.since_start()
    }

    pub(super) fn start(&self) -> Timestamp {
        self.at(Instant::START)
    }

    pub(super) fn at(&self, instant: Instant) -> Timestamp {
        let nanos = |instant: Instant| {
            i128::try_from(instant.since_start().as_nanos()).unwrap_or(i128::MAX / 4)
        };
        let at = self.wall.as_nanosecond() - nanos(self.now) + nanos(instant);
        Timestamp::from_nanosecond(at).unwrap_or(self.wall)
    }
}

/// One name is written as text, several as a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Namespaces {
    One(String),
    Several(Vec<String>),
}

impl From<Vec<String>> for Namespaces {
    fn from(mut names: Vec<String>) -> Self {
        match (names.pop(), names.is_empty()) {
            (Some(one), true) => Self::One(one),
            (last, _) => {
                names.extend(last);
                Self::Several(names)
            }
        }
    }
}

impl Namespaces {
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(names) => names,
        }
    }
}

/// The state of one process, field by field as there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProcessState {
    pub name: String,
    pub namespace: Namespaces,
    pub status: &'static str,
    /// How long it has run, for people.
    pub system_time: String,
    /// The same in nanoseconds.
    pub age: u64,
    pub is_ready: &'static str,
    pub has_ready_probe: bool,
    pub restarts: u32,
    /// -1 for who was ended by a signal.
    pub exit_code: i32,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub success_exit_codes: Vec<i32>,
    pub pid: u32,
    pub is_elevated: bool,
    pub password_provided: bool,
    /// In bytes.
    pub mem: u64,
    /// In percent of one processor.
    pub cpu: f64,
    pub is_running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_run_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_watched: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_trigger_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_trigger_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_start_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_ready_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_end_time: Option<Timestamp>,
}

impl ProcessState {
    /// What a change of is told to those who follow.
    pub(super) fn turn(&self) -> (&'static str, &'static str, i32, u32, u32) {
        let Self {
            status,
            is_ready,
            exit_code,
            pid,
            restarts,
            ..
        } = self;
        (status, is_ready, *exit_code, *pid, *restarts)
    }
}

/// Whether there is a process of it.
#[must_use]
pub fn has_run(phase: PhaseName) -> bool {
    match phase {
        PhaseName::Starting | PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping => true,
        PhaseName::Idle | PhaseName::Waiting | PhaseName::Backoff | PhaseName::Exited => false,
    }
}

/// What a client of process-compose is told of an instance; without its spec some of it is
/// not known.
#[must_use]
pub fn process_state(
    view: &UnitView,
    spec: Option<&UnitSpec>,
    clock: &Clock,
    usage: Option<&RunStats>,
) -> ProcessState {
    let status = status(view, spec);
    let is_running = has_run(view.phase);
    let started = view.spawned_at;
    let ended = (view.phase == PhaseName::Exited).then_some(view.since);
    let ran = started.map(|started| ended.unwrap_or(clock.now).since(started));
    let probed = view.readiness != Readiness::Unprobed
        || spec.is_some_and(|spec| spec.can_be_ready() || spec.liveness.is_some());
    let ready = match (started, view.ready_after) {
        (Some(started), Some(after)) => Some(started + after),
        (Some(started), None) if !probed => Some(started),
        (Some(_) | None, _) => None,
    };
    let last = view.watch.as_ref().and_then(|watch| watch.last.as_ref());
    ProcessState {
        name: view.name.as_str().to_owned(),
        namespace: Namespaces::One("default".to_owned()),
        status,
        system_time: ran.map_or_else(|| "-".to_owned(), for_people),
        age: ran.map_or(0, |ran| u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX)),
        is_ready: match view.readiness {
            Readiness::Unprobed => "-",
            Readiness::Ready => "Ready",
            Readiness::Unready | Readiness::Unhealthy => "Not Ready",
        },
        has_ready_probe: probed,
        restarts: view.restarts,
        exit_code: exit_code(view, status),
        success_exit_codes: spec
            .map_or_else(Vec::new, |spec| spec.success_exit_codes.codes.clone()),
        pid: view.pid.unwrap_or(0),
        is_elevated: false,
        password_provided: false,
        mem: usage.map_or(0, |usage| usage.memory),
        cpu: usage.and_then(|usage| usage.cpu_percent).unwrap_or(0.0),
        is_running,
        next_run_time: view
            .schedule
            .and_then(|schedule| schedule.next)
            .map(|next| clock.at(next)),
        is_watched: view.watch.as_ref().is_some_and(|watch| !watch.paused),
        watch_trigger_path: last.map(|last| last.files.path.clone()),
        watch_trigger_time: last.map(|last| clock.at(last.at)),
        process_start_time: started.map(|started| clock.at(started)),
        process_ready_time: ready.map(|ready| clock.at(ready)),
        process_end_time: ended.map(|ended| clock.at(ended)),
    }
}

fn status(view: &UnitView, spec: Option<&UnitSpec>) -> &'static str {
    let launched = spec.is_some_and(|spec| spec.lifetime == Lifetime::Launched);
    match view.phase {
        PhaseName::Idle if view.foreground => "Foreground",
        PhaseName::Idle if view.schedule.is_some_and(|schedule| !schedule.paused) => "Pending",
        PhaseName::Idle => "Disabled",
        PhaseName::Waiting => "Pending",
        PhaseName::Starting | PhaseName::Running if launched && view.pid.is_some() => "Launching",
        PhaseName::Running if launched => "Launched",
        PhaseName::Starting | PhaseName::Running => "Running",
        PhaseName::Stopping | PhaseName::Reaping => "Terminating",
        PhaseName::Backoff => "Restarting",
        PhaseName::Exited => match &view.outcome {
            Some(Outcome::Skipped(_)) => "Skipped",
            Some(Outcome::Failed(failed)) if failed.failure.status().is_none() => "Error",
            Some(Outcome::Failed(_) | Outcome::Completed | Outcome::Stopped) | None => "Completed",
        },
    }
}

fn exit_code(view: &UnitView, status: &str) -> i32 {
    let last = view.exit.as_ref().and_then(|exit| exit.0.last());
    match last {
        _ if status == "Skipped" || status == "Error" => 1,
        Some(ExitStatus::Code(code)) => *code,
        // As Go tells it.
        Some(ExitStatus::Signal(_)) => -1,
        None => 0,
    }
}

/// As clients of Kubernetes write how old something is: two units at most.
fn for_people(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: u64, unit: &str, small: u64, rest: &str| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{rest}"),
    };
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_100, "3h5m"),
            (30_000, "8h"),
            (176_400, "2d1h"),
            (864_000, "10d"),
        ] {
            assert_eq!(for_people(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn one_namespace_is_text() {
        let text = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            serde_json::to_string(&Namespaces::from(names)).unwrap()
        };
        assert_eq!(text(&["a"]), r#""a""#);
        assert_eq!(text(&["a", "b"]), r#"["a","b"]"#);
    }
}
