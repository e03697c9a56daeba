//! What a person typed, and nothing more.
//!
//! This module owns the grammar and the help of the command line. It must not read a file,
//! nor resolve anything, nor ask the environment for more than its help says.

use std::path::PathBuf;
use std::time::Duration;

use crate::contain::{self, Choice};
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::compat::CompatApi;
use super::listen::Listen;
use super::running::args as running;
use super::running::log_args;
use super::running::mcp::Mcp;

/// Runs a local development stack from one file.
///
/// The file, pk.yaml, says what there is to run and what needs what. `pk up` starts it in
/// that order, shows what every unit says and does, and on Ctrl-C stops it in reverse.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "pk",
    version,
    propagate_version = false,
    max_term_width = 100,
    disable_help_subcommand = true,
    subcommand_required = true,
    after_help = "`pk COMMAND --help` says more of a command, `pk schema` what a file may hold."
)]
pub struct Cli {
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    pub command: Command,
}

/// Which stack.
#[derive(Clone, Debug, Default, Args)]
pub struct Place {
    /// Do as if pk had been started in DIR.
    ///
    /// pk.yaml is searched there and in the folders above.
    #[arg(short = 'C', long = "directory", value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,
    /// Read FILE instead of searching for pk.yaml.
    ///
    /// Several are merged in order: maps deep, scalars and lists replaced.
    #[arg(short = 'f', long = "file", value_name = "FILE", global = true)]
    pub files: Vec<PathBuf>,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    Up(Up),
    Run(Run),
    Down(running::Down),
    Ps(running::Ps),
    Ls(running::Ls),
    Logs(log_args::Logs),
    Events(running::Events),
    Start(running::Start),
    Stop(running::Stop),
    Restart(running::Restart),
    Kill(running::Kill),
    Signal(running::SendSignal),
    Enable(running::Enable),
    Disable(running::Disable),
    Scale(running::Scale),
    Wait(running::Wait),
    Stats(running::StatsArgs),
    Attach(running::Attach),
    Exec(running::Exec),
    /// See and steer what the units of the running stack watch.
    #[command(subcommand)]
    Watch(running::Watch),
    Reload(running::Reload),
    Timeline(running::Timeline),
    Mcp(Mcp),
    Init(Init),
    Doctor(Doctor),
    Check(Check),
    Convert(Convert),
    /// Show the file as pk understands it: merged, filled in, secrets masked.
    Config(Config),
    Explain(Explain),
    /// Show what depends on what.
    Graph(Graph),
    /// Print the JSON schema of the file, for editors.
    Schema,
    Completions(Completions),
}

/// Start the stack, show what it does, and stop it on Ctrl-C.
///
/// Units start as soon as what they depend on is there. One Ctrl-C stops them in reverse
/// order, each within its grace period; a second one kills what is left at once.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Where the stack runs already, named units are started there; without any, a terminal shows it \
until Ctrl-C leaves it running.

