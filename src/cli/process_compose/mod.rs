//! pk called by the name of process-compose: units and scripts do so.
//!
//! This module turns that program's words into pk's own and pk's ends into that program's
//! exit codes: 1 for whatever could not be done, and for `up` that of the process which
//! ended the project, else 0.

mod args;
mod server;
mod told;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use self::args::{COMMANDS, Client, Command, List, Process, Project, Up, WITH_VALUE};
use clap::Parser as _;

use super::args::{self as own, GraphForm, Place};
use super::exit::{self, End};
use super::graph;
use super::listen::Listen;
use super::live;
use super::output::Output;
use super::running::act::{self, Then};
use super::running::args::{Awaited, Down, Form, Reload, Scale, Units, Wait};
use super::running::log_args::Logs;
use super::running::{attach, logs, reload, wait};
use crate::domain::event::Command as Ask;

const NAME: &str = "process-compose";

/// How long something is waited for that has no limit there.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether pk was called so.
pub fn is_called(program: Option<&OsString>) -> bool {
    program.is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new(NAME)))
}

/// Does what that program would.
pub fn main(args: &[OsString], output: &Output) -> End {
    let end = match command_at(args) {
        None => run_up(args.to_vec(), output),
        Some(at) if args[at] == "up" => {
            let mut args = args.to_vec();
            args.remove(at);
            run_up(args, output)
        }
        Some(at) => match args[at].to_str() {
            Some(word @ ("run" | "info" | "analyze" | "recipe")) => {
                output.error(
                    &format!("`process-compose {word}` is not supported by pk"),
                    Some("`pk --help` shows what pk has instead"),
                );
                End::Failed
            }
            _ => parsed(Client::try_parse_from(args), |client| {
                match &client.command {
                    Command::Version { short } => version(*short, output),
                    command => match server::place(&client.server, output) {
                        Ok(place) => run(&place, command, output),
                        Err(end) => end,
                    },
                }
            }),
        },
    };
    match end {
        End::Fine | End::Passed(_) => end,
        End::Usage | End::NotThere | End::Denied | End::TimedOut | End::Failed | End::Signal(_) => {
            End::Failed
        }
    }
}

/// The one variable there that has to be true to count.
fn is_true(name: &str) -> bool {
    let value = std::env::var(name).unwrap_or_default();
    matches!(&*value.to_ascii_lowercase(), "1" | "t" | "true")
}

/// Where the command stands: flags and their values may stand before it.
fn command_at(args: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while let Some(arg) = args.get(at).map(|arg| arg.to_string_lossy()) {
        if WITH_VALUE.contains(&&*arg) {
            at += 2;
            continue;
        }
        if !arg.starts_with('-') {
            return COMMANDS.contains(&&*arg).then_some(at);
        }
        at += 1;
    }
    None
}

fn parsed<T>(result: Result<T, clap::Error>, then: impl FnOnce(T) -> End) -> End {
    match result {
        Ok(args) => then(args),
        Err(error) => {
            let _ = error.print();
            if error.use_stderr() {
                End::Failed
            } else {
                End::Fine
            }
        }
    }
}

