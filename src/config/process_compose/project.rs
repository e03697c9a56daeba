//! What a file says at its top, and what its processes are to each other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::fields::{Block, Fields, Given, Word, mismatch, scalar};
use super::process::{self, Process};
use super::template::Value as Var;
use super::{depends, logs as log_files};
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::foreign::{EnvCommand, Foreign};
use crate::config::lower::Lowered;
use crate::config::lower::paths::tidy;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::tree::{Map, Node, Value};
use crate::domain::id::UnitName;
use crate::domain::spec::{EnvMap, LogSpec};

/// What all processes share.
pub(super) struct Project {
    /// Relative paths start here.
    pub base: PathBuf,
    pub strict: bool,
    pub shell: Arc<[String]>,
    /// What runs a command as another user.
    pub elevated: Vec<String>,
    pub environment: Arc<EnvMap>,
    /// Of the `.env`, what the environment of pk does not say.
    pub dotenv: EnvMap,
    /// Whether `environment` holds it.
    pub shared_dotenv: bool,
    pub vars: BTreeMap<String, Var>,
    pub logs: LogSpec,
    /// Processes that the environment of pk disables.
    pub disabled: Vec<String>,
}

/// All processes as units, ready to be linked.
pub(super) struct Units {
    pub name: String,
    pub units: Vec<Lowered>,
    pub env_commands: Vec<EnvCommand>,
    pub namespaces: BTreeMap<UnitName, Vec<String>>,
}

pub(super) struct Inputs<'a> {
    pub base: PathBuf,
    pub dotenv: EnvMap,
    pub settings: EnvMap,
    pub shell: Arc<[String]>,
    pub foreign: &'a Foreign,
}

pub(super) fn units(top: &Node, given: Inputs<'_>, cx: &mut Cx<'_>) -> Option<Units> {
    let fields = Fields::of(top, Block::Project, cx)?;
    let mut env_commands = Vec::new();
    let foreign = given.foreign;
    let empty = Arc::new(Map::default());
    let map = match fields.get("processes").map(|entry| &entry.value) {
        None => &empty,
        Some(node) => match &node.value {
            Value::Map(map) => map,
            Value::Scalar(_) | Value::Seq(_) => {
                cx.say(mismatch(node, "a map from name to process"));
                return None;
            }
        },
    };
    let map = super::read::extended(map, cx);
    let project = project(&fields, given, &map, &mut env_commands, cx);
    if map.entries.is_empty() {
        cx.say(
            Diagnostic::warning(
                fields
                    .get("processes")
                    .map_or(top.span.part(0, 0), |p| p.key_span),
                "there are no processes",
            )
            .label("there is nothing to start"),
        );
    }
    let name = match fields.text("name", cx) {
        Some(word) if !word.value.trim().is_empty() => word.value.replace(['/', '\n'], "-"),
        _ => project.base.file_name().map_or_else(
            || "stack".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
    };
    let awaited = depends::awaited(&map);
    let mut table = Table::default();
    let mut processes = Vec::with_capacity(map.entries.len());
    for entry in &map.entries {
        let namespaces = namespaces(&entry.value, cx);
        let chosen = &foreign.namespaces;
        if !chosen.is_empty() && !namespaces.iter().any(|name| chosen.contains(name)) {
            table.left_out.insert(entry.key.clone());
            continue;
        }
        let process = Process {
            name: entry.key.clone(),
            key: entry.key_span,
            node: &entry.value,
            awaited: awaited.contains(&entry.key),
            replicas: (foreign.replicas.get(&*entry.key).copied())
                .unwrap_or_else(|| replicas(&entry.value, cx)),
        };
        table.add(&process, cx);
        processes.push((process, namespaces));
    }
    for name in foreign.replicas.keys() {
        if !table.instances.contains_key(name.as_str()) {
            cx.say(Diagnostic::file(format!("no process is named `{name}`")));
        }
    }
    let mut units = Vec::with_capacity(processes.len());
    let mut all_namespaces = BTreeMap::new();
    for (process, namespaces) in &processes {
        let names = table.instances[&process.name].clone();
        for ((number, replica), name) in (0..).zip(process.replica_names()).zip(names) {
            let lowered = process::lower(process, number, &replica, &name, &project, cx);
            all_namespaces.insert(lowered.spec.name.clone(), namespaces.clone());
            units.push(lowered);
        }
    }
    depends::add(&processes, &table, &mut units, project.strict, cx);
    Some(Units {
        name,
        units,
        env_commands,
        namespaces: all_namespaces,
    })
}

/// The units that stand for each process.
#[derive(Default)]
pub(super) struct Table {
    /// Of a process, all of its replicas.
    pub instances: FxHashMap<Arc<str>, Vec<Arc<str>>>,
    /// A replica by the name that its own program gives it.
    pub replicas: FxHashMap<String, Arc<str>>,
    /// Processes of other namespaces.
    pub left_out: FxHashSet<Arc<str>>,
    taken: FxHashSet<Arc<str>>,
}

impl Table {
    fn add(&mut self, process: &Process<'_>, cx: &mut Cx<'_>) {
        let mut names = Vec::new();
        for replica in process.replica_names() {
            let mut name: Arc<str> = if UnitName::is_valid(&replica) {
                replica.as_str().into()
            } else {
                valid(&replica).into()
            };
            let mut number = 2;
            while self.taken.contains(&name) {
                name = format!("{name}-{number}").into();
                number += 1;
            }
            if *name != *replica {
                cx.say(
                    Diagnostic::warning(
                        process.key,
                        format!("{} is called `{name}` in pk", quoted(&replica)),
                    )
                    .label("a unit's name has letters, digits, `_`, `.` and `-`"),
                );
            }
            self.taken.insert(name.clone());
            self.replicas.insert(replica, name.clone());
            names.push(name);
        }
        self.instances.insert(process.name.clone(), names);
    }
}

fn valid(name: &str) -> String {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let text: String = name
        .chars()
        .map(|c| if fine(c) { c } else { '-' })
        .collect();
    let text = text.trim_matches(['-', '.', '_']);
    if text.is_empty() {
        "process".to_owned()
    } else {
        text.to_owned()
    }
}

fn namespaces(process: &Node, cx: &mut Cx<'_>) -> Vec<String> {
    let names = process.as_map().and_then(|map| {
        let fields = Fields {
            map,
            block: Block::Process,
        };
        fields.texts("namespace", cx)
    });
    let names: Vec<String> = names
        .into_iter()
        .flatten()
        .map(|word| word.value.to_string())
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        vec!["default".to_owned()]
    } else {
        names
    }
}

