//! `pk convert`.

use std::io::Write as _;
use std::path::Path;

use super::args::{self, Place};
use super::exit::End;
use super::foreign;
use super::output::{Output, reason};
use super::stack;
use crate::config::Loaded;
use crate::config::convert::to_native;
use crate::config::foreign::{Foreign, Format};

pub fn convert(place: &Place, args: &args::Convert, output: &Output) -> End {
    let mut place = place.clone();
    place.files.extend(args.file.clone());
    let loaded = match foreign::load(&place, &foreign::meant(&args.foreign), None, output) {
        Ok(loaded) => loaded,
        Err(end) => return end,
    };
    if loaded.format == Format::Native {
        output.error(
            &format!("`{}` is a file of pk already", stack::main_file(&loaded)),
            Some("name a process-compose file or a Procfile"),
        );
        return End::Usage;
    }
    let folder = match stack::folder(&place) {
        Ok(here) if !place.files.is_empty() => here,
        _ => loaded.folder.clone(),
    };
    // Paths in it start from where it stands.
    let folder = match args.output.as_ref().and_then(|file| file.parent()) {
        Some(parent) => folder.join(parent),
        None => folder,
    };
    let text = to_native(&loaded.plan, &folder, &notes(&loaded));
    let Some(file) = &args.output else {
        return output.print(&text);
    };
    let path = match stack::folder(&place) {
        Ok(here) => here.join(file),
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    };
    // It may hold what the other file keeps from other people.
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => {
            output.note(&format!("wrote {}", file.display()));
            End::Fine
        }
        Err(error) => {
            let help = (error.kind() == std::io::ErrorKind::AlreadyExists)
                .then_some("remove it first, or name another file");
            let error = reason(&error);
            output.error(&format!("cannot write `{}`: {error}", file.display()), help);
            End::Failed
        }
    }
}

/// The file of another tool at that place as one of pk in `folder`, and its name.
pub fn native(place: &Place, folder: &Path, output: &Output) -> Result<(String, String), End> {
    let loaded = foreign::load(place, &Foreign::default(), None, output)?;
    let text = to_native(&loaded.plan, folder, &notes(&loaded));
    Ok((text, stack::main_file(&loaded)))
}

/// What the new file cannot say, or says for this environment alone.
fn notes(loaded: &Loaded) -> Vec<String> {
    let mut notes = vec![format!("Converted from {}.", stack::main_file(loaded))];
    for command in &loaded.env_commands {
        notes.push(format!(
            "`{}` came from a command (`env_cmds`), which has no equivalent: {}",
            command.name,
            command.argv.last().map_or("", String::as_str)
        ));
    }
    let named = loaded
        .namespaces
        .iter()
        .filter(|(_, names)| names[..] != ["default"]);
    for (unit, names) in named {
        notes.push(format!(
            "`{unit}` was in the namespace {}; `profiles` come near.",
            names.join(", ")
        ));
    }
    for warning in &loaded.warnings {
        let place = warning
            .span()
            .map(|span| format!("{}: ", loaded.sources.place(span)))
            .unwrap_or_default();
        let label = warning.labels.first().map_or("", |label| &label.text);
        notes.push(format!("{place}{} ({label})", warning.message));
    }
    notes
}
