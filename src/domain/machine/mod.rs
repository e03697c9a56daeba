//! The machine of one unit's instance: every phase × every input, decided.
//!
//! It owns the phase, the attempt number, the health of the run, the deadlines and the
//! restart history of one instance. It does not know of other units: the
//! [set](super::set) tells it when its conditions hold, and whether it is wanted.
//!
//! See [`Phase`] for the drawing. `docs` of each input below say what it means; an input
//! that a phase has no use for changes nothing.

mod armed;
mod facts;
#[cfg(test)]
mod failing_tests;
mod ladder;
mod said;
mod seen;
mod terms;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use armed::ArmedDeadlines;
use terms::Terms;

use super::change::{Change, UnitChange, What};
use super::effect::Effect;
use super::event::{Armed, Deadline, DeadlineKind, Fact, ProbeRole};
use super::health::Health;
use super::id::{Attempt, Epoch, InstanceId, RunId, UnitName};
use super::notice::Said;
use super::outcome::{Failed, Failure, Member, Outcome, RunStatus, Skip};
use super::phase::{End, Phase, Stop};
use super::restart::{Decision, History};
use super::signal::Signal;
use super::spec::UnitSpec;
use super::stop::SPAWN_LIMIT;
use super::time::Instant;

/// What the machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// It is wanted: wait for the conditions. `renew`: a person asks, old failures are
    /// forgotten.
    Wait {
        renew: bool,
    },
    /// The conditions hold.
    Go,
    /// They cannot hold any more.
    Skip(Skip),
    Stop(Stop),
    /// Stop without grace.
    Kill(Stop),
    Signal(Signal),
    Fact(Fact),
    Deadline(DeadlineKind),
}

/// What a step may use.
#[derive(Debug)]
pub struct Context<'a> {
    pub now: Instant,
    /// Whether the instance shall run.
    pub wanted: bool,
    pub rng: &'a mut fastrand::Rng,
    pub effects: &'a mut Vec<Effect>,
}

/// One instance of a unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    instance: InstanceId,
    name: UnitName,
    spec: Arc<UnitSpec>,
    /// Of `spec`.
    terms: Terms,
    /// Takes effect when no run is live.
    next_spec: Option<Arc<UnitSpec>>,
    phase: Phase,
    since: Instant,
    attempt: Attempt,
    epoch: Epoch,
    armed: ArmedDeadlines,
    health: Health,
    probing: Vec<ProbeRole>,
    history: History,
    /// The next spawn is one that the restart policy asked for.
    automatic: bool,
    /// A start was asked for while the old run was still on its way out.
    again: bool,
    renew: bool,
    pid: Option<u32>,
    spawned_at: Option<Instant>,
    ready_after: Option<Duration>,
    last_status: Option<RunStatus>,
    /// Why its last run failed, until a later one has proved itself.
    failing: Option<Failure>,
    survivors: Vec<Member>,
    /// The kernel has killed a member of the run for want of memory.
    starved: bool,
    /// Who listens on a port of it, by the run that is ending.
    taken: Option<String>,
    /// A run that SIGKILL has not ended: nothing new starts until it is gone.
    stuck: Option<RunId>,
    restarts: u32,
    /// Why its last start found nothing to do.
    up_to_date: Option<String>,
    /// What the last run has said of itself.
    said: Option<Box<Said>>,
}

impl Machine {
    #[must_use]
    pub fn new(instance: InstanceId, name: UnitName, spec: Arc<UnitSpec>, now: Instant) -> Self {
        Self {
            instance,
            name,
            terms: Terms::of(&spec),
            spec,
            next_spec: None,
            phase: Phase::Idle,
            since: now,
            attempt: Attempt::default(),
            epoch: Epoch::default(),
            armed: ArmedDeadlines::default(),
            health: Health::default(),
            probing: Vec::new(),
            history: History::default(),
            automatic: false,
            again: false,
            renew: false,
            pid: None,
            spawned_at: None,
            ready_after: None,
            last_status: None,
            failing: None,
            survivors: Vec::new(),
            starved: false,
            taken: None,
            stuck: None,
            restarts: 0,
            up_to_date: None,
            said: None,
        }
    }

    /// An instance that was there before: its attempts and epochs go on.
    #[must_use]
    pub fn resume(
        instance: InstanceId,
        name: UnitName,
        spec: Arc<UnitSpec>,
        attempt: Attempt,
        epoch: Epoch,
        now: Instant,
    ) -> Self {
        Self {
            attempt,
            epoch,
            ..Self::new(instance, name, spec, now)
        }
    }

    /// One step. Total: whatever comes in whatever phase, it is decided here.
    pub fn on(&mut self, input: Input, ctx: &mut Context<'_>) {
        match input {
            Input::Wait { renew } => self.wait(renew, ctx),
            Input::Go => self.go(ctx),
            Input::Skip(skip) => self.skip(skip, ctx),
            Input::Stop(stop) => self.stop(stop, ctx),
            Input::Kill(stop) => self.kill(stop, ctx),
            Input::Signal(signal) => self.signal(signal, ctx),
            Input::Fact(fact) => self.fact(fact, ctx),
            Input::Deadline(kind) => self.deadline(kind, ctx),
        }
    }

