//! All units of a stack together: what is wanted, whose conditions hold, what is done.
//!
//! The one entry is [`UnitSet::step`]: an event in, effects out; no clock, no IO, no
//! await. Every step has two phases, repeated until nothing changes. *Settle*: from what
//! was touched, recompute what is wanted, which conditions hold and which stops are due.
//! *Act*: start, skip, revive and stop what that calls for.
//!
//! What settling computes is cached per instance, so that a step costs as much as it
//! affects. An oracle recomputes everything from its definition and compares, in debug
//! builds after each step (of large sets: after some).

mod command;
mod edge;
mod end;
#[cfg(any(test, debug_assertions))]
mod oracle;
mod reload;
mod scheduling;
mod settle;
#[cfg(test)]
mod tests;
mod view;
mod watching;
mod wiring;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::admission::Answer;
use super::effect::Effect;
use super::event::{CommandId, Deadline, DeadlineKind, Event, Fact, Shutdown, ShutdownCause};
use super::id::{Attempt, Epoch, InstanceId, Revision, RunId, UnitName};
use super::machine::{Context, Input, Machine};
use super::outcome::Skip;
use super::phase::{Desired, Phase, Stop};
use super::plan::{Plan, Selection};
use super::schedule::Timetable;
use super::snapshot::UnitView;
use super::spec::Condition;
use super::time::Instant;
use super::verdict::Verdict;
use super::watch::Watching;
pub(super) use edge::{Edge, EdgeState};

/// What `up` was asked to do with the stack as a whole.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub selection: Selection,
    /// Stop the stack at the first failure.
    pub abort_on_failure: bool,
    /// Stop the stack when all tasks are done and all services ready.
    pub ends_when_done: bool,
    /// Go on when nothing runs any more, until told to stop.
    pub keep: bool,
    /// The stack lives as long as this unit.
    pub ends_with: Option<UnitName>,
    /// Whose exit status is passed on.
    pub code_from: Option<UnitName>,
    /// Files are not watched.
    pub no_watch: bool,
    /// Nothing starts by the clock: what has a schedule starts as everything else does.
    pub no_clock: bool,
    /// Units that watch keep the stack up, whether or not anybody looks on.
    pub kept_by_watch: bool,
}

/// Why an instance is kept down whoever needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Stopped,
    Disabled,
}

#[derive(Clone, Debug)]
struct Instance {
    machine: Machine,
    unit: UnitName,
    asked: bool,
    hold: Option<Hold>,
    /// No longer in the plan; goes when nothing of it runs.
    removed: bool,
    /// A stop that is due, once its dependents have stopped.
    pending: Option<Stop>,
    edges: Vec<Edge>,
    /// Who depends on it, and by which of its edges.
    dependents: Vec<(InstanceId, u32)>,
    cache: Cache,
    /// The run that was live when it was last looked at.
    run: Option<RunId>,
    queued: bool,
    lined_up: bool,
    /// By its schedule: it starts as soon as no run of it lives.
    due: bool,
    /// Its view is to be made anew.
    stale: bool,
}

/// What follows from the rest, kept so that it need not be computed again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cache {
    needed: bool,
    /// Edges that hold it back.
    unmet: u32,
    /// Required edges that can never be met as things are.
    hopeless: u32,
    live_dependents: u32,
    live: bool,
    /// Its run is over, or is to be.
    ending: bool,
    active: bool,
    /// Counted among what the stack still has to reach.
    open: bool,
    /// What its dependents have been told of it.
    shown: Option<Shown>,
}

/// All of an instance that its dependents go by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shown {
    /// By condition, in the order of [`Condition::ALL`].
    edges: [EdgeState; Condition::ALL.len()],
    attempt: Attempt,
    ending: bool,
}

