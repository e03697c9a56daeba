//! How a run ended, and how a unit did.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::exit::ExitStatus;
use super::id::{Attempt, InstanceId, UnitName};
use super::signal::Signal;
use super::spec::{Program, SuccessCodes, UnitSpec};
use super::text::{duration, format_size, short_duration};

/// How a unit's story ended, until somebody starts it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its last run ended with success.
    Completed,
    Failed(Failed),
    /// It was not started.
    Skipped(Skip),
    /// It was told to stop.
    Stopped,
}

/// A failure and what the restart policy had tried against it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Failed {
    pub failure: Failure,
    /// The automatic restarts before it, when the budget for them was used up.
    pub gave_up_after: Option<u32>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The command ended so.
    Exit(ExitStatus),
    /// This stage of the pipeline is the leftmost that failed.
    Stage { name: String, status: ExitStatus },
    /// It ended so, and the kernel had killed a member of it for want of memory.
    OutOfMemory {
        /// Of a pipeline: the stage that failed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stage: Option<String>,
        status: ExitStatus,
        /// `limits.memory`, in bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u64>,
    },
    /// Somebody else listens on one of its ports: who, in words, and what to do. It would fail
    /// each time, so it is not restarted.
    PortTaken {
        why: String,
        /// How it ended; none if it was not started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<ExitStatus>,
    },
    /// There is no process: what happened, in words.
    Spawn(String),
    /// Nothing was heard of the spawn in this time.
    SpawnTimeout(
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        Duration,
    ),
    /// `timeouts.run` has passed.
    TimedOut(
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        Duration,
    ),
    /// `timeouts.ready` has passed.
    NotReady {
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        limit: Duration,
        last: Option<String>,
    },
    /// The startup probe failed too often.
    Startup(String),
    /// The liveness probe failed too often.
    Unhealthy(String),
    /// The readiness probe failed too often, and `on_failure` is `restart`.
    Unready(String),
    /// These members outlived SIGKILL.
    Stuck(Vec<Member>),
    /// The run vanished without a word.
    Lost,
}

impl Failure {
    /// Whether the command came to an end of its own, for the condition `completed`.
    #[must_use]
    pub fn is_exit(&self) -> bool {
        match self {
            Self::Exit(_) | Self::Stage { .. } | Self::OutOfMemory { .. } => true,
            Self::PortTaken { status, .. } => status.is_some(),
            Self::Spawn(_)
            | Self::SpawnTimeout(_)
            | Self::TimedOut(_)
            | Self::NotReady { .. }
            | Self::Startup(_)
            | Self::Unhealthy(_)
            | Self::Unready(_)
            | Self::Stuck(_)
            | Self::Lost => false,
        }
    }

    /// The same, where the kernel has killed a member for want of memory.
    #[must_use]
    pub fn for_want_of_memory(self, limit: Option<u64>) -> Self {
        let (stage, status) = match self {
            Self::Exit(status) => (None, status),
            Self::Stage { name, status } => (Some(name), status),
            Self::OutOfMemory { .. }
            | Self::PortTaken { .. }
            | Self::Spawn(_)
            | Self::SpawnTimeout(_)
            | Self::TimedOut(_)
            | Self::NotReady { .. }
            | Self::Startup(_)
            | Self::Unhealthy(_)
            | Self::Unready(_)
            | Self::Stuck(_)
            | Self::Lost => return self,
        };
        Self::OutOfMemory {
            stage,
            status,
            limit,
        }
    }

    /// The same, where somebody else listens on a port of the unit.
    #[must_use]
    pub fn for_a_port_that_is_taken(self, why: String) -> Self {
        Self::PortTaken {
            why,
            status: self.status(),
        }
    }

