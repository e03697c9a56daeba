//! Waits until units of a running stack are as they should be.

use std::sync::Arc;
use std::time::Duration;

use super::args::{self, Awaited};
use super::{names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::control::{ControlPort, RemotePort};
use crate::domain::health::Readiness;
use crate::domain::id::{Revision, UnitName};
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::UnitKind;
use crate::domain::text::format_duration;

/// Whose state is waited for, and from when on it counts.
#[derive(Clone, Copy, Debug)]
pub struct Watched<'a> {
    pub names: &'a [UnitName],
    pub from: Revision,
    /// As they were before.
    pub before: &'a Snapshot,
    /// Only a run that is not that of `before` counts.
    pub renewed: bool,
}

/// Where one instance is on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    There,
    OnItsWay,
    /// It will not come there by itself.
    Never,
}

pub fn wait(place: &Place, wait: &args::Wait, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let before = port.snapshots().borrow().clone();
        let names = names::expand(&wait.units, &before).map_err(|mistake| {
            output.error(&mistake.what, mistake.help.as_deref());
            End::NotThere
        })?;
        let watched = Watched {
            names: &names,
            from: before.revision,
            before: &before,
            renewed: false,
        };
        Ok(until(&port, &watched, wait.state, wait.timeout, output).await)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// What came of waiting.
#[derive(Debug)]
pub struct Waited {
    /// [`Progress::OnItsWay`]: the time was up, or the stack has ended.
    pub progress: Progress,
    pub timed_out: bool,
    pub snapshot: Arc<Snapshot>,
}

/// Waits, and says nothing.
pub async fn outcome(
    port: &dyn ControlPort,
    watched: &Watched<'_>,
    awaited: Awaited,
    limit: Duration,
) -> Waited {
    let mut snapshots = port.snapshots();
    let decided = |snapshot: &Arc<Snapshot>| {
        snapshot.revision >= watched.from
            && (snapshot.verdict.is_some() || all(snapshot, watched, awaited) != Progress::OnItsWay)
    };
    let waited = tokio::time::timeout(limit, snapshots.wait_for(decided)).await;
    let timed_out = waited.is_err();
    drop(waited);
    let snapshot = Arc::clone(&snapshots.borrow());
    Waited {
        progress: all(&snapshot, watched, awaited),
        timed_out,
        snapshot,
    }
}

/// Waits, and says how each instance is then.
pub async fn until(
    port: &dyn ControlPort,
    watched: &Watched<'_>,
    awaited: Awaited,
    limit: Duration,
    output: &Output,
) -> End {
    let Waited {
        progress,
        timed_out,
        snapshot,
    } = outcome(port, watched, awaited, limit).await;
    if timed_out && progress == Progress::OnItsWay {
        let late: Vec<String> = names::instances(watched.names, &snapshot)
            .filter(|unit| one(unit, watched, awaited) != Progress::There)
            .map(|unit| format!("{}: {}", unit.name, unit.status))
            .collect();
        output.error(
            &format!("timed out after {}", format_duration(limit)),
            Some(&late.join("; ")),
        );
        return End::TimedOut;
    }
    let printed = output.print(&lines(&snapshot, watched));
    match progress {
        Progress::There => printed,
        Progress::Never | Progress::OnItsWay => End::Failed,
    }
}

/// Says how each instance is once the effect of a command is seen.
pub async fn show(port: &RemotePort, watched: &Watched<'_>, output: &Output) -> End {
    let mut snapshots = port.snapshots();
    let seen = snapshots.wait_for(|snapshot| snapshot.revision >= watched.from);
    // It is seen at once, unless the stack has gone.
    let _ = tokio::time::timeout(Duration::from_secs(5), seen).await;
    let snapshot = Arc::clone(&snapshots.borrow());
    output.print(&lines(&snapshot, watched))
}

fn lines(snapshot: &Snapshot, watched: &Watched<'_>) -> String {
    names::instances(watched.names, snapshot)
        .map(|unit| format!("{}: {}\n", unit.name, unit.status))
        .collect()
}

/// The worst of all.
fn all(snapshot: &Snapshot, watched: &Watched<'_>, awaited: Awaited) -> Progress {
    let mut worst = Progress::There;
    for unit in names::instances(watched.names, snapshot) {
        match one(unit, watched, awaited) {
            Progress::There => {}
            Progress::OnItsWay => worst = Progress::OnItsWay,
            Progress::Never => return Progress::Never,
        }
    }
    worst
}

fn one(unit: &UnitView, watched: &Watched<'_>, awaited: Awaited) -> Progress {
    let before = watched.before.units.iter().find(|old| old.id == unit.id);
    let old_run = before.is_some_and(|old| old.attempt == unit.attempt);
    let is_old = watched.renewed && old_run && unit.phase != PhaseName::Exited;
    if is_old && awaited != Awaited::Stopped {
        return Progress::OnItsWay;
    }
    // A run that somebody else has started since is not the one that was to stop.
    if awaited == Awaited::Stopped && !old_run && before.is_some() {
        return Progress::There;
    }
    of(unit, awaited)
}

fn of(unit: &UnitView, awaited: Awaited) -> Progress {
    let there = |there: bool| {
        if there {
            Progress::There
        } else {
            Progress::OnItsWay
        }
    };
    let ended = |there: bool| {
        if there {
            Progress::There
        } else {
            Progress::Never
        }
    };
    let is_task = unit.kind == UnitKind::Task;
    match unit.phase {
        PhaseName::Idle => match awaited {
            Awaited::Stopped => Progress::There,
            // All that is to be done for it now is done.
            Awaited::Started | Awaited::Ready if unit.schedule.is_some_and(|s| !s.paused) => {
                Progress::There
            }
            Awaited::Started | Awaited::Ready | Awaited::Completed | Awaited::Succeeded => {
                Progress::OnItsWay
            }
        },
        PhaseName::Waiting | PhaseName::Starting | PhaseName::Backoff => Progress::OnItsWay,
        PhaseName::Running => match awaited {
            Awaited::Started => Progress::There,
            Awaited::Ready => there(match unit.readiness {
                Readiness::Ready => true,
                Readiness::Unprobed => !is_task,
                Readiness::Unready | Readiness::Unhealthy => false,
            }),
            Awaited::Completed | Awaited::Succeeded | Awaited::Stopped => Progress::OnItsWay,
        },
        PhaseName::Stopping | PhaseName::Reaping => Progress::OnItsWay,
        PhaseName::Exited => {
            let completed = unit.outcome == Some(Outcome::Completed);
            match awaited {
                Awaited::Stopped => Progress::There,
                Awaited::Started | Awaited::Succeeded => ended(completed),
                Awaited::Ready => ended(completed && is_task),
                Awaited::Completed => match &unit.outcome {
                    Some(Outcome::Completed | Outcome::Failed(_)) => Progress::There,
                    Some(Outcome::Skipped(_) | Outcome::Stopped) | None => Progress::Never,
                },
            }
        }
    }
}
