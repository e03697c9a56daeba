//! What a run says of itself.

use super::{Context, Machine};
use crate::domain::event::DeadlineKind;
use crate::domain::notice::Notice;
use crate::domain::outcome::Failure;
use crate::domain::phase::{Phase, Stop};
use crate::domain::spec::{Check, Probe};

impl Machine {
    /// A word of the run. That it is ready or alive comes as a result of its probe as well,
    /// which is what counts.
    pub(super) fn notified(&mut self, notice: Notice, ctx: &mut Context<'_>) {
        match (&self.phase, &notice) {
            (Phase::Starting { .. } | Phase::Running { .. }, Notice::Extend(time)) => {
                // It asks for time, not for less of it.
                if let Some(at) = self.armed.at(DeadlineKind::Ready) {
                    self.arm(DeadlineKind::Ready, at.max(ctx.now + *time), ctx);
                }
            }
            (Phase::Running { .. }, Notice::Unwell) if self.has_watchdog() => {
                self.health.fell_ill();
                let why = "it sent WATCHDOG=trigger".to_owned();
                self.stop(Stop::Failed(Failure::Unhealthy(why)), ctx);
            }
            (
                Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. },
                Notice::Ready | Notice::Reloading | Notice::Stopping | Notice::Status(_),
            ) => self.said.get_or_insert_default().take(notice),
            (
                Phase::Idle
                | Phase::Waiting
                | Phase::Starting { .. }
                | Phase::Running { .. }
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. }
                | Phase::Exited(_),
                Notice::Ready
                | Notice::Reloading
                | Notice::Stopping
                | Notice::Status(_)
                | Notice::Alive
                | Notice::Unwell
                | Notice::Extend(_),
            ) => {}
        }
    }

    fn has_watchdog(&self) -> bool {
        let is_notify = |probe: &Probe| probe.check == Check::Notify;
        self.spec.liveness.as_ref().is_some_and(is_notify)
    }

    /// What the live run says of itself, in words.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let said = self.said.as_ref().filter(|_| self.phase.is_live())?;
        said.words()
    }
}
