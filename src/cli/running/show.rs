//! The commands that show a running stack: `ps`, `ls`, `explain`.

use serde::Serialize;

use super::args::{Form, Ls, Ps};
use super::table::{Cell, Table};
use super::{names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::style::Painter;
use crate::control::protocol::State;
use crate::control::wire;
use crate::control::{Found, Record};
use crate::domain::explain;
use crate::domain::health::Readiness;
use crate::domain::id::{InstanceId, Revision};
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::domain::text::short_duration;
use crate::domain::time::Instant;

pub fn ps(place: &Place, ps: &Ps, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let state = reach::state(&found, output).await?;
        // It may have ended meanwhile: then nobody listens.
        let ports = wire::get::<Vec<UnitPorts>>(&found.socket, "/v1/ports").await;
        Ok((state, ports.unwrap_or_default()))
    };
    let (state, ports) = match reach::block_on(output, work) {
        Ok(both) => both,
        Err(end) => return end,
    };
    let units = match units(&ps.units, &state) {
        Ok(units) => units,
        Err(mistake) => {
            output.error(&mistake.what, mistake.help.as_deref());
            return End::NotThere;
        }
    };
    match ps.output {
        Form::Text => output.print(&table(&units, &ports, state.now, output.out).render()),
        Form::Json => json(
            &Listed {
                stack: &found.record,
                revision: state.snapshot.revision,
                now: state.now,
                units: units
                    .into_iter()
                    .map(|unit| Row {
                        unit,
                        listening: listening(unit.id, &ports),
                    })
                    .collect(),
            },
            output,
        ),
    }
}

/// Shows the units of the running stack in another way.
pub fn with_state(place: &Place, output: &Output, show: impl FnOnce(&Found, &State) -> End) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    match reach::block_on(output, reach::state(&found, output)) {
        Ok(state) => show(&found, &state),
        Err(end) => end,
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    stack: &'a Record,
    revision: Revision,
    now: Instant,
    units: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    unit: &'a UnitView,
    /// Where its processes listen.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    listening: &'a [ListeningPort],
}

/// Where the processes of an instance listen.
pub fn listening(instance: InstanceId, ports: &[UnitPorts]) -> &[ListeningPort] {
    let own = ports.iter().find(|ports| ports.instance == instance);
    own.map_or(&[], |own| &own.listening)
}

/// The numbers alone, each once; a dash for none.
pub fn numbers(ports: &[ListeningPort]) -> String {
    let mut numbers: Vec<u16> = ports.iter().map(|one| one.port).collect();
    numbers.dedup();
    if numbers.is_empty() {
        return "-".to_owned();
    }
    let words: Vec<String> = numbers.iter().map(u16::to_string).collect();
    words.join(",")
}

fn units<'a>(
    asked: &[String],
    state: &'a State,
) -> Result<Vec<&'a UnitView>, crate::cli::resolve::Mistake> {
    let all = state.snapshot.units.iter().map(|unit| &**unit);
    if asked.is_empty() {
        return Ok(all.collect());
    }
    let names = names::each(asked, &state.snapshot)?;
    Ok(all
        .filter(|unit| names.contains(&unit.name) || names.contains(&unit.unit))
        .collect())
}

fn table(units: &[&UnitView], ports: &[UnitPorts], now: Instant, painter: Painter) -> Table {
    let columns = ["NAME", "PID", "FOR", "RESTARTS", "PORTS", "STATUS"];
    let mut table = Table::new(columns, painter);
    for unit in units {
        let quiet = unit.phase == PhaseName::Idle;
        table.row([
            Cell::plain(unit.name.as_str()),
            Cell::plain(&unit.pid.map_or("-".to_owned(), |pid| pid.to_string())),
            Cell::plain(&if quiet {
                "-".to_owned()
            } else {
                short_duration(now.since(unit.since))
            }),
            Cell::plain(&unit.restarts.to_string()),
            Cell::plain(&numbers(listening(unit.id, ports))),
            Cell::painted(&explain::status_at(unit, now), tone(unit)),
        ]);
    }
    table
}

