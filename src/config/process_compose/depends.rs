//! What processes wait for.

use std::sync::Arc;

use rustc_hash::FxHashSet;

use super::fields::{Block, Fields};
use super::process::Process;
use super::project::Table;
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::lower::{Edge, Lowered};
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::suggest::{did_you_mean, one_of};
use crate::config::tree::{Map, Node, Value};
use crate::domain::spec::{Check, Condition, RestartPolicy};

const WORDS: [(&str, Condition); 5] = [
    ("process_started", Condition::Started),
    ("process_healthy", Condition::Ready),
    ("process_completed", Condition::Completed),
    ("process_completed_successfully", Condition::Succeeded),
    ("process_log_ready", Condition::LogReady),
];

/// Processes whose end somebody waits for by name.
pub(super) fn awaited(processes: &Map) -> FxHashSet<Arc<str>> {
    let mut out = FxHashSet::default();
    for process in &processes.entries {
        let depends = process.value.as_map().and_then(|map| map.get("depends_on"));
        let Some(depends) = depends.and_then(|entry| entry.value.as_map()) else {
            continue;
        };
        for on in &depends.entries {
            let condition = on.value.as_map().and_then(|map| map.get("condition"));
            if let Some(Value::Scalar(word)) = condition.map(|entry| &entry.value.value)
                && word.text.starts_with("process_completed")
            {
                out.insert(on.key.clone());
            }
        }
    }
    out
}

/// One entry of `depends_on`, as written.
struct Wish {
    name: Arc<str>,
    span: Span,
    condition: Condition,
    place: Span,
}

