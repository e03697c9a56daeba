//! Which moments of a unit's life a command of the file follows: `on`.

use super::change::UnitChange;
use super::exit::ExitStatus;
use super::outcome::Outcome;
use super::spec::{Command, Hooks, UnitKind, UnitSpec};

/// A moment that a command may follow, and what it is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub kind: MomentKind,
    /// How the run ended, or why the unit failed.
    pub what: Option<String>,
    /// As a shell has it.
    pub exit_code: Option<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// A run is ready; of a service without a probe: it runs.
    Ready,
    /// A run has ended, however.
    Exit,
    /// The unit has failed, and is not restarted.
    Failed,
}

impl MomentKind {
    /// As the file names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Exit => "exit",
            Self::Failed => "failed",
        }
    }

    /// What the file has for it.
    #[must_use]
    pub fn command(self, hooks: &Hooks) -> Option<&Command> {
        match self {
            Self::Ready => hooks.ready.as_ref(),
            Self::Exit => hooks.exit.as_ref(),
            Self::Failed => hooks.failed.as_ref(),
        }
    }
}

/// The moment that a change of a unit is.
#[must_use]
pub fn moment(change: &UnitChange, spec: &UnitSpec) -> Option<Moment> {
    let plain = |kind| Moment {
        kind,
        what: None,
        exit_code: None,
    };
    match change {
        UnitChange::Ready { .. } => Some(plain(MomentKind::Ready)),
        UnitChange::Started { .. } => (spec.kind == UnitKind::Service && !spec.can_be_ready())
            .then(|| plain(MomentKind::Ready)),
        UnitChange::Exited { status } => Some(Moment {
            what: Some(status.to_string()),
            exit_code: Some(status.overall(&spec.success_exit_codes).shell_code()),
            ..plain(MomentKind::Exit)
        }),
        UnitChange::Ended { outcome, .. } => match &**outcome {
            Outcome::Failed(failed) => Some(Moment {
                what: Some(failed.to_string()),
                exit_code: failed.failure.status().map(ExitStatus::shell_code),
                ..plain(MomentKind::Failed)
            }),
            Outcome::Completed | Outcome::Skipped(_) | Outcome::Stopped => None,
        },
        UnitChange::Waiting
        | UnitChange::Starting { .. }
        | UnitChange::Unready { .. }
        | UnitChange::ProbeFailed { .. }
        | UnitChange::Stopping { .. }
        | UnitChange::Killed
        | UnitChange::Backoff { .. }
        | UnitChange::FilesChanged { .. }
        | UnitChange::BuildFailed { .. }
        | UnitChange::WatchMuted { .. }
        | UnitChange::WatchPaused
        | UnitChange::WatchResumed
        | UnitChange::Due { .. }
        | UnitChange::UpToDate { .. }
        | UnitChange::Added
        | UnitChange::Removed => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::id::Attempt;
    use crate::domain::outcome::{Failed, Failure, RunStatus};
    use crate::domain::spec::{Check, Probe, Program};

    #[test]
    fn each_moment_is_told_once() {
        let program = Program::Command(Command::Exec(vec!["x".into()]));
        let mut spec = UnitSpec::new("a".into(), UnitKind::Service, program, "/".into());
        let kind = |change: &UnitChange, spec: &UnitSpec| moment(change, spec).map(|m| m.kind);
        let (attempt, pid) = (Attempt(1), 1);
        let started = UnitChange::Started { attempt, pid };
        assert_eq!(kind(&started, &spec), Some(MomentKind::Ready));
        spec.readiness = Some(Probe::new(Check::File("/x".into())));
        assert_eq!(kind(&started, &spec), None);
        let after = Duration::ZERO;
        assert_eq!(
            kind(&UnitChange::Ready { after }, &spec),
            Some(MomentKind::Ready)
        );
        let status = RunStatus::of(ExitStatus::Code(3));
        let exited = moment(&UnitChange::Exited { status }, &spec).unwrap();
        assert_eq!((exited.kind, exited.exit_code), (MomentKind::Exit, Some(3)));
        let ended = |outcome| UnitChange::Ended {
            outcome: Box::new(outcome),
            ran_for: None,
        };
        let failed = Outcome::Failed(Failed {
            failure: Failure::Exit(ExitStatus::Code(3)),
            gave_up_after: None,
        });
        assert_eq!(kind(&ended(failed), &spec), Some(MomentKind::Failed));
        assert_eq!(kind(&ended(Outcome::Stopped), &spec), None);
    }
}
