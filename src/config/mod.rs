//! Text into a [`Plan`], or every mistake in it.
//!
//! This floor owns the file: its grammar, its words, its rules, and what is said to a person
//! who broke one. It reads files but spawns nothing, and nothing above it sees a value that
//! was not checked.
//!
//! ```text
//!  discover ─► source ─► parse ─► tree ─► merge ─► decode ─► raw ─► lower ─► link ─► Plan
//!                                          ▲         ▲                │        │
//!                                    include, -f   interpolate,       └── diagnostics
//!                                                  env files
//! ```
//!
//! Every stage reports into one list and goes on with what is right, so that one run shows
//! all mistakes of all files. The stages up to `tree`, interpolation and the diagnostics know
//! nothing of pk's own keys.

pub mod convert;
pub mod diagnostic;
pub mod discover;
pub mod dotenv;
pub mod foreign;
pub mod interpolate;
pub mod merge;
pub mod parse;
pub mod source;
pub mod suggest;
pub mod tree;

mod brackets;
mod context;
mod decode;
mod env_files;
mod files;
mod lenient_env;
mod link;
mod lower;
mod meant;
mod process_compose;
mod procfile;
mod raw;
mod record;
mod render;
mod schema;
mod snippet;
pub mod starter;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use context::Cx;
pub use context::PortPicker;
pub use diagnostic::{Diagnostic, Kind, Report, Severity};
use foreign::{EnvCommand, Foreign, Format, Read};
pub use render::{known_secrets, to_json, to_yaml};
pub use schema::schema;
use source::Sources;

/// What to load.
#[derive(Clone, Debug)]
pub struct Request {
    /// Absolute; a configuration is searched from here upwards, and messages show paths
    /// relative to it.
    pub folder: PathBuf,
    /// Instead of searching: merged in this order, relative to `folder`.
    pub files: Vec<PathBuf>,
    /// The environment of pk itself.
    pub environment: BTreeMap<String, String>,
    /// Variables of that environment whose values are not UTF-8, so that the file cannot
    /// hold them.
    pub unreadable: BTreeSet<String>,
}

/// A configuration without errors.
#[derive(Debug)]
pub struct Loaded {
    /// The name of the stack is [`Plan::name`].
    pub plan: Plan,
    /// The main file's folder.
    pub folder: PathBuf,
    /// Every file that was read, the main one first.
    pub sources: Sources,
    /// In order of place.
    pub warnings: Vec<Diagnostic>,
    /// Files beside the one that was taken, which might have been meant.
    pub passed_over: Vec<PathBuf>,
    pub format: Format,
    /// Commands that give variables, and were not run.
    pub env_commands: Vec<EnvCommand>,
    /// Of a process-compose file: which namespaces each unit is in.
    pub namespaces: BTreeMap<UnitName, Vec<String>>,
}

/// Reads a configuration.
///
/// # Errors
///
/// A [`Report`] of everything that is wrong in any of the files, not of the first thing only.
pub fn load(request: &Request) -> Result<Loaded, Report> {
    load_with(request, &Foreign::default())
}

/// The same, with what the command line says of files of other tools.
///
/// # Errors
///
/// As [`load`].
pub fn load_with(request: &Request, foreign: &Foreign) -> Result<Loaded, Report> {
    read_all(request, foreign, None)
}

/// The same for a stack that is to run: ports that are left to pk get the numbers that
/// `picker` has for them.
///
/// # Errors
///
/// As [`load`].
pub fn load_to_run(
    request: &Request,
    foreign: &Foreign,
    picker: &PortPicker<'_>,
) -> Result<Loaded, Report> {
    read_all(request, foreign, Some(picker))
}