Exit codes: 0 all that had to succeed did; 1 something failed; 2 the command line or the file \
is wrong; 4 the stack runs already; 130, 143, 129 ended by SIGINT, SIGTERM, SIGHUP.\n")]
pub struct Up {
    /// Units to start, with what they require; all that are active if none is named.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Leave the stack running in the background, and return as soon as it is started.
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// With --detach: return when all units are ready, or one has failed (exit code 1). A unit
    /// without a readiness probe is ready when it runs, a task when it has succeeded.
    #[arg(long, requires = "detach")]
    pub wait: bool,
    /// With --wait: give up waiting after TIME, with exit code 124. The stack goes on.
    #[arg(long, value_name = "TIME", default_value = "5m", requires = "wait", value_parser = running::duration)]
    pub timeout: Duration,
    /// Merged lines instead of the dashboard.
    #[arg(long)]
    pub no_tui: bool,
    /// Also start the units of this profile.
    #[arg(long = "profile", value_name = "PROFILE")]
    pub profiles: Vec<String>,
    /// Start the named units only, and wait for nothing else.
    #[arg(long, requires = "units")]
    pub no_deps: bool,
    /// Stop the stack as soon as a unit fails.
    #[arg(long)]
    pub abort_on_failure: bool,
    /// Stop the stack when UNIT ends, and exit with its exit code.
    #[arg(long, value_name = "UNIT")]
    pub exit_code_from: Option<String>,
    /// For scripts: stop at the first failure, or when every task is done and every service
    /// ready.
    #[arg(long)]
    pub ci: bool,
    /// Go on after all units have ended, as long as one of them watches files.
    #[arg(long, conflicts_with = "no_watch")]
    pub watch: bool,
    /// Do not watch files, whatever the file says.
    #[arg(long)]
    pub no_watch: bool,
    /// Reload whenever the file, or one that it includes, is saved.
    #[arg(long)]
    pub reload: bool,
    /// Look for mistakes in the file and start nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on when no unit runs any more, until Ctrl-C.
    #[arg(long)]
    pub keep_project: bool,
    /// Of process-compose: `-t=false` is `--no-tui`.
    #[arg(
        short = 't',
        long = "tui",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        hide = true
    )]
    pub tui: Option<bool>,
    /// Of process-compose: `--detach`.
    #[arg(short = 'D', long = "detached", hide = true)]
    pub detached: bool,
    #[command(flatten)]
    pub listen: Listen,
    #[command(flatten)]
    pub compat: CompatApi,
    #[command(flatten)]
    pub foreign: Foreign,
    #[command(flatten)]
    pub hold: Hold,
}

/// What there is to say of files of other tools.
#[derive(Clone, Debug, Default, Args)]
pub struct Foreign {
    /// Of a process-compose file or a Procfile: read FILE instead of .env.
    #[arg(short = 'e', long = "env", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Of a process-compose file or a Procfile: do not read .env.
    #[arg(long)]
    pub disable_dotenv: bool,
    /// Of a process-compose file: only its processes in this namespace.
    #[arg(short = 'n', long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Of a Procfile: how many of each process, as in `web=2,worker=1` or `all=1`.
    #[arg(
        short = 'm',
        long = "scale",
        visible_alias = "formation",
        value_name = "NAME=N",
        value_delimiter = ',',
        value_parser = formation
    )]
    pub formation: Vec<(String, u32)>,
}

fn formation(text: &str) -> Result<(String, u32), String> {
    let (name, count) = text
        .split_once('=')
        .ok_or_else(|| "expected NAME=N".to_owned())?;
    let count = count
        .parse()
        .map_err(|_| format!("`{count}` is not a number"))?;
    Ok((name.to_owned(), count))
}

/// Look for mistakes in the file, and show every one of them.
#[derive(Clone, Debug, Args)]
pub struct Check {
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Write a first pk.yaml into this folder.
///
/// It is made from the process-compose file or Procfile that is there, else from a file of
/// docker compose and package.json, else it is one to begin with. A file that is there is
/// never overwritten.
#[derive(Clone, Copy, Debug, Args)]
pub struct Init {
    /// Print it, and write nothing.
    #[arg(long)]
    pub print: bool,
}

/// Say what pk finds on this machine: how processes are held and why, which limits can be
/// enforced, what else is short or in the way.
///
/// Exit codes: 0 nothing is bad; 1 something is.
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Write all of it to FILE, for who is to help: also the file as pk understands it, the
    /// state of the stack and its last lines. Secrets are masked.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// In which form.
    #[arg(
        long,
        value_name = "FORM",
        default_value = "text",
        conflicts_with = "bundle"
    )]
    pub output: running::Form,
}

/// Write a process-compose file or a Procfile as pk.yaml.
///
/// It goes to stdout unless told otherwise. What it says is the same, except for what a
/// comment at its top names.
#[derive(Clone, Debug, Args)]
pub struct Convert {
    /// The file; searched as `pk up` does if none is named.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Write this file, which must not be there yet, instead of stdout.
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub foreign: Foreign,
}

/// How processes are held.
#[derive(Clone, Copy, Debug, Args)]
pub struct Hold {
    /// Hold processes by this means, or do not start. `auto` is the strongest there is.
    #[arg(
        long,
        value_name = "MECHANISM",
        env = "PK_CONTAINMENT",
        default_value = "auto",
        hide_env_values = true
    )]
    pub containment: Mechanism,
    #[command(flatten)]
    pub logs: LogBudget,
}

