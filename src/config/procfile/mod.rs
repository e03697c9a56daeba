//! The front end for a Procfile, by the rules of foreman and overmind.
//!
//! Each line is `name: command`. Every process gets a `PORT` of its own, the `.env` beside
//! the file lies over the environment, and the first process that ends ends all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::context::Cx;
use super::diagnostic::Diagnostic;
use super::foreign::{Foreign, Read};
use super::lenient_env;
use super::link;
use super::lower::Lowered;
use super::snippet::quoted;
use super::source::{FileId, Span};
use super::suggest::did_you_mean;
use crate::domain::id::UnitName;
use crate::domain::spec::{Command, EnvMap, Environment, Essential, Program, UnitKind, UnitSpec};

/// The port of the first process, unless `PORT` says another.
const FIRST_PORT: u16 = 5000;

/// From one process of the file to the next.
const STEP: u16 = 100;

/// How long foreman and overmind let processes end.
const GRACE: Duration = Duration::from_secs(5);

/// More of one process is a slip.
const MAX_INSTANCES: u32 = 100;

struct Entry {
    name: String,
    command: String,
    span: Span,
}

pub(super) fn load(path: &Path, base: &Path, foreign: &Foreign, cx: &mut Cx<'_>) -> Option<Read> {
    let file = match cx.sources.read(path) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the file `{}` {error}", cx.sources.show(path));
            cx.say(Diagnostic::file(message));
            return None;
        }
    };
    let entries = entries(file, cx);
    let folder = cx.sources.get(file).folder().to_owned();
    let dotenv = dotenv(&folder, base, foreign, cx)?;
    let formation = formation(&entries, foreign, cx)?;
    let can_die: BTreeSet<&str> = cx
        .os
        .get("OVERMIND_CAN_DIE")
        .map(|names| names.split(',').map(str::trim).collect())
        .unwrap_or_default();
    let first_port = ["PORT", "OVERMIND_PORT"]
        .into_iter()
        .find_map(|name| dotenv.get(name).or_else(|| cx.os.get(name)))
        .and_then(|port| port.parse().ok())
        .unwrap_or(FIRST_PORT);
    let stack = Arc::new(dotenv);
    let shell: Arc<[String]> = ["sh".to_owned(), "-c".to_owned()].into();
    let mut units = Vec::new();
    for (place, entry) in (0..).zip(&entries) {
        let count = formation.get(&entry.name).copied().unwrap_or(1);
        for number in 1..=count {
            let name = if count == 1 {
                entry.name.clone()
            } else {
                format!("{}.{number}", entry.name)
            };
            let program = Program::Command(Command::Shell {
                shell: shell.clone(),
                script: entry.command.clone(),
            });
            let mut spec = UnitSpec::new(
                UnitName::new(name),
                UnitKind::Service,
                program,
                folder.clone(),
            );
            let offset = STEP
                .saturating_mul(place)
                .saturating_add(u16::try_from(number - 1).unwrap_or(u16::MAX));
            let port: u16 = first_port;
            let port = port.saturating_add(offset);
            spec.environment = Environment {
                stack: stack.clone(),
                unit: EnvMap::from([
                    ("PORT".to_owned(), port.to_string()),
                    ("PS".to_owned(), format!("{}.{number}", entry.name)),
                ]),
            };
            if !can_die.contains(entry.name.as_str()) {
                spec.essential = Essential::Any;
            }
            spec.shutdown.timeout = GRACE;
            units.push(Lowered {
                spec: Arc::new(spec),
                key: entry.span,
                edges: Vec::new(),
                ports: Vec::new(),
                replicas: None,
            });
        }
    }
    if units.is_empty() && !cx.diagnostics.iter().any(Diagnostic::is_error) {
        let shown = cx.sources.get(file).shown().to_owned();
        cx.say(
            Diagnostic::file(format!("`{shown}` starts no process"))
                .help("a line is `name: command`"),
        );
    }
    let name = folder.file_name().map_or_else(
        || "stack".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    );
    Some(Read {
        plan: link::link(&name, units, cx)?,
        env_commands: Vec::new(),
        namespaces: BTreeMap::new(),
    })
}

fn entries(file: FileId, cx: &mut Cx<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut said = Vec::new();
    let source = cx.sources.get(file);
    let mut at = 0;
    for line in source.text().split_inclusive('\n') {
        let start = at;
        at += line.len();
        let text = line.trim_end();
        let span = Span::new(file, start, start + text.len());
        if text.trim_start().is_empty() || text.trim_start().starts_with('#') {
            continue;
        }
        let parts = text
            .split_once(':')
            .map(|(name, command)| (name.trim_start_matches('\u{feff}').trim(), command.trim()));
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match parts {
            Some((name, command))
                if UnitName::is_valid(name) && name.chars().all(fine) && !command.is_empty() =>
            {
                if let Some(first) = entries.iter().find(|entry| entry.name == name) {
                    said.push(
                        Diagnostic::meaning(
                            span,
                            format!("two processes are named {}", quoted(name)),
                        )
                        .label("the second one")
                        .and(first.span, "the first one"),
                    );
                    continue;
                }
                entries.push(Entry {
                    name: name.to_owned(),
                    command: command.to_owned(),
                    span,
                });
            }
            _ => said.push(
                Diagnostic::warning(span, "not a line of the form `name: command`")
                    .label("it is passed over"),
            ),
        }
    }
    cx.diagnostics.extend(said);
    entries
}

/// The `.env` beside the file, or those that are named; they win over the environment.
fn dotenv(folder: &Path, base: &Path, foreign: &Foreign, cx: &mut Cx<'_>) -> Option<EnvMap> {
    let mut values = EnvMap::new();
    let mut paths: Vec<_> = foreign
        .env_files
        .iter()
        .map(|file| base.join(file))
        .collect();
    let named = !paths.is_empty();
    if !named && !foreign.no_dotenv {
        paths.push(folder.join(".env"));
    }
    for path in paths {
        match std::fs::read_to_string(&path) {
            Ok(text) => values.extend(lenient_env::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {}
            Err(error) => {
                let shown = cx.sources.show(&path);
                cx.say(Diagnostic::file(format!(
                    "the env file `{shown}` cannot be read: {error}"
                )));
                return None;
            }
        }
    }
    Some(values)
}

fn formation(
    entries: &[Entry],
    foreign: &Foreign,
    cx: &mut Cx<'_>,
) -> Option<BTreeMap<String, u32>> {
    let all = foreign.formation.get("all").copied();
    let mut formation = BTreeMap::new();
    if !foreign.formation.is_empty() {
        // What is not named is not started, as with foreman, unless `all` is.
        for entry in entries {
            formation.insert(entry.name.clone(), all.unwrap_or(0));
        }
    }
    for (name, &count) in foreign.formation.iter().chain(&foreign.replicas) {
        if count > MAX_INSTANCES {
            cx.say(Diagnostic::file(format!(
                "{count} of `{name}`: at most {MAX_INSTANCES} of one process are started"
            )));
            return None;
        }
        if name == "all" {
            continue;
        }
        if !entries.iter().any(|entry| entry.name == *name) {
            let names = entries.iter().map(|entry| entry.name.as_str());
            let help = did_you_mean(name, names);
            cx.say(Diagnostic::file(format!("no process is named `{name}`")).maybe_help(help));
            return None;
        }
        formation.insert(name.clone(), count);
    }
    Some(formation)
}
