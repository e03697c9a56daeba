//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::signal::Signal;

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It called `exit(3)`.
    Code(i32),
    /// A signal ended it.
    Signal(Signal),
}

impl ExitStatus {
    pub const SUCCESS: Self = Self::Code(0);

    /// The code that a shell would report: 128 + n for signal n.
    #[must_use]
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal.number(),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "{signal}"),
        }
    }
}
