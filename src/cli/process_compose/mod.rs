//! pk called by the name of process-compose: units and scripts do so.
//!
//! This module turns that program's words into pk's own and pk's ends into that program's
//! exit codes: 1 for whatever could not be done, and for `up` that of the process which
//! ended the project, else 0.

mod args;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser as _;
use serde_json::{Value, json};

use self::args::{COMMANDS, Client, Command, List, Process, Project, Up, WITH_VALUE};
use super::args::{self as own, Place};
use super::exit::{self, End};
use super::listen::Listen;
use super::live;
use super::output::Output;
use super::running::act::{self, Then};
use super::running::args::{Awaited, Down, Form, Reload, Units, Wait};
use super::running::log_args::Logs;
use super::running::{logs, reload, show, wait};
use crate::domain::event::Command as Ask;
use crate::domain::exit::ExitStatus;
use crate::domain::health::Readiness;
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::UnitKind;

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
            Some(word @ ("attach" | "namespace" | "ns" | "run" | "info" | "graph" | "analyze")) => {
                output.error(
                    &format!("`process-compose {word}` is not supported by pk"),
                    Some("`pk --help` shows what pk has instead"),
                );
                End::Failed
            }
            _ => parsed(Client::try_parse_from(args), |client| {
                run(&client.command, output)
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
        let server = &up.server;
        if server.port.is_some() || server.unix_socket.is_some() || server.use_uds {
            output.note(
                "pk serves no REST API of process-compose; `process-compose process …` finds \
                 the project by its folder",
            );
        }
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
            no_watch: up.looks.no_watch,
            wait: false,
            timeout: Duration::ZERO,
            no_tui: true,
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

fn run(command: &Command, output: &Output) -> End {
    let place = Place::default();
    match command {
        Command::Down => {
            let down = Down {
                now: false,
                timeout: PATIENCE,
            };
            act::down(&place, &down, output)
        }
        Command::List(list) | Command::Process(Process::List(list)) => {
            self::list(&place, list, None, output)
        }
        Command::Process(process) => self::process(&place, process, output),
        Command::Project(project) => self::project(&place, project, output),
        Command::Version { short } => {
            let version = env!("CARGO_PKG_VERSION");
            output.print(&if *short {
                format!("{version}\n")
            } else {
                format!("Process Compose\nVersion:\tpk {version}\n")
            })
        }
    }
}

fn process(place: &Place, process: &Process, output: &Output) -> End {
    let units = |names: &[String]| Units {
        units: names.to_vec(),
        all: false,
    };
    match process {
        Process::List(list) => self::list(place, list, None, output),
        Process::Get { name, output: form } => {
            let list = List {
                output: Some(form.clone().unwrap_or_else(|| "wide".to_owned())),
            };
            self::list(place, &list, Some(name), output)
        }
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
        Project::State => show::with_units(place, output, |units| {
            let running = units.iter().filter(|unit| is_running(unit)).count();
            output.print(&format!(
                "{:#}\n",
                json!({"processNum": units.len(), "runningProcessNum": running})
            ))
        }),
        Project::Update => {
            let args = Reload {
                dry_run: false,
                output: Form::Text,
            };
            reload::ask(place, args, output)
        }
    }
}

fn list(place: &Place, list: &List, name: Option<&str>, output: &Output) -> End {
    show::with_units(place, output, |units| {
        let mut units = units.to_vec();
        units.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(name) = name {
            units.retain(|unit| unit.name.as_str() == name);
            if units.is_empty() {
                output.error(&format!("no process is named `{name}`"), None);
                return End::Failed;
            }
        }
        match list.output.as_deref() {
            Some("json") => {
                let states: Value = units.iter().map(|unit| state(unit)).collect();
                output.print(&format!("{states:#}\n"))
            }
            Some("wide") => {
                let mut text = String::from("PID\tNAME\tSTATUS\tHEALTH\tRESTARTS\tEXITCODE\n");
                for unit in units {
                    let state = state(unit);
                    let field = |key: &str| match &state[key] {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    text.push_str(&format!(
                        "{}\t{}\t{}\t{}\t{}\t{}\n",
                        field("pid"),
                        field("name"),
                        field("status"),
                        field("is_ready"),
                        field("restarts"),
                        field("exit_code")
                    ));
                }
                output.print(&text)
            }
            _ => {
                let names: String = units
                    .iter()
                    .map(|unit| format!("{}\n", unit.name))
                    .collect();
                output.print(&names)
            }
        }
    })
}

fn is_running(unit: &UnitView) -> bool {
    matches!(
        unit.phase,
        PhaseName::Starting | PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping
    )
}

/// In that program's words, as far as a stack says of itself.
fn state(unit: &UnitView) -> Value {
    let status = match unit.phase {
        PhaseName::Idle => "Disabled",
        PhaseName::Waiting => "Pending",
        PhaseName::Starting | PhaseName::Running => "Running",
        PhaseName::Stopping | PhaseName::Reaping => "Terminating",
        PhaseName::Backoff => "Restarting",
        PhaseName::Exited => match &unit.outcome {
            Some(Outcome::Skipped(_)) => "Skipped",
            Some(Outcome::Failed(failed)) if failed.failure.status().is_none() => "Error",
            Some(Outcome::Failed(_) | Outcome::Completed | Outcome::Stopped) | None => "Completed",
        },
    };
    let ready = match unit.readiness {
        Readiness::Unprobed => "-",
        Readiness::Ready => "Ready",
        Readiness::Unready | Readiness::Unhealthy => "Not Ready",
    };
    let last = unit.exit.as_ref().and_then(|exit| exit.0.last());
    let code = match last {
        Some(ExitStatus::Code(code)) => *code,
        // As Go tells it.
        Some(ExitStatus::Signal(_)) => -1,
        None if status == "Skipped" || status == "Error" => 1,
        None => 0,
    };
    json!({
        "name": unit.name.as_str(),
        "status": status,
        "is_ready": ready,
        "has_ready_probe": unit.readiness != Readiness::Unprobed,
        "restarts": unit.restarts,
        "exit_code": code,
        "pid": unit.pid.unwrap_or(0),
        "is_running": is_running(unit),
        "is_task": unit.kind == UnitKind::Task,
    })
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
