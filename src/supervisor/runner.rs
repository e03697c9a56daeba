//! The actor that owns one run.
//!
//! ```text
//!  spawn ─► Spawned ─► (signals, probes, stop commands) ─► LeaderExited
//!    │                                                        │ group empty
//!    └─► SpawnFailed                       Reaped ◄─ drain ◄──┘
//! ```
//!
//! It alone holds the group, the pipes and the probes of its run. It reports, and never
//! decides: when to signal, to kill or to stop probing it is told.

mod hearing;
mod launch;
mod launched;
mod own_ports;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

pub(super) use launch::AT_ONCE;
use launched::at;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout};

use super::burial::Burial;
use super::event_loop::report;
use super::freshness::{self, Freshness};
use super::hooks::Pending;
use super::inbox::Inbox;
use super::live_groups::{LiveGroups, LiveRun};
use super::streams::Streams;
use super::terminal::{Input, Terminals};
use super::unit_log::unit_log;
use super::{bounds, request};
use crate::contain::{Containment, Group, HelperEnd, Scope, SpawnRequest, run_helper};
use crate::domain::event::{Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::health::probe_of;
use crate::domain::id::{RunId, UnitName};
use crate::domain::outcome::{Member, RunStatus};
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, Lifetime, UnitSpec};
use crate::domain::stop::REAP_LIMIT;
use crate::logs::{LogStore, Origin, Stream, UnitLog};
use crate::probe::{Hearing, Prober, Surroundings};

/// What all runners share.
#[derive(Debug)]
pub(super) struct Tools {
    pub containment: Containment,
    pub store: Arc<dyn LogStore>,
    pub environment: Vec<(OsString, OsString)>,
    /// Of the stack's main file.
    pub folder: PathBuf,
    pub groups: LiveGroups,
    pub terminals: Terminals,
    pub hooks: Pending,
    pub burial: Burial,
    /// Whose turn it is to make processes.
    pub spawns: Arc<Semaphore>,
}

/// What a runner is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Signal(Signal, Scope),
    Kill,
    StopCommand(Command, Duration),
    TypeKeys(Vec<u8>),
    StartProbe(ProbeRole),
    SlowProbe(ProbeRole),
    StopProbe(ProbeRole),
}

/// How long the pipes of an empty group may take to be drained.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// How long a stop command may take to end after its run.
const LAST_WORD_LIMIT: Duration = Duration::from_secs(1);

/// How long after SIGKILL the members that are left are named: before they count as stuck.
const SURVIVORS_AFTER: Duration = REAP_LIMIT.saturating_sub(Duration::from_millis(500));

/// Starts the runner of `run`.
pub(super) fn spawn(
    run: RunId,
    name: &UnitName,
    spec: Arc<UnitSpec>,
    tools: Arc<Tools>,
    inbox: Inbox,
    asked: mpsc::UnboundedReceiver<Ask>,
) {
    let environment = request::environment(&tools.environment, name, &spec);
    let logs = unit_log(name, &spec, &environment);
    // What is typed while it is on its way is for it.
    let takes_input = spec.takes_input();
    let inputs = takes_input.then(|| tools.terminals.take_inputs(run.instance));
    let mut runner = Runner {
        run,
        group_name: name.to_string(),
        replica: request::replica(name, &spec),
        ports: BTreeMap::new(),
        group: Arc::default(),
        hearing: None,
        spec,
        tools,
        environment,
        logs: Some(logs),
        inputs,
        inbox: inbox.clone(),
        asked,
        probes: HashMap::new(),
        helpers: JoinSet::new(),
        name_survivors_at: None,
        asked_to_stop: false,
    };
    tokio::spawn(async move {
        let mut last_word = LastWord {
            run,
            inbox,
            fact: Some(Fact::Lost),
        };
        let fact = runner.live().await;
        // Probes and helpers must be gone before anybody hears that the run is.
        drop(runner);
        last_word.fact = Some(fact);
    });
}

