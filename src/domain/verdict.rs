//! What is said of a stack at its end.

use serde::{Deserialize, Serialize};

use super::event::ShutdownCause;
use super::exit::ExitStatus;
use super::id::UnitName;
use super::outcome::Outcome;

/// The sum of a stack that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    /// Why it was stopped; `None` if it came to its end.
    pub cause: Option<ShutdownCause>,
    /// What should have succeeded and did not, by instance, in the order of the file.
    pub failed: Vec<(UnitName, Outcome)>,
    /// What was not started because of it.
    pub skipped: Vec<(UnitName, Outcome)>,
    /// The exit status of the unit whose code is to be passed on.
    pub code_from: Option<ExitStatus>,
}

impl Verdict {
    /// Whether everything that had to succeed did.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed.is_empty() && self.skipped.is_empty()
    }
}