/// Adds the dependencies of all processes to their units.
pub(super) fn add(
    processes: &[(Process<'_>, Vec<String>)],
    table: &Table,
    units: &mut [Lowered],
    strict: bool,
    cx: &mut Cx<'_>,
) {
    let index: rustc_hash::FxHashMap<Arc<str>, usize> = units
        .iter()
        .enumerate()
        .map(|(at, unit)| (Arc::from(unit.spec.name.as_str()), at))
        .collect();
    for (process, _) in processes {
        let wishes = wishes(process.node, cx);
        if wishes.is_empty() {
            continue;
        }
        let mut edges: Vec<(Arc<str>, Condition, Span, Span, bool)> = Vec::new();
        for wish in &wishes {
            if table.left_out.contains(&wish.name) {
                continue;
            }
            let targets = match table.instances.get(&wish.name) {
                Some(instances) => instances.clone(),
                None => match table.replicas.get(&*wish.name) {
                    Some(one) => {
                        // What is said of one replica wins over what is said of all.
                        edges.retain(|edge| edge.0 != *one);
                        vec![one.clone()]
                    }
                    None => {
                        unknown(wish, table, cx);
                        continue;
                    }
                },
            };
            let whole = table.instances.contains_key(&wish.name);
            for target in targets {
                if whole && edges.iter().any(|edge| edge.0 == target) {
                    continue;
                }
                let on = &units[index[&target]];
                let (condition, required) = settled(wish, on, strict, cx);
                edges.push((target, condition, wish.span, wish.place, required));
            }
        }
        for name in &table.instances[&process.name] {
            units[index[name]].edges = edges
                .iter()
                .map(|(name, condition, span, place, required)| Edge {
                    name: name.clone(),
                    span: *span,
                    condition: Some((*condition, *place)),
                    restart: false,
                    required: *required,
                })
                .collect();
        }
    }
}

fn unknown(wish: &Wish, table: &Table, cx: &mut Cx<'_>) {
    let help = cx.suggest(|| did_you_mean(&wish.name, table.instances.keys().map(|name| &**name)));
    cx.say(
        Diagnostic::meaning(
            wish.span,
            format!("no process is named {}", quoted(&wish.name)),
        )
        .label("not a process of this file")
        .maybe_help(help),
    );
}

/// The condition that can hold, and whether the dependency must come.
fn settled(wish: &Wish, on: &Lowered, strict: bool, cx: &mut Cx<'_>) -> (Condition, bool) {
    let spec = &on.spec;
    let shown = quoted(&wish.name);
    let is_log = |probe: &Option<crate::domain::spec::Probe>| {
        probe
            .as_ref()
            .is_some_and(|probe| matches!(probe.check, Check::Log(_)))
    };
    let mut condition = wish.condition;
    if condition == Condition::LogReady && !is_log(&spec.readiness) {
        cx.say(
            Diagnostic::meaning(wish.place, format!("{shown} has no `ready_log_line`"))
                .label("so this line never comes")
                .and(on.key, format!("{shown} is defined here")),
        );
    }
    if condition == Condition::Ready && !spec.can_be_ready() {
        let message = format!("{shown} has no readiness probe");
        cx.say(if strict {
            Diagnostic::meaning(wish.place, message).label("refused because of `is_strict`")
        } else {
            Diagnostic::warning(wish.place, message)
                .label("it would never be healthy; its start is waited for instead")
                .and(on.key, format!("{shown} is defined here"))
                .help("give it a `readiness_probe`, or wait for `process_started`")
        });
        condition = Condition::Started;
    }
    if matches!(condition, Condition::Completed | Condition::Succeeded)
        && spec.restart.policy == RestartPolicy::Always
    {
        cx.say(
            Diagnostic::warning(
                wish.place,
                format!("{shown} is always restarted and never stays completed"),
            )
            .label("its start is waited for instead")
            .and(on.key, format!("{shown} is defined here"))
            .help("write `condition: process_started`, or `process_healthy` with a probe"),
        );
        condition = Condition::Started;
    }
    if spec.disabled {
        let message = format!("{shown} is disabled");
        cx.say(if strict {
            Diagnostic::meaning(wish.span, message).label("refused because of `is_strict`")
        } else {
            Diagnostic::warning(wish.span, message)
                .label("it is not waited for")
                .and(on.key, "disabled here")
        });
    }
    (condition, !spec.disabled)
}

fn wishes(process: &Node, cx: &mut Cx<'_>) -> Vec<Wish> {
    let Some(map) = process.as_map() else {
        return Vec::new();
    };
    let fields = Fields {
        map,
        block: Block::Process,
    };
    let Some(entry) = fields.get("depends_on") else {
        return Vec::new();
    };
    let other_form = |span: Span, cx: &mut Cx<'_>| {
        cx.say(
            Diagnostic::warning(span, "process-compose itself refuses this form")
                .label("expected a map from name to `condition`")
                .help("write `depends_on: {NAME: {condition: process_started}}`"),
        );
    };
    match &entry.value.value {
        Value::Map(map) => map
            .entries
            .iter()
            .filter_map(|on| {
                let (condition, place) = match &on.value.value {
                    Value::Scalar(word) if word.is_null() => (None, on.key_span),
                    Value::Scalar(word) => {
                        other_form(on.value.span, cx);
                        (
                            Some(self::word(&word.text, on.value.span, cx)?),
                            on.value.span,
                        )
                    }
                    Value::Map(_) => {
                        let fields = Fields::of(&on.value, Block::Dependency, cx)?;
                        fields.warn_unknown(false, cx);
                        match fields.text("condition", cx).filter(|w| !w.value.is_empty()) {
                            Some(given) => {
                                (Some(self::word(&given.value, given.span, cx)?), given.span)
                            }
                            None => (None, on.key_span),
                        }
                    }
                    Value::Seq(_) => {
                        cx.say(super::fields::mismatch(&on.value, "a map with `condition`"));
                        return None;
                    }
                };
                if condition.is_none() {
                    cx.say(
                        Diagnostic::warning(
                            on.key_span,
                            format!("no condition for {}", quoted(&on.key)),
                        )
                        .label("its completion is waited for")
                        .help(
                            "process-compose does so where none is given; write \
                             `condition: process_started` if that is meant",
                        ),
                    );
                }
                Some(Wish {
                    name: on.key.clone(),
                    span: on.key_span,
                    condition: condition.unwrap_or(Condition::Completed),
                    place,
                })
            })
            .collect(),
        Value::Seq(items) => {
            other_form(entry.value.span, cx);
            items
                .iter()
                .filter_map(|item| {
                    let name = super::fields::scalar(item, "the name of a process", cx)?;
                    Some(Wish {
                        name: name.text.clone(),
                        span: item.span,
                        condition: Condition::Started,
                        place: item.span,
                    })
                })
                .collect()
        }
        Value::Scalar(_) => {
            cx.say(super::fields::mismatch(
                &entry.value,
                "a map from name to `condition`",
            ));
            Vec::new()
        }
    }
}

fn word(text: &str, span: Span, cx: &mut Cx<'_>) -> Option<Condition> {
    if let Some((_, condition)) = WORDS.iter().find(|(word, _)| *word == text) {
        return Some(*condition);
    }
    let words = || WORDS.iter().map(|(word, _)| *word);
    // Those of docker compose.
    let meant = text
        .strip_prefix("service_")
        .map(|rest| format!("process_{rest}"));
    if let Some(meant) = meant
        && let Some((_, condition)) = WORDS.iter().find(|(word, _)| *word == meant)
    {
        cx.say(
            Diagnostic::warning(span, format!("{} is docker's word", quoted(text)))
                .label(format!("it is read as `{meant}`")),
        );
        return Some(*condition);
    }
    let help = did_you_mean(text, words());
    cx.say(
        Diagnostic::meaning(span, format!("{} is not a condition", quoted(text)))
            .label(format!("expected {}", one_of(words())))
            .maybe_help(help),
    );
    None
}
