//! A service or a task as a whole.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Command, Dependency, Environment, Pattern, Probe, Program, Restart, SuccessCodes};
use crate::domain::id::UnitName;
use crate::domain::signal::Signal;
use crate::domain::text::{serialize_duration, serialize_opt_duration, serialize_opt_size};

/// How many instances a unit can have. More is a slip of the hand.
pub const MAX_REPLICAS: u32 = 1000;

/// Whether a unit runs until it is stopped, or to completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnitKind {
    Service,
    Task,
}

impl fmt::Display for UnitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Service => "service",
            Self::Task => "task",
        })
    }
}

/// Everything that the file says of one unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitSpec {
    pub name: UnitName,
    pub kind: UnitKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(flatten)]
    pub program: Program,
    /// Absolute.
    pub working_dir: PathBuf,
    pub environment: Environment,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<i32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Dependency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness: Option<Probe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup: Option<Probe>,
    pub restart: Restart,
    pub success_exit_codes: SuccessCodes,
    pub timeouts: Timeouts,
    pub shutdown: Shutdown,
    pub lifetime: Lifetime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, Port>,
    pub tty: Tty,
    pub stdin: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// `None`: one instance that bears the unit's own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    pub disabled: bool,
    pub foreground: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    pub essential: Essential,
    pub on: Hooks,
    pub logs: LogSpec,
}

impl UnitSpec {
    /// A unit that says nothing but what it executes and where.
    #[must_use]
    pub fn new(name: UnitName, kind: UnitKind, program: Program, working_dir: PathBuf) -> Self {
        Self {
            name,
            kind,
            description: None,
            program,
            working_dir,
            environment: Environment::default(),
            user: None,
            umask: None,
            nice: None,
            depends_on: Vec::new(),
            readiness: None,
            liveness: None,
            startup: None,
            restart: Restart::default(),
            success_exit_codes: SuccessCodes::default(),
            timeouts: Timeouts::default(),
            shutdown: Shutdown::default(),
            lifetime: Lifetime::Leader,
            watch: None,
            limits: None,
            ports: BTreeMap::new(),
            tty: Tty::No,
            stdin: false,
            freshness: None,
            replicas: None,
            profiles: Vec::new(),
            disabled: false,
            foreground: false,
            schedule: None,
            essential: Essential::No,
            on: Hooks::default(),
            logs: LogSpec::default(),
        }
    }

    /// Whether what a face types is passed on to it.
    #[must_use]
    pub fn takes_input(&self) -> bool {
        self.stdin || self.tty == Tty::Full
    }

    /// Whether a probe can make it `ready`: its readiness, or without one its startup.
    #[must_use]
    pub fn can_be_ready(&self) -> bool {
        self.readiness.is_some() || self.startup.is_some()
    }

    /// The names of its instances.
    pub fn instance_names(&self) -> impl Iterator<Item = UnitName> + '_ {
        let one = self.replicas.is_none().then(|| self.name.clone());
        let many =
            (1..=self.replicas.unwrap_or(0)).map(|n| UnitName::new(format!("{}-{n}", self.name)));
        one.into_iter().chain(many)
    }
}

/// How long a unit may wait, get ready, and run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timeouts {
    /// For its dependencies; then it is skipped.
    #[serde(
        serialize_with = "serialize_opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub wait: Option<Duration>,
    /// From spawn to ready; then the run is stopped and has failed.
    #[serde(
        serialize_with = "serialize_opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub ready: Option<Duration>,
    /// From spawn to end; then the run is stopped and has failed.
    #[serde(
        serialize_with = "serialize_opt_duration",
        skip_serializing_if = "Option::is_none"
    )]
    pub run: Option<Duration>,
}

/// How a run is asked to end before its group is killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shutdown {
    pub signal: Signal,
    /// Run instead of the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Typed into the terminal instead of the signal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub send_keys: Vec<String>,
    /// The grace period.
    #[serde(serialize_with = "serialize_duration")]
    pub timeout: Duration,
    /// The signal goes to the leader alone.
    pub leader_only: bool,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            signal: Signal::TERM,
            command: None,
            send_keys: Vec::new(),
            timeout: Duration::from_secs(10),
            leader_only: false,
        }
    }
}

/// What a run lives as long as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// Its first process; the rest is stopped after it.
    #[default]
    Leader,
    /// Any member of its group.
    Group,
    /// Its first process launches what others hold: once that has succeeded, the run lives
    /// until it is stopped or a probe fails, also with no member left.
    Launched,
}

/// Files whose change restarts the unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// Absolute paths and globs.
    pub paths: Vec<String>,
    pub ignore: Vec<String>,
    #[serde(serialize_with = "serialize_duration")]
    pub debounce: Duration,
    /// Must succeed before the action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Command>,
    pub action: WatchAction,
    pub cascade: bool,
    pub gitignore: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchAction {
    #[default]
    Restart,
    Signal(Signal),
}

/// Bounds on what a run may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Limits {
    #[serde(
        serialize_with = "serialize_opt_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nofile: Option<u64>,
    /// A limit that cannot be enforced is a warning, not an error.
    pub best_effort: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Left to pk. The number is that of the unit's first instance; there is one only where
    /// the stack is to run.
    Auto(Option<u16>),
    Fixed(u16),
}

/// `PORT_HTTP` for the port `http`.
#[must_use]
pub fn port_variable(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    format!(
        "PORT_{}",
        upper.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
    )
}

/// As the file has it.
impl Serialize for Port {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto(_) => serializer.serialize_str("auto"),
            Self::Fixed(number) => serializer.serialize_u16(*number),
        }
    }
}

/// Whether a unit gets a pseudo-terminal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Tty {
    #[default]
    No,
    Full,
    /// For its output only.
    Output,
}

impl Tty {
    /// Whether it gets none.
    #[must_use]
    pub fn is_no(&self) -> bool {
        *self == Self::No
    }
}

/// When a task needs not run because what it makes is up to date.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Freshness {
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Command>,
}

/// Starts a task by the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Schedule {
    #[serde(flatten)]
    pub when: When,
    pub overlap: Overlap,
    /// It also starts with the stack.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub at_start: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    Every(#[serde(serialize_with = "serialize_duration")] Duration),
    Cron {
        /// Five fields, as `crontab(5)` has them.
        expression: String,
        /// An IANA name; `None`: the machine's own.
        timezone: Option<String>,
    },
}

/// What a scheduled start does while the run before it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Nothing.
    #[default]
    Skip,
    /// It waits for the end of that run.
    Queue,
    /// It stops that run first.
    Restart,
}

/// Which end of a unit ends the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Essential {
    #[default]
    No,
    /// Its restart policy gives up, or it completes.
    Any,
    /// It fails for good.
    Failure,
    /// It is skipped.
    Skipped,
    /// It fails for good, or is skipped.
    FailureOrSkipped,
}

/// Commands run when something happens to the unit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hooks {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Command>,
}

impl Hooks {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready.is_none() && self.exit.is_none() && self.failed.is_none()
    }
}

/// Where else a unit's output goes, and what is masked in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    #[serde(
        serialize_with = "serialize_opt_size",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_files: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<Pattern>,
}

impl LogSpec {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
