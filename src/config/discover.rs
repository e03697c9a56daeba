//! Finds the configuration of a folder.

use std::path::{Path, PathBuf};

/// The names of pk's own file, in the order in which they are looked for.
pub const NAMES: [&str; 2] = ["pk.yaml", "pk.yml"];

/// Files of other tools that say the same and cannot be read yet.
const FOREIGN: [&str; 8] = [
    "process-compose.yaml",
    "process-compose.yml",
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "Procfile.dev",
    "Procfile",
];

/// A whole file, for messages.
pub const MINIMAL: &str = "services:\n  web:\n    command: python3 -m http.server 8000";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub taken: PathBuf,
    /// Others in the same folder that might have been meant.
    pub passed_over: Vec<PathBuf>,
}

/// There is no file to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error(
        "no `pk.yaml` in `{}` or a folder above it",
        .folder.display()
    )]
    Nothing { folder: PathBuf },
    #[error("`{}` is a folder, not a file", .folder.display())]
    Folder { folder: PathBuf },
    #[error(
        "no `pk.yaml`; there is `{}`, but this version of pk reads `pk.yaml` alone",
        .file.display()
    )]
    Foreign { file: PathBuf },
}

/// Looks for a configuration in `folder`, which should be absolute, and then in each folder
/// above it.
pub fn discover(folder: &Path) -> Result<Found, NotFound> {
    let (mut foreign, mut named) = (None, None);
    for candidate in folder.ancestors() {
        let here = |names: &[&str]| -> Vec<PathBuf> {
            let paths = names.iter().map(|name| candidate.join(name));
            paths.filter(|path| path.is_file()).collect()
        };
        let mut own = here(&NAMES).into_iter();
        let others = here(&FOREIGN);
        if let Some(taken) = own.next() {
            return Ok(Found {
                taken,
                passed_over: own.chain(others).collect(),
            });
        }
        foreign = foreign.or_else(|| others.into_iter().next());
        let mut paths = NAMES.iter().map(|name| candidate.join(name));
        named = named.or_else(|| paths.find(|path| path.is_dir()));
    }
    Err(match (foreign, named) {
        (_, Some(folder)) => NotFound::Folder { folder },
        (Some(file), None) => NotFound::Foreign { file },
        (None, None) => NotFound::Nothing {
            folder: folder.to_owned(),
        },
    })
}