/// Reports the end of a run when it is dropped, also by a panic.
struct LastWord {
    run: RunId,
    inbox: Inbox,
    fact: Option<Fact>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if let Some(fact) = self.fact.take() {
            report(&self.inbox, self.run, fact);
        }
    }
}

struct Runner {
    run: RunId,
    group_name: String,
    /// Its number among the replicas.
    replica: Option<u32>,
    /// The numbers of its ports, by name.
    ports: BTreeMap<String, u16>,
    /// What holds it, once it is spawned.
    group: Arc<OnceLock<Arc<Group>>>,
    /// What it says of itself, until it is spawned.
    hearing: Option<Hearing>,
    spec: Arc<UnitSpec>,
    tools: Arc<Tools>,
    environment: Vec<(OsString, OsString)>,
    /// Until the store has been told.
    logs: Option<Result<UnitLog, String>>,
    /// What is typed for it, until there is somebody to read it.
    inputs: Option<mpsc::Receiver<Input>>,
    inbox: Inbox,
    asked: mpsc::UnboundedReceiver<Ask>,
    probes: HashMap<ProbeRole, Probing>,
    helpers: JoinSet<()>,
    name_survivors_at: Option<Instant>,
    asked_to_stop: bool,
}

/// A probe that is ready to begin, or has begun.
struct Probing {
    prober: Option<Prober>,
    settled: watch::Sender<bool>,
    task: Option<AbortHandle>,
}

impl Drop for Probing {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Runner {
    /// The whole life of the run; its last fact.
    async fn live(&mut self) -> Fact {
        match self.logs.take() {
            Some(Ok(unit)) => self.tools.store.introduce(self.run.instance, unit),
            // What should be masked would be stored.
            Some(Err(error)) => return Fact::SpawnFailed { error },
            None => {}
        }
        if let Err(error) = self.ready_ports().await {
            self.report(Fact::PortTaken { why: error.clone() });
            return Fact::SpawnFailed { error };
        }
        if let Err(error) = self.ready_hearing().await {
            return Fact::SpawnFailed { error };
        }
        if let Err(error) = self.ready_probes() {
            return Fact::SpawnFailed { error };
        }
        let fresh = freshness::ask(&self.spec, &self.tools, &self.environment, &mut self.asked);
        match fresh.await {
            Freshness::Stale => {}
            Freshness::UpToDate(reason) => return Fact::UpToDate { reason },
            Freshness::Interrupted(error) => return Fact::SpawnFailed { error },
        }
        self.add_hearing();
        let (group, mut running) = match self.execute().await {
            Ok(spawned) => spawned,
            Err(error) => return Fact::SpawnFailed { error },
        };
        let _ = self.group.set(Arc::clone(&group));
        let (inputs, note) = (self.inputs.take(), self.noter());
        let mut streams = Streams::connect(
            self.run,
            &self.spec,
            &self.tools,
            &mut running,
            inputs,
            note,
        );
        let (groups, environment) = (&self.tools.groups, &self.environment);
        let live = LiveRun::new(groups, self.run, &self.group_name, &group, environment);
        self.report(Fact::Spawned { pid: running.pid() });
        let listening = self.hear(&group);

        let statuses = self.until(&group, running.exited()).await;
        let status = RunStatus(statuses.unwrap_or_else(|_| vec![ExitStatus::Code(-1)]));
        let empty = group.is_empty().await.unwrap_or(false);
        self.look_for_want_of_memory(&group, &status);
        self.report(Fact::LeaderExited {
            status: status.clone(),
            empty,
        });
        let launched =
            self.spec.lifetime == Lifetime::Launched && status.failure(&self.spec).is_none();
        if launched {
            self.until_asked_to_stop(&group).await;
        }
        let mut noted = false;
        while let Err(error) = self.until(&group, group.emptied()).await {
            // It could not be told just now; the group may not be empty.
            if !std::mem::replace(&mut noted, true) {
                self.note(&format!("cannot tell whether it has ended: {error}"));
            }
            self.pause(&group).await;
        }

        drop((live, listening));
        self.look_for_want_of_memory(&group, &status);
        self.look_for_strangers(&status).await;
        self.probes.clear();
        // After the limit the streams are dropped, which closes them.
        let _ = timeout(DRAIN_LIMIT, streams.drain()).await;
        drop(streams);
        // A stop command that saw the run end may still have its last word to say.
        // What others hold is stopped by that command alone, within the grace period.
        let limit = if launched {
            self.spec.shutdown.timeout
        } else {
            LAST_WORD_LIMIT
        };
        self.last_words(limit, &group).await;
        while self.tools.burial.release(&group).await.is_err() {
            // Somebody joined the group since it was empty.
            let _ = group.kill();
            self.pause(&group).await;
        }
        let held = (group, running, std::mem::take(&mut self.group));
        self.tools.burial.drop(held);
        Fact::Reaped
    }