/// How much the logs may take.
#[derive(Clone, Copy, Debug, Args)]
pub struct LogBudget {
    /// Keep the logs of this stack, with those of its earlier runs, within SIZE on disk.
    #[arg(
        long,
        value_name = "SIZE",
        env = "PK_LOG_DISK",
        default_value = "4GiB",
        hide_env_values = true,
        value_parser = size
    )]
    pub log_disk: u64,
    /// Keep what waits for the disk, or all where there is none, within SIZE of memory.
    #[arg(
        long,
        value_name = "SIZE",
        env = "PK_LOG_MEMORY",
        default_value = "64MiB",
        hide_env_values = true,
        value_parser = size
    )]
    pub log_memory: u64,
}

fn size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 1 << 20;
    let size = crate::domain::text::parse_size(text)
        .map_err(|error| format!("{error}; write it as 512MiB or 2GB"))?;
    if size < LEAST {
        return Err("it must be 1MiB at least".to_owned());
    }
    Ok(size)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    Auto,
    Cgroup,
    ProcessGroup,
    PidNamespace,
}

impl From<Mechanism> for Choice {
    fn from(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::Auto => Self::Auto,
            Mechanism::Cgroup => Self::Only(contain::Mechanism::Cgroup),
            Mechanism::ProcessGroup => Self::Only(contain::Mechanism::ProcessGroup),
            Mechanism::PidNamespace => Self::Only(contain::Mechanism::PidNamespace),
        }
    }
}

/// Run one task, with what it needs started first and stopped afterwards.
///
/// pk exits with the exit code of the task, or 128 + n if signal n ended it.
#[derive(Clone, Debug, Args)]
pub struct Run {
    /// The task.
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Leave what the task needs running until Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// Also start the units of this profile.
    #[arg(long = "profile", value_name = "PROFILE")]
    pub profiles: Vec<String>,
    #[command(flatten)]
    pub hold: Hold,
    /// Further arguments for the command of the task.
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub struct Config {
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "yaml")]
    pub output: ConfigForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ConfigForm {
    Yaml,
    Json,
}

/// Say in plain words how a unit of the running stack is, what it waits for, and why.
///
/// Of a stack that does not run: what the file makes of it.
#[derive(Clone, Debug, Args)]
pub struct Explain {
    /// The unit; all of them if none is named.
    #[arg(value_name = "UNIT")]
    pub unit: Option<String>,
    /// Of a stack that runs: in which form.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: running::Form,
}

/// Print what completes pk's commands in a shell.
///
/// For bash: `source <(pk completions bash)`.
#[derive(Clone, Copy, Debug, Args)]
pub struct Completions {
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

#[derive(Clone, Debug, Args)]
pub struct Graph {
    /// In which form.
    #[arg(long, value_name = "FORM", default_value = "tree")]
    pub format: GraphForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphForm {
    /// For reading: each unit under what it waits for.
    Tree,
    /// For Graphviz: `pk graph --format dot | dot -Tsvg`.
    Dot,
    /// For Markdown that draws Mermaid.
    Mermaid,
    /// For programs: nodes and edges.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_of_a_task_are_not_read_as_pks() {
        let cli = Cli::parse_from(["pk", "run", "test", "--keep", "--", "-f", "--ci"]);
        let Command::Run(run) = cli.command else {
            panic!("not a run");
        };
        assert!(run.keep);
        assert_eq!(run.args, ["-f", "--ci"]);
        assert!(cli.place.files.is_empty());
    }

    #[test]
    fn the_place_may_stand_before_and_after_the_command() {
        for args in [
            ["pk", "-C", "x", "-f", "a.yaml", "check"],
            ["pk", "check", "-C", "x", "-f", "a.yaml"],
        ] {
            let cli = Cli::parse_from(args);
            assert_eq!(cli.place.directory, Some("x".into()));
            assert_eq!(cli.place.files, [PathBuf::from("a.yaml")]);
        }
    }
}