/// The units of a stack.
#[derive(Clone, Debug)]
pub struct UnitSet {
    plan: Arc<Plan>,
    options: Options,
    instances: Vec<Option<Instance>>,
    by_name: FxHashMap<UnitName, InstanceId>,
    by_unit: FxHashMap<UnitName, Vec<InstanceId>>,
    /// Instances in the order of the file.
    order: Vec<InstanceId>,
    /// Names of former instances: their numbers, attempts and epochs go on if they come
    /// back, or what is still reported of the old one would touch the new one.
    retired: FxHashMap<UnitName, (InstanceId, Attempt, Epoch)>,
    touched: VecDeque<InstanceId>,
    dirty: VecDeque<InstanceId>,
    /// Of each unit that watches files.
    watching: BTreeMap<UnitName, Watching>,
    /// Of each unit that is started by the clock.
    timetables: BTreeMap<UnitName, Timetable>,
    /// The number of the alarm that was set last.
    alarms: u64,
    /// Somebody looks on.
    attended: bool,
    /// Whose conditions hold: they start when all else is done.
    lined_up: VecDeque<InstanceId>,
    /// Whose view has changed since the last snapshot.
    stale_views: Vec<InstanceId>,
    views: Vec<Option<Arc<UnitView>>>,
    revision: Revision,
    active: usize,
    open: usize,
    /// An instance was taken out: the edges are to be built anew.
    unwired: bool,
    shutdown: Option<Shutdown>,
    cause: Option<ShutdownCause>,
    ended: Option<Verdict>,
    begun: bool,
    rng: fastrand::Rng,
    now: Instant,
    steps: u64,
}

impl UnitSet {
    /// A set in which nothing runs yet. `seed` drives the jitter of backoff.
    #[must_use]
    pub fn new(plan: &Arc<Plan>, options: Options, seed: u64) -> Self {
        let mut set = Self {
            plan: Arc::clone(plan),
            options,
            instances: Vec::new(),
            by_name: FxHashMap::default(),
            by_unit: FxHashMap::default(),
            order: Vec::new(),
            retired: FxHashMap::default(),
            touched: VecDeque::new(),
            dirty: VecDeque::new(),
            watching: BTreeMap::new(),
            timetables: BTreeMap::new(),
            alarms: 0,
            attended: false,
            lined_up: VecDeque::new(),
            stale_views: Vec::new(),
            views: Vec::new(),
            revision: Revision::default(),
            active: 0,
            open: 0,
            unwired: false,
            shutdown: None,
            cause: None,
            ended: None,
            begun: false,
            rng: fastrand::Rng::with_seed(seed),
            now: Instant::START,
            steps: 0,
        };
        set.install(plan, &mut Vec::new());
        set
    }

    /// Starts what the selection asks for.
    pub fn begin(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        self.begun = true;
        self.note_named();
        self.touch_all();
        self.settle(effects);
    }

    /// One step: takes an event and says what is to be done about it, in order.
    ///
    /// Total: stale facts, stale deadlines and commands that make no sense change
    /// nothing. Time never runs backwards: an earlier `now` counts as the latest one.
    pub fn step(&mut self, now: Instant, event: Event, effects: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        match event {
            Event::Fact { run, fact } => self.fact(run, fact, effects),
            Event::Deadline(deadline) => self.deadline(deadline, effects),
            Event::Schedule { unit, told } => self.told_of_time(&unit, &told, effects),
            Event::Watch { unit, told } => self.told_of_files(&unit, told, effects),
            Event::Command { id, command } => {
                let answer = self.command(command, effects);
                effects.push(Effect::Reply { id, answer });
            }
        }
        self.settle(effects);
        self.steps += 1;
        #[cfg(any(test, debug_assertions))]
        self.check_sampled();
    }

    /// Time has passed and nothing happened: what a snapshot says of waits is of now.
    pub fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    fn fact(&mut self, run: RunId, fact: Fact, effects: &mut Vec<Effect>) {
        let current = self
            .get(run.instance)
            .is_some_and(|i| i.machine.is_current(run));
        if current {
            self.drive(run.instance, Input::Fact(fact), effects);
        }
    }

    fn deadline(&mut self, deadline: Deadline, effects: &mut Vec<Effect>) {
        let Some(instance) = self.get(deadline.instance) else {
            return;
        };
        if !instance.machine.is_armed(deadline) {
            return;
        }
        let input = match deadline.kind {
            DeadlineKind::Wait => Input::Skip(self.wait_timeout(instance)),
            DeadlineKind::Spawn
            | DeadlineKind::Ready
            | DeadlineKind::Run
            | DeadlineKind::Grace
            | DeadlineKind::Reap
            | DeadlineKind::Backoff
            | DeadlineKind::Healthy => Input::Deadline(deadline.kind),
        };
        self.drive(deadline.instance, input, effects);
    }

