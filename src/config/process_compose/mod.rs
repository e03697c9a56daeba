//! The front end for the files of process-compose.
//!
//! ```text
//!  read (expand ${…}, parse, extends, merge) ─► project ─► process ─► depends ─► link ─► Plan
//! ```
//!
//! It reads what that program reads, by its rules, and says in a warning what a person
//! should know: a key that has no effect, a default that surprises, a quirk that is kept.
//! Where that program's behaviour is a defect, pk does the right thing instead.

mod blocks;
mod depends;
mod expand;
mod fields;
mod functions;
mod logs;
mod merge;
mod policy;
mod probe;
mod process;
mod project;
mod read;
mod template;
mod watch;

use std::path::{Path, PathBuf};

use super::context::Cx;
use super::diagnostic::Diagnostic;
use super::foreign::{Foreign, Read};
use super::lenient_env;
use super::link;
use crate::domain::spec::EnvMap;

/// Reads the files, which lie over each other in this order.
pub(super) fn load(
    paths: &[PathBuf],
    base: &Path,
    foreign: &Foreign,
    cx: &mut Cx<'_>,
) -> Option<Read> {
    let settings: EnvMap = variables(&base.join(".pc_env"), false, cx)
        .into_iter()
        .filter(|(name, _)| !cx.os.contains_key(name))
        .collect();
    let mut dotenv = EnvMap::new();
    if !foreign.no_dotenv {
        if foreign.env_files.is_empty() {
            dotenv = variables(&base.join(".env"), false, cx);
        }
        for file in &foreign.env_files {
            dotenv.extend(variables(&base.join(file), true, cx));
        }
    }
    let mut known = settings.clone();
    known.extend(dotenv.clone());
    let top = read::read(paths, &known, cx)?;
    let inputs = project::Inputs {
        base: base.to_owned(),
        dotenv,
        settings,
        shell: super::default_shell(cx.os),
        foreign,
    };
    let units = project::units(&top, inputs, cx)?;
    let plan = link::link(&units.name, units.units, cx);
    Some(Read {
        plan: plan?,
        env_commands: units.env_commands,
        namespaces: units.namespaces,
    })
}

fn variables(path: &Path, named: bool, cx: &mut Cx<'_>) -> EnvMap {
    // Not among the sources: the first of those is the main file.
    match std::fs::read_to_string(path) {
        Ok(text) => lenient_env::parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => EnvMap::new(),
        Err(error) => {
            let shown = cx.sources.show(path);
            cx.say(Diagnostic::file(format!(
                "the env file `{shown}` cannot be read: {error}"
            )));
            EnvMap::new()
        }
    }
}
