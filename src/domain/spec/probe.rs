//! How a unit is asked whether it has started, is ready, is alive.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::Command;
use crate::domain::text::serialize_duration;

/// A regular expression that was compiled once to prove it valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// An inclusive range of HTTP status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl StatusRange {
    #[must_use]
    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A request and what its answer must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HttpCheck {
    /// Absolute, `http` or `https`.
    pub url: String,
    pub method: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Any of them passes; never empty.
    pub status: Vec<StatusRange>,
    /// The answer's body must match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Pattern>,
}

/// What a probe looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Http(HttpCheck),
    /// A connection is accepted.
    Tcp {
        host: String,
        port: u16,
    },
    /// The command exits with 0.
    Exec(Command),
    /// The file exists.
    File(PathBuf),
    /// A member of the run's own group listens on the port of that name.
    Port(String),
    /// A line of the run's output matches. Latches.
    Log(Pattern),
    /// The unit says so itself (`sd_notify(3)`). Latches; as liveness it is the watchdog.
    Notify,
}

impl Check {
    /// Whether one success holds for the rest of the run.
    #[must_use]
    pub fn latches(&self) -> bool {
        match self {
            Self::Log(_) | Self::Notify => true,
            Self::Http(_) | Self::Tcp { .. } | Self::Exec(_) | Self::File(_) | Self::Port(_) => {
                false
            }
        }
    }

    /// What is to be said where no check has had an answer, good or bad.
    #[must_use]
    pub fn unanswered(&self) -> String {
        match self {
            Self::Log(pattern) => format!("no line matched `{}`", pattern.0),
            Self::Notify => "it did not say that it is".to_owned(),
            Self::Http(_) | Self::Tcp { .. } | Self::Exec(_) | Self::File(_) | Self::Port(_) => {
                format!("its {} probe had no answer yet", self.kind())
            }
        }
    }

    /// The kind as the file spells it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Tcp { .. } => "tcp",
            Self::Exec(_) => "exec",
            Self::File(_) => "file",
            Self::Port(_) => "port",
            Self::Log(_) => "log",
            Self::Notify => "notify",
        }
    }
}

/// What happens when a unit that was ready no longer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is unready until the probe succeeds again.
    #[default]
    Wait,
    /// The run is stopped and the restart policy decides.
    Restart,
}

/// A check and how often it is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    #[serde(flatten)]
    pub check: Check,
    /// The slowest pace; probing starts faster.
    #[serde(serialize_with = "serialize_duration")]
    pub interval: Duration,
    /// For one check.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// From the spawn, or for liveness and readiness from the end of startup.
    #[serde(serialize_with = "serialize_duration")]
    pub initial_delay: Duration,
    /// Successes in a row; at least 1.
    pub success_threshold: u32,
    /// Failures in a row, each at least an interval after the one before; at least 1.
    pub failure_threshold: u32,
    /// Of a readiness probe; the others always restart.
    pub on_failure: OnFailure,
}

impl Probe {
    pub const INTERVAL: Duration = Duration::from_secs(10);
    pub const TIMEOUT: Duration = Duration::from_secs(1);
    pub const SUCCESS_THRESHOLD: u32 = 1;
    pub const FAILURE_THRESHOLD: u32 = 3;

    /// A probe with the defaults of this field (those of Kubernetes).
    #[must_use]
    pub fn new(check: Check) -> Self {
        Self {
            check,
            interval: Self::INTERVAL,
            timeout: Self::TIMEOUT,
            initial_delay: Duration::ZERO,
            success_threshold: Self::SUCCESS_THRESHOLD,
            failure_threshold: Self::FAILURE_THRESHOLD,
            on_failure: OnFailure::Wait,
        }
    }
}
