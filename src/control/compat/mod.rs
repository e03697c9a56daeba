//! The REST API of process-compose, for clients that were written for it.
//!
//! This module owns how a stack looks from there: the paths, the shapes of JSON and the
//! WebSockets of process-compose 1.122. It sees and steers the stack through its
//! [`ControlPort`] alone, and is served only where it was asked for. What has no meaning in
//! pk is refused with a reason, never taken and ignored.
//!
//! ```text
//!  GET    /live  /hostname                      POST  /project/stop
//!  GET    /project/name  /project/state         POST  /project/configuration
//!  GET    /processes  /process/NAME             POST  /process/start/NAME  /process/restart/NAME
//!  GET    /process/info/NAME                    PATCH /process/stop/NAME   /processes/stop
//!  GET    /process/ports/NAME                   PATCH /process/signal/NAME/NUMBER
//!  GET    /process/logs/NAME/END/LIMIT          PATCH /process/scale/NAME/COUNT
//!  DELETE /process/logs/NAME                    POST  /process/send-keys/NAME
//!  GET    /namespaces  /graph                   POST  /namespace/{start,stop,restart}/NAME
//!  WS     /process/logs/ws?name=A,B&offset=N&follow=true
//!  WS     /process/states/ws?name=A,B
//! ```
//!
//! An error is `{"error": "…"}` with 400, as there.

mod acts;
mod config;
mod door;
mod graph;
mod lines;
mod refusal;
mod routes;
mod rows;
mod serve;
mod shapes;
mod sockets;
mod state;
mod usage;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use self::refusal::Refusal;
use self::usage::Usage;
use super::port::ControlPort;
use super::record::Record;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::UnitSpec;
use crate::domain::stats::StackStats;

pub use door::{ApiDoor, ApiError};
pub use serve::{ApiServing, serve};
pub use state::{Clock, ProcessState, has_run, process_state};

/// The port that clients of process-compose try first.
pub const USUAL_PORT: u16 = 8080;

/// What each request carries the token in.
pub const TOKEN_HEADER: &str = "x-pc-token-key";

/// WebSockets at the same time; there are more connections, so that whoever asks and goes
/// finds room.
const FOLLOWERS: usize = 64;

/// What the files of a stack say beyond its plan.
pub trait Sources: Send + Sync + std::fmt::Debug {
    /// All that were read, the main one among them.
    fn files(&self) -> Vec<PathBuf>;

    /// In which namespaces a unit is; none: in the default one.
    fn namespaces(&self, unit: &UnitName) -> Vec<String>;
}

/// What every request is answered from.
#[derive(Debug)]
struct Api {
    port: Arc<dyn ControlPort>,
    sources: Arc<dyn Sources>,
    record: Record,
    usage: Usage,
    /// The first line of an instance that is shown, since its log was cleared here.
    cleared: Mutex<HashMap<InstanceId, u64>>,
    followers: Arc<Semaphore>,
}

impl Api {
    fn new(port: Arc<dyn ControlPort>, sources: Arc<dyn Sources>, record: Record) -> Self {
        Self {
            usage: Usage::default(),
            port,
            sources,
            record,
            cleared: Mutex::default(),
            followers: Arc::new(Semaphore::new(FOLLOWERS)),
        }
    }

    fn look(&self) -> Look<'_> {
        Look {
            api: self,
            snapshot: Arc::clone(&self.port.snapshots().borrow()),
            plan: self.port.plan(),
            clock: Clock::now(self.port.now()),
            usage: None,
        }
    }

    /// The same, with what the runs use.
    async fn look_closely(&self) -> Look<'_> {
        let usage = self.usage.sample(&*self.port).await;
        let mut look = self.look();
        look.usage = Some(usage);
        look
    }

    fn cleared(&self, instance: InstanceId) -> u64 {
        let cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        cleared.get(&instance).copied().unwrap_or(0)
    }

    fn clear(&self, instance: InstanceId, first: u64) {
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        cleared.insert(instance, first);
    }
}

/// The stack at one moment.
struct Look<'a> {
    api: &'a Api,
    snapshot: Arc<Snapshot>,
    plan: Option<Arc<Plan>>,
    clock: Clock,
    usage: Option<Arc<StackStats>>,
}

impl Look<'_> {
    fn spec(&self, view: &UnitView) -> Option<&UnitSpec> {
        self.plan.as_ref()?.get(view.unit.as_str()).map(Arc::as_ref)
    }

    /// As its file names it, which may be no name in pk.
    fn name<'a>(&'a self, view: &'a UnitView) -> &'a str {
        self.spec(view)
            .filter(|spec| spec.replicas.is_none())
            .and_then(|spec| spec.environment.unit.get("PC_PROC_NAME"))
            .map_or(view.name.as_str(), String::as_str)
    }

    /// The process of that name, as pk or its file names it.
    fn find(&self, name: &str) -> Option<&Arc<UnitView>> {
        let views = &self.snapshot.units;
        self.snapshot
            .get(name)
            .or_else(|| views.iter().find(|view| self.name(view) == name))
    }

    fn known(&self, name: &str) -> Result<&Arc<UnitView>, Refusal> {
        self.find(name)
            .ok_or_else(|| Refusal::bad(format!("no such process: {name}")))
    }

    fn namespaces(&self, view: &UnitView) -> Vec<String> {
        let named = self.api.sources.namespaces(&view.unit);
        if named.is_empty() {
            vec!["default".to_owned()]
        } else {
            named
        }
    }

    fn state(&self, view: &UnitView) -> ProcessState {
        let usage = self.usage.as_ref().and_then(|stats| stats.of(view.id));
        let mut state = process_state(view, self.spec(view), &self.clock, usage);
        state.name = self.name(view).to_owned();
        state.namespace = self.namespaces(view).into();
        state
    }

    /// All of them, by name.
    fn states(&self) -> Vec<ProcessState> {
        let views = self.snapshot.units.iter();
        let mut states: Vec<_> = views.map(|view| self.state(view)).collect();
        states.sort_by(|a, b| a.name.cmp(&b.name));
        states
    }
}
