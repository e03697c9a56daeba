//! Whether a command is taken.
//!
//! Each command gets one answer at once: accepted, ignored because what it asks for is
//! so already, or denied with a reason. What it sets going is seen in the snapshots.

use serde::{Deserialize, Serialize};

use super::event::Shutdown;
use super::id::UnitName;
use super::outcome::Outcome;
use super::phase::{Phase, PhaseName};

/// The answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[must_use]
pub enum Answer {
    Accepted,
    /// Nothing to do: it is so already.
    Ignored(Reason),
    Denied(Denial),
}

/// Why there is nothing to do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    #[error("already running")]
    AlreadyRunning,
    #[error("already on its way")]
    AlreadyStarting,
    #[error("not running")]
    NotRunning,
    #[error("already stopping")]
    AlreadyStopping,
    #[error("not disabled")]
    NotDisabled,
    #[error("already disabled")]
    AlreadyDisabled,
    #[error("already paused")]
    AlreadyPaused,
    #[error("not paused")]
    NotPaused,
    #[error("nothing changes")]
    Unchanged,
}

/// Why a command is not taken.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, thiserror::Error,
)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    #[error("no unit is named `{0}`")]
    UnknownUnit(UnitName),
    #[error("the stack is stopping")]
    ShuttingDown,
    #[error("the stack has ended")]
    Ended,
    #[error("`{0}` is not running")]
    NotRunning(UnitName),
    #[error("`{0}` is one instance of a unit: scale the unit")]
    NotAUnit(UnitName),
    #[error("`{0}` has no `replicas`, so its one instance bears its name")]
    NoReplicas(UnitName),
    #[error("`{0}` watches no files")]
    NotWatching(UnitName),
    #[error("another unit bears the name of an instance of `{0}`")]
    NameTaken(UnitName),
    #[error("`{unit}` has a fixed port, which two instances cannot share")]
    FixedPort { unit: UnitName },
    #[error("`{unit}` can have at most {most} instances")]
    TooMany { unit: UnitName, most: u32 },
}

/// What one instance says to a start. `is_stopping`: its stop is due and not yet begun;
/// `comes_back`: its run ends to be followed by another one.
pub fn start(phase: &Phase, is_stopping: bool, comes_back: bool) -> Answer {
    match phase.name() {
        PhaseName::Starting | PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping
            if comes_back =>
        {
            Answer::Ignored(Reason::AlreadyStarting)
        }
        PhaseName::Starting if is_stopping => Answer::Accepted,
        PhaseName::Idle | PhaseName::Exited | PhaseName::Backoff => Answer::Accepted,
        PhaseName::Waiting | PhaseName::Starting => Answer::Ignored(Reason::AlreadyStarting),
        PhaseName::Running if is_stopping => Answer::Accepted,
        PhaseName::Running => Answer::Ignored(Reason::AlreadyRunning),
        PhaseName::Stopping | PhaseName::Reaping => Answer::Accepted,
    }
}

/// What one instance says to a stop, or a kill.
pub fn stop(phase: &Phase, held: bool, kill: bool) -> Answer {
    match phase.name() {
        PhaseName::Exited if matches!(phase, Phase::Exited(Outcome::Skipped(_))) && !held => {
            Answer::Accepted
        }
        PhaseName::Idle | PhaseName::Exited => Answer::Ignored(Reason::NotRunning),
        // It is held, so its stop is begun or waits for its dependents'.
        PhaseName::Starting | PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping
            if held && !kill =>
        {
            Answer::Ignored(Reason::AlreadyStopping)
        }
        PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Running
        | PhaseName::Stopping
        | PhaseName::Reaping
        | PhaseName::Backoff => Answer::Accepted,
    }
}

/// What the stack says to any command but a shutdown.
#[must_use]
pub fn stack(shutdown: Option<Shutdown>, ended: bool) -> Option<Denial> {
    if ended {
        Some(Denial::Ended)
    } else {
        shutdown.map(|_| Denial::ShuttingDown)
    }
}

/// What the stack says to a shutdown.
pub fn shutdown(current: Option<Shutdown>, asked: Shutdown, ended: bool) -> Answer {
    if ended {
        return Answer::Denied(Denial::Ended);
    }
    match current {
        Some(current) if current >= asked => Answer::Ignored(Reason::AlreadyStopping),
        Some(_) | None => Answer::Accepted,
    }
}

/// One answer for several instances: accepted if any accepts.
pub fn combine(answers: impl IntoIterator<Item = Answer>) -> Answer {
    let mut combined = Answer::Ignored(Reason::Unchanged);
    for answer in answers {
        match answer {
            Answer::Denied(denial) => return Answer::Denied(denial),
            Answer::Accepted => combined = Answer::Accepted,
            Answer::Ignored(reason) => {
                if combined != Answer::Accepted {
                    combined = Answer::Ignored(reason);
                }
            }
        }
    }
    combined
}
