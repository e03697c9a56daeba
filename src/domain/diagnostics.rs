//! How well pk itself does, for those who look into it.

use serde::{Deserialize, Serialize};

/// What the process that runs the stack has, and how fast it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Diagnostics {
    pub event_loop: LoopLatency,
    /// Clients that follow the stack at the moment.
    pub followers: u32,
    /// Open descriptors of the process, where they can be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub descriptors: Option<u32>,
    /// Memory of the process, in bytes, where it can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<u64>,
}

/// How long what came in waited until it was dealt with, in microseconds: facts, commands, all
/// that happens, since the stack began.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct LoopLatency {
    pub events: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub longest_us: u64,
}
