//! Typed values into resolved specs.
//!
//! This module owns what each key of a unit comes to: defaults filled in, paths absolute,
//! durations and patterns proved valid. What units are to each other is
//! [`super::link`]'s matter.

mod command;
pub(super) mod environment;
pub(super) mod paths;
mod policy;
mod probe;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::context::Cx;
use super::decode::{Decode as _, Field, Text};
use super::diagnostic::Diagnostic;
use super::env_files;
use super::files::UnitNode;
use super::merge::merge;
use super::raw::policy::{DependsOn, RawCondition, RawDependency, RawEssential, RawPort, RawTty};
use super::raw::unit::RawUnit;
use super::snippet::quoted;
use super::source::Span;
use super::suggest::{closest, foreign_key};
use super::tree::Node;
use crate::domain::id::UnitName;
use crate::domain::spec::{
    Command, Condition, Environment, Essential, Freshness, Hooks, LogSpec, Pattern, Port, Program,
    Shutdown, Tty, UnitKind, UnitSpec, port_variable,
};
use probe::{Around, Role};

/// A spec whose dependencies are still to be linked, and where its parts stand.
pub(super) struct Lowered {
    /// Made where it stays: a spec is large.
    pub spec: Arc<UnitSpec>,
    pub key: Span,
    pub edges: Vec<Edge>,
    pub ports: Vec<(u16, Span)>,
    pub replicas: Option<Span>,
}

/// One entry of `depends_on`.
pub(super) struct Edge {
    pub name: Arc<str>,
    pub span: Span,
    /// `None`: the default for what it depends on.
    pub condition: Option<(Condition, Span)>,
    pub restart: bool,
    pub required: bool,
}

/// Lowers a unit. Where a part of it is wrong, a diagnostic says so and the unit stands with
/// what is right, so that others that name it are not wrong as well.
pub(super) fn unit(unit: &UnitNode, cx: &mut Cx<'_>) -> Lowered {
    cx.variables = unit.scope.variables.clone();
    let defaults = match unit.kind {
        UnitKind::Service => unit.scope.services.as_ref(),
        UnitKind::Task => unit.scope.tasks.as_ref(),
    };
    let merged = match defaults {
        Some(defaults) if unit.node.as_map().is_some() => Some(merge(defaults, &unit.node)),
        Some(defaults) if unit.node.is_null() => Some(defaults.clone()),
        _ => None,
    };
    let node = merged.as_ref().unwrap_or(&unit.node);
    let raw = if node.is_null() {
        RawUnit::default()
    } else {
        RawUnit::decode(node, cx).unwrap_or_default()
    };
    refuse_misplaced(unit.kind, &raw, cx);
    lower(unit, node, &raw, cx)
}

