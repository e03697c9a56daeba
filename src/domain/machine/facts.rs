//! What a run reports.

use super::{Context, Machine};
use crate::domain::change::UnitChange;
use crate::domain::effect::Effect;
use crate::domain::event::{DeadlineKind, Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::health::{HealthChange, probe_of};
use crate::domain::id::RunId;
use crate::domain::outcome::{Failure, Outcome, RunStatus};
use crate::domain::phase::{End, Phase, Rung, Stop};
use crate::domain::spec::Lifetime;
use crate::domain::stop::REAP_LIMIT;

impl Machine {
    /// The set has checked that the fact is of the live run, or of a stuck one.
    pub(super) fn fact(&mut self, fact: Fact, ctx: &mut Context<'_>) {
        if self.phase.live_run().is_none() {
            return self.fact_of_stuck_run(&fact);
        }
        match fact {
            Fact::Spawned { pid } => self.spawned(pid, ctx),
            Fact::SpawnFailed { error } => {
                let failure = match self.taken.take() {
                    Some(why) => Failure::PortTaken { why, status: None },
                    None => Failure::Spawn(error),
                };
                self.ended(failure, ctx);
            }
            Fact::UpToDate { reason } => self.is_up_to_date(reason, ctx),
            Fact::Probed { role, result } => self.probed(role, result, ctx),
            Fact::Notified(notice) => self.notified(notice, ctx),
            Fact::LeaderExited { status, empty } => self.leader_exited(status, empty, ctx),
            Fact::OutOfMemory => self.starved = true,
            Fact::PortTaken { why } => self.taken = Some(why),
            Fact::StopCommandFailed => self.stop_command_failed(ctx),
            Fact::Reaped => self.reaped(ctx),
            Fact::Survivors(members) => self.survivors = members,
            Fact::Lost => self.ended(Failure::Lost, ctx),
        }
    }

    fn fact_of_stuck_run(&mut self, fact: &Fact) {
        match fact {
            Fact::Reaped | Fact::Lost | Fact::SpawnFailed { .. } | Fact::UpToDate { .. } => {
                self.stuck = None;
            }
            Fact::Spawned { .. }
            | Fact::Probed { .. }
            | Fact::Notified(_)
            | Fact::LeaderExited { .. }
            | Fact::OutOfMemory
            | Fact::PortTaken { .. }
            | Fact::StopCommandFailed
            | Fact::Survivors(_) => {}
        }
    }

    fn spawned(&mut self, pid: u32, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { run } => {
                let run = *run;
                self.set_phase(Phase::Running { run, status: None }, ctx);
                self.come_up(run, pid, ctx);
            }
            // The leader of a group that outlives it was gone before this was heard.
            Phase::Running {
                run,
                status: Some(_),
            } if self.pid.is_none() => {
                let run = *run;
                self.come_up(run, pid, ctx);
            }
            // The signal was queued behind the spawn and reaches the process now.
            Phase::Stopping { .. } => self.pid = Some(pid),
            Phase::Idle
            | Phase::Waiting
            | Phase::Running { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    fn is_up_to_date(&mut self, reason: String, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { .. } => {
                self.failing = None;
                self.spawned_at = None;
                self.publish(
                    UnitChange::UpToDate {
                        reason: reason.clone(),
                    },
                    ctx,
                );
                self.up_to_date = Some(reason);
                self.exit(Outcome::Completed, ctx);
            }
            Phase::Running { .. } => self.ended(Failure::Lost, ctx),
            Phase::Stopping { .. } | Phase::Reaping { .. } => self.reaped(ctx),
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => {}
        }
    }

    fn come_up(&mut self, run: RunId, pid: u32, ctx: &mut Context<'_>) {
        self.pid = Some(pid);
        self.disarm(DeadlineKind::Spawn);
        let attempt = self.attempt;
        self.publish(UnitChange::Started { attempt, pid }, ctx);
        if self.terms.is_probed {
            let roles = self.health.begin(ctx.now, &self.spec);
            self.start_probes(run, &roles, ctx);
            self.take_latched(run, ctx);
        }
        if !self.terms.can_be_ready {
            self.arm_healthy(ctx);
        }
    }

    /// From now on it counts whether the run stays healthy, if there is anything to forget.
    fn arm_healthy(&mut self, ctx: &mut Context<'_>) {
        if self.failing.is_some() || self.history.has_streak() {
            let after = self.spec.restart.reset_after;
            self.arm(DeadlineKind::Healthy, ctx.now + after, ctx);
        }
    }

    fn start_probes(&mut self, run: RunId, roles: &[ProbeRole], ctx: &mut Context<'_>) {
        for &role in roles {
            self.probing.push(role);
            ctx.effects.push(Effect::StartProbe { run, role });
        }
    }

    pub(super) fn stop_probes(&mut self, ctx: &mut Context<'_>) {
        if let Some(run) = self.phase.live_run() {
            for role in self.probing.drain(..) {
                ctx.effects.push(Effect::StopProbe { run, role });
            }
        }
    }

    fn take_latched(&mut self, run: RunId, ctx: &mut Context<'_>) {
        if self.health.take_latched() {
            let change = self.health.record(
                ctx.now,
                &self.spec,
                ProbeRole::Readiness,
                ProbeResult::Success,
            );
            self.health_changed(run, ProbeRole::Readiness, change, ctx);
        }
    }

    fn probed(&mut self, role: ProbeRole, result: ProbeResult, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { .. } => self.health.record_early(&self.spec, role, &result),
            Phase::Running { run, .. } => {
                let run = *run;
                if let ProbeResult::Failure(reason) = &result
                    && self.health.last_failure() != Some(reason)
                {
                    let reason = reason.clone();
                    self.publish(UnitChange::ProbeFailed { role, reason }, ctx);
                }
                let change = self.health.record(ctx.now, &self.spec, role, result);
                self.health_changed(run, role, change, ctx);
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    fn health_changed(
        &mut self,
        run: RunId,
        role: ProbeRole,
        change: HealthChange,
        ctx: &mut Context<'_>,
    ) {
        match change {
            HealthChange::Nothing => {}
            HealthChange::Alive => ctx.effects.push(Effect::SlowProbe { run, role }),
            HealthChange::StartedUp => {
                self.drop_probe(run, role, ctx);
                let next: Vec<ProbeRole> = [ProbeRole::Readiness, ProbeRole::Liveness]
                    .into_iter()
                    .filter(|&role| probe_of(&self.spec, role).is_some())
                    .collect();
                self.start_probes(run, &next, ctx);
                if self.spec.readiness.is_none() {
                    self.became_ready(ctx);
                }
                self.take_latched(run, ctx);
            }
            HealthChange::Ready => {
                if probe_of(&self.spec, role).is_some_and(|probe| probe.check.latches()) {
                    self.drop_probe(run, role, ctx);
                } else {
                    ctx.effects.push(Effect::SlowProbe { run, role });
                }
                self.became_ready(ctx);
            }
            HealthChange::Unready(reason) => {
                self.disarm(DeadlineKind::Healthy);
                self.publish(UnitChange::Unready { reason }, ctx);
            }
            HealthChange::Failed(failure) => self.stop(Stop::Failed(failure), ctx),
        }
    }

    fn drop_probe(&mut self, run: RunId, role: ProbeRole, ctx: &mut Context<'_>) {
        self.probing.retain(|&other| other != role);
        ctx.effects.push(Effect::StopProbe { run, role });
    }

    fn became_ready(&mut self, ctx: &mut Context<'_>) {
        self.failing = None;
        self.disarm(DeadlineKind::Ready);
        self.arm_healthy(ctx);
        let after = ctx.now.since(self.spawned_at.unwrap_or(ctx.now));
        self.ready_after.get_or_insert(after);
        self.publish(UnitChange::Ready { after }, ctx);
    }

    fn leader_exited(&mut self, status: RunStatus, empty: bool, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { run } | Phase::Running { run, status: None } => {
                let run = *run;
                self.publish(
                    UnitChange::Exited {
                        status: status.clone(),
                    },
                    ctx,
                );
                match self.spec.lifetime {
                    Lifetime::Group if !empty => {
                        self.phase = Phase::Running {
                            run,
                            status: Some(status),
                        };
                    }
                    Lifetime::Launched if status.failure(&self.spec).is_none() => {
                        self.phase = Phase::Running {
                            run,
                            status: Some(status),
                        };
                    }
                    Lifetime::Leader | Lifetime::Group | Lifetime::Launched => {
                        self.stop_probes(ctx);
                        self.disarm_all();
                        let rung = if empty {
                            self.arm(DeadlineKind::Reap, ctx.now + REAP_LIMIT, ctx);
                            Rung::None
                        } else {
                            self.ask_stragglers(run, ctx)
                        };
                        let end = End::Exited(status);
                        self.set_phase(Phase::Reaping { run, end, rung }, ctx);
                    }
                }
            }
            Phase::Stopping { run, stop, rung } => {
                let (run, stop, mut rung) = (*run, stop.clone(), *rung);
                self.publish(
                    UnitChange::Exited {
                        status: status.clone(),
                    },
                    ctx,
                );
                let leader_only =
                    self.spec.shutdown.leader_only || self.spec.shutdown.command.is_some();
                if !empty && rung == Rung::Asked && leader_only {
                    rung = self.ask_stragglers(run, ctx);
                }
                let end = End::Stopped(stop, Some(status));
                self.set_phase(Phase::Reaping { run, end, rung }, ctx);
            }
            // A second report of the same exit.
            Phase::Running {
                status: Some(_), ..
            }
            | Phase::Reaping { .. } => {}
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => {}
        }
    }

    fn reaped(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Running {
                status: Some(status),
                ..
            } => {
                let end = End::Exited(status.clone());
                self.finish(end, ctx);
            }
            Phase::Starting { .. } | Phase::Running { status: None, .. } => {
                self.ended(Failure::Lost, ctx);
            }
            Phase::Stopping { stop, .. } => {
                let end = End::Stopped(stop.clone(), None);
                self.finish(end, ctx);
            }
            Phase::Reaping { end, .. } => {
                let end = end.clone();
                self.finish(end, ctx);
            }
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => {}
        }
    }

    /// There is no process any more, and no exit status to judge.
    fn ended(&mut self, failure: Failure, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Starting { .. } | Phase::Running { .. } => {
                self.finish(End::Stopped(Stop::Failed(failure), None), ctx);
            }
            Phase::Stopping { .. } | Phase::Reaping { .. } => self.reaped(ctx),
            Phase::Idle | Phase::Waiting | Phase::Backoff { .. } | Phase::Exited(_) => {}
        }
    }

    /// The status that stands for the last run.
    #[must_use]
    pub fn overall_status(&self) -> Option<ExitStatus> {
        let status = self.last_status.as_ref()?;
        Some(status.overall(&self.spec.success_exit_codes))
    }
}
