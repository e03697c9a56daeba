//! One dependency between two instances, and whether its condition holds.

use super::Instance;
use crate::domain::health::Readiness;
use crate::domain::id::InstanceId;
use crate::domain::outcome::Outcome;
use crate::domain::phase::Phase;
use crate::domain::spec::Condition;

/// A dependency of one instance on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::domain) struct Edge {
    pub on: InstanceId,
    pub condition: Condition,
    pub restart: bool,
    pub required: bool,
    pub state: EdgeState,
}

/// Whether an edge's condition holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::domain) enum EdgeState {
    /// It may come.
    #[default]
    Pending,
    Met,
    /// It cannot come unless the dependency is started anew.
    Hopeless,
}

impl Edge {
    /// Whether the dependent must not start because of it. What is not required is waited
    /// for only while it can come.
    pub fn holds_back(&self) -> bool {
        match self.state {
            EdgeState::Met => false,
            EdgeState::Pending => true,
            EdgeState::Hopeless => self.required,
        }
    }

    /// Whether the dependent is skipped because of it.
    pub fn is_hopeless(&self) -> bool {
        self.required && self.state == EdgeState::Hopeless
    }
}

/// The state of an edge with that condition on `dependency`.
pub(super) fn evaluate(dependency: &Instance, wanted: bool, condition: Condition) -> EdgeState {
    let machine = &dependency.machine;
    match machine.phase() {
        Phase::Idle if wanted => EdgeState::Pending,
        Phase::Idle => EdgeState::Hopeless,
        // A run that is about to be stopped is none to start on.
        Phase::Running { .. } if dependency.pending.is_some() => EdgeState::Pending,
        Phase::Running { .. } => {
            let holds = match condition {
                Condition::Started => true,
                Condition::Ready => machine.health().state() == Readiness::Ready,
                Condition::LogReady => machine.health().log_matched(),
                Condition::Completed | Condition::Succeeded => false,
            };
            if holds {
                EdgeState::Met
            } else {
                EdgeState::Pending
            }
        }
        Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Stopping { .. }
        | Phase::Reaping { .. }
        | Phase::Backoff { .. } => EdgeState::Pending,
        Phase::Exited(outcome) => {
            let holds = match outcome {
                Outcome::Completed => match condition {
                    Condition::Started | Condition::Completed | Condition::Succeeded => true,
                    Condition::LogReady => machine.health().log_matched(),
                    Condition::Ready => false,
                },
                Outcome::Failed(failed) => {
                    condition == Condition::Completed && failed.failure.is_exit()
                }
                Outcome::Skipped(_) | Outcome::Stopped => false,
            };
            if holds {
                EdgeState::Met
            } else {
                EdgeState::Hopeless
            }
        }
    }
}