    fn wait(&mut self, renew: bool, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Idle | Phase::Exited(_) | Phase::Backoff { .. } => {
                if renew {
                    self.history.renew();
                }
                self.automatic = false;
                self.enter_waiting(ctx);
            }
            Phase::Waiting => {
                if renew {
                    self.history.renew();
                    self.automatic = false;
                }
            }
            Phase::Starting { .. } | Phase::Running { .. } => {}
            Phase::Stopping { .. } | Phase::Reaping { .. } => {
                self.again = true;
                self.renew |= renew;
            }
        }
    }

    fn go(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Waiting => {}
            Phase::Idle
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => return,
        }
        self.attempt = self.attempt.next();
        let run = RunId {
            instance: self.instance,
            attempt: self.attempt,
        };
        if std::mem::take(&mut self.automatic) {
            self.history.restarted(ctx.now, &self.spec.restart);
            self.restarts += 1;
        }
        self.health = Health::default();
        self.again = false;
        self.renew = false;
        self.pid = None;
        self.spawned_at = Some(ctx.now);
        self.ready_after = None;
        self.last_status = None;
        self.up_to_date = None;
        self.said = None;
        self.survivors.clear();
        self.starved = false;
        self.taken = None;
        self.disarm_all();
        self.set_phase(Phase::Starting { run }, ctx);
        ctx.effects.push(Effect::Spawn {
            run,
            name: self.name.clone(),
            spec: Arc::clone(&self.spec),
        });
        self.publish(
            UnitChange::Starting {
                attempt: self.attempt,
            },
            ctx,
        );
        self.arm(DeadlineKind::Spawn, ctx.now + SPAWN_LIMIT, ctx);
        if let Some(limit) = self.terms.ready {
            self.arm(DeadlineKind::Ready, ctx.now + limit, ctx);
        }
        if let Some(limit) = self.terms.run {
            self.arm(DeadlineKind::Run, ctx.now + limit, ctx);
        }
    }

    fn skip(&mut self, skip: Skip, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Waiting => self.exit(Outcome::Skipped(skip), ctx),
            Phase::Idle
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    fn deadline(&mut self, kind: DeadlineKind, ctx: &mut Context<'_>) {
        self.armed.disarm(kind);
        match kind {
            // The set knows what it waited for, and says it with `Skip`.
            DeadlineKind::Wait => {}
            DeadlineKind::Spawn => self.spawn_overdue(ctx),
            DeadlineKind::Ready => self.ready_overdue(ctx),
            DeadlineKind::Run => self.run_overdue(ctx),
            DeadlineKind::Grace => self.grace_over(ctx),
            DeadlineKind::Reap => self.reap_overdue(ctx),
            DeadlineKind::Backoff => self.backoff_over(ctx),
            DeadlineKind::Healthy => self.stayed_healthy(),
        }
    }

    fn backoff_over(&mut self, ctx: &mut Context<'_>) {
        match &self.phase {
            Phase::Backoff { .. } => {
                self.automatic = true;
                self.enter_waiting(ctx);
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Running { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Exited(_) => {}
        }
    }

    fn stayed_healthy(&mut self) {
        match &self.phase {
            Phase::Running { .. } => {
                self.failing = None;
                self.history.healthy();
            }
            Phase::Idle
            | Phase::Waiting
            | Phase::Starting { .. }
            | Phase::Stopping { .. }
            | Phase::Reaping { .. }
            | Phase::Backoff { .. }
            | Phase::Exited(_) => {}
        }
    }

    /// The run is over: what follows?
    fn finish(&mut self, end: End, ctx: &mut Context<'_>) {
        self.stop_probes(ctx);
        self.disarm_all();
        match end {
            End::Exited(status) => {
                let failure = status.failure(&self.spec).map(|failure| {
                    let limit = self.spec.limits.and_then(|limits| limits.memory);
                    match (self.starved, self.taken.take()) {
                        (true, _) => failure.for_want_of_memory(limit),
                        (false, Some(why)) => failure.for_a_port_that_is_taken(why),
                        (false, None) => failure,
                    }
                });
                self.last_status = Some(status);
                self.conclude(failure, ctx);
            }
            End::Stopped(Stop::Failed(failure), status) => {
                self.last_status = status;
                self.conclude(Some(failure), ctx);
            }
            End::Stopped(stop, status) => {
                self.last_status = status;
                if ctx.wanted {
                    if stop.renews_budget() || self.renew {
                        self.history.renew();
                    }
                    self.automatic = false;
                    self.enter_waiting(ctx);
                } else {
                    self.exit(Outcome::Stopped, ctx);
                }
            }
        }
    }

    /// The run has come to an end that was not asked for: the restart policy decides.
    fn conclude(&mut self, failure: Option<Failure>, ctx: &mut Context<'_>) {
        self.failing.clone_from(&failure);
        if ctx.wanted && self.again {
            if self.renew {
                self.history.renew();
            }
            self.automatic = false;
            return self.enter_waiting(ctx);
        }
        let hopeless = matches!(failure, Some(Failure::PortTaken { .. }));
        let decision = if ctx.wanted && !hopeless {
            let spread = ctx.rng.f64() * 2.0 - 1.0;
            self.history
                .decide(ctx.now, &self.spec.restart, failure.is_some(), spread)
        } else {
            Decision::Stay
        };
        match decision {
            Decision::Stay => match failure {
                Some(failure) => self.exit(
                    Outcome::Failed(Failed {
                        failure,
                        gave_up_after: None,
                    }),
                    ctx,
                ),
                None => self.exit(Outcome::Completed, ctx),
            },
            Decision::GiveUp { restarts } => {
                let exit = || Failure::Exit(super::exit::ExitStatus::SUCCESS);
                let failed = Failed {
                    failure: failure.unwrap_or_else(exit),
                    gave_up_after: Some(restarts),
                };
                self.exit(Outcome::Failed(failed), ctx);
            }
            Decision::Restart { delay, number } => {
                let until = ctx.now + delay;
                let change = UnitChange::Backoff {
                    delay,
                    restart: number,
                    budget: self.spec.restart.max_restarts,
                    failure: failure.clone().map(Box::new),
                };
                self.set_phase(Phase::Backoff { until, failure }, ctx);
                self.arm(DeadlineKind::Backoff, until, ctx);
                self.publish(change, ctx);
            }
        }
    }

    fn enter_waiting(&mut self, ctx: &mut Context<'_>) {
        self.disarm_all();
        self.set_phase(Phase::Waiting, ctx);
        self.publish(UnitChange::Waiting, ctx);
        if let Some(limit) = self.terms.wait {
            self.arm(DeadlineKind::Wait, ctx.now + limit, ctx);
        }
    }

    fn exit(&mut self, outcome: Outcome, ctx: &mut Context<'_>) {
        self.disarm_all();
        let ran = match outcome {
            Outcome::Skipped(_) => None,
            Outcome::Completed | Outcome::Failed(_) | Outcome::Stopped => self.spawned_at,
        };
        let change = UnitChange::Ended {
            outcome: Box::new(outcome.clone()),
            ran_for: ran
                .filter(|_| self.phase.is_live())
                .map(|at| ctx.now.since(at)),
        };
        self.set_phase(Phase::Exited(outcome), ctx);
        self.publish(change, ctx);
    }

    fn set_phase(&mut self, phase: Phase, ctx: &Context<'_>) {
        self.phase = phase;
        self.since = ctx.now;
        if !self.phase.is_live() {
            self.pid = None;
            if let Some(spec) = self.next_spec.take() {
                self.take_spec(spec);
            }
        }
    }

    fn arm(&mut self, kind: DeadlineKind, at: Instant, ctx: &mut Context<'_>) {
        self.epoch = Epoch(self.epoch.0.wrapping_add(1));
        self.armed.arm(kind, self.epoch, at);
        ctx.effects.push(Effect::Arm(Armed {
            deadline: Deadline {
                instance: self.instance,
                kind,
                epoch: self.epoch,
            },
            at,
        }));
    }

    fn disarm(&mut self, kind: DeadlineKind) {
        self.armed.disarm(kind);
    }

    fn disarm_all(&mut self) {
        self.armed.disarm_all();
    }

    fn publish(&self, change: UnitChange, ctx: &mut Context<'_>) {
        ctx.effects.push(Effect::Publish(Change {
            at: ctx.now,
            what: What::Unit {
                instance: self.instance,
                name: self.name.clone(),
                change,
            },
        }));
    }

    /// Goes over to another spec: at once if nothing runs, else when the run has ended.
    pub fn set_spec(&mut self, spec: Arc<UnitSpec>, keep_run: bool) {
        if self.phase.is_live() && !keep_run {
            self.next_spec = Some(spec);
        } else {
            self.take_spec(spec);
            self.next_spec = None;
        }
    }

    fn take_spec(&mut self, spec: Arc<UnitSpec>) {
        self.terms = Terms::of(&spec);
        self.spec = spec;
    }

    /// Whether that deadline is the one that is armed now.
    #[must_use]
    pub fn is_armed(&self, deadline: Deadline) -> bool {
        self.armed.epoch(deadline.kind) == Some(deadline.epoch)
    }

    /// Whether a fact of that run is of any concern.
    #[must_use]
    pub fn is_current(&self, run: RunId) -> bool {
        self.phase.live_run() == Some(run) || self.stuck == Some(run)
    }
}
