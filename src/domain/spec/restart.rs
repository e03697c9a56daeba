//! When a run that ended is followed by another one.

use std::time::Duration;

use serde::Serialize;

use crate::domain::signal::Signal;
use crate::domain::text::{serialize_duration, serialize_opt_duration};

/// Which ends of a run are followed by another run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    #[default]
    No,
    OnFailure,
    Always,
}

/// The wait before an automatic restart: `initial × factorⁿ`, capped, then spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Backoff {
    #[serde(serialize_with = "serialize_duration")]
    pub initial: Duration,
    #[serde(serialize_with = "serialize_duration")]
    pub max: Duration,
    /// At least 1.
    pub factor: f64,
    /// The share, 0 to 1, by which a wait may be longer or shorter.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_millis(200),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 0.1,
        }
    }
}

/// The restart policy with its budget.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Restart {
    pub policy: RestartPolicy,
    pub backoff: Backoff,
    /// Automatic restarts allowed per window; `None`: any number.
    pub max_restarts: Option<u32>,
    /// `None`: the window never ends.
    #[serde(serialize_with = "serialize_opt_duration")]
    pub window: Option<Duration>,
    /// Health of this length sets the backoff back to its start.
    #[serde(serialize_with = "serialize_duration")]
    pub reset_after: Duration,
}

impl Default for Restart {
    fn default() -> Self {
        Self {
            policy: RestartPolicy::No,
            backoff: Backoff::default(),
            max_restarts: Some(5),
            window: Some(Duration::from_secs(60)),
            reset_after: Duration::from_secs(10),
        }
    }
}

/// Exit codes and signals that count as success beside exit code 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SuccessCodes {
    pub codes: Vec<i32>,
    pub signals: Vec<Signal>,
}
