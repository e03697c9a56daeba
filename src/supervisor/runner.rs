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

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

use super::event_loop::{Incoming, report};
use super::listening::Listening;
use super::{ports, request};
use crate::contain::{
    Containment, Group, HelperEnd, Output, Pipe, Running, Scope, SpawnError, run_helper,
};
use crate::domain::event::{Fact, ProbeResult, ProbeRole};
use crate::domain::exit::ExitStatus;
use crate::domain::health::probe_of;
use crate::domain::id::{RunId, UnitName};
use crate::domain::outcome::{Member, RunStatus};
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, Program, UnitSpec};
use crate::domain::stop::REAP_LIMIT;
use crate::logs::{LogSink as _, MemoryStore, Origin, Stream, pump};
use crate::probe::{Prober, Surroundings};

/// What all runners share.
#[derive(Debug)]
pub(super) struct Tools {
    pub containment: Containment,
    pub store: MemoryStore,
    pub environment: Vec<(OsString, OsString)>,
    pub listening: Listening,
}

/// What a runner is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Signal(Signal, Scope),
    Kill,
    StopCommand(Command, Duration),
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
    inbox: mpsc::UnboundedSender<Incoming>,
    asked: mpsc::UnboundedReceiver<Ask>,
) {
    let environment = request::environment(&tools.environment, name, &spec);
    let mut runner = Runner {
        run,
        group_name: name.to_string(),
        replica: request::replica(name, &spec),
        ports: BTreeMap::new(),
        spec,
        tools,
        environment,
        inbox: inbox.clone(),
        asked,
        probes: HashMap::new(),
        helpers: JoinSet::new(),
        name_survivors_at: None,
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
    inbox: mpsc::UnboundedSender<Incoming>,
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
    spec: Arc<UnitSpec>,
    tools: Arc<Tools>,
    environment: Vec<(OsString, OsString)>,
    inbox: mpsc::UnboundedSender<Incoming>,
    asked: mpsc::UnboundedReceiver<Ask>,
    probes: HashMap<ProbeRole, Probing>,
    helpers: JoinSet<()>,
    name_survivors_at: Option<Instant>,
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
        if let Err(error) = self.ready_ports().await {
            return Fact::SpawnFailed { error };
        }
        let group = Arc::new(self.tools.containment.named_group(&self.group_name));
        if let Err(error) = self.ready_probes(&group) {
            return Fact::SpawnFailed { error };
        }
        let mut running = match self.execute(&group).await {
            Ok(running) => running,
            Err(error) => return Fact::SpawnFailed { error },
        };
        let listening = self
            .tools
            .listening
            .enter(self.run, &self.group_name, &group);
        let (stop_pumps, stopped) = watch::channel(false);
        let mut pumps = JoinSet::new();
        for output in running.take_outputs() {
            self.pump(output, &stopped, &mut pumps);
        }
        self.report(Fact::Spawned { pid: running.pid() });

        let statuses = self.until(&group, running.exited()).await;
        let status = RunStatus(statuses.unwrap_or_else(|_| vec![ExitStatus::Code(-1)]));
        let empty = group.is_empty().await.unwrap_or(false);
        self.report(Fact::LeaderExited { status, empty });
        let mut noted = false;
        while let Err(error) = self.until(&group, group.emptied()).await {
            // It could not be told just now; the group may not be empty.
            if !std::mem::replace(&mut noted, true) {
                self.note(&format!("cannot tell whether it has ended: {error}"));
            }
            self.pause(&group).await;
        }

        drop(listening);
        self.probes.clear();
        stop_pumps.send_replace(true);
        let drained = timeout(DRAIN_LIMIT, async {
            while pumps.join_next().await.is_some() {}
        });
        // After the limit the pumps are dropped, which closes their streams.
        let _ = drained.await;
        // A stop command that saw the run end may still have its last word to say.
        let spoken = timeout(LAST_WORD_LIMIT, async {
            while self.helpers.join_next().await.is_some() {}
        });
        let _ = spoken.await;
        while group.release().await.is_err() {
            // Somebody joined the group since it was empty.
            let _ = group.kill();
            self.pause(&group).await;
        }
        Fact::Reaped
    }

    /// Spawning holds its thread up until exec is done, so it has one of its own. An exec may
    /// hang (a file system that does not answer): a kill ends it, everything else that is
    /// asked meanwhile is done when it is over.
    async fn execute(&mut self, group: &Arc<Group>) -> Result<Running, String> {
        let request = request::spawn_request(&self.spec, &self.environment);
        let spawning = Arc::clone(group);
        let mut spawned = tokio::task::spawn_blocking(move || spawning.spawn(&request));
        let mut later = Vec::new();
        let mut heard = true;
        let spawned = loop {
            let survivors = self.name_survivors_at;
            tokio::select! {
                spawned = &mut spawned => break spawned,
                ask = self.asked.recv(), if heard => match ask {
                    Some(Ask::Kill) => self.answer(Ask::Kill, group),
                    Some(ask) => later.push(ask),
                    None => {
                        heard = false;
                        let _ = group.kill();
                    }
                },
                () = at(survivors) => {
                    self.name_survivors_at = None;
                    self.name_survivors(group).await;
                }
            }
        };
        match spawned {
            Ok(Ok(running)) => {
                for ask in later {
                    self.answer(ask, group);
                }
                Ok(running)
            }
            Ok(Err(error)) => Err(spawn_error(&error, &self.spec)),
            Err(_) => Err("the spawn was interrupted".to_owned()),
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

    /// Which ports this instance has, and that nobody else listens there.
    async fn ready_ports(&mut self) -> Result<(), String> {
        if self.spec.ports.is_empty() {
            return Ok(());
        }
        let (spec, replica) = (Arc::clone(&self.spec), self.replica);
        let looked = tokio::task::spawn_blocking(move || {
            let ports = ports::of_instance(&spec, replica);
            (ports::taken(&ports), ports)
        });
        let (taken, ports) = looked.await.map_err(|error| error.to_string())?;
        if let Some(taken) = taken {
            return Err(taken);
        }
        request::add_ports(&mut self.environment, &self.spec, &ports);
        self.ports = ports;
        Ok(())
    }

    /// Made before the spawn, so that a `log` probe misses no line.
    fn ready_probes(&mut self, group: &Arc<Group>) -> Result<(), String> {
        let surroundings = Surroundings {
            run: self.run,
            containment: self.tools.containment.clone(),
            environment: self.environment.clone(),
            working_dir: self.spec.working_dir.clone(),
            taps: Arc::new(self.tools.store.clone()),
            group: Arc::clone(group),
            ports: self.ports.clone(),
        };
        for role in ProbeRole::ALL {
            if let Some(probe) = probe_of(&self.spec, role) {
                let prober = Prober::new(probe, &surroundings)
                    .map_err(|error| format!("cannot make its {role} probe: {error}"))?;
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

    fn stop_command(&mut self, command: &Command, limit: Duration) {
        let containment = self.tools.containment.clone();
        let stage = request::stage(command, &self.spec, &self.environment);
        let note = self.noter();
        let (run, inbox, store) = (self.run, self.inbox.clone(), self.tools.store.clone());
        self.helpers.spawn(async move {
            let (failed, said) = match run_helper(&containment, &stage, limit).await {
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

    fn pump(&self, output: Output, stopped: &watch::Receiver<bool>, pumps: &mut JoinSet<()>) {
        let stream = match output.pipe {
            Pipe::Stdout => Stream::Stdout,
            Pipe::Stderr => Stream::Stderr,
        };
        let writer = self.tools.store.open(Origin {
            run: self.run,
            stage: u16::try_from(output.stage).unwrap_or(u16::MAX),
            stream,
        });
        let mut stopped = stopped.clone();
        let note = self.noter();
        pumps.spawn(async move {
            let stop = async move {
                if stopped.wait_for(|&stop| stop).await.is_err() {
                    pending::<()>().await;
                }
            };
            if let Err(error) = pump(output.fd, writer, stop).await {
                note(&error.to_string());
            }
        });
    }

    /// Writes what pk itself has to say of the run into its log.
    fn note(&self, text: &str) {
        self.noter()(text);
    }

    fn noter(&self) -> impl Fn(&str) + Send + use<> {
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

/// Why there is no process; a stage goes by the name that the file gives it.
fn spawn_error(error: &SpawnError, spec: &UnitSpec) -> String {
    match &spec.program {
        Program::Pipeline(stages) => {
            let place = || (error.stage + 1).to_string();
            let stage = stages.get(error.stage);
            let name = stage.map_or_else(place, |stage| stage.name.clone());
            format!("stage {name}: {}", error.cause)
        }
        Program::Command(_) => error.to_string(),
    }
}

/// Resolves at that time; never without one.
async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