    /// Its kind, without the particulars that the failed unit's own line gives.
    #[must_use]
    pub fn brief(&self) -> String {
        let text = self.to_string();
        // Which stage it was is no particular: without it nobody knows whom to ask.
        let stage = match self {
            Self::Spawn(_) if text.starts_with("stage ") => text.find(": ").map_or(0, |at| at + 2),
            Self::Spawn(_)
            | Self::Exit(_)
            | Self::Stage { .. }
            | Self::OutOfMemory { .. }
            | Self::PortTaken { .. }
            | Self::SpawnTimeout(_)
            | Self::TimedOut(_)
            | Self::NotReady { .. }
            | Self::Startup(_)
            | Self::Unhealthy(_)
            | Self::Unready(_)
            | Self::Stuck(_)
            | Self::Lost => 0,
        };
        let rest = &text[stage..];
        let end = rest.find(": ").or_else(|| rest.find(" ("));
        let end = end.map_or(text.len(), |end| stage + end);
        match self {
            Self::Stage { .. } | Self::Exit(_) => text,
            Self::OutOfMemory {
                stage: Some(stage), ..
            } => format!("stage {stage}: out of memory"),
            Self::OutOfMemory { stage: None, .. } => "out of memory".to_owned(),
            Self::PortTaken { .. } => "port taken".to_owned(),
            Self::Spawn(_)
            | Self::SpawnTimeout(_)
            | Self::TimedOut(_)
            | Self::NotReady { .. }
            | Self::Startup(_)
            | Self::Unhealthy(_)
            | Self::Unready(_)
            | Self::Stuck(_)
            | Self::Lost => text[..end].to_owned(),
        }
    }

    /// The exit status behind it, if there is one.
    #[must_use]
    pub fn status(&self) -> Option<ExitStatus> {
        match self {
            Self::Exit(status) | Self::Stage { status, .. } | Self::OutOfMemory { status, .. } => {
                Some(*status)
            }
            Self::PortTaken { status, .. } => *status,
            Self::Spawn(_)
            | Self::SpawnTimeout(_)
            | Self::TimedOut(_)
            | Self::NotReady { .. }
            | Self::Startup(_)
            | Self::Unhealthy(_)
            | Self::Unready(_)
            | Self::Stuck(_)
            | Self::Lost => None,
        }
    }
}

/// A process by number and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Member {
    pub pid: u32,
    pub name: String,
}

/// Why a unit was not started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skip {
    /// This dependency can no longer meet its condition.
    Dependency {
        on: InstanceId,
        name: UnitName,
        /// Why it cannot.
        reason: String,
        /// What that goes back to, if it was skipped itself: `db failed (exit code 1)`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        because: Option<String>,
    },
    /// `timeouts.wait` has passed; the dependencies it waited for, with their attempts
    /// then, so that a new run of one is told from the old.
    WaitTimeout {
        #[serde(with = "duration")]
        #[schemars(with = "String")]
        limit: Duration,
        on: Vec<(InstanceId, Attempt)>,
        names: Vec<UnitName>,
    },
}

/// The exit status of each stage of a run, in order; a plain command has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RunStatus(pub Vec<ExitStatus>);

impl RunStatus {
    #[must_use]
    pub fn of(status: ExitStatus) -> Self {
        Self(vec![status])
    }

    /// The status that stands for the run: that of the leftmost failed stage, else of the
    /// last.
    #[must_use]
    pub fn overall(&self, success: &SuccessCodes) -> ExitStatus {
        let failed = self.leftmost_failed(success).map(|stage| self.0[stage]);
        failed
            .or(self.0.last().copied())
            .unwrap_or(ExitStatus::SUCCESS)
    }

    /// A stage ended by SIGPIPE because its reader had ended has not failed, nor has a
    /// shell that reports as much (141); the last stage has no reader here.
    fn leftmost_failed(&self, success: &SuccessCodes) -> Option<usize> {
        let last = self.0.len().saturating_sub(1);
        self.0.iter().enumerate().position(|(stage, &status)| {
            let reader_ended = stage < last
                && (status == ExitStatus::Signal(Signal::PIPE) || status == ExitStatus::Code(141));
            !reader_ended && !is_success(status, success)
        })
    }

