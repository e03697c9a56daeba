//! The command line of process-compose, as far as scripts use it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cli::args::Hold;

/// The commands, which may stand behind flags of `up`.
pub(super) const COMMANDS: [&str; 16] = [
    "up",
    "down",
    "attach",
    "list",
    "ls",
    "process",
    "project",
    "namespace",
    "ns",
    "run",
    "version",
    "info",
    "graph",
    "analyze",
    "recipe",
    "completion",
];

/// Flags that take a value, which is no command.
pub(super) const WITH_VALUE: [&str; 23] = [
    "-f",
    "--config",
    "-e",
    "--env",
    "-n",
    "--namespace",
    "-p",
    "--port",
    "-u",
    "--unix-socket",
    "-L",
    "--log-file",
    "-r",
    "--ref-rate",
    "--slow-ref-rate",
    "-S",
    "--sort",
    "--theme",
    "--shortcuts",
    "-a",
    "--address",
    "--token-file",
    "--containment",
];

/// Start the processes of a file. This is pk, called by the name of process-compose.
#[derive(Clone, Debug, Parser)]
#[command(name = "process-compose", version, disable_help_subcommand = true)]
pub(super) struct Up {
    /// Processes to start, with what they depend on; all if none is named.
    #[arg(value_name = "PROCESS")]
    pub processes: Vec<String>,
    /// Read FILE; several lie over each other.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// Read FILE instead of .env.
    #[arg(short = 'e', long, value_name = "FILE")]
    pub env: Vec<PathBuf>,
    /// Only processes in this namespace.
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub namespace: Vec<String>,
    /// Do not read .env.
    #[arg(long)]
    pub disable_dotenv: bool,
    /// Do not start what the named processes depend on.
    #[arg(long)]
    pub no_deps: bool,
    /// Check the file and start nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Go on when no process runs any more.
    #[arg(long, alias = "keep-tui")]
    pub keep_project: bool,
    #[arg(short = 't', long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true", hide = true)]
    pub tui: Option<bool>,
    #[arg(short = 'D', long, hide = true, visible_alias = "detached-with-tui")]
    pub detached: bool,
    #[command(flatten)]
    pub server: Server,
    #[command(flatten)]
    pub looks: Looks,
    #[command(flatten)]
    pub hold: Hold,
}

/// Where the project is served, or found.
#[derive(Clone, Debug, Args)]
pub(super) struct Server {
    /// The port of the REST API [default: 8080].
    #[arg(short = 'p', long, global = true)]
    pub port: Option<u16>,
    /// The address of the REST API [default: localhost].
    #[arg(short = 'a', long, alias = "host", global = true)]
    pub address: Option<String>,
    /// The socket of the REST API, instead of a port.
    #[arg(short = 'u', long, global = true)]
    pub unix_socket: Option<PathBuf>,
    /// A socket instead of a port.
    #[arg(short = 'U', long, global = true)]
    pub use_uds: bool,
    /// No REST API.
    #[arg(long, global = true)]
    pub no_server: bool,
    /// A file with the token that each request must show.
    #[arg(long, global = true)]
    pub token_file: Option<PathBuf>,
    #[arg(long, hide = true, global = true)]
    pub read_only: bool,
    #[arg(short = 'L', long, hide = true, global = true)]
    pub log_file: Option<PathBuf>,
    #[arg(long, hide = true, global = true)]
    pub log_no_color: bool,
    #[arg(long, hide = true, global = true)]
    pub ordered_shutdown: bool,
}

/// How its dashboard looks, which is not pk's.
#[derive(Clone, Debug, Args)]
pub(super) struct Looks {
    #[arg(short = 'd', long, hide = true)]
    pub hide_disabled: bool,
    #[arg(short = 'r', long, hide = true)]
    pub ref_rate: Option<String>,
    #[arg(long, hide = true)]
    pub slow_ref_rate: Option<String>,
    #[arg(long, hide = true)]
    pub recursive_metrics: bool,
    #[arg(long, hide = true)]
    pub logs_truncate: bool,
    #[arg(long, hide = true)]
    pub no_watch: bool,
    #[arg(long, hide = true)]
    pub shortcuts: Vec<PathBuf>,
    #[arg(long, hide = true)]
    pub theme: Option<String>,
    #[arg(short = 'S', long, hide = true)]
    pub sort: Option<String>,
    #[arg(short = 'R', long, hide = true)]
    pub reverse: bool,
    #[arg(long, hide = true)]
    pub tui_fs: bool,
    #[arg(long, hide = true)]
    pub detach_on_success: bool,
}

/// The commands for a stack that runs.
#[derive(Clone, Debug, Parser)]
#[command(name = "process-compose", version, disable_help_subcommand = true)]
pub(super) struct Client {
    #[command(flatten)]
    pub server: Server,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Stop all processes and the project.
    Down,
    /// The names of all processes.
    #[command(alias = "ls")]
    List(List),
    /// What is done with one process or several.
    #[command(subcommand)]
    Process(Process),
    /// What is done with all of them.
    #[command(subcommand)]
    Project(Project),
    /// What is done with those of one namespace.
    #[command(subcommand, alias = "ns")]
    Namespace(Namespace),
    /// The dashboard of a project that runs.
    Attach,
    /// Who depends on whom.
    Graph {
        /// `ascii`, `mermaid` or `json`.
        #[arg(short = 'f', long)]
        format: Option<String>,
    },
    /// Which version this is.
    Version {
        #[arg(short = 's', long)]
        short: bool,
    },
}

#[derive(Clone, Debug, Args)]
pub(super) struct List {
    /// `json` or `wide`.
    #[arg(short = 'o', long)]
    pub output: Option<String>,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Process {
    /// The names of all processes.
    #[command(alias = "ls")]
    List(List),
    /// The state of a process.
    Get {
        name: String,
        #[arg(short = 'o', long)]
        output: Option<String>,
    },
    /// Start processes.
    Start {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Stop processes.
    Stop {
        #[arg(required = true)]
        names: Vec<String>,
        #[arg(short = 'v', long, hide = true)]
        verbose: bool,
    },
    /// Restart processes.
    Restart {
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Run so many of a process.
    Scale { name: String, count: u32 },
    /// Where a process listens.
    Ports {
        name: String,
        #[arg(short = 'o', long)]
        output: Option<String>,
    },
    /// Type for a process that has a terminal.
    SendKeys { name: String, keys: String },
    /// What processes wrote; several names are joined by commas.
    #[command(alias = "log")]
    Logs {
        names: Option<String>,
        #[arg(short = 'f', long)]
        follow: bool,
        #[arg(short = 'n', long)]
        tail: Option<usize>,
        #[arg(long)]
        raw_log: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Project {
    /// Whether all processes are ready.
    IsReady {
        /// Until they are.
        #[arg(long)]
        wait: bool,
    },
    /// How many processes there are and run.
    State {
        #[arg(long, hide = true)]
        with_memory: bool,
    },
    /// Read the file again.
    Update {
        #[arg(short = 'f', long, hide = true)]
        config: Vec<PathBuf>,
        #[arg(short = 'v', long, hide = true)]
        verbose: bool,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Namespace {
    /// Start its processes.
    Start { name: String },
    /// Stop its processes.
    Stop { name: String },
    /// Restart its processes.
    Restart { name: String },
    /// The names of all namespaces.
    #[command(alias = "ls")]
    List,
}
