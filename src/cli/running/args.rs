//! What a person typed of a stack that runs, and nothing more.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::domain::id::UnitName;
use crate::domain::signal::Signal;
use crate::domain::text::parse_duration;

/// In which form something is listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For reading.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Units of the running stack.
#[derive(Clone, Debug, Default, Args)]
pub struct Units {
    /// Units or instances: names, globs ('api-*'), or all of a profile (@PROFILE).
    #[arg(value_name = "UNIT", required_unless_present = "all")]
    pub units: Vec<String>,
    /// All units.
    #[arg(long, conflicts_with = "units")]
    pub all: bool,
}

/// Open the dashboard of the running stack, or type for a unit of it.
///
/// A unit with `tty: true` or `stdin: true` gets this terminal until ctrl-p ctrl-q detaches;
/// where standard input is no terminal, it is sent to the unit to its end. Leaving leaves the
/// stack running.
#[derive(Clone, Debug, Args)]
pub struct Attach {
    /// The unit to type for, or, if it takes no input, to look at first.
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
}

/// Run a program in the environment and folder of a unit of the running stack.
///
/// It has this terminal, and ends with the stack at the latest. pk exits with its exit code,
/// 127 if there is no such program, 126 if it cannot be run. The unit need not run.
#[derive(Clone, Debug, Args)]
pub struct Exec {
    /// The unit, or one instance of it.
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// The program and its arguments; no shell reads them.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// Show the units of the running stack: state, process, for how long.
#[derive(Clone, Debug, Args)]
pub struct Ps {
    /// Units or instances to show: names, globs ('api-*'), or @PROFILE; all if none is named.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Show what the units of the running stack use: processor, memory, processes, disk.
///
/// In a terminal it is drawn anew every second until Ctrl-C.
#[derive(Clone, Debug, Args)]
pub struct StatsArgs {
    /// Units or instances to show: names, globs ('api-*'), or @PROFILE; all if none is named.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Show it once, also in a terminal.
    #[arg(long)]
    pub once: bool,
    /// In which form; json is shown once.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Show all stacks that you run, wherever they were started.
#[derive(Clone, Debug, Args)]
pub struct Ls {
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Stop the stack, in reverse order, and return when nothing of it is left.
#[derive(Clone, Debug, Args)]
pub struct Down {
    /// Kill all units at once, without grace.
    #[arg(long)]
    pub now: bool,
    /// Give up waiting after TIME, with exit code 124. The stack goes on stopping.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Start units, and what they require. Returns when that is accepted.
#[derive(Clone, Debug, Args)]
pub struct Start {
    #[command(flatten)]
    pub units: Units,
    #[command(flatten)]
    pub wait: WaitFor,
}

/// Stop units and start them again. Returns when that is accepted.
#[derive(Clone, Debug, Args)]
pub struct Restart {
    #[command(flatten)]
    pub units: Units,
    #[command(flatten)]
    pub wait: WaitFor,
}

/// Whether an act waits for what it sets going.
#[derive(Clone, Copy, Debug, Args)]
pub struct WaitFor {
    /// Return when the units are ready, or have failed (exit code 1). A unit without a
    /// readiness probe is ready when it runs, a task when it has succeeded.
    #[arg(long)]
    pub wait: bool,
    /// Give up waiting after TIME, with exit code 124.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Stop units within their grace period. Returns when nothing of them is left.
#[derive(Clone, Debug, Args)]
pub struct Stop {
    #[command(flatten)]
    pub units: Units,
    /// Give up waiting after TIME, with exit code 124. The units go on stopping.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Stop units at once, without grace. Returns when nothing of them is left.
#[derive(Clone, Debug, Args)]
pub struct Kill {
    #[command(flatten)]
    pub units: Units,
    /// Give up waiting after TIME, with exit code 124.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Send all processes of units a signal, or none if one of the units does not run.
#[derive(Clone, Debug, Args)]
pub struct SendSignal {
    /// By name or number: HUP, SIGUSR1, 10.
    #[arg(value_name = "SIGNAL", value_parser = signal)]
    pub signal: Signal,
    #[command(flatten)]
    pub units: Units,
}

/// Let units run again that were disabled.
#[derive(Clone, Debug, Args)]
pub struct Enable {
    #[command(flatten)]
    pub units: Units,
}

/// Stop units, and keep them stopped until they are enabled or started by name.
#[derive(Clone, Debug, Args)]
pub struct Disable {
    #[command(flatten)]
    pub units: Units,
}

/// Change how many instances of a unit there are. Those that stay go on.
#[derive(Clone, Debug, Args)]
pub struct Scale {
    /// The unit and the number of its instances.
    #[arg(value_name = "UNIT=N", required = true, value_parser = replicas)]
    pub units: Vec<(UnitName, u32)>,
}

/// Wait until units of the running stack are as they should be.
///
/// Exit codes: 0 they are; 1 one of them can no longer be so by itself; 3 no such stack or
/// unit is running; 124 timed out.
#[derive(Clone, Debug, Args)]
pub struct Wait {
    #[command(flatten)]
    pub units: Units,
    /// What to wait for.
    #[arg(long = "for", value_name = "STATE", default_value = "ready")]
    pub state: Awaited,
    /// Give up after TIME, with exit code 124.
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub timeout: Duration,
}

/// Go over to what the file says now. What changed restarts, what did not is not touched.
///
/// Exit codes: 0 done, or nothing changes; 2 the file is wrong, and nothing was changed; 3 no
/// stack is running; 4 the stack is stopping.
#[derive(Clone, Copy, Debug, Args)]
pub struct Reload {
    /// Show what would be done, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Show how the stack started: who waited for what, and what took longest.
#[derive(Clone, Copy, Debug, Args)]
pub struct Timeline {
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Watch {
    Status(WatchStatus),
    Why(WatchWhy),
    Pause(WatchUnits),
    Resume(WatchUnits),
}

/// Show which files are watched, what is left out by which rule, and what changed last.
#[derive(Clone, Debug, Args)]
pub struct WatchStatus {
    /// The unit; all that watch files if none is named.
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Say whether a change of a file would count, for whom, and by which rule.
#[derive(Clone, Debug, Args)]
pub struct WatchWhy {
    /// The file; it need not be there.
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
}

/// Hold what changed files would do (`pause`), or do it now (`resume`). What changes while
/// paused counts once afterwards. `resume` also lets files count again that were taken for a
/// unit's own doing.
#[derive(Clone, Debug, Args)]
pub struct WatchUnits {
    /// The units; all that watch files if none is named.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
}

/// What a unit may be waited for.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Awaited {
    /// It runs, or has succeeded.
    Started,
    /// Its readiness probe succeeds; without one, it runs. A task has succeeded.
    Ready,
    /// It has come to its end by itself, however.
    Completed,
    /// It has come to its end with success.
    Succeeded,
    /// Nothing of it is left.
    Stopped,
}

/// Show what has happened in the running stack.
#[derive(Clone, Debug, Args)]
pub struct Events {
    /// Go on with what happens until the stack ends.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// In which form: json is one object in each line.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
    /// Read FILE instead of searching for pk.yaml.
    #[arg(id = "files", long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

pub fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}; write it as 10s, 5m or 1h30m"))
}

fn signal(text: &str) -> Result<Signal, String> {
    let number = text.parse().ok();
    number
        .and_then(Signal::from_number)
        .or_else(|| Signal::from_name(text))
        .ok_or_else(|| "there is no such signal; `kill -l` lists them".to_owned())
}

fn replicas(text: &str) -> Result<(UnitName, u32), String> {
    let wrong = || "expected a unit and a number, as in web=3".to_owned();
    let (name, number) = text.split_once('=').ok_or_else(wrong)?;
    if !UnitName::is_valid(name) {
        return Err(wrong());
    }
    Ok((name.into(), number.parse().map_err(|_| wrong())?))
}
