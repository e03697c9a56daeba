//! What files of other tools need beside their text, and what they give beside the plan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::domain::id::UnitName;
use crate::domain::plan::Plan;

/// Whose file it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// pk's own.
    #[default]
    Native,
    ProcessCompose,
    Procfile,
}

impl Format {
    /// For messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "pk.yaml",
            Self::ProcessCompose => "process-compose",
            Self::Procfile => "Procfile",
        }
    }
}

/// What was said on the command line about a file of another tool.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    /// Instead of `.env`, relative to the folder of the request.
    pub env_files: Vec<PathBuf>,
    /// Without the `.env`.
    pub no_dotenv: bool,
    /// Of a process-compose file: only processes of these.
    pub namespaces: Vec<String>,
    /// As if the file said `is_strict`.
    pub strict: bool,
    /// What the commands of `env_cmds` said; `None`: they were not run. One that failed is
    /// not among them.
    pub outputs: Option<BTreeMap<String, String>>,
    /// Of a Procfile: how many of each.
    pub formation: BTreeMap<String, u32>,
    /// How many of a process there are, whatever the file says, since it was scaled.
    pub replicas: BTreeMap<String, u32>,
}

/// A command whose output is the value of a variable. This floor runs none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvCommand {
    pub name: String,
    pub argv: Vec<String>,
}

/// What a front end makes of its files.
pub(super) struct Read {
    pub plan: Plan,
    pub env_commands: Vec<EnvCommand>,
    pub namespaces: BTreeMap<UnitName, Vec<String>>,
}

/// Whose file this is, by its name and, where that says nothing, by its text.
#[must_use]
pub fn format_of(path: &Path) -> Format {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    if super::discover::NAMES.contains(&lower.as_str()) {
        Format::Native
    } else if lower.starts_with("procfile") || lower.ends_with("procfile") {
        Format::Procfile
    } else if lower.contains("process-compose") || is_process_compose(path) {
        Format::ProcessCompose
    } else {
        Format::Native
    }
}

/// Keys that stand at the top of a process-compose file and of no file of pk.
const KEYS: [&str; 17] = [
    "processes",
    "process",
    "version",
    "vars",
    "extends",
    "env_cmds",
    "is_strict",
    "log_level",
    "log_length",
    "log_location",
    "log_configuration",
    "log_format",
    "ordered_shutdown",
    "is_tui_disabled",
    "disable_env_expansion",
    "mcp_server",
    "x-process-compose",
];

/// Whether the top of the file names `processes`, as no other file does.
pub(super) fn has_processes(path: &Path) -> bool {
    text_of(path).is_some_and(|text| has_top_key(&text, &KEYS[..1]))
}

fn is_process_compose(path: &Path) -> bool {
    text_of(path).is_some_and(|text| {
        has_top_key(&text, &KEYS[..1])
            || (has_top_key(&text, &KEYS) && !has_top_key(&text, &["services", "tasks", "include"]))
    })
}

/// For a look that costs nothing: a pipe (`-f <(generate)`) can be read but once, and is then
/// pk's own file; so is one that no person wrote by hand.
fn text_of(path: &Path) -> Option<String> {
    const MOST: u64 = 16 << 20;
    let known = std::fs::metadata(path).ok()?;
    let fits = known.is_file() && known.len() <= MOST;
    fits.then(|| std::fs::read_to_string(path).ok()).flatten()
}

/// Looks at the text alone, which need not be YAML before it is expanded.
fn has_top_key(text: &str, keys: &[&str]) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return keys.iter().any(|key| text.contains(&format!("\"{key}\"")));
    }
    text.lines().any(|line| {
        let line = line.trim_start_matches(['"', '\'']);
        keys.iter().any(|key| {
            line.strip_prefix(key).is_some_and(|rest| {
                rest.trim_start_matches(['"', '\''])
                    .trim_start()
                    .starts_with(':')
            })
        })
    })
}
