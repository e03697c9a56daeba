//! Finds the configuration of a folder.

use std::path::{Path, PathBuf};

use super::foreign::{Format, has_processes};

/// The names of pk's own file, in the order in which they are looked for.
pub const NAMES: [&str; 2] = ["pk.yaml", "pk.yml"];

const PROCESS_COMPOSE: [&str; 2] = ["process-compose.yaml", "process-compose.yml"];

/// Of process-compose if they hold `processes`, else of docker.
const COMPOSE: [&str; 2] = ["compose.yaml", "compose.yml"];

const PROCFILES: [&str; 2] = ["Procfile.dev", "Procfile"];

/// Of docker alone.
const DOCKER: [&str; 2] = ["docker-compose.yaml", "docker-compose.yml"];

/// Laid over the file that is found.
const OVERRIDES: [&str; 4] = [
    "process-compose.override.yaml",
    "process-compose.override.yml",
    "compose.override.yaml",
    "compose.override.yml",
];

/// A whole file, for messages.
pub const MINIMAL: &str = "services:\n  web:\n    command: python3 -m http.server 8000";

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub taken: PathBuf,
    pub format: Format,
    /// A file that lies over it.
    pub over: Option<PathBuf>,
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
        "no `pk.yaml`; `{}` is a file of docker compose, which describes containers",
        .file.display()
    )]
    Docker { file: PathBuf },
}

impl NotFound {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Docker { .. } => format!(
                "pk runs commands: let one unit be `docker compose up`, or write those that \
                 develop it as services of their own:\n{MINIMAL}"
            ),
            Self::Nothing { .. } | Self::Folder { .. } => super::short_file(),
        }
    }
}

/// Looks for a configuration in `folder`, which should be absolute, and then in each folder
/// above it.
pub fn discover(folder: &Path) -> Result<Found, NotFound> {
    let (mut docker, mut named) = (None, None);
    for candidate in folder.ancestors() {
        let here = |names: &[&str]| -> Vec<PathBuf> {
            let paths = names.iter().map(|name| candidate.join(name));
            paths.filter(|path| path.is_file()).collect()
        };
        let (ours, theirs): (Vec<PathBuf>, Vec<PathBuf>) = here(&COMPOSE)
            .into_iter()
            .partition(|path| has_processes(path));
        let mut all = Vec::new();
        let kinds = [
            (here(&NAMES), Format::Native),
            (here(&PROCESS_COMPOSE), Format::ProcessCompose),
            (ours, Format::ProcessCompose),
            (here(&PROCFILES), Format::Procfile),
        ];
        for (paths, format) in kinds {
            all.extend(paths.into_iter().map(|path| (path, format)));
        }
        let containers: Vec<PathBuf> = theirs.into_iter().chain(here(&DOCKER)).collect();
        let mut all = all.into_iter();
        if let Some((taken, format)) = all.next() {
            let over = (format == Format::ProcessCompose)
                .then(|| here(&OVERRIDES))
                .and_then(|paths| {
                    paths.into_iter().find(|path| {
                        let name = path.file_name().unwrap_or_default().to_string_lossy();
                        name.starts_with("process-compose") || has_processes(path)
                    })
                });
            // With a file of pk's own it is plain which one is meant.
            return Ok(Found {
                taken,
                format,
                over,
                passed_over: all.map(|(path, _)| path).chain(containers).collect(),
            });
        }
        docker = docker.or_else(|| containers.into_iter().next());
        let mut paths = NAMES.iter().map(|name| candidate.join(name));
        named = named.or_else(|| paths.find(|path| path.is_dir()));
    }
    Err(match (docker, named) {
        (_, Some(folder)) => NotFound::Folder { folder },
        (Some(file), None) => NotFound::Docker { file },
        (None, None) => NotFound::Nothing {
            folder: folder.to_owned(),
        },
    })
}