fn lower(unit: &UnitNode, node: &Node, raw: &RawUnit, cx: &mut Cx<'_>) -> Lowered {
    let shell = match &raw.shell {
        Some(own) => own.0.iter().map(|word| word.to_string()).collect(),
        None => unit.scope.shell.clone(),
    };
    let program = program(unit, node, raw, &shell, cx);
    let working_dir = match &raw.working_dir {
        Some(dir) => paths::absolute(dir, dir.span, cx),
        None => cx.sources.get(unit.key.file).folder().to_owned(),
    };
    let mut spec = UnitSpec::new(
        UnitName::new(unit.name.clone()),
        unit.kind,
        program,
        working_dir,
    );
    let mut ports = Vec::new();
    lower_ports(raw, &mut spec, &mut ports, cx);
    spec.environment = variables(unit, raw, &spec.ports, cx);
    lower_probes(raw, &shell, &mut spec, cx);
    lower_plain(raw, &mut spec);
    spec.timeouts = policy::timeouts(raw, cx);
    spec.limits = policy::limits(raw, cx);
    if let Some(restart) = &raw.restart {
        spec.restart = policy::restart(restart, cx);
    }
    if let Some(codes) = &raw.success_exit_codes {
        spec.success_exit_codes = policy::success_codes(codes);
    }
    spec.shutdown = raw
        .shutdown
        .as_ref()
        .map_or_else(Shutdown::default, |raw| policy::shutdown(raw, &shell, cx));
    if let Some(keys) = raw.shutdown.as_ref().and_then(|raw| raw.send_keys.as_ref())
        && !spec.takes_input()
    {
        cx.say(
            Diagnostic::meaning(keys.key, "`send_keys` for a unit that reads no keys")
                .label("there is nowhere to type them")
                .help("add `tty: true`, or `stdin: true`"),
        );
    }
    if let Some(tty) = raw
        .tty
        .as_ref()
        .filter(|tty| spec.foreground && tty.value != RawTty::Full)
    {
        cx.say(
            Diagnostic::meaning(tty.key, "a `foreground` unit has a whole terminal")
                .label("it would have none")
                .help("remove this, or write `tty: true`"),
        );
    }
    if let Some(schedule) = raw.schedule.as_ref().filter(|_| spec.foreground) {
        cx.say(
            Diagnostic::meaning(schedule.key, "`schedule` for a `foreground` unit")
                .label("no clock can lend it a terminal")
                .help("keep one of them"),
        );
    }
    spec.watch = raw
        .watch
        .as_ref()
        .and_then(|raw| policy::watch(raw, &shell, cx));
    spec.schedule = raw
        .schedule
        .as_ref()
        .and_then(|raw| policy::schedule(raw, cx));
    spec.freshness = freshness(raw, &shell, cx);
    spec.logs = raw
        .logs
        .as_ref()
        .map_or_else(LogSpec::default, |raw| policy::logs(raw, cx));
    if let Some(hooks) = &raw.on {
        spec.on = Hooks {
            ready: command::optional(hooks.ready.as_ref(), &shell),
            exit: command::optional(hooks.exit.as_ref(), &shell),
            failed: command::optional(hooks.failed.as_ref(), &shell),
        };
    }
    Lowered {
        spec: Arc::new(spec),
        key: unit.key,
        edges: raw
            .depends_on
            .as_ref()
            .map_or_else(Vec::new, |raw| edges(&raw.value)),
        ports,
        replicas: raw.replicas.as_ref().map(|replicas| replicas.span),
    }
}

