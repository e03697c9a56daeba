//! Stopping: the ladder and its deadlines.

use super::{Context, Machine};
use crate::domain::change::UnitChange;
use crate::domain::effect::Effect;
use crate::domain::event::DeadlineKind;
use crate::domain::id::RunId;
use crate::domain::outcome::{Failed, Failure, Outcome};
use crate::domain::phase::{End, Phase, Rung, Stop};
use crate::domain::signal::Signal;
use crate::domain::stop::{Ask, REAP_LIMIT, SPAWN_LIMIT};

impl Machine {
    pub(super) fn stop(&mut self, stop: Stop, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Idle => {}
            // The run that was to be restarted has ended before its stop was due.
            Phase::Exited(_) => match stop {
                Stop::Restart | Stop::Changed if ctx.wanted => self.wait_anew(ctx),
                Stop::Restart
                | Stop::Changed
                | Stop::Requested
                | Stop::Dependency(_)
                | Stop::Removed
                | Stop::Shutdown
                | Stop::Failed(_) => {}
            },
            Phase::Waiting => match stop {
                Stop::Dependency(_) | Stop::Failed(_) => {}
                Stop::Restart => {
                    self.history.renew();
                    self.automatic = false;
                }
                // `timeouts.wait` may be another one now.
                Stop::Changed => self.wait_anew(ctx),
                Stop::Requested | Stop::Removed | Stop::Shutdown => {
                    self.exit(Outcome::Stopped, ctx);
                }
            },
            Phase::Backoff { .. } => match stop {
                Stop::Dependency(_) | Stop::Failed(_) => {}
                Stop::Restart | Stop::Changed => self.wait_anew(ctx),
                Stop::Requested | Stop::Removed | Stop::Shutdown => {
                    self.exit(Outcome::Stopped, ctx);
                }
            },
            Phase::Starting { run } | Phase::Running { run, .. } => {
                self.begin_stop(*run, stop, ctx);
            }
            Phase::Stopping { .. } | Phase::Reaping { .. } => {
                self.again |= stop.is_followed_by_run();
                self.renew |= stop.renews_budget();
            }
        }
    }

    fn wait_anew(&mut self, ctx: &mut Context<'_>) {
        self.history.renew();
        self.automatic = false;
        self.enter_waiting(ctx);
    }

    fn begin_stop(&mut self, run: RunId, stop: Stop, ctx: &mut Context<'_>) {
        let leader_gone = matches!(
            &self.phase,
            Phase::Running {
                status: Some(_),
                ..
            }
        );
        self.stop_probes(ctx);
        self.disarm_all();
        let ask = if leader_gone && self.spec.shutdown.command.is_none() {
            self.spec.shutdown.ask_stragglers()
        } else {
            self.spec.shutdown.ask()
        };
        self.publish(
            UnitChange::Stopping {
                stop: Box::new(stop.clone()),
            },
            ctx,
        );
        let rung = self.climb(run, ask, ctx);
        self.set_phase(Phase::Stopping { run, stop, rung }, ctx);
    }

    /// Takes the first rung and arms what limits it.
    fn climb(&mut self, run: RunId, ask: Ask, ctx: &mut Context<'_>) -> Rung {
        let limit = self.spec.shutdown.timeout;
        match ask {
            Ask::Command(command) => {
                ctx.effects.push(Effect::StopCommand {
                    run,
                    command,
                    limit,
                });
            }
            Ask::Signal(signal, scope) => {
                ctx.effects.push(Effect::Signal { run, signal, scope });
            }
            Ask::Kill => return self.kill_group(run, ctx),
        }
        self.arm(DeadlineKind::Grace, ctx.now + limit, ctx);
        Rung::Asked
    }

    /// The stop command will not make it stop: it is sent the signal, for what is left of the
    /// grace period.
    pub(super) fn stop_command_failed(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Stopping {
                run,
                rung: Rung::Asked,
                ..
            } => {
                let (signal, scope) = self.spec.shutdown.signal_and_scope();
                let run = *run;
                ctx.effects.push(Effect::Signal { run, signal, scope });
            }
            // Whoever is left has been sent one already.
            Phase::Stopping { .. } | Phase::Reaping { .. } => {}
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    fn kill_group(&mut self, run: RunId, ctx: &mut Context<'_>) -> Rung {
        ctx.effects.push(Effect::Kill { run });
        self.disarm(DeadlineKind::Grace);
        self.arm(DeadlineKind::Reap, ctx.now + REAP_LIMIT, ctx);
        Rung::Killed
    }

    /// The leader has exited by itself and left others behind: they are asked, too.
    pub(super) fn ask_stragglers(&mut self, run: RunId, ctx: &mut Context<'_>) -> Rung {
        let ask = self.spec.shutdown.ask_stragglers();
        self.climb(run, ask, ctx)
    }

    pub(super) fn kill(&mut self, stop: Stop, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => {
                self.stop(stop, ctx);
            }
            Phase::Starting { run } | Phase::Running { run, .. } => {
                let run = *run;
                self.stop_probes(ctx);
                self.disarm_all();
                let rung = self.kill_group(run, ctx);
                self.publish(UnitChange::Killed, ctx);
                self.set_phase(Phase::Stopping { run, stop, rung }, ctx);
            }
            Phase::Stopping {
                rung: Rung::Killed, ..
            }
            | Phase::Reaping {
                rung: Rung::Killed, ..
            } => {}
            Phase::Stopping { .. } | Phase::Reaping { .. } => self.escalate(ctx),
        }
    }

    /// From asking to killing.
    fn escalate(&mut self, ctx: &mut Context<'_>) {
        let Some(run) = self.phase.live_run() else {
            return;
        };
        let killed = self.kill_group(run, ctx);
        if let Phase::Stopping { rung, .. } | Phase::Reaping { rung, .. } = &mut self.phase {
            *rung = killed;
        }
        self.publish(UnitChange::Killed, ctx);
    }

    pub(super) fn signal(&mut self, signal: Signal, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Running { run, .. }
            | Phase::Stopping { run, .. }
            | Phase::Reaping { run, .. } => {
                ctx.effects.push(Effect::Signal {
                    run: *run,
                    signal,
                    scope: crate::domain::effect::Scope::Group,
                });
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    pub(super) fn spawn_overdue(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { .. } => {
                self.kill(Stop::Failed(Failure::SpawnTimeout(SPAWN_LIMIT)), ctx);
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    pub(super) fn ready_overdue(&mut self, ctx: &mut Context<'_>) {
        if self.health.ever_ready() {
            return;
        }
        let limit = self.spec.timeouts.ready.unwrap_or_default();
        let unanswered = || {
            let probe = self.health.awaited(&self.spec)?;
            Some(probe.check.unanswered())
        };
        let last = self.health.last_failure().map(str::to_owned);
        let last = last.or_else(unanswered);
        self.overdue(Failure::NotReady { limit, last }, ctx);
    }

    pub(super) fn run_overdue(&mut self, ctx: &mut Context<'_>) {
        self.overdue(
            Failure::TimedOut(self.spec.timeouts.run.unwrap_or_default()),
            ctx,
        );
    }

    fn overdue(&mut self, failure: Failure, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => self.stop(Stop::Failed(failure), ctx),
            Phase::Idle
            | Phase::Waiting
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    pub(super) fn grace_over(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Stopping {
                rung: Rung::Asked, ..
            }
            | Phase::Reaping {
                rung: Rung::Asked, ..
            } => {
                self.escalate(ctx);
            }
            Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    /// Neither SIGKILL nor time has emptied the group: the unit is given up, the run is
    /// remembered.
    pub(super) fn reap_overdue(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            // Nobody was left, but something still holds its pipes or its group: SIGKILL
            // before it is called stuck.
            Phase::Stopping {
                rung: Rung::None | Rung::Asked,
                ..
            }
            | Phase::Reaping {
                rung: Rung::None | Rung::Asked,
                ..
            } => self.escalate(ctx),
            Phase::Stopping { run, .. } | Phase::Reaping { run, .. } => {
                self.stuck = Some(*run);
                self.last_status = match &self.phase {
                    Phase::Reaping {
                        end: End::Exited(status) | End::Stopped(_, Some(status)),
                        ..
                    } => Some(status.clone()),
                    Phase::Reaping {
                        end: End::Stopped(_, None),
                        ..
                    }
                    | Phase::Stopping { .. }
                    | Phase::Idle
                    | Phase::Waiting
                    | Phase::Starting { .. }
                    | Phase::Running { .. }
                    | Phase::Backoff { .. }
                    | Phase::Exited(_) => None,
                };
                let members = std::mem::take(&mut self.survivors);
                self.exit(
                    Outcome::Failed(Failed {
                        failure: Failure::Stuck(members),
                        gave_up_after: None,
                    }),
                    ctx,
                );
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }
}
