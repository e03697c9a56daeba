//! What the runs of a stack use, as faces see it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{Attempt, InstanceId, UnitName};
use super::text::duration;
use super::time::Instant;

/// What every live run uses, sampled at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct StackStats {
    pub at: Instant,
    /// In the order of their instances. A run that could not be sampled is left out.
    pub runs: Vec<RunStats>,
}

impl StackStats {
    /// That of the instance, if it has a live run.
    #[must_use]
    pub fn of(&self, instance: InstanceId) -> Option<&RunStats> {
        self.runs.iter().find(|run| run.instance == instance)
    }
}

/// What one run uses and has used: its whole tree, helpers not counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunStats {
    pub instance: InstanceId,
    /// The instance's name.
    pub name: UnitName,
    pub attempt: Attempt,
    /// Processor time in all. In cgroups also that of members that have ended.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub cpu_time: Duration,
    /// Of one processor, since the sample before: 200 is two of them. `None`: there is no
    /// sample of this run before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// In bytes. Without a memory controller the sum over the members, so that what they
    /// share counts several times.
    pub memory: u64,
    /// In bytes. Without a memory controller the most that a sample has shown.
    pub memory_peak: u64,
    /// Members that live now.
    pub processes: u64,
    /// How many the kernel killed for want of memory; `None` without a memory controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kills: Option<u64>,
    /// `None` without an io controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<DiskIo>,
}

/// Bytes from and to disks since the run began.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct DiskIo {
    pub read: u64,
    pub written: u64,
}
