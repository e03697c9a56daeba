//! The one table of exit codes.

use crate::domain::event::ShutdownCause;
use crate::domain::exit::ExitStatus;
use crate::domain::id::UnitName;
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::signal::Signal;
use crate::domain::verdict::Verdict;

/// How pk itself ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum End {
    Fine,
    /// Something that had to succeed did not.
    Failed,
    /// The command line or the file is wrong.
    Usage,
    /// No such stack or unit is running.
    NotThere,
    /// The running stack, or the one that runs it, does not let it happen.
    Denied,
    TimedOut,
    /// Ended by a signal to pk.
    Signal(Signal),
    /// The code of a unit stands for the whole.
    Passed(ExitStatus),
}

impl End {
    #[must_use]
    pub fn code(self) -> u8 {
        let code = match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotThere => 3,
            Self::Denied => 4,
            Self::TimedOut => 124,
            Self::Signal(signal) => 128 + signal.number(),
            Self::Passed(status) => status.shell_code(),
        };
        u8::try_from(code).unwrap_or(1)
    }
}

/// What `up` makes of the verdict.
pub fn of_up(verdict: &Verdict) -> End {
    if let Some(ShutdownCause::Signal(signal)) = verdict.cause {
        return End::Signal(signal);
    }
    if let Some(status) = verdict.code_from
        && status != ExitStatus::SUCCESS
    {
        return End::Passed(status);
    }
    if let Some(ShutdownCause::Essential(name)) = &verdict.cause
        && let Some(status) = verdict
            .failed
            .iter()
            .find(|(failed, _)| failed == name)
            .and_then(|(_, outcome)| failure(outcome)?.status())
    {
        return End::Passed(status);
    }
    if verdict.is_success() {
        End::Fine
    } else {
        End::Failed
    }
}

/// What `up` makes of it where pk is called by the name of process-compose: the code of the
/// process that ended the project, and else 0, whatever failed.
pub fn of_process_compose(verdict: &Verdict) -> End {
    let Some(ShutdownCause::Essential(name)) = &verdict.cause else {
        return End::Fine;
    };
    let is = |(unit, _): &&(UnitName, Outcome)| unit == name;
    if verdict.skipped.iter().any(|entry| is(&entry)) {
        return End::Failed;
    }
    match verdict.failed.iter().find(is) {
        Some((_, outcome)) => failure(outcome)
            .and_then(Failure::status)
            .map_or(End::Failed, End::Passed),
        None => End::Fine,
    }
}

/// What `run` makes of it, of which `outcome` is the task's: the task alone counts, if it ran
/// to its end.
pub fn of_run(verdict: &Verdict, outcome: Option<&Outcome>) -> End {
    match outcome {
        Some(Outcome::Completed) => verdict.code_from.map_or(End::Fine, End::Passed),
        Some(Outcome::Failed(failed)) => match &failed.failure {
            Failure::TimedOut(_) => End::TimedOut,
            failure => failure.status().map_or(End::Failed, End::Passed),
        },
        Some(Outcome::Skipped(_) | Outcome::Stopped) | None => match verdict.cause {
            Some(ShutdownCause::Signal(signal)) => End::Signal(signal),
            _ => End::Failed,
        },
    }
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed(failed) => Some(&failed.failure),
        Outcome::Completed | Outcome::Skipped(_) | Outcome::Stopped => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::outcome::{Failed, Skip};

    fn failed(failure: Failure) -> Outcome {
        Outcome::Failed(Failed {
            failure,
            gave_up_after: None,
        })
    }

    fn verdict(cause: Option<ShutdownCause>, failures: &[(&str, Failure)]) -> Verdict {
        Verdict {
            cause,
            failed: failures
                .iter()
                .map(|(name, failure)| ((*name).into(), failed(failure.clone())))
                .collect(),
            ..Verdict::default()
        }
    }

    #[test]
    fn up_tells_the_truth() {
        let exit = |code| Failure::Exit(ExitStatus::Code(code));
        let signal = |signal| Some(ShutdownCause::Signal(signal));
        assert_eq!(of_up(&verdict(None, &[])).code(), 0);
        assert_eq!(of_up(&verdict(None, &[("api", exit(7))])).code(), 1);
        assert_eq!(of_up(&verdict(signal(Signal::INT), &[])).code(), 130);
        assert_eq!(
            of_up(&verdict(signal(Signal::TERM), &[("api", exit(7))])).code(),
            143
        );
        assert_eq!(of_up(&verdict(signal(Signal::HUP), &[])).code(), 129);
        let mut skipped = verdict(None, &[]);
        let skip = Skip::WaitTimeout {
            limit: Duration::from_secs(1),
            on: Vec::new(),
            names: Vec::new(),
        };
        skipped.skipped.push(("web".into(), Outcome::Skipped(skip)));
        assert_eq!(of_up(&skipped).code(), 1);
    }

    #[test]
    fn an_essential_units_own_code_is_passed_on() {
        let essential = Some(ShutdownCause::Essential("api".into()));
        let exit = Failure::Exit(ExitStatus::Code(7));
        let other = Failure::Exit(ExitStatus::Code(3));
        let both = verdict(essential.clone(), &[("db", other), ("api", exit)]);
        assert_eq!(of_up(&both).code(), 7);
        assert_eq!(of_up(&verdict(essential.clone(), &[])).code(), 0);
        let no_status = verdict(essential, &[("api", Failure::Lost)]);
        assert_eq!(of_up(&no_status).code(), 1);
    }

    #[test]
    fn a_code_to_pass_on_counts_unless_it_is_zero() {
        let mut one = verdict(None, &[]);
        one.code_from = Some(ExitStatus::Signal(Signal::KILL));
        assert_eq!(of_up(&one).code(), 137);
        one.code_from = Some(ExitStatus::SUCCESS);
        assert_eq!(of_up(&one).code(), 0);
        let mut other = verdict(None, &[("db", Failure::Lost)]);
        other.code_from = Some(ExitStatus::SUCCESS);
        assert_eq!(of_up(&other).code(), 1);
    }

    #[test]
    fn run_passes_the_code_of_its_task() {
        let mut verdict = verdict(Some(ShutdownCause::EndsWith("t".into())), &[]);
        verdict.code_from = Some(ExitStatus::Code(3));
        let code = |outcome| of_run(&verdict, Some(&outcome)).code();
        assert_eq!(code(Outcome::Completed), 3);
        assert_eq!(code(failed(Failure::Exit(ExitStatus::Code(9)))), 9);
        let killed = Failure::Exit(ExitStatus::Signal(Signal::KILL));
        assert_eq!(code(failed(killed)), 137);
        let late = Failure::TimedOut(Duration::from_secs(1));
        assert_eq!(code(failed(late)), 124);
        assert_eq!(code(failed(Failure::Spawn("no such file".into()))), 1);
        assert_eq!(code(Outcome::Stopped), 1);
    }

    #[test]
    fn a_signal_counts_only_if_it_stopped_the_task() {
        let mut verdict = verdict(Some(ShutdownCause::Signal(Signal::INT)), &[]);
        verdict.code_from = Some(ExitStatus::SUCCESS);
        assert_eq!(of_run(&verdict, Some(&Outcome::Completed)).code(), 0);
        assert_eq!(of_run(&verdict, Some(&Outcome::Stopped)).code(), 130);
        assert_eq!(of_run(&verdict, None).code(), 130);
    }
}
