//! The one loop that holds the set of units.
//!
//! It takes what comes, steps the set, and does what that calls for. Nothing in it awaits
//! but the three things that it may be woken by.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::alarms::Alarms;
use super::deadlines::Deadlines;
use super::handle::{Answered, Handle};
use super::hooks::Pending;
use super::host::Host;
use super::inbox::{Arrived, Inbox};
use super::latency::Latency;
use super::live_groups::LiveGroups;
use super::publisher::Publisher;
use super::stats::Looking;
use super::terminal::Terminals;
use crate::domain;
use crate::domain::admission::{Answer, Denial};
use crate::domain::change::{Change, What};
use crate::domain::effect::Effect;
use crate::domain::event::{Command, CommandId, Event, Fact};
use crate::domain::hook;
use crate::domain::id::{RunId, UnitName};
use crate::domain::plan::Plan;
use crate::domain::schedule;
use crate::domain::set::UnitSet;
use crate::domain::watch::Told;
use crate::watch::Watcher;

/// What comes into the inbox.
#[derive(Debug)]
pub(super) enum Incoming {
    Fact(RunId, Fact),
    Watch(UnitName, Told),
    Schedule(UnitName, schedule::Told),
    /// Something that those who run the stack should know.
    Notice(String),
    Command(Command, oneshot::Sender<Answered>),
}

/// How many are taken from the inbox before deadlines are looked at again.
const BATCH: usize = 256;

/// Starts the loop of `set` on a task of its own.
pub(super) fn spawn<H: Host>(
    mut set: UnitSet,
    watcher: Watcher,
    host: impl FnOnce(Inbox) -> H,
) -> Handle {
    let (inbox, incoming) = Inbox::new();
    let latency = Latency::default();
    let publisher = Publisher::new(set.snapshot());
    let started = Instant::now();
    let (plans, plan) = watch::channel(Arc::clone(set.plan()));
    let handle = Handle {
        inbox: inbox.clone(),
        snapshots: publisher.snapshots(),
        changes: publisher.change_sender(),
        started,
        watcher,
        plan,
        looking: Looking::default(),
        terminals: Terminals::default(),
        recorder: publisher.recorder(),
        groups: LiveGroups::default(),
        beside: None,
        hooks: Pending::default(),
        latency: latency.clone(),
    };
    let event_loop = EventLoop {
        set,
        host: host(inbox.clone()),
        alarms: Alarms::new(inbox.clone(), started),
        inbox,
        incoming,
        deadlines: Deadlines::default(),
        publisher,
        replies: HashMap::new(),
        next_command: CommandId(0),
        effects: Vec::new(),
        started,
        plans,
        latency,
        finished: false,
    };
    tokio::spawn(event_loop.run());
    handle
}

struct EventLoop<H> {
    set: UnitSet,
    host: H,
    /// For what comes later.
    inbox: Inbox,
    incoming: mpsc::UnboundedReceiver<Arrived>,
    deadlines: Deadlines,
    alarms: Alarms,
    publisher: Publisher,
    replies: HashMap<CommandId, oneshot::Sender<Answered>>,
    next_command: CommandId,
    effects: Vec<Effect>,
    started: Instant,
    plans: watch::Sender<Arc<Plan>>,
    latency: Latency,
    finished: bool,
}

impl<H: Host> EventLoop<H> {
    async fn run(mut self) {
        let now = self.now();
        self.set.begin(now, &mut self.effects);
        self.perform();
        let mut batch = Vec::new();
        while !self.finished {
            let passed = self.now();
            self.publisher
                .publish_if_due(Instant::now(), passed, &mut self.set);
            let deadline = self
                .deadlines
                .next()
                .map(|at| self.started + at.since_start());
            let publication = self.publisher.due();
            tokio::select! {
                biased;
                () = at(deadline) => self.fire(),
                () = at(publication) => {}
                _ = self.incoming.recv_many(&mut batch, BATCH) => {
                    for Arrived { at, what } in batch.drain(..) {
                        self.take(what);
                        self.latency.count(at.elapsed());
                    }
                }
            }
        }
        self.close();
    }

    fn now(&self) -> domain::time::Instant {
        domain::time::Instant::after_start(self.started.elapsed())
    }

