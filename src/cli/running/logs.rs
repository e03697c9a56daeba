//! The commands that print what units wrote and what happened: `logs`, `events`.

use std::io::{self, Write as _};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::args::{Events, Form, Logs};
use super::{names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::plain::{Screen, Story};
use crate::control::protocol::{ChangesPage, Line, LogPage, LogQuery};
use crate::control::wire::{self, EventStream, WireError};
use crate::domain::change::Change;
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::logs::Gap;

/// How long one request waits for a line; then the next one does.
const WAIT: &str = "30s";

pub fn logs(place: &Place, args: &Logs, output: &Output) -> End {
    written(place, args, false, output)
}

/// The same; `raw`: the lines alone, as they were written.
pub fn written(place: &Place, args: &Logs, raw: bool, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let state = reach::state(&found, output).await?;
        let names = names::each(&args.units, &state.snapshot).map_err(|mistake| {
            output.error(&mistake.what, mistake.help.as_deref());
            End::NotThere
        })?;
        let mut lines = Lines {
            screen: screen(&state.snapshot, &names, output),
            form: args.output,
            timestamps: args.timestamps,
            raw,
        };
        let joined: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        let mut query = LogQuery {
            units: (!joined.is_empty()).then(|| joined.join(",")),
            last: args.lines,
            ..LogQuery::default()
        };
        // Without `follow` the last line is the last one that was there at the beginning.
        loop {
            let page: LogPage = match wire::post(&found.socket, "/v1/logs", &query).await {
                Ok(page) => page,
                // Somebody who follows has seen it to its end.
                Err(WireError::Gone) if args.follow => return Ok(End::Fine),
                Err(error) => return Err(reach::failed(&error, output)),
            };
            let empty = page.lines.is_empty() && page.gaps.is_empty();
            if page.ended || (empty && !args.follow) {
                return Ok(End::Fine);
            }
            query = LogQuery {
                cursor: Some(page.cursor.clone()),
                wait: args.follow.then(|| WAIT.to_owned()),
                ..LogQuery::default()
            };
            if write(&lines.write(page)).is_err() {
                return Ok(End::Fine);
            }
        }
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

struct Lines {
    screen: Screen,
    form: Form,
    timestamps: bool,
    raw: bool,
}

impl Lines {
    fn write(&mut self, page: LogPage) -> Vec<u8> {
        let mut out = Vec::new();
        for gap in &page.gaps {
            if self.form == Form::Text {
                self.screen.learn(gap.instance, &gap.unit);
                let missed = Gap {
                    instance: gap.instance,
                    lines: gap.lines,
                };
                self.screen.missed(missed, &mut out);
            }
        }
        for line in page.lines {
            match self.form {
                Form::Text if self.raw => {
                    out.extend_from_slice(line.bytes.as_deref().unwrap_or(line.text.as_bytes()));
                    out.push(b'\n');
                }
                Form::Text => self.text(line, &mut out),
                Form::Json => json(&line, &mut out),
            }
        }
        out
    }

    fn text(&mut self, line: Line, out: &mut Vec<u8>) {
        if self.timestamps {
            let time = line.time.to_zoned(TimeZone::system());
            let time = time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z ").to_string();
            out.extend_from_slice(time.as_bytes());
        }
        self.screen.learn(line.instance, &line.unit);
        self.screen.line(&line.log_line(), out);
    }
}

/// As wide as the names that may come.
fn screen(snapshot: &Snapshot, names: &[UnitName], output: &Output) -> Screen {
    let all = snapshot.units.iter();
    let shown = all.filter(|unit| {
        names.is_empty() || names.contains(&unit.name) || names.contains(&unit.unit)
    });
    let names = shown.map(|unit| unit.name.clone());
    Screen::new(names, output.out, output.terminal, output.look().columns)
}

pub fn events(place: &Place, args: &Events, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let failed = |error: WireError| reach::failed(&error, output);
        let state = reach::state(&found, output).await?;
        let mut told = Told {
            screen: screen(&state.snapshot, &[], output),
            story: story(&state.snapshot),
            form: args.output,
        };
        if !args.follow {
            let page: ChangesPage = wire::get(&found.socket, "/v1/changes?after=start")
                .await
                .map_err(failed)?;
            let mut out = Vec::new();
            for change in &page.changes {
                told.tell(change, &mut out);
            }
            let _ = write(&out);
            return Ok(End::Fine);
        }
        let path = "/v1/changes/stream?after=start";
        let mut stream = EventStream::open(&found.socket, path)
            .await
            .map_err(failed)?;
        while let Some(event) = stream.next().await {
            let mut out = Vec::new();
            match &*event.name {
                "change" => {
                    if let Ok(change) = serde_json::from_str(&event.data) {
                        told.tell(&change, &mut out);
                    }
                }
                "resync" => output.note("some changes were missed"),
                _ => break,
            }
            if write(&out).is_err() {
                break;
            }
        }
        Ok(End::Fine)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

struct Told {
    screen: Screen,
    story: Option<Story>,
    form: Form,
}

impl Told {
    fn tell(&mut self, change: &Change, out: &mut Vec<u8>) {
        match self.form {
            Form::Json => json(change, out),
            Form::Text => {
                if let Some(said) = self.story.as_mut().and_then(|story| story.tell(change)) {
                    self.screen.said(&said, out);
                }
            }
        }
    }
}

/// What is said of a change needs no plan, but for what a unit waits for.
fn story(snapshot: &Snapshot) -> Option<Story> {
    let plan = Plan::new(snapshot.name.clone(), Vec::new()).ok()?;
    let units = snapshot.units.iter().map(|unit| unit.unit.clone());
    Some(Story::new(Arc::new(plan), units.collect()))
}

fn json(value: &impl serde::Serialize, out: &mut Vec<u8>) {
    // What cannot be written would be a mistake in its type; tests hold that.
    if serde_json::to_writer(&mut *out, value).is_ok() {
        out.push(b'\n');
    }
}

/// An error: nobody reads any more.
fn write(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text)?;
    out.flush()
}
