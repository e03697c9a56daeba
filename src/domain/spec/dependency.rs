//! What a unit needs of another one before it starts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::id::UnitName;

/// What must hold of a dependency when its dependent starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its program runs, or ran and completed.
    Started,
    /// Its readiness (or, without one, startup) probe has succeeded and still does.
    Ready,
    /// It exited, however.
    Completed,
    /// It exited with success.
    Succeeded,
    /// The line that its `log` probe looks for has come.
    LogReady,
}

impl Condition {
    pub const ALL: [Self; 5] = [
        Self::Started,
        Self::Ready,
        Self::Completed,
        Self::Succeeded,
        Self::LogReady,
    ];

    /// As the file spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Ready => "ready",
            Self::Completed => "completed",
            Self::Succeeded => "succeeded",
            Self::LogReady => "log_ready",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry of `depends_on`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dependency {
    pub unit: UnitName,
    pub condition: Condition,
    /// The dependent stops when the dependency's run ends, and starts again after it.
    pub restart: bool,
    /// Without it, the dependency is neither activated nor waited for when it cannot come.
    pub required: bool,
}