fn program(
    unit: &UnitNode,
    node: &Node,
    raw: &RawUnit,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Program {
    let given = |key: &str| {
        node.as_map()
            .and_then(|map| map.get(key))
            .is_some_and(|entry| !entry.value.is_null())
    };
    let misspelt = || {
        let entries = node.as_map().map_or(&[][..], |map| &map.entries);
        entries.iter().any(|entry| {
            closest(&entry.key, ["command", "pipeline"]).is_some()
                || foreign_key(&entry.key, &["command"]).is_some()
        })
    };
    // What is given but could not be read has its diagnostic, as has a unit that is no map.
    let unread = (raw.command.is_none() && given("command"))
        || (raw.pipeline.is_none() && given("pipeline"))
        || (node.as_map().is_none() && !node.is_null())
        || (raw.command.is_none() && raw.pipeline.is_none() && misspelt());
    let program = if unread {
        None
    } else {
        let (command, pipeline) = (raw.command.as_ref(), raw.pipeline.as_ref());
        command::program(&unit.name, unit.key, command, pipeline, shell, cx)
    };
    program.unwrap_or_else(|| Program::Command(Command::Exec(vec!["true".to_owned()])))
}

fn variables(
    unit: &UnitNode,
    raw: &RawUnit,
    ports: &BTreeMap<String, Port>,
    cx: &mut Cx<'_>,
) -> Environment {
    let mut environment = Environment {
        stack: unit.scope.environment.clone(),
        unit: BTreeMap::new(),
    };
    environment::add_ports(&mut environment.unit, ports.iter());
    if let Some(files) = &raw.env_file {
        environment.unit.extend(env_files::read_all(files, cx));
    }
    if let Some(own) = &raw.environment {
        environment::extend(&mut environment.unit, own, cx);
    }
    environment
}

fn lower_ports(raw: &RawUnit, spec: &mut UnitSpec, places: &mut Vec<(u16, Span)>, cx: &mut Cx<'_>) {
    let Some(table) = &raw.ports else { return };
    let mut variables: BTreeMap<String, Span> = BTreeMap::new();
    for row in &table.0 {
        if row.key.is_empty() || !UnitName::is_valid(&row.key) {
            cx.say(
                Diagnostic::meaning(
                    row.key_span,
                    format!("{} cannot name a port", quoted(&row.key)),
                )
                .label("expected letters, digits, `_`, `.` and `-`"),
            );
            continue;
        }
        let variable = port_variable(&row.key);
        if let Some(&first) = variables.get(&variable) {
            cx.say(
                Diagnostic::meaning(row.key_span, format!("two ports would be `{variable}`"))
                    .label("the second one")
                    .and(first, "the first one"),
            );
        }
        variables.insert(variable, row.key_span);
        let port = match row.value {
            RawPort::Auto => Port::Auto(cx.pick(spec.name.as_str(), &row.key)),
            RawPort::Fixed(number) => {
                places.push((number, row.span));
                Port::Fixed(number)
            }
        };
        spec.ports.insert(row.key.to_string(), port);
    }
}

fn lower_probes(raw: &RawUnit, shell: &Arc<[String]>, spec: &mut UnitSpec, cx: &mut Cx<'_>) {
    let around = Around {
        shell,
        ports: &spec.ports,
    };
    let mut lowered =
        |raw: Option<&Field<_>>, role| raw.and_then(|raw| probe::probe(raw, role, &around, cx));
    let readiness = lowered(raw.readiness.as_ref(), Role::Readiness);
    let liveness = lowered(raw.liveness.as_ref(), Role::Liveness);
    let startup = lowered(raw.startup.as_ref(), Role::Startup);
    (spec.readiness, spec.liveness, spec.startup) = (readiness, liveness, startup);
}

/// What is taken as it stands.
fn lower_plain(raw: &RawUnit, spec: &mut UnitSpec) {
    let flag = |field: Option<&Field<super::raw::scalar::Flag>>| field.is_some_and(|f| f.0);
    let text = |field: Option<&Field<Text>>| field.map(|text| text.to_string());
    spec.description = text(raw.description.as_ref());
    spec.user = text(raw.user.as_ref());
    spec.umask = raw.umask.as_ref().map(|umask| umask.0);
    spec.nice = raw
        .nice
        .as_ref()
        .and_then(|nice| i32::try_from(nice.0).ok());
    spec.stdin = flag(raw.stdin.as_ref());
    spec.disabled = flag(raw.disabled.as_ref());
    spec.foreground = flag(raw.foreground.as_ref());
    spec.replicas = raw.replicas.as_ref().and_then(|n| u32::try_from(n.0).ok());
    if let Some(profiles) = &raw.profiles {
        spec.profiles = profiles.0.iter().map(|name| name.to_string()).collect();
    }
    if let Some(lifetime) = &raw.lifetime {
        spec.lifetime = policy::lifetime(lifetime.value);
    }
    spec.tty = match raw.tty.as_ref().map(|tty| tty.value) {
        None | Some(RawTty::No) => Tty::No,
        Some(RawTty::Full) => Tty::Full,
        Some(RawTty::Output) => Tty::Output,
    };
    if spec.foreground {
        // It starts when somebody lends it a terminal, and is shown there.
        spec.disabled = true;
        spec.tty = Tty::Full;
    }
    spec.essential = match raw.essential.as_ref().map(|essential| essential.value) {
        None | Some(RawEssential::No) => Essential::No,
        Some(RawEssential::Any) => Essential::Any,
        Some(RawEssential::Failure) => Essential::Failure,
        Some(RawEssential::Skipped) => Essential::Skipped,
        Some(RawEssential::FailureOrSkipped) => Essential::FailureOrSkipped,
    };
}

fn freshness(raw: &RawUnit, shell: &Arc<[String]>, cx: &mut Cx<'_>) -> Option<Freshness> {
    if raw.inputs.is_none() && raw.outputs.is_none() && raw.status.is_none() {
        return None;
    }
    for list in [&raw.inputs, &raw.outputs].into_iter().flatten() {
        policy::check_globs(&list.0, cx);
    }
    let list = |field: Option<&Field<super::decode::OneOrMany<Text>>>| {
        field.map_or_else(Vec::new, |list| policy::path_texts(&list.0, cx))
    };
    Some(Freshness {
        inputs: list(raw.inputs.as_ref()),
        outputs: list(raw.outputs.as_ref()),
        status: command::optional(raw.status.as_ref(), shell),
    })
}

fn edges(raw: &DependsOn) -> Vec<Edge> {
    let edge = |name: &Arc<str>, span| Edge {
        name: name.clone(),
        span,
        condition: None,
        restart: false,
        required: true,
    };
    match raw {
        DependsOn::Names(names) => names.iter().map(|name| edge(&name.0, name.span)).collect(),
        DependsOn::Map(table) => table
            .0
            .iter()
            .map(|row| {
                let plain = edge(&row.key, row.key_span);
                match &row.value {
                    RawDependency::Default => plain,
                    RawDependency::Condition(word) => Edge {
                        condition: Some((condition(word.value), word.span)),
                        ..plain
                    },
                    RawDependency::Record(record) => Edge {
                        condition: record
                            .condition
                            .as_ref()
                            .map(|word| (condition(word.value), word.span)),
                        restart: record.restart.as_ref().is_some_and(|flag| flag.0),
                        required: record.required.as_ref().is_none_or(|flag| flag.0),
                        ..plain
                    },
                }
            })
            .collect(),
    }
}

fn condition(raw: RawCondition) -> Condition {
    match raw {
        RawCondition::Started => Condition::Started,
        RawCondition::Ready => Condition::Ready,
        RawCondition::Completed => Condition::Completed,
        RawCondition::Succeeded => Condition::Succeeded,
        RawCondition::LogReady => Condition::LogReady,
    }
}

/// A regular expression, compiled once to prove it valid.
fn pattern(text: &Text, span: Span, cx: &mut Cx<'_>) -> Option<Pattern> {
    if !cx.patterns.contains(&text.0) {
        if let Err(error) = regex::bytes::Regex::new(text) {
            // The last line says what is wrong; those before it draw the expression.
            let said = error.to_string();
            let reason = said.lines().next_back().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ").to_owned();
            cx.say(
                Diagnostic::meaning(
                    span,
                    format!("{} is not a valid regular expression", quoted(text)),
                )
                .label(reason),
            );
            return None;
        }
        cx.patterns.insert(text.0.clone());
    }
    Some(Pattern(text.to_string()))
}

/// Keys that only a task can have.
fn refuse_misplaced(kind: UnitKind, raw: &RawUnit, cx: &mut Cx<'_>) {
    if kind == UnitKind::Task {
        return;
    }
    let only_tasks = [
        (
            "timeout",
            raw.timeout.as_ref().map(|f| f.key),
            "write `timeouts: {run: …}`, or move the unit to `tasks`",
        ),
        (
            "schedule",
            raw.schedule.as_ref().map(|f| f.key),
            "move the unit to `tasks`",
        ),
        (
            "inputs",
            raw.inputs.as_ref().map(|f| f.key),
            "move the unit to `tasks`",
        ),
        (
            "outputs",
            raw.outputs.as_ref().map(|f| f.key),
            "move the unit to `tasks`",
        ),
        (
            "status",
            raw.status.as_ref().map(|f| f.key),
            "move the unit to `tasks`",
        ),
    ];
    for (key, span, help) in only_tasks {
        if let Some(span) = span {
            cx.say(
                Diagnostic::meaning(span, format!("`{key}` on a service"))
                    .label("only a task has this")
                    .help(help),
            );
        }
    }
}
