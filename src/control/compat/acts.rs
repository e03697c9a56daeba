//! What is asked of processes and of the project.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::refusal::{Refusal, json};
use super::state::has_run;
use super::{Api, Look};
use crate::control::port::{Answered, PortError};
use crate::control::reload::{ReloadAsk, Reloaded};
use crate::control::terminal::Input;
use crate::domain::admission::{Answer, Denial};
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::{Revision, UnitName};
use crate::domain::keys;
use crate::domain::phase::PhaseName;
use crate::domain::signal::Signal;

type Shared = State<Arc<Api>>;

#[derive(Serialize)]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Status<'a> {
    status: &'a str,
}

impl Api {
    /// Asks, and waits until who looks next sees what it did.
    async fn act(&self, command: Command) -> Result<(), Refusal> {
        let Answered { answer, revision } =
            (self.port.command(command).await).map_err(|error| gone(&error))?;
        self.seen(revision).await;
        match answer {
            Answer::Accepted | Answer::Ignored(_) => Ok(()),
            Answer::Denied(denial) => Err(Refusal::bad(denial.to_string())),
        }
    }

    async fn start(&self, look: &Look<'_>, name: &str) -> Result<(), Refusal> {
        let view = look.known(name)?;
        if is_active(view.phase) {
            return Err(Refusal::bad(format!("process {name} is already running")));
        }
        self.act(Command::Start(vec![view.name.clone()])).await
    }

    async fn stop(&self, look: &Look<'_>, name: &str) -> Result<(), Refusal> {
        let view = look
            .find(name)
            .ok_or_else(|| Refusal::bad(format!("process {name} does not exist")))?;
        if !is_active(view.phase) && view.schedule.is_none() && view.watch.is_none() {
            return Err(Refusal::bad(format!("process {name} is not running")));
        }
        self.act(Command::Stop(vec![view.name.clone()])).await
    }

    async fn restart(&self, look: &Look<'_>, name: &str) -> Result<(), Refusal> {
        let view = look.known(name)?;
        self.act(Command::Restart(vec![view.name.clone()])).await
    }

    async fn reload(&self, ask: ReloadAsk) -> Result<Reloaded, Refusal> {
        let reloaded = self.port.reload(ask).await;
        let reloaded = reloaded.map_err(|error| Refusal::bad(error.to_string()))?;
        self.seen(reloaded.revision).await;
        Ok(reloaded)
    }

    /// Waits until who looks next sees what was asked for.
    async fn seen(&self, revision: Revision) {
        let mut snapshots = self.port.snapshots();
        let _ = (snapshots.wait_for(|snapshot| snapshot.revision >= revision)).await;
    }

    /// A unit with `replicas` is scaled as such; of a process of another file, the files are
    /// read anew with another count.
    async fn scale(&self, name: &str, count: u32) -> Result<(), Refusal> {
        let (unit, process) = {
            let look = self.look();
            let view = look.find(name);
            let unit = view.map_or_else(|| name.into(), |view| view.unit.clone());
            let process = view
                .and_then(|view| look.spec(view).map(|spec| (view, spec)))
                .map_or_else(|| name.to_owned(), |(view, spec)| look.process(view, spec));
            (unit, process)
        };
        let asked = Command::Scale {
            unit,
            replicas: count,
        };
        let answered = self
            .port
            .command(asked)
            .await
            .map_err(|error| gone(&error))?;
        match answered.answer {
            Answer::Accepted | Answer::Ignored(_) => {
                self.seen(answered.revision).await;
                return Ok(());
            }
            Answer::Denied(Denial::NoReplicas(_) | Denial::UnknownUnit(_)) => {}
            Answer::Denied(denial) => return Err(Refusal::bad(denial.to_string())),
        }
        let ask = ReloadAsk {
            counts: BTreeMap::from([(process, count)]),
            ..ReloadAsk::default()
        };
        self.reload(ask).await.map(|_| ())
    }
}

fn gone(error: &PortError) -> Refusal {
    Refusal::bad(error.to_string())
}

/// Whether it runs or is about to.
fn is_active(phase: PhaseName) -> bool {
    has_run(phase) || matches!(phase, PhaseName::Waiting | PhaseName::Backoff)
}

pub(super) async fn start(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    api.start(&api.look(), &name).await?;
    Ok(json(&Name { name: &name }))
}

pub(super) async fn stop(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    api.stop(&api.look(), &name).await?;
    Ok(json(&Name { name: &name }))
}

pub(super) async fn restart(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    api.restart(&api.look(), &name).await?;
    Ok(json(&Name { name: &name }))
}