fn run_up(args: Vec<OsString>, output: &Output) -> End {
    parsed(Up::try_parse_from(args), |up| {
        let compat = match server::api(&up.server, output) {
            Ok(compat) => compat,
            Err(end) => return end,
        };
        let list = |name: &str| -> Vec<String> {
            let value = std::env::var(name).unwrap_or_default();
            let words = value.split(',').map(str::trim);
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut files = up.config;
        if files.is_empty() {
            files.extend(list("PC_CONFIG_FILES").into_iter().map(PathBuf::from));
        }
        let mut namespaces = up.namespace;
        if namespaces.is_empty() {
            namespaces = list("PC_NAMESPACES");
        }
        let place = Place {
            directory: None,
            files,
        };
        let args = own::Up {
            units: up.processes,
            detach: false,
            watch: false,
            no_watch: up.looks.no_watch || std::env::var_os("PC_NO_WATCH").is_some(),
            wait: false,
            timeout: Duration::ZERO,
            no_tui: up.tui.is_none() && is_true("PC_DISABLE_TUI"),
            profiles: Vec::new(),
            no_deps: up.no_deps,
            abort_on_failure: false,
            exit_code_from: None,
            ci: false,
            reload: false,
            dry_run: up.dry_run,
            keep_project: up.keep_project,
            tui: up.tui,
            detached: up.detached,
            listen: Listen::default(),
            compat,
            foreign: own::Foreign {
                env_files: up.env,
                disable_dotenv: up.disable_dotenv
                    || std::env::var_os("PC_DISABLE_DOTENV").is_some(),
                namespaces,
                formation: Vec::new(),
            },
            hold: up.hold,
        };
        live::up_judged(&place, &args, output, exit::of_process_compose)
    })
}

fn version(short: bool, output: &Output) -> End {
    let version = env!("CARGO_PKG_VERSION");
    output.print(&if short {
        format!("{version}\n")
    } else {
        format!("Process Compose\nVersion:\tpk {version}\n")
    })
}

fn run(place: &Place, command: &Command, output: &Output) -> End {
    match command {
        Command::Down => {
            let down = Down {
                now: false,
                timeout: PATIENCE,
            };
            act::down(place, &down, output)
        }
        Command::Attach => attach::attach(place, None, output),
        Command::List(list) | Command::Process(Process::List(list)) => {
            told::list(place, list, None, output)
        }
        Command::Process(process) => self::process(place, process, output),
        Command::Project(project) => self::project(place, project, output),
        Command::Namespace(namespace) => told::namespace(place, namespace, output),
        Command::Graph { format } => match format.as_deref() {
            None | Some("ascii") => graph::graph(place, GraphForm::Tree, output),
            Some("mermaid") => graph::graph(place, GraphForm::Mermaid, output),
            Some("json") => graph::graph(place, GraphForm::Json, output),
            Some(other) => {
                let help = "`ascii`, `mermaid` or `json`";
                output.error(&format!("pk draws no graph as `{other}`"), Some(help));
                End::Failed
            }
        },
        Command::Version { short } => version(*short, output),
    }
}

fn process(place: &Place, process: &Process, output: &Output) -> End {
    let units = |names: &[String]| Units {
        units: names.to_vec(),
        all: false,
    };
    match process {
        Process::List(list) => told::list(place, list, None, output),
        Process::Get { name, output: form } => {
            let list = List {
                output: Some(form.clone().unwrap_or_else(|| "wide".to_owned())),
            };
            told::list(place, &list, Some(name), output)
        }
        Process::Scale { name, count } => {
            let scale = Scale {
                units: vec![(name.as_str().into(), *count)],
            };
            act::scale(place, &scale, output)
        }
        Process::Ports { name, output: form } => told::ports(place, name, form.as_deref(), output),
        Process::SendKeys { name, keys } => told::send_keys(place, name, keys, output),
        Process::Start { names } => {
            act::act(place, &units(names), Ask::Start, Then::Return, output)
        }
        Process::Stop { names, .. } => {
            let then = Then::Wait(Awaited::Stopped, PATIENCE);
            act::act(place, &units(names), Ask::Stop, then, output)
        }
        Process::Restart { names } => {
            act::act(place, &units(names), Ask::Restart, Then::Return, output)
        }
        Process::Logs {
            names,
            follow,
            tail,
            raw_log,
        } => {
            let names: Vec<String> = names
                .iter()
                .flat_map(|names| names.split(','))
                .map(str::to_owned)
                .collect();
            let raw = *raw_log || names.len() == 1;
            let args = Logs {
                units: names,
                follow: *follow,
                lines: *tail,
                ..Logs::default()
            };
            logs::written(place, &args, raw, output)
        }
    }
}

fn project(place: &Place, project: &Project, output: &Output) -> End {
    match project {
        Project::IsReady { wait: patient } => {
            let args = Wait {
                units: Units {
                    units: Vec::new(),
                    all: true,
                },
                state: Awaited::Ready,
                timeout: if *patient { PATIENCE } else { Duration::ZERO },
            };
            wait::wait(place, &args, output)
        }
        Project::State { .. } => told::project(place, output),
        Project::Update { config, .. } => {
            if let Err(end) = told::is_own_file(place, config, output) {
                return end;
            }
            let args = Reload {
                dry_run: false,
                output: Form::Text,
            };
            reload::ask(place, args, output)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        Up::command().debug_assert();
        Client::command().debug_assert();
    }

    #[test]
    fn the_command_is_found_behind_flags() {
        let at = |line: &str| {
            let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            command_at(&args)
        };
        assert_eq!(at("process-compose -f up up web"), Some(3));
        assert_eq!(at("process-compose -t=false -p 9 up"), Some(4));
        assert_eq!(at("process-compose -t=false"), None);
        assert_eq!(at("process-compose web"), None);
        assert_eq!(at("process-compose process list"), Some(1));
    }
}
