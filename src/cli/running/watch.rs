//! `pk watch`: what is watched, what would count, pause and resume.

use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use super::args::{Form, Watch, WatchStatus, WatchUnits, WatchWhy};
use super::show::json;
use super::{act, names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::inspect::plural;
use crate::cli::output::Output;
use crate::control::{
    Backend, ControlPort, Found, PathStatus, PortError, RemotePort, UnitWatch, Why,
};
use crate::domain::event::Command;
use crate::domain::id::UnitName;
use crate::domain::snapshot::{Snapshot, UnitView, WatchView};
use crate::domain::text::{format_duration, short_duration};
use crate::domain::time::Instant;
use crate::domain::watch::Reaction;

pub fn watch(place: &Place, watch: &Watch, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    match watch {
        Watch::Status(args) => status(&found, args, output),
        Watch::Why(args) => why(&found, args, output),
        Watch::Pause(args) => steer(&found, args, Command::PauseWatch, output),
        Watch::Resume(args) => steer(&found, args, Command::ResumeWatch, output),
    }
}

fn steer(
    found: &Found,
    args: &WatchUnits,
    command: impl FnOnce(Vec<UnitName>) -> Command,
    output: &Output,
) -> End {
    let work = async {
        let port = reach::port(found, output).await?;
        let snapshot = port.snapshots().borrow().clone();
        let names = units(&args.units, &snapshot, output)?;
        act::ask(&port, command(names), output).await?;
        Ok(End::Fine)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// The units, not their instances, that are meant.
fn units(asked: &[String], snapshot: &Snapshot, output: &Output) -> Result<Vec<UnitName>, End> {
    let named = names::each(asked, snapshot).map_err(|mistake| {
        output.error(&mistake.what, mistake.help.as_deref());
        End::NotThere
    })?;
    let mut units: Vec<UnitName> = Vec::new();
    for unit in names::instances(&named, snapshot) {
        if !units.contains(&unit.unit) {
            units.push(unit.unit.clone());
        }
    }
    Ok(units)
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    watched: &'a UnitWatch,
    state: Option<&'a WatchView>,
}

fn status(found: &Found, args: &WatchStatus, output: &Output) -> End {
    let work = async {
        let port = reach::port(found, output).await?;
        let snapshot = port.snapshots().borrow().clone();
        let asked: Vec<String> = args.unit.clone().into_iter().collect();
        let units = units(&asked, &snapshot, output)?;
        if let Some(unit) = units.first()
            && view_of(&snapshot, unit).is_none_or(|view| view.watch.is_none())
        {
            output.error(&format!("`{unit}` watches no files"), None);
            return Err(End::NotThere);
        }
        let all = answered(port.watched(units).await, output)?;
        let shown: Vec<Shown<'_>> = (all.iter())
            .map(|watched| Shown {
                watched,
                state: view_of(&snapshot, &watched.unit).and_then(|view| view.watch.as_ref()),
            })
            .collect();
        if args.output == Form::Json {
            return Ok(json(&shown, output));
        }
        if shown.is_empty() {
            output.note("no unit watches files now");
            return Ok(End::Fine);
        }
        let text: String = (shown.iter())
            .map(|shown| page(shown, port.now()))
            .collect();
        Ok(output.print(&text))
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

fn view_of<'a>(snapshot: &'a Snapshot, unit: &UnitName) -> Option<&'a UnitView> {
    let of = |view: &&std::sync::Arc<UnitView>| view.unit == *unit;
    snapshot.units.iter().find(of).map(|view| &**view)
}

fn page(shown: &Shown<'_>, now: Instant) -> String {
    let UnitWatch {
        unit,
        watches,
        paths,
    } = shown.watched;
    let mut lines = vec![format!("{unit}: {} watched", plural(*watches, "folder"))];
    for path in paths {
        lines.extend(path_lines(path));
    }
    let Some(state) = shown.state else {
        return lines.join("\n") + "\n";
    };
    match &state.last {
        Some(last) => {
            let ago = short_duration(now.since(last.at));
            let done = match last.reaction {
                Reaction::Restart | Reaction::Read => "restarted".to_owned(),
                Reaction::Signal(signal) => format!("sent {signal}"),
                Reaction::Build | Reaction::BuildAnew => "built".to_owned(),
                Reaction::Held | Reaction::PutOff => "held".to_owned(),
            };
            lines.push(format!("  last: {} changed {ago} ago: {done}", last.files));
        }
        None => lines.push("  last: nothing has changed yet".to_owned()),
    }
    if let Some(files) = &state.building {
        lines.push(format!("  builds, as {files} changed"));
    }
    if let Some(failure) = &state.build_failure {
        lines.push(format!(
            "  the last build failed ({}): what runs is from before {} changed",
            failure.failure, failure.files
        ));
    }
    if state.paused {
        lines.push("  paused: `pk watch resume` lets it go on".to_owned());
    }
    for path in &state.muted {
        lines.push(format!(
            "  ignores {path}: it changed after each start, so the unit writes it itself"
        ));
    }
    lines.join("\n") + "\n"
}

fn path_lines(status: &PathStatus) -> Vec<String> {
    let path = &status.path;
    let mut lines = vec![if status.missing {
        format!("  {path}: not there yet")
    } else if status.folders == 0 {
        format!("  {path}: a file")
    } else {
        format!(
            "  {path}: {} in {}",
            plural(status.files, "file"),
            plural(status.folders, "folder")
        )
    }];
    if let Backend::Polling { every_ms, why } = &status.backend {
        let every = format_duration(std::time::Duration::from_millis(*every_ms));
        lines.push(format!("    looked at every {every}: {why}"));
    }
    const SHOWN: usize = 8;
    for ignored in status.ignored.iter().take(SHOWN) {
        lines.push(format!(
            "    left out: {} by {}",
            ignored.count, ignored.rule
        ));
    }
    if status.ignored.len() > SHOWN {
        let more = status.ignored.len() - SHOWN;
        lines.push(format!("    left out: more, by {}", plural(more, "rule")));
    }
    for unreadable in &status.unreadable {
        lines.push(format!("    cannot be read: {unreadable}"));
    }
    lines
}

fn why(found: &Found, args: &WatchWhy, output: &Output) -> End {
    let path = match absolute(&args.path) {
        Ok(path) => path,
        Err(error) => {
            output.error(&format!("cannot tell which file is meant: {error}"), None);
            return End::Failed;
        }
    };
    let work = async {
        let port: RemotePort = reach::port(found, output).await?;
        let why = answered(port.why_watched(path).await, output)?;
        if args.output == Form::Json {
            return Ok(json(&why, output));
        }
        let snapshot = port.snapshots().borrow().clone();
        if why.units.is_empty() {
            output.note("no unit watches files now");
            return Ok(End::Fine);
        }
        Ok(output.print(&why_text(&why, &snapshot)))
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

fn why_text(why: &Why, snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for one in &why.units {
        let state = view_of(snapshot, &one.unit).and_then(|view| view.watch.as_ref());
        let verdict = if one.counts {
            "counts"
        } else {
            "does not count"
        };
        text.push_str(&format!(
            "{}: {} {verdict}: {}",
            one.unit, why.path, one.rule
        ));
        if let Some(state) = state.filter(|_| one.counts) {
            if state.muted.contains(&why.path) {
                text.push_str("; but it is ignored, as the unit writes it itself");
            } else if state.paused {
                text.push_str("; but the watch is paused");
            }
        }
        text.push('\n');
    }
    text
}

/// From where the person stands, without `.` and `..`.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let whole = std::env::current_dir()?.join(path);
    let mut tidy = PathBuf::new();
    for part in whole.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                tidy.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => tidy.push(part),
        }
    }
    Ok(tidy)
}

/// What went wrong on the way is said.
fn answered<T>(answer: Result<T, PortError>, output: &Output) -> Result<T, End> {
    answer.map_err(|error| match error {
        PortError::Gone => {
            output.error("the stack has just ended", None);
            End::NotThere
        }
        PortError::Unsupported | PortError::Refused(_) => {
            output.error(&error.to_string(), None);
            End::Failed
        }
    })
}