    fn take(&mut self, incoming: Incoming) {
        let event = match incoming {
            Incoming::Fact(run, fact) => {
                if matches!(
                    fact,
                    Fact::Reaped | Fact::SpawnFailed { .. } | Fact::UpToDate { .. } | Fact::Lost
                ) {
                    self.host.forget(run);
                }
                Event::Fact { run, fact }
            }
            Incoming::Watch(unit, told) => Event::Watch { unit, told },
            Incoming::Schedule(unit, told) => Event::Schedule { unit, told },
            Incoming::Notice(text) => {
                return self.publisher.change(Change {
                    at: self.now(),
                    what: What::Notice(text),
                });
            }
            Incoming::Command(command, reply) => {
                let id = self.next_command;
                self.next_command = CommandId(id.0 + 1);
                self.replies.insert(id, reply);
                Event::Command { id, command }
            }
        };
        self.step(event);
    }

    fn fire(&mut self) {
        let now = self.now();
        while let Some(deadline) = self.deadlines.pop_due(now) {
            self.step(Event::Deadline(deadline));
        }
    }

    fn step(&mut self, event: Event) {
        let now = self.now();
        self.set.step(now, event, &mut self.effects);
        self.perform();
    }

    fn perform(&mut self) {
        self.publisher.mark(Instant::now());
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Spawn { run, name, spec } => self.host.spawn(run, &name, &spec),
                Effect::StartProbe { run, role } => self.host.start_probe(run, role),
                Effect::SlowProbe { run, role } => self.host.slow_probe(run, role),
                Effect::StopProbe { run, role } => self.host.stop_probe(run, role),
                Effect::Signal { run, signal, scope } => self.host.signal(run, signal, scope),
                Effect::StopCommand {
                    run,
                    command,
                    limit,
                } => {
                    self.host.stop_command(run, command, limit);
                }
                Effect::TypeKeys { run, keys } => self.host.type_keys(run, keys),
                Effect::Kill { run } => self.host.kill(run),
                Effect::Watch { unit, spec } => self.host.watch(&unit, &spec),
                Effect::Unwatch { unit } => self.host.unwatch(&unit),
                Effect::Build {
                    unit,
                    number,
                    run,
                    spec,
                } => self.host.build(&unit, number, run, &spec),
                Effect::CancelBuild { unit, number } => self.host.cancel_build(&unit, number),
                Effect::HoldWatch {
                    unit,
                    number,
                    limit,
                } => {
                    let inbox = self.inbox.clone();
                    tokio::spawn(async move {
                        tokio::time::sleep(limit).await;
                        // When the loop is gone nobody needs it.
                        let _ = inbox.send(Incoming::Watch(unit, Told::HoldOver { number }));
                    });
                }
                Effect::Schedule {
                    unit,
                    number,
                    alarm,
                } => self.alarms.set(&unit, number, alarm),
                Effect::Unschedule { unit } => self.alarms.cancel(&unit),
                Effect::Arm(armed) => self.deadlines.arm(armed),
                Effect::Reply { id, answer } => {
                    // Before who reloads is answered.
                    self.publish_plan();
                    if let Some(reply) = self.replies.remove(&id) {
                        // Whoever asked may have gone.
                        let revision = self.publisher.next();
                        let _ = reply.send(Answered { answer, revision });
                    }
                }
                Effect::Publish(change) => {
                    self.follow_with_hooks(&change);
                    self.publisher.change(change);
                }
                Effect::Finish(_) => self.finished = true,
            }
        }
        // Emptied, and of use to the next step.
        self.effects = effects;
    }

    fn follow_with_hooks(&mut self, change: &Change) {
        let What::Unit {
            instance,
            name,
            change,
        } = &change.what
        else {
            return;
        };
        let Some(machine) = self.set.machine(*instance) else {
            return;
        };
        let spec = machine.spec();
        if !spec.on.is_empty()
            && let Some(moment) = hook::moment(change, spec)
        {
            let (instance, attempt) = (*instance, machine.attempt());
            self.host
                .hook(RunId { instance, attempt }, name, spec, moment);
        }
    }

    fn publish_plan(&self) {
        let plan = self.set.plan();
        self.plans.send_if_modified(|published| {
            let is_new = !Arc::ptr_eq(published, plan);
            if is_new {
                *published = Arc::clone(plan);
            }
            is_new
        });
    }

    /// The last snapshot holds the verdict; who still asks is told.
    fn close(mut self) {
        let passed = self.now();
        self.publisher
            .publish(Instant::now(), passed, &mut self.set);
        self.incoming.close();
        while let Ok(incoming) = self.incoming.try_recv() {
            if let Incoming::Command(_, reply) = incoming.what {
                let _ = reply.send(Answered {
                    answer: Answer::Denied(Denial::Ended),
                    revision: self.publisher.last(),
                });
            }
        }
    }
}

/// Resolves at that time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// Reports a fact; when the loop is gone nobody needs it.
pub(super) fn report(inbox: &Inbox, run: RunId, fact: Fact) {
    let _ = inbox.send(Incoming::Fact(run, fact));
}
