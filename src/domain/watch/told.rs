//! What the watch of a unit is told, and what it says is to be done.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ChangedFiles, FileChange};
use crate::domain::signal::Signal;
use crate::domain::time::Instant;

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    Restart,
    Signal(Signal),
    /// The command that must succeed first was started.
    Build,
    /// The same, after the one before it was cancelled.
    BuildAnew,
    /// Nothing yet: the watch is paused.
    Held,
    /// Nothing yet: it may be the unit itself that writes the file.
    PutOff,
    /// Nothing: what runs was started after the change.
    Read,
}

/// The last change that counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Trigger {
    pub files: FileChange,
    pub at: Instant,
    pub reaction: Reaction,
}

/// What the watch of a unit is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    Changed(ChangedFiles),
    /// The build of that number has ended; why it failed, in words.
    Built {
        number: u64,
        result: Result<(), String>,
    },
    /// What was put off is due.
    HoldOver {
        number: u64,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Restart or signal the unit.
    Act(FileChange),
    Build {
        number: u64,
        files: FileChange,
        anew: bool,
    },
    /// Its end is told as that of any other build.
    CancelBuild {
        number: u64,
    },
    /// Tell [`Told::HoldOver`] after so long.
    Hold {
        number: u64,
        files: FileChange,
        limit: Duration,
    },
    /// A change was noted for later, while the watch is paused.
    Held(FileChange),
    /// What runs was started after the change: nothing is left to be done.
    Read(FileChange),
    BuildFailed {
        files: FileChange,
        failure: String,
    },
    /// This file is not reacted to any more: the unit writes it.
    Muted(String),
}

/// Why the last build failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BuildFailure {
    pub files: FileChange,
    /// In words.
    pub failure: String,
}
