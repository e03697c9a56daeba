//! The tools that wait, and those that change something.

use std::time::Duration;

use super::super::args::{Awaited, Units};
use super::super::log_args::Logs as LogArgs;
use super::super::log_query::Query;
use super::super::names;
use super::super::wait::{self, Progress, Watched};
use super::answer::{Answer, Refusal, bounded};
use super::lines::{self, Wanted};
use super::look::{found, mistaken, unheard};
use super::tools::{Act, RunTask, Stop, Wait};
use crate::cli::args::Place;
use crate::control::protocol::State;
use crate::control::{ControlPort as _, Found, RemotePort, wire};
use crate::domain::admission;
use crate::domain::event::Command;
use crate::domain::id::{Revision, UnitName};
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::spec::UnitKind;
use crate::domain::text::{format_duration, parse_duration};

/// How long is waited, unless told otherwise, and at most.
const WAIT: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(600);

fn limit(asked: Option<&str>) -> Result<Duration, Refusal> {
    let Some(text) = asked else { return Ok(WAIT) };
    match parse_duration(text) {
        Ok(limit) if limit <= LONGEST => Ok(limit),
        Ok(_) => Err(Refusal::new("`timeout` may be 10m at most", None)),
        Err(error) => Err(Refusal::new(
            format!("`timeout`: {error}; write it as 30s or 2m"),
            None,
        )),
    }
}

/// A stack and those of its units that are meant.
struct Meant {
    found: Found,
    port: RemotePort,
    names: Vec<UnitName>,
}

async fn meant(place: &Place, units: Vec<String>) -> Result<Meant, Refusal> {
    if units.is_empty() {
        return Err(Refusal::new("name at least one unit; `*` means all", None));
    }
    let found = found(place)?;
    let port = RemotePort::connect(found.socket.clone()).await;
    let port = port.map_err(|error| unheard(&error))?;
    let snapshot = port.snapshots().borrow().clone();
    let units = Units { units, all: false };
    let names = names::expand(&units, &snapshot).map_err(|mistake| mistaken(&mistake))?;
    Ok(Meant { found, port, names })
}

/// How the units are once they are as they should be, or cannot be so, or time is up.
async fn awaited(meant: &Meant, watched: &Watched<'_>, state: Awaited, limit: Duration) -> Answer {
    let waited = wait::outcome(&meant.port, watched, state, limit).await;
    let lines = names::instances(watched.names, &waited.snapshot)
        .map(|unit| format!("{}: {}", unit.name, unit.status));
    let text = bounded(lines, "name fewer units");
    match waited.progress {
        Progress::There => Ok(text),
        Progress::Never => Err(Refusal(format!(
            "that will not be by itself; `explain` and `logs` say more\n{text}"
        ))),
        Progress::OnItsWay if waited.snapshot.verdict.is_some() => {
            Err(Refusal(format!("the stack has ended\n{text}")))
        }
        Progress::OnItsWay => Err(Refusal(format!(
            "timed out after {}; it goes on\n{text}",
            format_duration(limit)
        ))),
    }
}

pub(super) async fn wait(place: &Place, asked: Wait) -> Answer {
    let limit = limit(asked.timeout.as_deref())?;
    let meant = meant(place, asked.units).await?;
    let before = meant.port.snapshots().borrow().clone();
    let watched = Watched {
        names: &meant.names,
        from: before.revision,
        before: &before,
        renewed: false,
    };
    let state = asked.state.unwrap_or(Awaited::Ready);
    awaited(&meant, &watched, state, limit).await
}

/// From which revision on the effect is seen.
async fn ask(port: &RemotePort, command: Command) -> Result<Revision, Refusal> {
    let answered = port.command(command).await;
    let answered = answered.map_err(|error| Refusal::new(error.to_string(), None))?;
    match answered.answer {
        admission::Answer::Accepted | admission::Answer::Ignored(_) => Ok(answered.revision),
        admission::Answer::Denied(denial) => Err(Refusal::new(denial.to_string(), None)),
    }
}