    fn look_for_want_of_memory(&self, group: &Group, status: &RunStatus) {
        let fine = status.0.iter().all(|&status| status == ExitStatus::SUCCESS);
        if !fine && group.oom_kills().is_some_and(|kills| kills > 0) {
            self.report(Fact::OutOfMemory);
        }
    }

    /// Does what it is asked until `end` resolves.
    async fn until<T>(&mut self, group: &Arc<Group>, end: impl Future<Output = T>) -> T {
        tokio::pin!(end);
        loop {
            let survivors = self.name_survivors_at;
            tokio::select! {
                ended = &mut end => return ended,
                ask = self.asked.recv() => match ask {
                    Some(ask) => self.answer(ask, group),
                    // The event loop is gone: nobody is left to stop this run in order.
                    None => {
                        let _ = group.kill();
                        return end.await;
                    }
                },
                () = at(survivors) => {
                    self.name_survivors_at = None;
                    self.name_survivors(group).await;
                }
            }
        }
    }

    async fn pause(&mut self, group: &Arc<Group>) {
        self.until(group, tokio::time::sleep(Duration::from_millis(20)))
            .await;
    }

    fn answer(&mut self, ask: Ask, group: &Group) {
        self.asked_to_stop |= match &ask {
            Ask::Signal(..) | Ask::Kill | Ask::StopCommand(..) | Ask::TypeKeys(_) => true,
            Ask::StartProbe(_) | Ask::SlowProbe(_) | Ask::StopProbe(_) => false,
        };
        match ask {
            Ask::Signal(signal, scope) => {
                if let Err(error) = group.signal(signal, scope) {
                    self.note(&format!("cannot send {signal}: {error}"));
                }
            }
            Ask::Kill => {
                if let Err(error) = group.kill() {
                    self.note(&format!("cannot kill it: {error}"));
                }
                self.helpers.abort_all();
                self.name_survivors_at = Some(Instant::now() + SURVIVORS_AFTER);
            }
            Ask::StopCommand(command, limit) => self.stop_command(&command, limit),
            Ask::TypeKeys(keys) => self.type_keys(keys),
            Ask::StartProbe(role) => self.start_probe(role),
            Ask::SlowProbe(role) => {
                if let Some(probing) = self.probes.get(&role) {
                    probing.settled.send_replace(true);
                }
            }
            Ask::StopProbe(role) => {
                self.probes.remove(&role);
            }
        }
    }

    async fn name_survivors(&self, group: &Group) {
        let members = group.members().await.unwrap_or_default();
        let members = members
            .into_iter()
            .map(|member| Member {
                pid: member.pid,
                name: member.name,
            })
            .collect();
        self.report(Fact::Survivors(members));
    }