    fn wait_timeout(&self, instance: &Instance) -> Skip {
        let waited_for: Vec<InstanceId> = instance.unmet_edges().map(|edge| edge.on).collect();
        Skip::WaitTimeout {
            limit: instance.machine.spec().timeouts.wait.unwrap_or_default(),
            on: waited_for
                .iter()
                .map(|&on| (on, self.attempt(on)))
                .collect(),
            names: waited_for
                .iter()
                .filter_map(|&on| self.get(on))
                .map(|on| on.machine.name().clone())
                .collect(),
        }
    }

    fn attempt(&self, id: InstanceId) -> Attempt {
        self.get(id)
            .map(|i| i.machine.attempt())
            .unwrap_or_default()
    }

    /// Gives one machine an input, and notes that it was touched.
    fn drive(&mut self, id: InstanceId, input: Input, effects: &mut Vec<Effect>) {
        let wanted = self.is_wanted(id);
        let Some(instance) = self.instances.get_mut(id.index()).and_then(Option::as_mut) else {
            return;
        };
        let mut context = Context {
            now: self.now,
            wanted,
            rng: &mut self.rng,
            effects,
        };
        instance.machine.on(input, &mut context);
        self.touched.push_back(id);
    }

    /// Whether the instance shall run, whatever it does now.
    fn is_wanted(&self, id: InstanceId) -> bool {
        self.shutdown.is_none() && self.get(id).is_some_and(Instance::is_wanted)
    }

    fn get(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(id.index()).and_then(Option::as_ref)
    }

    fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.instances.get_mut(id.index()).and_then(Option::as_mut)
    }

    fn touch_all(&mut self) {
        // Each once: what was touched before is among them, or gone.
        self.touched.clear();
        self.touched.extend(self.order.iter().copied());
    }
}

/// What can be seen of a set.
impl UnitSet {
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The machine of an instance.
    #[must_use]
    pub fn machine(&self, id: InstanceId) -> Option<&Machine> {
        self.get(id).map(|instance| &instance.machine)
    }

    /// The instance of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<InstanceId> {
        self.by_name.get(name).copied()
    }

    /// All instances, in the order of the file.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> + '_ {
        self.order.iter().copied()
    }

    /// Whether the stack is stopping, and how hard.
    #[must_use]
    pub fn shutdown(&self) -> Option<Shutdown> {
        self.shutdown
    }

    #[must_use]
    pub fn shutdown_cause(&self) -> Option<&ShutdownCause> {
        self.cause.as_ref()
    }

    /// What was said at the end, once it has come.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.ended.as_ref()
    }

    /// What is wanted of an instance.
    #[must_use]
    pub fn desired(&self, id: InstanceId) -> Desired {
        if self.is_wanted(id) {
            Desired::Up
        } else {
            Desired::Down
        }
    }
}

impl Instance {
    fn is_wanted(&self) -> bool {
        self.cache.needed && self.hold.is_none() && !self.removed
    }

    /// Whether its run goes on and nothing says that it shall not.
    fn is_running_on(&self) -> bool {
        self.pending.is_none()
            && match self.machine.phase() {
                Phase::Starting { .. } | Phase::Running { .. } => true,
                Phase::Idle
                | Phase::Waiting
                | Phase::Stopping { .. }
                | Phase::Reaping { .. }
                | Phase::Backoff { .. }
                | Phase::Exited(_) => false,
            }
    }

    /// Whether its run is over, or is to be.
    fn is_ending(&self) -> bool {
        self.machine.phase().is_ending()
            || (self.pending.is_some() && self.machine.phase().is_live())
    }

    /// The edges that hold it back.
    fn unmet_edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(|edge| edge.holds_back())
    }
}

/// The answers to commands in `effects`, for tests and callers without a loop.
#[must_use]
pub fn reply_to(effects: &[Effect], wanted: CommandId) -> Option<&Answer> {
    effects.iter().find_map(|effect| {
        if let Effect::Reply { id, answer } = effect
            && *id == wanted
        {
            return Some(answer);
        }
        None
    })
}
