//! The simulated outside: processes, pipes, probes and the runners that report of them.
//!
//! How a run behaves depends only on the seed, its instance and its attempt, so that a
//! shrunk scenario behaves as the one that it came from.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};

use fastrand::Rng;

use crate::domain::effect::{Effect, Scope};
use crate::domain::event::{Deadline, Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::health::probe_of;
use crate::domain::id::{RunId, UnitName};
use crate::domain::notice::Notice;
use crate::domain::outcome::{Member, RunStatus};
use crate::domain::signal::Signal;
use crate::domain::spec::{UnitKind, UnitSpec};
use crate::domain::watch::Told;

use super::stack::random_status;

/// What comes next, in the order of time.
#[derive(Clone, Debug)]
pub enum Next {
    /// Something that the set is told.
    Fact(RunId, Fact),
    Deadline(Deadline),
    /// The entry of the history with that place.
    Act(usize),
    End,
    /// The watch of a unit is told.
    Watch(UnitName, Told),
    /// Something that happens to a run.
    Happens(RunId, Happening),
}

#[derive(Clone, Debug)]
pub enum Happening {
    Exec,
    LeaderExits(RunStatus),
    StragglersEnd,
    AllKilled,
    Survive,
    Check(ProbeRole),
    Says(Notice),
    /// The stop command ends, and the run does not.
    StopCommandFails,
    Vanish,
}

/// One run and its processes.
#[derive(Clone, Debug)]
pub struct Run {
    pub name: UnitName,
    spec: std::sync::Arc<UnitSpec>,
    rng: Rng,
    executed: bool,
    leader: bool,
    stragglers: u32,
    ignores_asking: bool,
    stop_command_works: bool,
    /// How long SIGKILL takes.
    outlives_kill: u64,
    drain: u64,
    asked_early: bool,
    killed_early: bool,
    probes: [bool; 3],
    /// Its probes succeed from then to then, after exec.
    good: (u64, u64),
    executed_at: u64,
    /// When its last fact comes: a runner's reports keep their order.
    mail: u64,
    /// Its last fact is on the way: nothing is left of it.
    pub over: bool,
    /// The set has been told so.
    pub ended: bool,
    /// The set has asked it to end, or something outside has.
    pub disturbed: bool,
    pub status: Option<RunStatus>,
}

/// All runs, and what is to happen.
#[derive(Debug)]
pub struct World {
    pub seed: u64,
    pub clock: u64,
    /// What the set's clock shows beyond that.
    pub skew: i64,
    queue: BTreeMap<(u64, u64), Next>,
    number: u64,
    pub runs: BTreeMap<RunId, Run>,
    /// By unit, the build that runs.
    pub builds: BTreeMap<UnitName, u64>,
    /// Two builds of a unit ran at the same time.
    pub overlap: Option<UnitName>,
    rng: Rng,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            clock: 10_000,
            skew: 0,
            queue: BTreeMap::new(),
            number: 0,
            runs: BTreeMap::new(),
            builds: BTreeMap::new(),
            overlap: None,
            rng: Rng::with_seed(seed ^ 0x5eed),
        }
    }

    pub fn schedule(&mut self, at: u64, next: Next) {
        self.number += 1;
        self.queue.insert((at.max(self.clock), self.number), next);
    }

    pub fn next(&mut self) -> Option<Next> {
        let ((at, _), next) = self.queue.pop_first()?;
        self.clock = at;
        Some(next)
    }

    /// What the set is told the time is.
    pub fn now(&self) -> u64 {
        self.clock.saturating_add_signed(self.skew)
    }

    /// The run of that instance that is not over.
    pub fn live(&self, name: &UnitName) -> Option<RunId> {
        self.runs
            .iter()
            .rev()
            .find(|(_, run)| run.name == *name && !run.over)
            .map(|(id, _)| *id)
    }

    fn later(&mut self, id: RunId, delay: u64, what: Happening) {
        self.schedule(self.clock + delay, Next::Happens(id, what));
    }

    fn tell(&mut self, id: RunId, delay: u64, fact: Fact) {
        let at = self.clock + delay;
        let Some(run) = self.runs.get_mut(&id).filter(|run| !run.over) else {
            return;
        };
        run.mail = run.mail.max(at);
        let at = run.mail;
        run.over = is_last(&fact);
        self.schedule(at, Next::Fact(id, fact));
    }

    /// Does what the supervisor would.
    pub fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Spawn { run, name, spec } => self.spawn(*run, name, spec),
            Effect::StartProbe { run, role } => {
                let Some(state) = self.runs.get_mut(run) else {
                    return;
                };
                state.probes[*role as usize] = true;
                let delay = probe_of(&state.spec, *role).map_or(0, |p| p.initial_delay.as_millis());
                self.later(*run, delay as u64 + 5, Happening::Check(*role));
            }
            Effect::StopProbe { run, role } => {
                if let Some(state) = self.runs.get_mut(run) {
                    state.probes[*role as usize] = false;
                }
            }
            Effect::Signal { run, signal, scope } => self.ask(*run, *signal, *scope),
            Effect::StopCommand { run, .. } | Effect::TypeKeys { run, .. } => {
                let Some(state) = self.runs.get_mut(run) else {
                    return;
                };
                state.disturbed = true;
                if state.stop_command_works {
                    let delay = state.rng.u64(1..300);
                    let status = RunStatus::of(ExitStatus::SUCCESS);
                    self.later(*run, delay, Happening::LeaderExits(status));
                } else if state.rng.bool() {
                    // The other half does nothing at all.
                    self.later(*run, 5, Happening::StopCommandFails);
                }
            }
            Effect::Kill { run } => self.kill(*run),
            Effect::Arm(armed) => {
                let at = u64::try_from(armed.at.since_start().as_millis()).unwrap_or(u64::MAX);
                let at = at.saturating_add_signed(-self.skew);
                let late = self.rng.u64(1..4);
                self.schedule(at.saturating_add(late), Next::Deadline(armed.deadline));
            }
            Effect::Build { unit, number, .. } => {
                if self.builds.insert(unit.clone(), *number).is_some() {
                    self.overlap = Some(unit.clone());
                }
                let result = if self.rng.u8(..3) == 0 {
                    Err("exit code 1".to_owned())
                } else {
                    Ok(())
                };
                self.end_build(unit, *number, 1..2000, result);
            }
            Effect::CancelBuild { unit, number } => {
                let result = Err("cancelled".to_owned());
                self.end_build(unit, *number, 1..10, result);
            }
            Effect::HoldWatch {
                unit,
                number,
                limit,
            } => {
                let limit = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
                let told = Told::HoldOver { number: *number };
                self.schedule(self.clock + limit, Next::Watch(unit.clone(), told));
            }
            Effect::Watch { .. }
            | Effect::Unwatch { .. }
            | Effect::SlowProbe { .. }
            | Effect::Reply { .. }
            | Effect::Publish(_)
            | Effect::Finish(_) => {}
        }
    }

    /// A build that was cancelled has two ends on the way; the later one is stale.
    fn end_build(
        &mut self,
        unit: &UnitName,
        number: u64,
        within: std::ops::Range<u64>,
        result: Result<(), String>,
    ) {
        let at = self.clock + self.rng.u64(within);
        let told = Told::Built { number, result };
        self.schedule(at, Next::Watch(unit.clone(), told));
    }

    fn spawn(&mut self, id: RunId, name: &UnitName, spec: &std::sync::Arc<UnitSpec>) {
        let mut hasher = rustc_hash::FxHasher::default();
        (self.seed, name.as_str(), id.attempt.0).hash(&mut hasher);
        let mut rng = Rng::with_seed(hasher.finish());
        let good_from = if rng.u8(..6) == 0 {
            u64::MAX / 2
        } else {
            rng.u64(..1000)
        };
        let good_for = if rng.u8(..3) == 0 {
            rng.u64(..3000)
        } else {
            u64::MAX / 4
        };
        let run = Run {
            name: name.clone(),
            spec: std::sync::Arc::clone(spec),
            executed: false,
            leader: false,
            stragglers: if rng.u8(..4) == 0 { rng.u32(1..3) } else { 0 },
            ignores_asking: rng.u8(..5) == 0,
            stop_command_works: rng.u8(..4) > 0,
            outlives_kill: match rng.u8(..10) {
                0 => rng.u64(1000..20_000),
                _ => rng.u64(..10),
            },
            drain: match rng.u8(..60) {
                0 => rng.u64(1000..14_000),
                _ => rng.u64(..20),
            },
            asked_early: false,
            killed_early: false,
            probes: [false; 3],
            good: (good_from, good_from + good_for),
            executed_at: 0,
            mail: self.clock,
            over: false,
            ended: false,
            disturbed: false,
            status: None,
            rng: rng.clone(),
        };
        self.runs.insert(id, run);
        // Now and then exec hangs until somebody kills it.
        if rng.u8(..60) > 0 {
            let delay = rng.u64(..40);
            self.later(id, delay, Happening::Exec);
        }
    }

    /// Something that happens to a run; it may make it report.
    pub fn happen(&mut self, id: RunId, what: Happening) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| !run.over) else {
            return;
        };
        match what {
            Happening::Exec => self.exec(id),
            Happening::LeaderExits(status) => {
                if run.leader {
                    run.leader = false;
                    run.status = Some(status.clone());
                    let empty = run.stragglers == 0;
                    self.tell(id, 1, Fact::LeaderExited { status, empty });
                    self.reap_if_empty(id);
                } else if !run.executed {
                    run.asked_early = true;
                }
            }
            Happening::StragglersEnd => {
                run.stragglers = 0;
                self.reap_if_empty(id);
            }
            Happening::AllKilled => {
                run.stragglers = 0;
                if run.leader {
                    let status = RunStatus::of(ExitStatus::Signal(Signal::KILL));
                    self.happen(id, Happening::LeaderExits(status));
                } else {
                    self.reap_if_empty(id);
                }
            }
            Happening::Survive => {
                let member = Member {
                    pid: 7,
                    name: "disk-sleeper".into(),
                };
                self.tell(id, 1, Fact::Survivors(vec![member]));
            }
            Happening::Check(role) => self.check(id, role),
            Happening::Says(notice) => self.tell(id, 1, Fact::Notified(notice)),
            Happening::StopCommandFails => self.tell(id, 1, Fact::StopCommandFailed),
            Happening::Vanish => self.tell(id, 1, Fact::Lost),
        }
    }

    fn exec(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        if run.spec.kind == UnitKind::Task && run.rng.u8(..8) == 0 {
            let reason = "nothing changed".to_owned();
            return self.tell(id, 1, Fact::UpToDate { reason });
        }
        if run.rng.u8(..14) == 0 {
            let error = "no such file".to_owned();
            return self.tell(id, 1, Fact::SpawnFailed { error });
        }
        run.executed = true;
        run.leader = true;
        run.executed_at = self.clock;
        let mut rng = run.rng.clone();
        let (asked, killed) = (run.asked_early, run.killed_early);
        let kind = run.spec.kind;
        let stragglers = run.stragglers;
        run.rng = rng.fork();
        self.tell(id, 1, Fact::Spawned { pid: 7 });
        if killed {
            return self.later(id, 1, Happening::AllKilled);
        }
        if asked {
            self.ask(id, Signal::TERM, Scope::Group);
        }
        let exits = match kind {
            UnitKind::Task => rng.u8(..12) > 0,
            UnitKind::Service => rng.u8(..3) == 0,
        };
        if exits {
            let status = match kind {
                UnitKind::Task if rng.u8(..4) > 0 => RunStatus::of(ExitStatus::SUCCESS),
                UnitKind::Task | UnitKind::Service => random_status(&mut rng),
            };
            let after = if rng.bool() {
                rng.u64(..100)
            } else {
                rng.u64(..3000)
            };
            self.later(id, after, Happening::LeaderExits(status));
        }
        if stragglers > 0 && rng.bool() {
            self.later(id, rng.u64(..4000), Happening::StragglersEnd);
        }
        if rng.u8(..60) == 0 {
            self.later(id, rng.u64(..2000), Happening::Vanish);
        }
    }

    fn reap_if_empty(&mut self, id: RunId) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        if run.executed && !run.leader && run.stragglers == 0 {
            self.tell(id, run.drain + 1, Fact::Reaped);
        }
    }

    fn ask(&mut self, id: RunId, signal: Signal, scope: Scope) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| !run.over) else {
            return;
        };
        run.disturbed = true;
        if !run.executed {
            run.asked_early = true;
            return;
        }
        if run.ignores_asking {
            return;
        }
        let delay = run.rng.u64(1..400);
        let stragglers = run.rng.u64(1..400);
        let status = match run.rng.u8(..3) {
            0 => ExitStatus::SUCCESS,
            1 => ExitStatus::Code(143),
            _ => ExitStatus::Signal(signal),
        };
        self.later(id, delay, Happening::LeaderExits(RunStatus::of(status)));
        if scope == Scope::Group {
            self.later(id, stragglers, Happening::StragglersEnd);
        }
    }

    fn kill(&mut self, id: RunId) {
        let Some(run) = self.runs.get_mut(&id).filter(|run| !run.over) else {
            return;
        };
        run.disturbed = true;
        if !run.executed {
            // Whatever hung in exec is gone; the runner reports as much.
            run.killed_early = true;
            let error = "killed before exec".to_owned();
            return self.tell(id, 5, Fact::SpawnFailed { error });
        }
        let takes = run.outlives_kill;
        if takes > 500 {
            self.later(id, 500, Happening::Survive);
        }
        self.later(id, takes + 1, Happening::AllKilled);
    }

    fn check(&mut self, id: RunId, role: ProbeRole) {
        let clock = self.clock;
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        let spec = std::sync::Arc::clone(&run.spec);
        let Some(probe) = probe_of(&spec, role).filter(|_| run.probes[role as usize]) else {
            return;
        };
        let age = clock.saturating_sub(run.executed_at);
        let success = (run.good.0..run.good.1).contains(&age);
        let pace = u64::try_from(probe.interval.as_millis()).unwrap_or(u64::MAX);
        let pace = if success { pace } else { (pace / 3).max(20) };
        if probe.check.latches() {
            if success {
                self.tell(id, 1, probed(role, true));
                return;
            }
        } else {
            self.tell(id, 1, probed(role, success));
        }
        self.later(id, pace, Happening::Check(role));
    }
}

/// Whether nothing more comes of a run after this.
pub fn is_last(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::Reaped | Fact::SpawnFailed { .. } | Fact::UpToDate { .. } | Fact::Lost
    )
}

/// The fact that a check of a probe came out so.
pub fn probed(role: ProbeRole, success: bool) -> Fact {
    let result = if success {
        ProbeResult::Success
    } else {
        ProbeResult::Failure("refused".into())
    };
    Fact::Probed { role, result }
}