fn tone(unit: &UnitView) -> fn(Painter, &str) -> String {
    match unit.phase {
        PhaseName::Idle => Painter::dim,
        PhaseName::Running => match unit.readiness {
            Readiness::Ready | Readiness::Unprobed => Painter::good,
            Readiness::Unready => Painter::warning,
            Readiness::Unhealthy => Painter::bad,
        },
        PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Stopping
        | PhaseName::Reaping
        | PhaseName::Backoff => Painter::warning,
        PhaseName::Exited => match unit.outcome {
            Some(Outcome::Completed) => Painter::good,
            Some(Outcome::Failed(_)) => Painter::bad,
            Some(Outcome::Skipped(_)) => Painter::warning,
            Some(Outcome::Stopped) | None => Painter::dim,
        },
    }
}

pub fn ls(ls: &Ls, output: &Output) -> End {
    let all = match reach::all(output) {
        Ok(all) => all,
        Err(end) => return end,
    };
    let records: Vec<&Record> = all.iter().map(|found| &found.record).collect();
    match ls.output {
        Form::Json => json(&records, output),
        Form::Text if records.is_empty() => {
            output.note("no stack is running");
            End::Fine
        }
        Form::Text => {
            let listens = records.iter().any(|record| record.listen.is_some());
            let columns = ["NAME", "PID", "FOR", "LISTEN", "FILE"];
            let shown = |column: &&str| listens || *column != "LISTEN";
            let mut table = Table::new(columns.into_iter().filter(shown), output.out);
            let now = jiff::Timestamp::now();
            for record in records {
                let age = now.duration_since(record.started).unsigned_abs();
                let mut row = vec![
                    Cell::plain(&record.name),
                    Cell::plain(&record.pid.to_string()),
                    Cell::plain(&short_duration(age)),
                ];
                if listens {
                    let address = record.listen.as_ref().map(|listen| listen.address);
                    row.push(Cell::plain(
                        &address.map_or("-".to_owned(), |address| address.to_string()),
                    ));
                }
                row.push(Cell::plain(&record.file.display().to_string()));
                table.row(row);
            }
            output.print(&table.render())
        }
    }
}

/// What is to be said of one unit, or of all, as they are now.
pub fn explain(found: &Found, unit: Option<&str>, form: Form, output: &Output) -> End {
    let state = match reach::block_on(output, reach::state(found, output)) {
        Ok(state) => state,
        Err(end) => return end,
    };
    let asked: Vec<String> = unit.map(str::to_owned).into_iter().collect();
    let units = match units(&asked, &state) {
        Ok(units) => units,
        Err(mistake) => {
            output.error(&mistake.what, mistake.help.as_deref());
            return End::NotThere;
        }
    };
    // What is said of a time is said of now, not of the last event.
    let mut snapshot = state.snapshot.clone();
    snapshot.at = state.now;
    let pages: Vec<Vec<String>> = units
        .iter()
        .map(|unit| explain::explain(unit, &snapshot))
        .collect();
    if form == Form::Json {
        #[derive(Serialize)]
        struct Explained<'a> {
            unit: &'a UnitView,
            explanation: &'a [String],
        }
        let explained: Vec<_> = units
            .iter()
            .zip(&pages)
            .map(|(unit, explanation)| Explained { unit, explanation })
            .collect();
        return json(&explained, output);
    }
    let mut text = String::new();
    for page in pages {
        for (place, line) in page.iter().enumerate() {
            let indent = if place > 0 { "  " } else { "" };
            text.push_str(&format!("{indent}{line}\n"));
        }
    }
    output.print(&text)
}

pub fn json(value: &impl Serialize, output: &Output) -> End {
    match serde_json::to_string_pretty(value) {
        Ok(text) => output.print(&format!("{text}\n")),
        Err(error) => {
            output.error(&format!("cannot write JSON: {error}"), None);
            End::Failed
        }
    }
}
