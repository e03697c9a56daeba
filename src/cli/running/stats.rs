//! The command that shows what the runs use: `stats`.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;

use super::args::{Form, StatsArgs};
use super::table::{Cell, Table};
use super::{names, reach, show};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::cli::style::Painter;
use crate::control::{ControlPort as _, Record, RemotePort};
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::{RunStats, StackStats};
use crate::domain::text::short_duration;
use crate::domain::time::Instant;

pub fn stats(place: &Place, args: &StatsArgs, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let asked = asked(args, &port.snapshots().borrow(), output)?;
        let looking = Looking {
            stats: port.stats(),
            asked,
            port: &port,
        };
        if args.output == Form::Text && output.terminal && !args.once {
            live(looking, output).await
        } else {
            once(looking, &found.record, args.output, output).await
        }
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// The units that are to be shown; `None`: all, also those to come.
fn asked(
    args: &StatsArgs,
    snapshot: &Snapshot,
    output: &Output,
) -> Result<Option<Vec<UnitName>>, End> {
    if args.units.is_empty() {
        return Ok(None);
    }
    let names = names::each(&args.units, snapshot).map_err(|mistake| {
        output.error(&mistake.what, mistake.help.as_deref());
        End::NotThere
    })?;
    Ok(Some(names))
}

struct Looking<'a> {
    stats: watch::Receiver<Arc<StackStats>>,
    asked: Option<Vec<UnitName>>,
    port: &'a RemotePort,
}

impl Looking<'_> {
    /// The next sample of those that are asked for; `None`: the stack has ended.
    async fn next(&mut self) -> Option<Sample> {
        let mut snapshots = self.port.snapshots();
        tokio::select! {
            changed = self.stats.changed() => changed.ok()?,
            _ = snapshots.wait_for(|last| last.verdict.is_some()) => return None,
        }
        let mut stats = StackStats::clone(&self.stats.borrow_and_update());
        if let Some(names) = &self.asked {
            let snapshot = Arc::clone(&snapshots.borrow());
            let shown: Vec<InstanceId> = names::instances(names, &snapshot)
                .map(|unit| unit.id)
                .collect();
            stats.runs.retain(|run| shown.contains(&run.instance));
        }
        // Of a stack that is just ending nobody listens any more.
        let ports = self.port.listening().await.unwrap_or_default();
        Some(Sample { stats, ports })
    }
}

/// What the runs use, and where their processes listen.
struct Sample {
    stats: StackStats,
    ports: Vec<UnitPorts>,
}

impl Sample {
    fn listening(&self, run: &RunStats) -> &[ListeningPort] {
        show::listening(run.instance, &self.ports)
    }
}

/// The second sample: a rate takes two.
async fn once(
    mut looking: Looking<'_>,
    record: &Record,
    form: Form,
    output: &Output,
) -> Result<End, End> {
    let first = looking.next().await;
    let last = match looking.next().await {
        Some(second) => Some(second),
        None => first,
    };
    let Some(sample) = last else {
        output.error("the stack has just ended", None);
        return Err(End::NotThere);
    };
    if form == Form::Text {
        return Ok(output.print(&table(&sample, output.out).render()));
    }
    let runs = sample.stats.runs.iter();
    let listed = Listed {
        stack: record,
        at: sample.stats.at,
        runs: runs
            .map(|run| Row {
                run,
                listening: sample.listening(run),
            })
            .collect(),
    };
    match serde_json::to_string_pretty(&listed) {
        Ok(text) => Ok(output.print(&format!("{text}\n"))),
        Err(error) => {
            output.error(&format!("cannot write JSON: {error}"), None);
            Err(End::Failed)
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    stack: &'a Record,
    at: Instant,
    runs: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    run: &'a RunStats,
    /// Where its processes listen.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    listening: &'a [ListeningPort],
}

/// Each sample over the one before, until the stack ends or somebody leaves.
async fn live(mut looking: Looking<'_>, output: &Output) -> Result<End, End> {
    let mut signals = Signals::listen().map_err(|error| {
        output.error(&format!("cannot listen for Ctrl-C: {error}"), None);
        End::Failed
    })?;
    let mut drawn = 0;
    loop {
        let sample = tokio::select! {
            sample = looking.next() => sample,
            _ = signals.next() => return Ok(End::Fine),
        };
        let Some(sample) = sample else {
            output.note("the stack has ended");
            return Ok(End::Fine);
        };
        let rows = rows();
        let text = table(&sample, output.out).render();
        let mut frame = String::new();
        if drawn > 0 {
            // Up to where the last one began, and away with it.
            frame.push_str(&format!("\x1b[{drawn}A\x1b[J"));
        }
        // A line that wraps, or the last row of the terminal, would move what is above it.
        let lines: Vec<&str> = text.lines().take(rows.saturating_sub(1)).collect();
        frame.push_str("\x1b[?7l");
        for line in &lines {
            frame.push_str(line);
            frame.push('\n');
        }
        frame.push_str("\x1b[?7h");
        drawn = lines.len();
        match output.print(&frame) {
            End::Fine => {}
            end => return Ok(end),
        }
    }
}

fn rows() -> usize {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        Ok(size) if size.ws_row > 0 => size.ws_row.into(),
        Ok(_) | Err(_) => 24,
    }
}

fn table(sample: &Sample, painter: Painter) -> Table {
    let head = [
        "NAME", "CPU%", "TIME", "MEMORY", "PEAK", "PROCS", "READ", "WRITTEN", "OOM", "PORTS",
    ];
    let mut table = Table::new(head, painter);
    let none = || "-".to_owned();
    for run in &sample.stats.runs {
        let percent = run.cpu_percent.map(|percent| format!("{percent:.1}"));
        let cells = [
            run.name.to_string(),
            percent.unwrap_or_else(none),
            short_duration(run.cpu_time),
            bytes(run.memory),
            bytes(run.memory_peak),
            run.processes.to_string(),
            run.io.map_or_else(none, |io| bytes(io.read)),
            run.io.map_or_else(none, |io| bytes(io.written)),
            run.oom_kills.map_or_else(none, |kills| kills.to_string()),
            show::numbers(sample.listening(run)),
        ];
        table.row(cells.each_ref().map(|text| Cell::plain(text)));
    }
    table
}

/// A size to be read at a glance: `3.4MiB`.
fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut scaled = bytes as f64;
    while scaled >= 1000.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 || scaled >= 100.0 {
        format!("{scaled:.0}{}", UNITS[unit])
    } else {
        format!("{scaled:.1}{}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_are_short() {
        assert_eq!(bytes(0), "0B");
        assert_eq!(bytes(999), "999B");
        assert_eq!(bytes(1000), "1.0KiB");
        assert_eq!(bytes(3 << 20 | 1 << 19), "3.5MiB");
        assert_eq!(bytes(200 << 20), "200MiB");
        assert_eq!(bytes(u64::MAX), "16777216TiB");
    }
}
