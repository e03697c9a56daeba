//! Runs the commands that follow moments of a unit's life: `on`.
//!
//! Those of one instance run one after the other. What they write goes to its log. They are
//! none of the unit's processes: a unit is empty without them, and a hook that is late or
//! fails changes nothing but that it is said.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};

use super::runner::Tools;
use super::{bounds, request};
use crate::contain::{HelperEnd, SpawnRequest, run_helper};
use crate::domain::exit::ExitStatus;
use crate::domain::hook::Moment;
use crate::domain::id::{InstanceId, RunId, UnitName};
use crate::domain::spec::{Command, UnitSpec};
use crate::domain::text::format_duration;
use crate::logs::{Origin, Stream};

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How many of one instance may wait: a crash loop is faster than a slow hook.
const WAITING: usize = 16;

/// How many run or wait, for who waits until none does.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending(Arc<watch::Sender<usize>>);

impl Pending {
    pub(super) async fn none(&self) {
        // An error cannot be: this holds the sender.
        let _ = self.0.subscribe().wait_for(|&count| count == 0).await;
    }
}

/// One that runs or waits, until this is dropped.
struct Counted(Pending);

impl Counted {
    fn new(pending: &Pending) -> Self {
        pending.0.send_modify(|count| *count += 1);
        Self(pending.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

pub(super) struct Hooks {
    tools: Arc<Tools>,
    turns: HashMap<InstanceId, Arc<Mutex<()>>>,
}

impl Hooks {
    pub(super) fn new(tools: Arc<Tools>) -> Self {
        Self {
            tools,
            turns: HashMap::new(),
        }
    }

    /// Runs what the file has for that moment of that run.
    pub(super) fn run(&mut self, run: RunId, name: &UnitName, spec: &UnitSpec, moment: Moment) {
        let Some(command) = moment.kind.command(&spec.on).cloned() else {
            return;
        };
        let turn = Arc::clone(self.turns.entry(run.instance).or_default());
        if Arc::strong_count(&turn) > WAITING + 2 {
            let what = moment.kind.name();
            return note(
                &self.tools,
                run,
                &format!("on.{what}: too many wait already"),
            );
        }
        let counted = Counted::new(&self.tools.hooks);
        let (tools, name, spec) = (Arc::clone(&self.tools), name.clone(), spec.clone());
        tokio::spawn(async move {
            let _counted = counted;
            let _turn = turn.lock().await;
            if let Err(error) = one(&tools, run, &name, &spec, &command, &moment).await {
                let what = moment.kind.name();
                note(&tools, run, &format!("on.{what}: {error}"));
            }
        });
    }
}

async fn one(
    tools: &Tools,
    run: RunId,
    name: &UnitName,
    spec: &UnitSpec,
    command: &Command,
    moment: &Moment,
) -> Result<(), String> {
    let mut environment = tools.groups.environment(run.instance).map_or_else(
        || request::environment(&tools.environment, name, spec),
        |live| live.to_vec(),
    );
    let told = [
        ("PK_EVENT", Some(moment.kind.name().to_owned())),
        (
            "PK_EXIT_CODE",
            moment.exit_code.map(|code| code.to_string()),
        ),
        ("PK_REASON", moment.what.clone()),
    ];
    for (variable, value) in told {
        environment.extend(value.map(|value| (variable.into(), value.into())));
    }
    let stage = request::stage(command, spec, &environment);
    let helper = SpawnRequest::command(stage).with_options(bounds::helper_options(spec)?);
    let output = run_helper(&tools.containment, &helper, LIMIT)
        .await
        .map_err(|error| error.to_string())?;
    write(tools, run, Stream::Stdout, &output.tail);
    match output.end {
        HelperEnd::Exited(ExitStatus::SUCCESS) => Ok(()),
        HelperEnd::Exited(status) => Err(status.to_string()),
        HelperEnd::TimedOut => Err(format!("it took longer than {}", format_duration(LIMIT))),
    }
}

fn note(tools: &Tools, run: RunId, text: &str) {
    write(
        tools,
        run,
        Stream::Stderr,
        format!("pk: {text}\n").as_bytes(),
    );
}

fn write(tools: &Tools, run: RunId, stream: Stream, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let stage = 0;
    let mut log = tools.store.open(Origin { run, stage, stream });
    log.write(bytes);
    log.close();
}