fn read_all(
    request: &Request,
    foreign: &Foreign,
    picker: Option<&PortPicker<'_>>,
) -> Result<Loaded, Report> {
    let mut cx = Cx::new(Sources::new(&request.folder), &request.environment);
    cx.unreadable = Some(&request.unreadable);
    cx.picker = picker;
    let mut format = Format::Native;
    let mut passed_over = Vec::new();
    let mut paths = Vec::new();
    if request.files.is_empty() {
        match discover::discover(&request.folder) {
            Ok(found) => {
                format = found.format;
                passed_over = found.passed_over;
                paths.push(found.taken);
                paths.extend(found.over);
            }
            Err(error) => {
                cx.say(Diagnostic::file(error.to_string()).help(error.help()));
            }
        }
    } else {
        let joined = request.files.iter().map(|file| request.folder.join(file));
        paths.extend(joined.map(|path| lower::paths::tidy(&path)));
        let formats = paths.iter().map(|path| foreign::format_of(path));
        format = formats
            .reduce(|a, b| if a == Format::Native { b } else { a })
            .unwrap_or_default();
    }
    let folder = paths
        .first()
        .and_then(|path| path.parent())
        .unwrap_or(&request.folder)
        .to_owned();
    // A named file of another tool is read from where one stands, as that tool does.
    let base = if request.files.is_empty() {
        &folder
    } else {
        &request.folder
    };
    let read = match format {
        _ if paths.is_empty() => None,
        Format::Native => read(&paths, &folder, &mut cx).map(|plan| Read {
            plan,
            env_commands: Vec::new(),
            namespaces: BTreeMap::new(),
        }),
        Format::ProcessCompose => process_compose::load(&paths, base, foreign, &mut cx),
        Format::Procfile => {
            if let Some(more) = paths.get(1) {
                let message = format!("`{}` beside a Procfile", cx.sources.show(more));
                cx.say(Diagnostic::file(message).help("a Procfile is read alone"));
            }
            procfile::load(&paths[0], base, foreign, &mut cx)
        }
    };
    let Cx {
        sources,
        mut diagnostics,
        ..
    } = cx;
    diagnostic::settle(&mut diagnostics);
    match read {
        Some(read) if !diagnostics.iter().any(Diagnostic::is_error) => Ok(Loaded {
            plan: read.plan,
            folder,
            sources,
            warnings: diagnostics,
            passed_over,
            format,
            env_commands: read.env_commands,
            namespaces: read.namespaces,
        }),
        _ => Err(Report {
            diagnostics,
            sources,
        }),
    }
}

fn read(paths: &[PathBuf], folder: &Path, cx: &mut Cx<'_>) -> Option<Plan> {
    let stack = files::read(paths, &default_shell(cx.os), cx)?;
    if stack.units.is_empty() && !cx.diagnostics.iter().any(Diagnostic::is_error) {
        let start = cx.sources.iter().next().map(source::SourceFile::shown);
        let message = format!(
            "`{}` has no services and no tasks",
            start.unwrap_or_default()
        );
        cx.say(Diagnostic::file(message).help(short_file()));
    }
    let mut units = Vec::with_capacity(stack.units.len());
    for unit in &stack.units {
        units.push(lower::unit(unit, cx));
    }
    let name = match &stack.name {
        Some(name) => {
            // It becomes part of paths and of what terminals show.
            if name.trim().is_empty() || name.contains(['/', '\n']) {
                cx.say(
                    Diagnostic::meaning(name.span, "not a name for a stack")
                        .label("expected a word or a few, without `/`"),
                );
            }
            name.value.to_string()
        }
        None => folder.file_name().map_or_else(
            || "stack".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
    };
    link::link(&name, units, cx)
}

fn short_file() -> String {
    format!("a file may be as short as this:\n{}", discover::MINIMAL)
}

/// `bash -c`, or `sh -c` where there is no bash.
fn default_shell(os: &BTreeMap<String, String>) -> Arc<[String]> {
    let path = os.get("PATH").map_or("", String::as_str);
    let bash = std::env::split_paths(path).any(|folder| folder.join("bash").is_file());
    let shell = if bash { "bash" } else { "sh" };
    [shell.to_owned(), "-c".to_owned()].into()
}