    /// Made before the spawn, so that a `log` probe misses no line.
    fn ready_probes(&mut self) -> Result<(), String> {
        let surroundings = Surroundings {
            run: self.run,
            containment: self.tools.containment.clone(),
            environment: self.environment.clone(),
            working_dir: self.spec.working_dir.clone(),
            options: bounds::helper_options(&self.spec)?,
            taps: self.tools.store.clone(),
            group: Arc::clone(&self.group),
            ports: self.ports.clone(),
            heard: self.heard(),
        };
        for role in ProbeRole::ALL {
            if let Some(probe) = probe_of(&self.spec, role) {
                let made = match role {
                    ProbeRole::Startup | ProbeRole::Readiness => Prober::new(probe, &surroundings),
                    ProbeRole::Liveness => Prober::liveness(probe, &surroundings),
                };
                let prober =
                    made.map_err(|error| format!("cannot make its {role} probe: {error}"))?;
                self.probes.insert(
                    role,
                    Probing {
                        prober: Some(prober),
                        settled: watch::Sender::new(false),
                        task: None,
                    },
                );
            }
        }
        Ok(())
    }

    fn start_probe(&mut self, role: ProbeRole) {
        let (run, inbox) = (self.run, self.inbox.clone());
        let Some(probing) = self.probes.get_mut(&role) else {
            return;
        };
        let Some(prober) = probing.prober.take() else {
            return;
        };
        let settled = probing.settled.subscribe();
        let task = self
            .helpers
            .spawn(prober.run(settled, move |result: ProbeResult| {
                report(&inbox, run, Fact::Probed { role, result });
            }));
        probing.task = Some(task);
    }

    fn type_keys(&mut self, keys: Vec<u8>) {
        let (run, inbox, note) = (self.run, self.inbox.clone(), self.noter());
        let terminals = self.tools.terminals.clone();
        self.helpers.spawn(async move {
            let keys = Input::Bytes(keys.into());
            if let Err(denial) = terminals.send(run.instance, keys).await {
                note(&format!("shutdown.send_keys: {denial}"));
                report(&inbox, run, Fact::StopCommandFailed);
            }
        });
    }

    fn stop_command(&mut self, command: &Command, limit: Duration) {
        let containment = self.tools.containment.clone();
        let stage = request::stage(command, &self.spec, &self.environment);
        let helper = bounds::helper_options(&self.spec)
            .map(|options| SpawnRequest::command(stage).with_options(options));
        let note = self.noter();
        let (run, inbox, store) = (self.run, self.inbox.clone(), self.tools.store.clone());
        self.helpers.spawn(async move {
            let ended = match &helper {
                Ok(helper) => run_helper(&containment, helper, limit).await,
                Err(error) => {
                    note(&format!("shutdown.command: {error}"));
                    return report(&inbox, run, Fact::StopCommandFailed);
                }
            };
            let (failed, said) = match ended {
                Ok(output) => match output.end {
                    HelperEnd::Exited(ExitStatus::SUCCESS) => (None, output.tail),
                    HelperEnd::Exited(status) => (Some(status.to_string()), output.tail),
                    HelperEnd::TimedOut => (
                        Some("it took longer than the grace period".to_owned()),
                        output.tail,
                    ),
                },
                Err(error) => (Some(error.to_string()), Vec::new()),
            };
            let stream = Stream::Stdout;
            let mut log = store.open(Origin {
                run,
                stage: 0,
                stream,
            });
            log.write(&said);
            log.close();
            if let Some(failed) = failed {
                note(&format!("shutdown.command: {failed}"));
                report(&inbox, run, Fact::StopCommandFailed);
            }
        });
    }

    /// Writes what pk itself has to say of the run into its log.
    fn note(&self, text: &str) {
        self.noter()(text);
    }

    fn noter(&self) -> impl Fn(&str) + Clone + Send + use<> {
        let store = self.tools.store.clone();
        let origin = Origin {
            run: self.run,
            stage: 0,
            stream: Stream::Stderr,
        };
        move |text| {
            let mut writer = store.open(origin);
            for line in text.lines() {
                writer.write(format!("pk: {line}\n").as_bytes());
            }
            writer.close();
        }
    }

    fn report(&self, fact: Fact) {
        report(&self.inbox, self.run, fact);
    }
}