/// 200 if all were stopped, 207 if some were, with a word for each.
pub(super) async fn stop_several(State(api): Shared, body: Bytes) -> Result<Response, Refusal> {
    let names: Vec<String> = read(&body)?;
    let look = api.look();
    let mut said = BTreeMap::new();
    let mut stopped = 0;
    for name in &names {
        let word = match api.stop(&look, name).await {
            Ok(()) => {
                stopped += 1;
                "ok".to_owned()
            }
            Err(refusal) => refusal.error(),
        };
        said.insert(name, word);
    }
    if stopped == 0 && !names.is_empty() {
        return Err(Refusal::bad(format!(
            "no such processes or not running: [{}]",
            names.join(" ")
        )));
    }
    let mut response = json(&said);
    if stopped != names.len() {
        *response.status_mut() = StatusCode::MULTI_STATUS;
    }
    Ok(response)
}

pub(super) async fn signal(
    State(api): Shared,
    Path((name, number)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let signal = (number.parse().ok())
        .filter(|number| (1..=31).contains(number))
        .and_then(Signal::from_number)
        .ok_or_else(|| Refusal::bad(format!("no signal has the number {number}; 1 to 31 do")))?;
    let look = api.look();
    let view = look
        .find(&name)
        .ok_or_else(|| Refusal::bad(format!("process {name} does not exist")))?;
    if !has_run(view.phase) {
        return Err(Refusal::bad(format!("process {name} is not running")));
    }
    api.act(Command::Signal(vec![view.name.clone()], signal))
        .await?;
    Ok(json(&Name { name: &name }))
}

pub(super) async fn scale(
    State(api): Shared,
    Path((name, count)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let count = (count.parse().ok())
        .filter(|count| (1..=crate::domain::spec::MAX_REPLICAS).contains(count))
        .ok_or_else(|| {
            Refusal::bad(format!("cannot scale to {count}: write a number from 1 on"))
        })?;
    api.scale(&name, count).await?;
    Ok(json(&Name { name: &name }))
}

#[derive(Deserialize)]
struct Keys {
    keys: String,
}

pub(super) async fn send_keys(
    State(api): Shared,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let Keys { keys } = read(&body)?;
    let look = api.look();
    let id = look.known(&name)?.id;
    let typed = Input::Bytes(keys::unescaped(&keys).into());
    let sent = api.port.send_input(id, typed).await;
    sent.map_err(|error| Refusal::bad(format!("process {name}: {error}")))?;
    Ok(json(&Name { name: &name }))
}

/// What is done to each process of a namespace.
#[derive(Clone, Copy)]
enum Verb {
    Start,
    Stop,
    Restart,
}

async fn namespace(api: &Api, name: &str, verb: Verb) -> Result<Response, Refusal> {
    let look = api.look();
    let members: Vec<_> = (look.snapshot.units.iter())
        .filter(|view| !view.foreground)
        .filter(|view| look.namespaces(view).iter().any(|one| one == name))
        .collect();
    if members.is_empty() {
        let error = format!("namespace {name} not found (no processes assigned)");
        return Err(Refusal::bad(error));
    }
    let names: Vec<UnitName> = (members.into_iter())
        .filter(|view| match verb {
            Verb::Start => !is_active(view.phase),
            Verb::Stop => is_active(view.phase),
            Verb::Restart => true,
        })
        .map(|view| view.name.clone())
        .collect();
    if !names.is_empty() {
        api.act(match verb {
            Verb::Start => Command::Start(names),
            Verb::Stop => Command::Stop(names),
            Verb::Restart => Command::Restart(names),
        })
        .await?;
    }
    Ok(json(&Name { name }))
}

pub(super) async fn start_namespace(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    namespace(&api, &name, Verb::Start).await
}

pub(super) async fn stop_namespace(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    namespace(&api, &name, Verb::Stop).await
}

pub(super) async fn restart_namespace(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    namespace(&api, &name, Verb::Restart).await
}

/// Answers when the stack has stopped, not before.
pub(super) async fn stop_project(State(api): Shared) -> Result<Response, Refusal> {
    let how = Command::Shutdown(Shutdown::Graceful, ShutdownCause::Requested);
    // One that has ended already is what was asked for.
    if api.port.command(how).await.is_ok() {
        let mut snapshots = api.port.snapshots();
        let _ = (snapshots.wait_for(|snapshot| snapshot.verdict.is_some())).await;
    }
    Ok(json(&Status { status: "stopped" }))
}

/// What became of each process that the files say something else of.
pub(super) async fn reload_project(State(api): Shared) -> Result<Response, Refusal> {
    let reloaded = api.reload(ReloadAsk::default()).await?;
    let difference = reloaded.difference;
    let mut said = BTreeMap::new();
    let all = [
        (difference.added, "added"),
        (difference.changed, "updated"),
        (difference.updated, "updated"),
        (difference.scaled, "updated"),
        (difference.removed, "removed"),
    ];
    for (units, word) in all {
        said.extend(
            units
                .into_iter()
                .map(|unit| (unit.as_str().to_owned(), word)),
        );
    }
    Ok(json(&said))
}

/// The file is the one place where a process is changed: what a client sent would be lost
/// with the next reload.
pub(super) async fn no_update() -> Response {
    let error = "pk does not take processes from clients: change the file, and then \
                 POST /project/configuration reads it again";
    Refusal::new(StatusCode::NOT_IMPLEMENTED, error).into_response()
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}