async fn change(
    meant: &Meant,
    command: impl FnOnce(Vec<UnitName>) -> Command,
    state: Option<Awaited>,
    limit: Duration,
) -> Answer {
    let before = meant.port.snapshots().borrow().clone();
    let command = command(meant.names.clone());
    let renewed = matches!(command, Command::Restart(_));
    let from = ask(&meant.port, command).await?;
    let watched = Watched {
        names: &meant.names,
        from,
        before: &before,
        renewed,
    };
    match state {
        Some(state) => awaited(meant, &watched, state, limit).await,
        None => Ok("accepted; `wait` says when it is done\n".to_owned()),
    }
}

fn ready(act: &Act) -> Option<Awaited> {
    act.wait.unwrap_or(true).then_some(Awaited::Ready)
}

pub(super) async fn start(place: &Place, asked: Act) -> Answer {
    let (limit, ready) = (limit(asked.timeout.as_deref())?, ready(&asked));
    change(
        &meant(place, asked.units).await?,
        Command::Start,
        ready,
        limit,
    )
    .await
}

pub(super) async fn restart(place: &Place, asked: Act) -> Answer {
    let (limit, ready) = (limit(asked.timeout.as_deref())?, ready(&asked));
    change(
        &meant(place, asked.units).await?,
        Command::Restart,
        ready,
        limit,
    )
    .await
}

pub(super) async fn stop(place: &Place, asked: Stop) -> Answer {
    let limit = limit(asked.timeout.as_deref())?;
    let meant = meant(place, asked.units).await?;
    change(&meant, Command::Stop, Some(Awaited::Stopped), limit).await
}

pub(super) async fn run_task(place: &Place, asked: RunTask) -> Answer {
    let (limit, last) = (limit(asked.timeout.as_deref())?, lines::count(asked.last)?);
    let meant = meant(place, vec![asked.task.clone()]).await?;
    let before = meant.port.snapshots().borrow().clone();
    let tasks: Vec<_> = names::instances(&meant.names, &before).collect();
    let [task] = tasks[..] else {
        return Err(Refusal::new("one task at a time", None));
    };
    if task.kind != UnitKind::Task {
        let what = format!("`{}` is a service, no task", task.name);
        return Err(Refusal::new(what, Some("`restart` is for services")));
    }
    match task.phase {
        PhaseName::Idle | PhaseName::Exited => {}
        PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Running
        | PhaseName::Stopping
        | PhaseName::Reaping
        | PhaseName::Backoff => {
            let what = format!("`{}` is under way already: {}", task.name, task.status);
            return Err(Refusal::new(what, Some("`wait` waits for its end")));
        }
    }
    let done = change(&meant, Command::Start, Some(Awaited::Completed), limit).await;
    let snapshot = meant.port.snapshots().borrow().clone();
    let now = snapshot.units.iter().find(|unit| unit.id == task.id);
    // What an earlier run wrote is not what this one did.
    let wrote = match now {
        Some(now) if now.attempt != task.attempt => {
            let args = LogArgs {
                attempt: Some(now.attempt.0),
                ..LogArgs::default()
            };
            let query = Query::new(&args).map_err(|message| Refusal::new(message, None))?;
            let state = wire::get::<State>(&meant.found.socket, "/v1/state").await;
            let wanted = Wanted {
                units: vec![task.name.to_string()],
                query,
                last,
            };
            match state {
                Ok(state) => lines::newest(&meant.found, &state, wanted).await,
                Err(error) => Err(unheard(&error)),
            }
        }
        Some(_) | None => Ok("(it did not run)\n".to_owned()),
    };
    let (Ok(wrote) | Err(Refusal(wrote))) = wrote;
    let succeeded = now.is_some_and(|now| now.outcome == Some(Outcome::Completed));
    match done {
        Ok(text) if succeeded => Ok(format!("{text}{wrote}")),
        Ok(text) | Err(Refusal(text)) => Err(Refusal(format!("{text}{wrote}"))),
    }
}