/// More than this is a slip.
const MAX_REPLICAS: u32 = 1000;

fn replicas(process: &Node, cx: &mut Cx<'_>) -> u32 {
    let Some(map) = process.as_map() else {
        return 1;
    };
    let fields = Fields {
        map,
        block: Block::Process,
    };
    let Some(given) = fields.int("replicas", cx) else {
        return 1;
    };
    match u32::try_from(given.value) {
        Ok(0) | Err(_) => 1,
        Ok(count) if count > MAX_REPLICAS => {
            cx.say(
                Diagnostic::meaning(given.span, "too many replicas")
                    .label(format!("expected a number up to {MAX_REPLICAS}")),
            );
            1
        }
        Ok(count) => count,
    }
}

fn project(
    fields: &Fields<'_>,
    given: Inputs<'_>,
    processes: &Map,
    env_commands: &mut Vec<EnvCommand>,
    cx: &mut Cx<'_>,
) -> Project {
    let strict = fields.is("is_strict", cx) || given.foreign.strict;
    fields.warn_unknown(strict, cx);
    // What stands in `.pc_env` counts as if it were in the environment.
    let setting = |name: &str| {
        given
            .settings
            .get(name)
            .or_else(|| cx.os.get(name))
            .cloned()
    };
    let disabled = setting("PC_DISABLED_PROCESSES").unwrap_or_default();
    let disabled = disabled.split(',').map(|name| name.trim().to_owned());
    let disabled = disabled.collect();
    let default = match setting("COMPOSE_SHELL").filter(|shell| !shell.is_empty()) {
        Some(shell) => [shell, "-c".to_owned()].into(),
        None => given.shell,
    };
    let (shell, elevated) = shell(fields, default, cx);
    let mut environment: EnvMap = given.settings;
    // The environment of pk wins over the file.
    let dotenv: EnvMap = given
        .dotenv
        .into_iter()
        .filter(|(name, _)| !cx.os.contains_key(name))
        .collect();
    let without = processes.entries.iter().any(|entry| {
        entry.value.as_map().is_some_and(|map| {
            let fields = Fields {
                map,
                block: Block::Process,
            };
            fields.get("is_dotenv_disabled").is_some()
        })
    });
    if !without {
        environment.extend(dotenv.clone());
    }
    if let Some(entry) = fields.get("environment") {
        for (_, name, value) in pairs(&entry.value, cx) {
            environment.insert(name, value);
        }
    }
    if let Some(entry) = fields.get("env_cmds") {
        let ran = given.foreign.outputs.as_ref();
        for (name, command) in commands(&entry.value, cx) {
            match ran.map(|ran| ran.get(&name)) {
                Some(Some(value)) => {
                    environment.insert(name, value.clone());
                }
                Some(None) => {}
                None => env_commands.push(EnvCommand {
                    name,
                    argv: shell.iter().cloned().chain([command]).collect(),
                }),
            }
        }
    }
    let vars = match fields.get("vars").map(|entry| Var::of(&entry.value)) {
        Some(Var::Map(vars)) => vars,
        Some(_) => {
            if let Some(entry) = fields.get("vars") {
                cx.say(mismatch(&entry.value, "a map of variables"));
            }
            BTreeMap::new()
        }
        None => BTreeMap::new(),
    };
    let mut logs = LogSpec::default();
    if let Some(word) = fields
        .text("log_location", cx)
        .filter(|w| !w.value.is_empty())
    {
        logs.file = Some(tidy(&given.base.join(&*word.value)));
    }
    if let Some((_, own)) = fields.block("log_configuration", Block::Log, cx) {
        log_files::rotation(&own, &mut logs, cx);
    }
    for (key, why) in NO_EFFECT {
        if let Some(entry) = fields.get(key) {
            log_files::no_effect(entry, why, cx);
        }
    }
    Project {
        base: given.base,
        strict,
        shell,
        elevated,
        environment: Arc::new(environment),
        dotenv,
        shared_dotenv: !without,
        vars,
        logs,
        disabled,
    }
}

