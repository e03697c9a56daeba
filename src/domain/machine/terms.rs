//! What every start asks of a spec.

use std::time::Duration;

use crate::domain::spec::UnitSpec;

/// Kept beside the phase: the specs of thousands of units do not fit a processor's cache,
/// and a start needs no more of them than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub wait: Option<Duration>,
    /// Only where there is something to be ready by.
    pub ready: Option<Duration>,
    pub run: Option<Duration>,
    /// Whether a probe says when it is ready.
    pub can_be_ready: bool,
    /// Whether there is any probe.
    pub is_probed: bool,
}

impl Terms {
    pub fn of(spec: &UnitSpec) -> Self {
        let can_be_ready = spec.can_be_ready();
        Self {
            wait: spec.timeouts.wait,
            ready: spec.timeouts.ready.filter(|_| can_be_ready),
            run: spec.timeouts.run,
            can_be_ready,
            is_probed: can_be_ready || spec.liveness.is_some(),
        }
    }
}