    /// Whether the run failed by its exit status.
    #[must_use]
    pub fn failure(&self, spec: &UnitSpec) -> Option<Failure> {
        let stage = self.leftmost_failed(&spec.success_exit_codes)?;
        let status = self.0[stage];
        Some(match &spec.program {
            Program::Command(_) => Failure::Exit(status),
            Program::Pipeline(stages) => Failure::Stage {
                name: stages
                    .get(stage)
                    .map_or_else(|| (stage + 1).to_string(), |s| s.name.clone()),
                status,
            },
        })
    }
}

fn is_success(status: ExitStatus, success: &SuccessCodes) -> bool {
    match status {
        ExitStatus::Code(code) => code == 0 || success.codes.contains(&code),
        ExitStatus::Signal(signal) => success.signals.contains(&signal),
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, status) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" | ")?;
            }
            status.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Completed => f.write_str("completed"),
            Self::Failed(failed) => write!(f, "failed: {failed}"),
            Self::Skipped(skip) => write!(f, "skipped: {skip}"),
            Self::Stopped => f.write_str("stopped"),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)?;
        match self.gave_up_after {
            Some(0) | None => Ok(()),
            Some(1) => f.write_str(", gave up after 1 restart"),
            Some(restarts) => write!(f, ", gave up after {restarts} restarts"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => status.fmt(f),
            Self::Stage { name, status } => write!(f, "stage {name}: {status}"),
            Self::OutOfMemory {
                stage,
                status,
                limit,
            } => {
                if let Some(stage) = stage {
                    write!(f, "stage {stage}: ")?;
                }
                f.write_str("out of memory")?;
                if let Some(limit) = limit {
                    write!(f, " (limit {})", format_size(*limit))?;
                }
                write!(f, ": {status}")
            }
            Self::PortTaken { why: text, .. } | Self::Spawn(text) => f.write_str(text),
            Self::SpawnTimeout(limit) => {
                write!(f, "not started within {}", short_duration(*limit))
            }
            Self::TimedOut(limit) => write!(f, "timed out after {}", short_duration(*limit)),
            Self::NotReady { limit, last } => {
                write!(f, "not ready within {}", short_duration(*limit))?;
                last.as_ref().map_or(Ok(()), |last| write!(f, " ({last})"))
            }
            Self::Startup(reason) => write!(f, "startup probe failed ({reason})"),
            Self::Unhealthy(reason) => write!(f, "liveness probe failed ({reason})"),
            Self::Unready(reason) => write!(f, "readiness probe failed ({reason})"),
            Self::Stuck(members) => {
                f.write_str("stuck: SIGKILL did not end ")?;
                for (place, member) in members.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{} ({})", member.name, member.pid)?;
                }
                if members.is_empty() {
                    f.write_str("its processes")?;
                }
                Ok(())
            }
            Self::Lost => f.write_str("its end was not seen"),
        }
    }
}

impl Skip {
    /// What a skip of dependents goes back to, by way of this one.
    #[must_use]
    pub fn root(&self) -> String {
        match self {
            Self::Dependency {
                because: Some(root),
                ..
            } => root.clone(),
            Self::Dependency { because: None, .. } | Self::WaitTimeout { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dependency {
                name,
                reason,
                because,
                ..
            } => {
                write!(f, "{name} {reason}")?;
                match because {
                    Some(root) => write!(f, ", as {root}"),
                    None => Ok(()),
                }
            }
            Self::WaitTimeout { limit, names, .. } => {
                write!(f, "waited {} for ", short_duration(*limit))?;
                if names.is_empty() {
                    f.write_str("its former run to end")?;
                }
                for (place, name) in names.iter().enumerate() {
                    let comma = if place > 0 { ", " } else { "" };
                    write!(f, "{comma}{name}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
