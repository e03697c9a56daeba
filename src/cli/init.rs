//! `pk init`: writes the first file of a project, and never over one.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use super::args::{Init, Place};
use super::convert;
use super::exit::End;
use super::output::{Output, reason};
use super::stack;
use crate::config::discover::{self, NAMES};
use crate::config::foreign::Format;
use crate::config::starter::{Project, Starter, starter};

/// Of docker compose, in the order in which it looks for them itself.
const DOCKER: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];

/// What a lock file says of who made it.
const RUNNERS: [(&str, &str); 4] = [
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("bun.lock", "bun"),
    ("bun.lockb", "bun"),
];

pub fn init(place: &Place, args: &Init, output: &Output) -> End {
    let folder = match stack::folder(place) {
        Ok(folder) => folder,
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    };
    if !place.files.is_empty() {
        output.error(
            "`init` looks for itself what there is",
            Some("`pk convert FILE -o pk.yaml` converts a file"),
        );
        return End::Usage;
    }
    if let Some(name) = NAMES.iter().find(|name| folder.join(name).exists())
        && !args.print
    {
        output.error(
            &format!("there is a `{name}` already, which stays as it is"),
            Some("`pk check` looks for mistakes in it; `pk init --print` shows another one"),
        );
        return End::Failed;
    }
    let Starter { text, from, notes } = match converted(place, &folder, output) {
        Ok(Some(starter)) => starter,
        Ok(None) => starter(&project(&folder)),
        Err(end) => return end,
    };
    for note in notes {
        output.note(&note);
    }
    if args.print {
        return output.print(&text);
    }
    // It may hold what the other file keeps from other people: only where it is not there.
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(folder.join(NAMES[0]))
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            let from = match from.is_empty() {
                true => "one to begin with".to_owned(),
                false => format!("from {}", from.join(" and ")),
            };
            output.note(&format!("wrote {}, {from}; `pk up` runs it", NAMES[0]));
            End::Fine
        }
        Err(error) => {
            let error = reason(&error);
            output.error(&format!("cannot write `{}`: {error}", NAMES[0]), None);
            End::Failed
        }
    }
}

/// From a file in this folder that pk reads as it is: the equivalent one.
fn converted(place: &Place, folder: &Path, output: &Output) -> Result<Option<Starter>, End> {
    let Ok(found) = discover::discover(folder) else {
        return Ok(None);
    };
    // One of a folder above is another project's.
    let is_here = found.taken.parent() == Some(folder);
    if found.format == Format::Native || !is_here {
        return Ok(None);
    }
    let mut place = place.clone();
    place.directory = Some(folder.to_owned());
    let (text, from) = convert::native(&place, folder, output)?;
    Ok(Some(Starter {
        text,
        from: vec![from],
        notes: Vec::new(),
    }))
}

fn project(folder: &Path) -> Project {
    let read = |name: &str| match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        // Said as what it is not: it has no text.
        Err(_) => Some(String::new()),
    };
    let docker = DOCKER
        .iter()
        .find_map(|name| Some(((*name).to_owned(), read(name)?)));
    let runner = RUNNERS.iter().find(|(lock, _)| folder.join(lock).exists());
    Project {
        docker,
        package: read("package.json"),
        package_runner: runner.map_or("npm", |(_, runner)| runner),
    }
}
