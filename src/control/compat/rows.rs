//! What is told of processes and of the project.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::config::process_config;
use super::refusal::{Refusal, json};
use super::state::ProcessState;
use super::{Api, graph};

type Shared = State<Arc<Api>>;

#[derive(Serialize)]
struct Alive {
    status: &'static str,
}

pub(super) async fn live() -> Response {
    json(&Alive { status: "alive" })
}

#[derive(Serialize)]
struct HostName {
    name: String,
}

pub(super) async fn host_name() -> Response {
    json(&HostName { name: host() })
}

fn host() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

fn user() -> String {
    let named = ["USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok());
    named.unwrap_or_else(|| rustix::process::geteuid().as_raw().to_string())
}

#[derive(Serialize)]
struct States {
    data: Vec<ProcessState>,
}

pub(super) async fn processes(State(api): Shared) -> Response {
    json(&States {
        data: api.look_closely().await.states(),
    })
}

pub(super) async fn process(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let look = api.look_closely().await;
    let view = look.known(&name)?;
    Ok(json(&look.state(view)))
}

pub(super) async fn info(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let look = api.look();
    let view = look.known(&name)?;
    let spec = look
        .spec(view)
        .ok_or_else(|| Refusal::bad(format!("no such process: {name}")))?;
    Ok(json(&process_config(view, spec, &look)))
}

#[derive(Serialize)]
struct Ports<'a> {
    name: &'a str,
    tcp_ports: BTreeSet<u16>,
    udp_ports: BTreeSet<u16>,
}

pub(super) async fn ports(
    State(api): Shared,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let look = api.look();
    let id = look.known(&name)?.id;
    let all = api.port.listening().await;
    let all = all.map_err(|error| Refusal::bad(error.to_string()))?;
    let own = all.into_iter().filter(|unit| unit.instance == id);
    let tcp_ports = own
        .flat_map(|unit| unit.listening)
        .map(|socket| socket.port);
    Ok(json(&Ports {
        name: &name,
        tcp_ports: tcp_ports.collect(),
        // pk looks for who takes connections, which UDP does not have.
        udp_ports: BTreeSet::new(),
    }))
}

pub(super) async fn namespaces(State(api): Shared) -> Response {
    let look = api.look();
    let states = look.states();
    let names: BTreeSet<&String> = (states.iter())
        .flat_map(|state| state.namespace.names())
        .collect();
    json(&names)
}

pub(super) async fn dependencies(State(api): Shared) -> Result<Response, Refusal> {
    let look = api.look();
    graph::graph(&look).map(|graph| json(&graph))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectName {
    project_name: String,
}

pub(super) async fn project_name(State(api): Shared) -> Response {
    json(&ProjectName {
        project_name: api.look().snapshot.name.clone(),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateQuery {
    #[serde(default)]
    with_memory: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProjectState {
    file_names: Vec<String>,
    up_time: u64,
    start_time: jiff::Timestamp,
    process_num: usize,
    running_process_num: usize,
    user_name: String,
    host_name: String,
    version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_state: Option<MemoryState>,
}

/// There is no garbage here, and nobody who collects it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemoryState {
    allocated: u64,
    total_allocated: u64,
    system_memory: u64,
    gc_cycles: u32,
}

pub(super) async fn project_state(State(api): Shared, Query(query): Query<StateQuery>) -> Response {
    let look = api.look();
    let up = look.clock.up();
    let states = look.states();
    let wants_memory = matches!(
        query.with_memory.as_str(),
        "1" | "t" | "T" | "true" | "TRUE" | "True"
    );
    json(&ProjectState {
        file_names: (api.sources.files().iter())
            .map(|file| file.display().to_string())
            .collect(),
        up_time: u64::try_from(up.as_nanos()).unwrap_or(u64::MAX),
        start_time: look.clock.start(),
        process_num: states.len(),
        running_process_num: states.iter().filter(|state| state.is_running).count(),
        user_name: user(),
        host_name: host(),
        version: format!("pk {}", api.record.version),
        memory_state: wants_memory.then(memory).flatten(),
    })
}

/// What this process uses of memory, in bytes.
fn memory() -> Option<MemoryState> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    let mut pages = text
        .split_whitespace()
        .map(|pages| pages.parse::<u64>().ok());
    let (total, resident) = (pages.next()??, pages.next()??);
    Some(MemoryState {
        allocated: resident * page,
        total_allocated: resident * page,
        system_memory: total * page,
        gc_cycles: 0,
    })
}
