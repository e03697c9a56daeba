//! Runs the commands that must succeed before changed files are acted on.
//!
//! One per unit at a time, in the group `UNIT.aux` beside the unit's own. What it writes
//! goes to the unit's log as it comes, as a stream of its own. Its end is told once nothing
//! of it is left, so that builds of one unit never overlap.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::event_loop::Incoming;
use super::inbox::Inbox;
use super::runner::Tools;
use super::{bounds, request};
use crate::contain::SpawnRequest;
use crate::domain::exit::ExitStatus;
use crate::domain::id::{RunId, UnitName};
use crate::domain::signal::Signal;
use crate::domain::spec::{Command, UnitSpec};
use crate::domain::stop::REAP_LIMIT;
use crate::domain::text::format_duration;
use crate::domain::watch::Told;
use crate::logs::{Origin, Stream, pump};

/// How long a build may take: a new save cancels one that takes for ever, but nobody may save.
const LIMIT: Duration = Duration::from_secs(60 * 60);

/// How long what it wrote last may take to be read.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// How long a build that is cancelled has to end by itself, so that tools can leave their
/// files whole.
const GRACE: Duration = Duration::from_millis(200);

/// Who runs a build.
pub(super) struct Builds {
    inbox: Inbox,
    tools: Arc<Tools>,
    running: HashMap<UnitName, (u64, watch::Sender<bool>)>,
}

impl Builds {
    pub(super) fn new(inbox: Inbox, tools: Arc<Tools>) -> Self {
        Self {
            inbox,
            tools,
            running: HashMap::new(),
        }
    }

    /// Starts the build of that number; its end is reported.
    pub(super) fn start(&mut self, unit: &UnitName, number: u64, run: RunId, spec: &Arc<UnitSpec>) {
        let (cancel, cancelled) = watch::channel(false);
        self.running.insert(unit.clone(), (number, cancel));
        let last_word = LastWord {
            unit: unit.clone(),
            number,
            inbox: self.inbox.clone(),
            result: Err("pk lost sight of it".to_owned()),
        };
        let (tools, spec, unit) = (Arc::clone(&self.tools), Arc::clone(spec), unit.clone());
        tokio::spawn(async move {
            // The whole of it, not the one field that is set.
            let mut last_word = last_word;
            last_word.result = build(&tools, &unit, run, &spec, cancelled).await;
        });
    }

    /// Ends it at once; its end is reported as any other.
    pub(super) fn cancel(&mut self, unit: &UnitName, number: u64) {
        if let Some((running, cancel)) = self.running.get(unit)
            && *running == number
        {
            cancel.send_replace(true);
        }
    }
}

/// Reports the end of a build when it is dropped, also by a panic.
struct LastWord {
    unit: UnitName,
    number: u64,
    inbox: Inbox,
    result: Result<(), String>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        let told = Told::Built {
            number: self.number,
            result: self.result.clone(),
        };
        // When the loop is gone nobody needs it.
        let _ = self.inbox.send(Incoming::Watch(self.unit.clone(), told));
    }
}

/// Why it failed, in words.
async fn build(
    tools: &Tools,
    unit: &UnitName,
    run: RunId,
    spec: &UnitSpec,
    mut cancelled: watch::Receiver<bool>,
) -> Result<(), String> {
    let command = spec.watch.as_ref().and_then(|watch| watch.run.as_ref());
    let Some(command) = command else {
        return Ok(());
    };
    let group = Arc::new(tools.containment.named_group(&format!("{unit}.aux")));
    let request = request_of(tools, unit, spec, command)?;
    // Spawning holds its thread up until exec is done.
    let spawning = Arc::clone(&group);
    let spawned = tokio::task::spawn_blocking(move || spawning.spawn(&request)).await;
    let mut running = match spawned {
        Ok(Ok(running)) => running,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err("the spawn was interrupted".to_owned()),
    };
    let (stop_pumps, stopped) = watch::channel(false);
    let mut pumps = JoinSet::new();
    for (stage, output) in (0..).zip(running.take_outputs()) {
        let origin = Origin {
            run,
            // Its two pipes are read side by side: each has its own lines.
            stage,
            stream: Stream::Build,
        };
        let writer = tools.store.open(origin);
        let mut stopped = stopped.clone();
        let pumping = async move {
            let stop = async move {
                let _ = stopped.wait_for(|&stop| stop).await;
            };
            // What cannot be read is told by the build's own end.
            let _ = pump(output.fd, writer, stop).await;
        };
        match tools.store.pumps() {
            Some(runtime) => pumps.spawn_on(pumping, &runtime),
            None => pumps.spawn(pumping),
        };
    }
    let cancel = async { cancelled.wait_for(|&cancelled| cancelled).await.is_ok() };
    let result = tokio::select! {
        statuses = running.exited() => match statuses {
            Ok(statuses) => match statuses.first().copied() {
                Some(ExitStatus::SUCCESS) | None => Ok(()),
                Some(status) => Err(status.to_string()),
            },
            Err(error) => Err(error.to_string()),
        },
        // Also when the stack has ended and nobody is left to ask.
        _ = cancel => Err("cancelled".to_owned()),
        () = tokio::time::sleep(LIMIT) => {
            Err(format!("it took longer than {}", format_duration(LIMIT)))
        }
    };
    // What it left behind goes with it; one that SIGKILL cannot end is not waited for.
    let _ = group.stop(Signal::TERM, GRACE, false).await;
    let _ = timeout(REAP_LIMIT, group.stop(Signal::KILL, REAP_LIMIT, true)).await;
    stop_pumps.send_replace(true);
    let drained = timeout(DRAIN_LIMIT, async {
        while pumps.join_next().await.is_some() {}
    });
    let _ = drained.await;
    result
}

fn request_of(
    tools: &Tools,
    unit: &UnitName,
    spec: &UnitSpec,
    command: &Command,
) -> Result<SpawnRequest, String> {
    let environment = request::environment(&tools.environment, unit, spec);
    let request = SpawnRequest::command(request::stage(command, spec, &environment));
    Ok(request.with_options(bounds::helper_options(spec)?))
}