/// Keys that are for process-compose itself.
const NO_EFFECT: [(&str, &str); 5] = [
    ("log_level", "it is of process-compose's own log"),
    ("log_length", "lines are kept by bytes, not by number"),
    ("log_format", "process-compose does not use it either"),
    ("is_tui_disabled", "write `pk up --no-tui`"),
    ("mcp_server", "`pk mcp` is one"),
];

fn shell(
    fields: &Fields<'_>,
    default: Arc<[String]>,
    cx: &mut Cx<'_>,
) -> (Arc<[String]>, Vec<String>) {
    let usual = vec!["sudo".to_owned(), "-S".to_owned()];
    let Some((_, own)) = fields.block("shell", Block::Shell, cx) else {
        return (default, usual);
    };
    let mut text = |key: &str| {
        own.text(key, cx)
            .filter(|word| !word.value.is_empty())
            .map(|word| word.value.to_string())
    };
    let (command, argument) = (text("shell_command"), text("shell_argument"));
    let elevated = match (
        text("elevated_shell_command"),
        text("elevated_shell_argument"),
    ) {
        (Some(command), argument) => std::iter::once(command).chain(argument).collect(),
        (None, _) => usual,
    };
    let shell = match (command, argument) {
        (Some(command), argument) => std::iter::once(command)
            .chain(Some(argument.unwrap_or_else(|| "-c".to_owned())))
            .collect(),
        (None, _) => default,
    };
    (shell, elevated)
}

/// The variables of an `environment`: a list of `NAME=value`, or a map.
pub(super) fn pairs(node: &Node, cx: &mut Cx<'_>) -> Vec<(Word, String, String)> {
    let word = |key: Span, span: Span, value: Arc<str>| Given { key, span, value };
    match &node.value {
        Value::Seq(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items.iter() {
                let Some(scalar) = scalar(item, "`NAME=value`", cx) else {
                    continue;
                };
                match scalar.text.split_once('=') {
                    Some((name, value)) if settable(name) => out.push((
                        word(item.span, item.span, scalar.text.clone()),
                        name.to_owned(),
                        value.to_owned(),
                    )),
                    _ => cx.say(
                        Diagnostic::warning(
                            item.span,
                            format!("{} is not of the form `NAME=value`", quoted(&scalar.text)),
                        )
                        .label("it has no effect")
                        .help("every process inherits the environment of pk anyway"),
                    ),
                }
            }
            out
        }
        Value::Map(map) => {
            cx.say(
                Diagnostic::warning(node.span, "`environment` is a map")
                    .label("process-compose itself expects a list")
                    .help("write a list: `- NAME=value`"),
            );
            let mut out = Vec::new();
            for entry in &map.entries {
                if let Some(scalar) = scalar(&entry.value, "a text", cx) {
                    let text = if scalar.is_null() { "" } else { &scalar.text };
                    out.push((
                        word(entry.key_span, entry.value.span, text.into()),
                        entry.key.to_string(),
                        text.to_owned(),
                    ));
                }
            }
            out
        }
        Value::Scalar(_) => {
            cx.say(mismatch(node, "a list of `NAME=value`"));
            Vec::new()
        }
    }
}

/// What a native file takes as a name.
fn settable(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control())
}

fn commands(node: &Node, cx: &mut Cx<'_>) -> Vec<(String, String)> {
    let Value::Map(map) = &node.value else {
        cx.say(mismatch(node, "a map from variable to command"));
        return Vec::new();
    };
    let mut out = Vec::new();
    for entry in &map.entries {
        if let Some(scalar) = scalar(&entry.value, "a command", cx) {
            out.push((entry.key.to_string(), scalar.text.to_string()));
        }
    }
    out
}
