//! The files of a configuration: the named ones merged, what they include, what they share.
//!
//! This module owns which texts are read and which scope a unit stands in. It must not look
//! into units.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::context::{Cx, PortEntry};
use super::decode::{Decode as _, Field, OneOrMany, Spanned, Text, field};
use super::diagnostic::{Diagnostic, Kind};
use super::env_files;
use super::lower::environment;
use super::merge::merge;
use super::parse::parse;
use super::raw::command::EnvFile;
use super::raw::file::RawFile;
use super::raw::unit::RawUnit;
use super::source::{FileId, Span};
use super::tree::{Map, Node};
use crate::domain::spec::{EnvMap, UnitKind};

/// Files that include each other can be no deeper.
const MAX_INCLUDES: usize = 64;

/// What a file gives to its units beside themselves.
#[derive(Debug)]
pub(super) struct Scope {
    /// From env files, for interpolation.
    pub variables: Arc<EnvMap>,
    pub environment: Arc<EnvMap>,
    pub shell: Arc<[String]>,
    pub services: Option<Node>,
    pub tasks: Option<Node>,
}

/// A unit as it stands in its file.
#[derive(Debug)]
pub(super) struct UnitNode {
    pub name: Arc<str>,
    pub key: Span,
    pub kind: UnitKind,
    pub node: Node,
    pub scope: Rc<Scope>,
}

/// One file, or several `-f` files merged into one.
struct Level {
    node: Node,
    variables: Arc<EnvMap>,
    /// The level that includes this one.
    parent: Option<usize>,
}

/// The stack before its units are lowered.
pub(super) struct Stack {
    pub name: Option<Spanned<Text>>,
    pub units: Vec<UnitNode>,
}

/// Reads the named files and everything that they include.
pub(super) fn read(paths: &[PathBuf], shell: &Arc<[String]>, cx: &mut Cx<'_>) -> Option<Stack> {
    let mut levels = Vec::new();
    let main = read_main(paths, cx)?;
    let mut trail = Trail::default();
    for path in paths {
        trail.enter(&canonical(path));
    }
    collect(main.0, main.1, None, &mut levels, &mut trail, cx);
    collect_ports(&levels, cx);
    Some(decode_levels(&levels, shell, cx))
}

fn read_main(paths: &[PathBuf], cx: &mut Cx<'_>) -> Option<(Node, FileId)> {
    let mut merged: Option<(Node, FileId)> = None;
    let mut broken = false;
    for path in paths {
        let Some((node, file)) = read_file(path, None, cx) else {
            broken = true;
            continue;
        };
        merged = Some(match merged {
            None => (node, file),
            Some((base, first)) => (merge(&base, &node), first),
        });
    }
    // With a file missing from the middle, what the others say to each other means nothing.
    if broken && paths.len() > 1 {
        return None;
    }
    merged
}

/// Reads and parses one file, whose top must be a map.
fn read_file(path: &Path, named: Option<Span>, cx: &mut Cx<'_>) -> Option<(Node, FileId)> {
    let file = match cx.sources.read(path) {
        Ok(file) => file,
        Err(error) => {
            let message = format!("the file `{}` {error}", cx.sources.show(path));
            cx.say(match named {
                Some(span) => Diagnostic::meaning(span, message)
                    .of_kind(Kind::File)
                    .label("included here"),
                None => Diagnostic::file(message),
            });
            return None;
        }
    };
    let before = cx.diagnostics.len();
    let node = parse(&cx.sources, file, &mut cx.diagnostics);
    let failed = cx.diagnostics.len() > before;
    let start = Span::new(file, 0, 0);
    match node {
        Some(node) if node.as_map().is_some() => Some((node, file)),
        None if failed => None,
        Some(node) if !node.is_null() => {
            let found = node.describe();
            cx.say(
                Diagnostic::structure(node.span, format!("expected a map, found {found}"))
                    .label("expected a map with `services` or `tasks`"),
            );
            None
        }
        _ => {
            cx.say(
                Diagnostic::syntax(start, "the file is empty")
                    .label("expected a map with `services` or `tasks`")
                    .help(super::short_file()),
            );
            None
        }
    }
}

