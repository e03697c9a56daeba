//! The tools that look.

use std::collections::HashMap;

use super::super::log_args::Logs as LogArgs;
use super::super::log_query::Query;
use super::super::{names, reach};
use super::answer::{Answer, Refusal, bounded};
use super::lines::{self, Wanted};
use super::tools::{Explain, List, Logs, Search};
use crate::cli::args::Place;
use crate::cli::resolve::Mistake;
use crate::control::Found;
use crate::control::protocol::State;
use crate::control::wire::{self, WireError};
use crate::domain::explain;
use crate::domain::id::InstanceId;
use crate::domain::listening::UnitPorts;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::UnitKind;
use crate::domain::text::short_duration;

/// The stack that runs.
pub(super) fn found(place: &Place) -> Result<Found, Refusal> {
    let unclear = |error: reach::Unclear| Refusal::new(error.what, error.help.as_deref());
    match reach::pick(place).map_err(unclear)? {
        Some(found) => Ok(found),
        None => {
            let folder = reach::folder_of(place).map_err(unclear)?;
            Err(Refusal::new(
                format!("no stack of {} is running", folder.display()),
                Some("`pk up -d` in that folder starts it, `pk down` stops it"),
            ))
        }
    }
}

pub(super) fn unheard(error: &WireError) -> Refusal {
    match error {
        WireError::Gone => Refusal::new(
            "the stack has just ended",
            Some("`pk up -d` starts it again, `pk logs` shows what it wrote"),
        ),
        WireError::Refused(problem) => Refusal::new(&problem.message, problem.hint.as_deref()),
        WireError::Silent | WireError::Garbled(_) => Refusal::new(error.to_string(), None),
    }
}

pub(super) fn mistaken(mistake: &Mistake) -> Refusal {
    Refusal::new(&mistake.what, mistake.help.as_deref())
}

pub(super) async fn state(found: &Found) -> Result<State, Refusal> {
    let state = wire::get(&found.socket, "/v1/state").await;
    state.map_err(|error| unheard(&error))
}

fn units<'a>(asked: &[String], state: &'a State) -> Result<Vec<&'a UnitView>, Refusal> {
    let all = state.snapshot.units.iter().map(|unit| &**unit);
    if asked.is_empty() {
        return Ok(all.collect());
    }
    let names = names::each(asked, &state.snapshot).map_err(|mistake| mistaken(&mistake))?;
    Ok(all
        .filter(|unit| names.contains(&unit.name) || names.contains(&unit.unit))
        .collect())
}

pub(super) async fn list(place: &Place, list: List) -> Answer {
    let found = found(place)?;
    let state = state(&found).await?;
    // It may have ended meanwhile: then nobody listens.
    let ports: Result<Vec<UnitPorts>, _> = wire::get(&found.socket, "/v1/ports").await;
    let ports: HashMap<InstanceId, UnitPorts> = ports
        .unwrap_or_default()
        .into_iter()
        .map(|ports| (ports.instance, ports))
        .collect();
    let units = units(&list.units, &state)?;
    let record = &found.record;
    let head = format!(
        "{}: {} of {} units, from {}",
        record.name,
        units.len(),
        state.snapshot.units.len(),
        record.file.display()
    );
    let rows = units.into_iter().map(|unit| {
        let kind = match unit.kind {
            UnitKind::Service => "service",
            UnitKind::Task => "task",
        };
        let mut more = Vec::new();
        if let Some(pid) = unit.pid {
            more.push(format!("pid {pid}"));
        }
        if unit.phase != PhaseName::Idle {
            let since = state.now.since(unit.since);
            more.push(format!("for {}", short_duration(since)));
        }
        if unit.restarts > 0 {
            more.push(format!("restarted {} times", unit.restarts));
        }
        if let Some(ports) = ports.get(&unit.id) {
            let mut numbers: Vec<u16> = ports.listening.iter().map(|one| one.port).collect();
            numbers.dedup();
            let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
            if !numbers.is_empty() {
                more.push(format!("listens on {}", numbers.join(", ")));
            }
        }
        let more = match &more[..] {
            [] => String::new(),
            more => format!(" ({})", more.join(", ")),
        };
        format!("{} [{kind}]: {}{more}", unit.name, unit.status)
    });
    Ok(bounded(
        std::iter::once(head).chain(rows),
        "name the units that you want",
    ))
}

pub(super) async fn explain(place: &Place, asked: Explain) -> Answer {
    let found = found(place)?;
    let state = state(&found).await?;
    let asked: Vec<String> = asked.unit.into_iter().collect();
    let units = units(&asked, &state)?;
    // What is said of a time is said of now, not of the last event.
    let mut snapshot = state.snapshot.clone();
    snapshot.at = state.now;
    let pages = units.iter().flat_map(|unit| {
        let page = explain::explain(unit, &snapshot).into_iter().enumerate();
        page.map(|(place, line)| match place {
            0 => line,
            _ => format!("  {line}"),
        })
        .collect::<Vec<_>>()
    });
    Ok(bounded(pages, "name the unit that you want"))
}

pub(super) async fn logs(place: &Place, asked: Logs) -> Answer {
    let args = LogArgs {
        since: asked.since,
        until: asked.until,
        stream: asked.stream,
        level: asked.level,
        ..LogArgs::default()
    };
    of(place, &asked.units, &args, asked.last).await
}

pub(super) async fn search(place: &Place, asked: Search) -> Answer {
    let args = LogArgs {
        grep: Some(asked.pattern),
        ignore_case: asked.ignore_case,
        since: asked.since,
        until: asked.until,
        stream: asked.stream,
        level: asked.level,
        ..LogArgs::default()
    };
    of(place, &asked.units, &args, asked.last).await
}

async fn of(place: &Place, units: &[String], args: &LogArgs, last: Option<u32>) -> Answer {
    let query = Query::new(args).map_err(|message| {
        // The words of the command line are not those of the tools.
        Refusal::new(message.replace("--grep ", "pattern "), None)
    })?;
    let found = found(place)?;
    let state = state(&found).await?;
    let wanted = Wanted {
        units: units.to_vec(),
        query,
        last: lines::count(last)?,
    };
    lines::newest(&found, &state, wanted).await
}
