//! From the place that was given to the loaded file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::Place;
use super::exit::End;
use super::output::{Output, reason};
use crate::config::foreign::Foreign;
use crate::config::{self, Loaded, Report, Request};
use crate::domain::plan::Plan;
use crate::supervisor::AutoPorts;

/// Loads the file and shows its warnings, or shows every error.
pub fn load(place: &Place, output: &Output) -> Result<Loaded, End> {
    load_with(place, &Foreign::default(), None, output)
}

/// The same, with what was said of files of other tools, and who picks ports for what is to
/// run here.
pub fn load_with(
    place: &Place,
    foreign: &Foreign,
    ports: Option<&AutoPorts>,
    output: &Output,
) -> Result<Loaded, End> {
    let loaded = load_quietly(place, foreign, ports, output)?;
    if !loaded.warnings.is_empty() {
        let color = output.err.has_color();
        let warnings = config::diagnostic::render(&loaded.warnings, &loaded.sources, color);
        output.complain(&warnings);
    }
    Ok(loaded)
}

/// Loads the file again whose warnings were shown.
pub fn load_quietly(
    place: &Place,
    foreign: &Foreign,
    ports: Option<&AutoPorts>,
    output: &Output,
) -> Result<Loaded, End> {
    let request = asked(place, output)?;
    let read = match ports {
        Some(ports) => load_to_run(&request, foreign, ports),
        None => config::load_with(&request, foreign),
    };
    read.map_err(|report| {
        output.complain(&render(&report, output));
        End::Usage
    })
}

/// Loads what is to run, with the numbers that `ports` picks.
pub fn load_to_run(
    request: &Request,
    foreign: &Foreign,
    ports: &AutoPorts,
) -> Result<Loaded, Report> {
    let pick = |unit: &str, port: &str| ports.pick(unit, port);
    config::load_to_run(request, foreign, &pick)
}

/// Who picks the ports of the stack at that place.
pub fn ports_of(place: &Place, output: &Output) -> Result<Arc<AutoPorts>, End> {
    let folder = checkout(&asked(place, output)?);
    Ok(Arc::new(AutoPorts::new(&folder)))
}

fn asked(place: &Place, output: &Output) -> Result<Request, End> {
    request(place).map_err(|message| {
        output.error(&message, None);
        End::Usage
    })
}

/// The folder of the main file, from wherever it is looked for.
fn checkout(request: &Request) -> PathBuf {
    let file = match request.files.first() {
        Some(file) => Some(request.folder.join(file)),
        None => config::discover::discover(&request.folder)
            .ok()
            .map(|found| found.taken),
    };
    let folder = file
        .as_deref()
        .and_then(Path::parent)
        .unwrap_or(&request.folder);
    folder.canonicalize().unwrap_or_else(|_| folder.to_owned())
}

/// All diagnostics and how many errors they are.
fn render(report: &Report, output: &Output) -> String {
    let errors = report.errors().count();
    let mut text = report.render(output.err.has_color());
    if errors > 1 {
        text.push_str(&format!("{errors} errors\n"));
    }
    text
}

/// Loads the plan again; what is wrong comes back in one line.
///
/// # Errors
/// The file cannot be read, has a mistake, or asks for what this version does not do.
pub fn plan_of(place: &Place) -> Result<Plan, String> {
    let loaded = config::load(&request(place)?).map_err(|report| {
        let mut errors = report.errors();
        let first = errors
            .next()
            .map_or_else(String::new, |error| error.message.clone());
        match errors.count() {
            0 => format!("{first}; `pk check` shows where"),
            more => format!("{first}, and {more} more; `pk check` shows them"),
        }
    })?;
    Ok(loaded.plan)
}

/// What is to be loaded from that place, by this process.
pub fn request(place: &Place) -> Result<Request, String> {
    let folder = folder(place)?;
    let mut environment = BTreeMap::new();
    let mut unreadable = BTreeSet::new();
    for (name, value) in std::env::vars_os() {
        // A name that is not text cannot be written in the file.
        let Ok(name) = name.into_string() else {
            continue;
        };
        match value.into_string() {
            Ok(value) => {
                environment.insert(name, value);
            }
            Err(_) => {
                unreadable.insert(name);
            }
        }
    }
    Ok(Request {
        folder,
        files: place.files.clone(),
        environment,
        unreadable,
    })
}

/// Where pk looks from.
pub fn folder(place: &Place) -> Result<PathBuf, String> {
    let here = match std::env::current_dir() {
        Ok(here) => here,
        // A folder that is gone is no hindrance where nothing is relative to it.
        Err(_) if is_absolute(place) => PathBuf::from("/"),
        Err(error) => {
            let error = reason(&error);
            return Err(format!("cannot tell the current folder: {error}"));
        }
    };
    let Some(directory) = &place.directory else {
        return Ok(here);
    };
    let folder = here.join(directory);
    let cannot = |error: &dyn std::fmt::Display| {
        format!("cannot use the folder `{}`: {error}", directory.display())
    };
    let metadata = std::fs::metadata(&folder).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            cannot(&"it does not exist")
        } else {
            cannot(&reason(&error))
        }
    })?;
    if !metadata.is_dir() {
        return Err(cannot(&"it is a file; name a file with `-f`"));
    }
    Ok(folder)
}

/// Whether the place is the same wherever pk is started.
fn is_absolute(place: &Place) -> bool {
    let files = &place.files;
    let directory = place.directory.as_deref();
    directory.is_some_and(Path::is_absolute)
        || (directory.is_none() && !files.is_empty() && files.iter().all(|f| f.is_absolute()))
}

/// The main file as messages name it.
#[must_use]
pub fn main_file(loaded: &Loaded) -> String {
    let first = loaded.sources.iter().next();
    first.map_or_else(String::new, |file| file.shown().to_owned())
}

/// What to say of files that were there and not taken.
#[must_use]
pub fn passed_over(loaded: &Loaded) -> Option<String> {
    let names: Vec<String> = loaded
        .passed_over
        .iter()
        .map(|path| format!("`{}`", file_name(path)))
        .collect();
    (!names.is_empty()).then(|| {
        format!(
            "took `{}`, not {}; `-f FILE` takes another one",
            main_file(loaded),
            names.join(", ")
        )
    })
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}
