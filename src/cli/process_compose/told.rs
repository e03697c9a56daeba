//! What a project that runs tells, in that program's words and shapes.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::args::{List, Namespace};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::running::act::{self, Then};
use crate::cli::running::args::Units;
use crate::cli::running::{reach, show};
use crate::cli::stack;
use crate::config;
use crate::control::{Clock, ControlPort as _, Input, ProcessState, has_run, process_state};
use crate::domain::event::Command;
use crate::domain::keys;

/// Without the plan, which is in another process.
fn states(state: &crate::control::protocol::State) -> Vec<ProcessState> {
    let clock = Clock::now(state.now);
    let units = state.snapshot.units.iter();
    let mut states: Vec<_> = units
        .map(|unit| process_state(unit, None, &clock, None))
        .collect();
    states.sort_by(|a, b| a.name.cmp(&b.name));
    states
}

pub(super) fn list(place: &Place, list: &List, name: Option<&str>, output: &Output) -> End {
    show::with_state(place, output, |_, state| {
        let mut states = states(state);
        if let Some(name) = name {
            states.retain(|state| state.name == name);
            if states.is_empty() {
                output.error(&format!("no process is named `{name}`"), None);
                return End::Failed;
            }
        }
        match list.output.as_deref() {
            Some("json") => output.print(&format!("{:#}\n", json!(states))),
            Some("wide") => {
                let mut text = String::from("PID\tNAME\tSTATUS\tHEALTH\tRESTARTS\tEXITCODE\n");
                for state in states {
                    text.push_str(&format!(
                        "{}\t{}\t{}\t{}\t{}\t{}\n",
                        state.pid,
                        state.name,
                        state.status,
                        state.is_ready,
                        state.restarts,
                        state.exit_code
                    ));
                }
                output.print(&text)
            }
            _ => {
                let names = states.iter().map(|state| format!("{}\n", state.name));
                output.print(&names.collect::<String>())
            }
        }
    })
}

pub(super) fn project(place: &Place, output: &Output) -> End {
    show::with_state(place, output, |found, state| {
        let units = &state.snapshot.units;
        let running = units.iter().filter(|unit| has_run(unit.phase)).count();
        let up = u64::try_from(state.now.since_start().as_nanos()).unwrap_or(u64::MAX);
        output.print(&format!(
            "{:#}\n",
            json!({
                "fileNames": [found.record.file],
                "upTime": up,
                "startTime": found.record.started,
                "processNum": units.len(),
                "runningProcessNum": running,
                "version": format!("pk {}", found.record.version),
            })
        ))
    })
}

/// A project is read again from its own files, not from others.
pub(super) fn is_own_file(place: &Place, files: &[PathBuf], output: &Output) -> Result<(), End> {
    let found = reach::found(place, output)?;
    let own = |file: &PathBuf| {
        file.canonicalize()
            .is_ok_and(|file| file == found.record.file)
    };
    match files.iter().find(|file| !own(file)) {
        None => Ok(()),
        Some(other) => {
            let error = format!(
                "this project was started from `{}`, not from `{}`",
                found.record.file.display(),
                other.display()
            );
            output.error(&error, Some("stop it, and start it from the other file"));
            Err(End::Failed)
        }
    }
}

pub(super) fn ports(place: &Place, name: &str, form: Option<&str>, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let known = port.snapshots().borrow().get(name).map(|unit| unit.id);
        let Some(id) = known else {
            output.error(&format!("no process is named `{name}`"), None);
            return Err(End::Failed);
        };
        let all = port.listening().await.map_err(|error| {
            output.error(&error.to_string(), None);
            End::Failed
        })?;
        let own = all.into_iter().filter(|unit| unit.instance == id);
        let mut ports: Vec<u16> = (own.flat_map(|unit| unit.listening))
            .map(|socket| socket.port)
            .collect();
        ports.sort_unstable();
        ports.dedup();
        Ok(ports)
    };
    match reach::block_on(output, work) {
        Ok(ports) if form == Some("json") => output.print(&format!(
            "{:#}\n",
            json!({"name": name, "tcp_ports": ports, "udp_ports": Value::Array(Vec::new())})
        )),
        Ok(ports) => {
            let lines = ports.iter().map(|port| format!("{port}\n"));
            output.print(&lines.collect::<String>())
        }
        Err(end) => end,
    }
}

pub(super) fn send_keys(place: &Place, name: &str, keys: &str, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let known = port.snapshots().borrow().get(name).map(|unit| unit.id);
        let Some(id) = known else {
            output.error(&format!("no process is named `{name}`"), None);
            return Err(End::Failed);
        };
        let typed = Input::Bytes(keys::unescaped(keys).into());
        port.send_input(id, typed).await.map_err(|error| {
            output.error(&format!("{name}: {error}"), None);
            End::Failed
        })
    };
    reach::block_on(output, work).map_or_else(|end| end, |()| End::Fine)
}

/// Which processes are in it is in the file alone.
pub(super) fn namespace(place: &Place, namespace: &Namespace, output: &Output) -> End {
    let request = match stack::request(place) {
        Ok(request) => request,
        Err(error) => {
            output.error(&error, None);
            return End::Failed;
        }
    };
    let loaded = match config::load(&request) {
        Ok(loaded) => loaded,
        Err(report) => {
            output.complain(&report.render(output.err.has_color()));
            return End::Failed;
        }
    };
    let of = |name: &str| {
        let units = loaded.namespaces.iter();
        let members = units.filter(|(_, names)| names.iter().any(|one| one == name));
        members.map(|(unit, _)| unit.as_str().to_owned()).collect()
    };
    let act = |name: &str, ask: fn(Vec<crate::domain::id::UnitName>) -> Command| {
        let units: Vec<String> = of(name);
        if units.is_empty() {
            output.error(&format!("no process is in the namespace `{name}`"), None);
            return End::Failed;
        }
        let units = Units { units, all: false };
        act::act(place, &units, ask, Then::Return, output)
    };
    match namespace {
        Namespace::Start { name } => act(name, Command::Start),
        Namespace::Stop { name } => act(name, Command::Stop),
        Namespace::Restart { name } => act(name, Command::Restart),
        Namespace::List => {
            let names: std::collections::BTreeSet<&String> =
                loaded.namespaces.values().flatten().collect();
            let lines = names.iter().map(|name| format!("{name}\n"));
            output.print(&lines.collect::<String>())
        }
    }
}