/// The files on the way from the main one, and all that were seen.
#[derive(Default)]
struct Trail {
    path: Vec<PathBuf>,
    seen: FxHashSet<PathBuf>,
}

impl Trail {
    fn enter(&mut self, path: &Path) {
        self.path.push(path.to_owned());
        self.seen.insert(path.to_owned());
    }
}

/// Adds a file and what it includes, each file once.
fn collect(
    node: Node,
    file: FileId,
    parent: Option<usize>,
    levels: &mut Vec<Level>,
    trail: &mut Trail,
    cx: &mut Cx<'_>,
) {
    let inherited: Arc<EnvMap> =
        parent.map_or_else(Arc::default, |parent| levels[parent].variables.clone());
    cx.variables = inherited.clone();
    let own = top_env_files(&node, file, parent.is_none(), cx);
    let variables = if own.is_empty() {
        inherited
    } else {
        let mut all = (*inherited).clone();
        all.extend(own);
        Arc::new(all)
    };
    cx.variables = variables.clone();
    let includes = entry_value(&node, "include")
        .and_then(|include| OneOrMany::<Text>::decode(include, cx))
        .map_or_else(Vec::new, |list| list.0);
    let level = levels.len();
    levels.push(Level {
        node,
        variables,
        parent,
    });
    for include in includes {
        let path = canonical(&super::lower::paths::absolute(
            &include.value,
            include.span,
            cx,
        ));
        if let Some(at) = trail.path.iter().position(|open| *open == path) {
            let circle: Vec<String> = trail.path[at..]
                .iter()
                .chain([&path])
                .map(|path| format!("`{}`", cx.sources.show(path)))
                .collect();
            cx.say(
                Diagnostic::meaning(include.span, "these files include each other in a circle")
                    .label("closes the circle")
                    .help(circle.join(" includes ")),
            );
            continue;
        }
        if trail.path.len() >= MAX_INCLUDES {
            cx.say(Diagnostic::meaning(
                include.span,
                "the includes are nested too deeply",
            ));
            continue;
        }
        if trail.seen.contains(&path) {
            continue;
        }
        trail.enter(&path);
        if let Some((node, file)) = read_file(&path, Some(include.span), cx) {
            collect(node, file, Some(level), levels, trail, cx);
        }
        trail.path.pop();
    }
}

/// The same file has the same path, so that circles are seen.
fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| super::lower::paths::tidy(path))
}

fn entry_value<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let entry = node.as_map()?.get(key)?;
    (!entry.value.is_null()).then_some(&entry.value)
}

fn top_env_files(node: &Node, file: FileId, main: bool, cx: &mut Cx<'_>) -> EnvMap {
    match entry_value(node, "env_file") {
        Some(entry) => OneOrMany::<EnvFile>::decode(entry, cx)
            .map(|list| env_files::read_all(&list, cx))
            .unwrap_or_default(),
        None if main => {
            let path = cx.sources.get(file).folder().join(".env");
            env_files::read_default(&path, cx)
        }
        None => EnvMap::new(),
    }
}

const KINDS: [(&str, UnitKind); 2] = [("services", UnitKind::Service), ("tasks", UnitKind::Task)];

/// All ports must be known before any text that may name one is read.
fn collect_ports(levels: &[Level], cx: &mut Cx<'_>) {
    let mut names = FxHashSet::default();
    for level in levels {
        for (kind, _) in KINDS {
            let defaults = entry_value(&level.node, "defaults")
                .and_then(|defaults| entry_value(defaults, kind))
                .and_then(|unit| entry_value(unit, "ports"));
            let Some(units) = entry_value(&level.node, kind).and_then(Node::as_map) else {
                continue;
            };
            for unit in &units.entries {
                names.insert(unit.key.clone());
                let own = entry_value(&unit.value, "ports");
                let merged = match (defaults, own) {
                    (Some(low), Some(high)) => Some(merge(low, high)),
                    (low, high) => high.or(low).cloned(),
                };
                let Some(ports) = merged.as_ref().and_then(Node::as_map) else {
                    continue;
                };
                let entries = port_entries(ports, &level.variables);
                cx.ports.insert(unit.key.clone(), entries);
            }
        }
    }
    cx.units = Some(names);
}

fn port_entries(ports: &Map, variables: &Arc<EnvMap>) -> Vec<PortEntry> {
    let entries = ports.entries.iter().map(|entry| PortEntry {
        name: entry.key.clone(),
        value: entry.value.clone(),
        variables: variables.clone(),
    });
    entries.collect()
}

/// Reads the tops of all files; a level's parent stands before it.
fn decode_levels(levels: &[Level], shell: &Arc<[String]>, cx: &mut Cx<'_>) -> Stack {
    let mut scopes: Vec<Rc<Scope>> = Vec::with_capacity(levels.len());
    let mut stack = Stack {
        name: None,
        units: Vec::new(),
    };
    let mut seen: FxHashMap<Arc<str>, Span> = FxHashMap::default();
    for level in levels {
        cx.variables = level.variables.clone();
        let raw = RawFile::decode(&level.node, cx).unwrap_or_default();
        let outer = level.parent.map(|parent| scopes[parent].clone());
        let scope = Rc::new(scope(level, &raw, outer.as_deref(), shell, cx));
        scopes.push(scope.clone());
        if level.parent.is_none() {
            stack.name = raw.name.map(|name| Spanned {
                span: name.span,
                value: name.value,
            });
        }
        let units = [
            (raw.services, UnitKind::Service),
            (raw.tasks, UnitKind::Task),
        ];
        for (units, kind) in units {
            let Some(units) = units else { continue };
            stack.units.reserve(units.0.entries.len());
            for entry in &units.0.entries {
                if let Some(&first) = seen.get(&entry.key) {
                    cx.say(twice(&entry.key, entry.key_span, first));
                    // It is not to be used, but its mistakes are to be known.
                    let _: Option<Field<RawUnit>> = field(entry, cx);
                    continue;
                }
                seen.insert(entry.key.clone(), entry.key_span);
                stack.units.push(UnitNode {
                    name: entry.key.clone(),
                    key: entry.key_span,
                    kind,
                    node: entry.value.clone(),
                    scope: scope.clone(),
                });
            }
        }
    }
    stack
}

fn twice(name: &str, second: Span, first: Span) -> Diagnostic {
    let shown = super::snippet::quoted(name);
    Diagnostic::meaning(second, format!("two units are named {shown}"))
        .label("the second one")
        .and(first, "the first one")
        .help("names are unique across services, tasks and all included files")
}

fn scope(
    level: &Level,
    raw: &RawFile,
    outer: Option<&Scope>,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Scope {
    let mut environment: EnvMap = outer.map_or_else(EnvMap::new, |o| (*o.environment).clone());
    let inherited = outer.map(|outer| &outer.variables);
    let added = level.variables.iter().filter(|(name, value)| {
        inherited.is_none_or(|inherited| inherited.get(*name) != Some(value))
    });
    environment.extend(added.map(|(name, value)| (name.clone(), value.clone())));
    if let Some(own) = &raw.environment {
        environment::extend(&mut environment, own, cx);
    }
    let shell = match (&raw.shell, outer) {
        (Some(own), _) => own.0.iter().map(|word| word.to_string()).collect(),
        (None, Some(outer)) => outer.shell.clone(),
        (None, None) => shell.clone(),
    };
    let defaults = |own: Option<&Node>, outer: Option<&Node>| match (outer, own) {
        (Some(outer), Some(own)) => Some(merge(outer, own)),
        (outer, own) => own.or(outer).cloned(),
    };
    let own = raw.defaults.as_ref();
    let services = own
        .and_then(|d| d.services.as_ref())
        .map(|unit| &unit.value.0);
    let tasks = own.and_then(|d| d.tasks.as_ref()).map(|unit| &unit.value.0);
    Scope {
        variables: level.variables.clone(),
        environment: Arc::new(environment),
        shell,
        services: defaults(services, outer.and_then(|o| o.services.as_ref())),
        tasks: defaults(tasks, outer.and_then(|o| o.tasks.as_ref())),
    }
}
