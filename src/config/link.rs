//! What units are to each other.
//!
//! This module owns the rules that one unit alone cannot break: dependencies that exist and
//! can hold, names and ports that do not clash. It links the dependencies of each spec.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::context::Cx;
use super::diagnostic::Diagnostic;
use super::lower::{Edge, Lowered};
use super::snippet::quoted;
use super::source::Span;
use super::suggest::closest;
use crate::domain::graph::GraphError;
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use crate::domain::spec::{Check, Condition, Dependency, RestartPolicy, UnitKind, UnitSpec};

/// Dependencies up to which duplicates are found by comparing all.
const SMALL: usize = 16;

/// Links all units into a plan; `None` where a diagnostic says why there is none.
pub(super) fn link(name: &str, mut units: Vec<Lowered>, cx: &mut Cx<'_>) -> Option<Plan> {
    let index: FxHashMap<UnitName, usize> = (0..)
        .zip(&units)
        .map(|(at, unit)| (unit.spec.name.clone(), at))
        .collect();
    for at in 0..units.len() {
        let edges = std::mem::take(&mut units[at].edges);
        let mut linked = Vec::with_capacity(edges.len());
        let mut seen: FxHashMap<&str, Span> = FxHashMap::default();
        for (place, edge) in edges.iter().enumerate() {
            // A table costs more than it saves where there is little to compare.
            let first = if edges.len() <= SMALL {
                let earlier = edges[..place].iter();
                earlier
                    .rev()
                    .find(|other| other.name == edge.name)
                    .map(|other| other.span)
            } else {
                seen.insert(&edge.name, edge.span)
            };
            if let Some(first) = first {
                cx.say(
                    Diagnostic::meaning(
                        edge.span,
                        format!("{} is given twice", quoted(&edge.name)),
                    )
                    .label("the second time")
                    .and(first, "the first time"),
                );
                continue;
            }
            match index.get(&*edge.name) {
                Some(&on) if on == at => cx.say(
                    Diagnostic::meaning(
                        edge.span,
                        format!("{} depends on itself", quoted(&edge.name)),
                    )
                    .label("it would wait for itself forever"),
                ),
                Some(&on) => linked.push(dependency(edge, &units[on], cx)),
                None => unknown(edge, &units, cx),
            }
        }
        Arc::make_mut(&mut units[at].spec).depends_on = linked;
        units[at].edges = edges;
    }
    instances(&units, &index, cx);
    ports(&units, cx);
    let errors = cx.diagnostics.iter().any(Diagnostic::is_error);
    let (specs, places): (Vec<Arc<UnitSpec>>, Vec<Vec<Edge>>) = units
        .into_iter()
        .map(|unit| (unit.spec, unit.edges))
        .unzip();
    match Plan::new(name, specs) {
        Ok(plan) => (!errors).then_some(plan),
        Err(graph_errors) => {
            for error in graph_errors {
                if let GraphError::Cycle(path) = error {
                    cycle(&path, &index, &places, cx);
                }
            }
            None
        }
    }
}

fn unknown(edge: &Edge, units: &[Lowered], cx: &mut Cx<'_>) {
    let names = || units.iter().map(|unit| unit.spec.name.as_str());
    let help = cx.suggest(|| {
        if let Some(meant) = closest(&edge.name, names()) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let (base, number) = edge.name.rsplit_once('-')?;
        let replicated = units
            .iter()
            .find(|unit| unit.spec.name.as_str() == base && unit.spec.replicas.is_some())?;
        number.parse::<u32>().ok()?;
        Some(format!(
            "it is an instance of `{}`; depend on that, which means all of them",
            replicated.spec.name
        ))
    });
    let diagnostic = Diagnostic::meaning(
        edge.span,
        format!("no unit is named {}", quoted(&edge.name)),
    )
    .label("not a service or task of this stack");
    cx.say(diagnostic.maybe_help(help));
}

fn dependency(edge: &Edge, on: &Lowered, cx: &mut Cx<'_>) -> Dependency {
    let spec = &on.spec;
    let condition = match edge.condition {
        Some((condition, span)) => {
            check_condition(condition, span, on, cx);
            condition
        }
        None if spec.kind == UnitKind::Task => Condition::Succeeded,
        None if spec.can_be_ready() => Condition::Ready,
        None => Condition::Started,
    };
    if edge.condition.is_none() {
        check_condition(condition, edge.span, on, cx);
    }
    if spec.disabled && edge.required {
        let (what, why, help) = match spec.foreground {
            true => (
                "only started by hand",
                "it takes over a terminal",
                "write `required: false` for it",
            ),
            false => (
                "disabled",
                "disabled here",
                "write `required: false` for it, or remove its `disabled`",
            ),
        };
        cx.say(
            Diagnostic::meaning(edge.span, format!("`{}` is {what} but required", spec.name))
                .label("it would be waited for in vain")
                .and(on.key, why)
                .help(help),
        );
    }
    Dependency {
        unit: spec.name.clone(),
        condition,
        restart: edge.restart,
        required: edge.required,
    }
}

/// Refuses a condition that can never hold.
fn check_condition(condition: Condition, span: Span, on: &Lowered, cx: &mut Cx<'_>) {
    let spec = &on.spec;
    let name = &spec.name;
    let never = |reason: String, help: &str| {
        Diagnostic::meaning(span, format!("`{name}` can never be `{condition}`"))
            .label(reason)
            .and(on.key, format!("`{name}` is defined here"))
            .help(help)
    };
    let diagnostic = match condition {
        Condition::Started => None,
        Condition::Ready => (!spec.can_be_ready()).then(|| {
            never(
                "it has no `readiness` or `startup` probe".into(),
                "give it a `readiness` probe, or wait for `started`",
            )
        }),
        Condition::Completed | Condition::Succeeded => {
            (spec.restart.policy == RestartPolicy::Always).then(|| {
                never(
                    "with `restart: always` it never stays ended".into(),
                    "use `restart: on-failure` there, or wait for `started` or `ready`",
                )
            })
        }
        Condition::LogReady => {
            let log = |probe: &Option<_>| {
                probe
                    .as_ref()
                    .is_some_and(|probe: &crate::domain::spec::Probe| {
                        matches!(probe.check, Check::Log(_))
                    })
            };
            (!log(&spec.readiness) && !log(&spec.startup)).then(|| {
                never(
                    "it has no `log` probe".into(),
                    "give it `readiness: {log: …}`, or wait for another condition",
                )
            })
        }
    };
    if let Some(diagnostic) = diagnostic {
        cx.say(diagnostic);
    }
}

fn cycle(
    path: &[UnitName],
    index: &FxHashMap<UnitName, usize>,
    places: &[Vec<Edge>],
    cx: &mut Cx<'_>,
) {
    // Each step of the path is one edge, in whichever direction the path was walked.
    let edge = |from: &UnitName, to: &UnitName| {
        let edges = places.get(*index.get(from)?)?;
        edges.iter().find(|edge| &*edge.name == to.as_str())
    };
    let forward = path
        .windows(2)
        .all(|pair| edge(&pair[0], &pair[1]).is_some());
    let mut path: Vec<&UnitName> = path.iter().collect();
    if !forward {
        path.reverse();
    }
    let steps = path.windows(2);
    let spans: Vec<(Span, String)> = steps
        .filter_map(|pair| {
            let edge = edge(pair[0], pair[1])?;
            Some((edge.span, format!("`{}` waits for `{}`", pair[0], pair[1])))
        })
        .collect();
    let Some(((first, text), rest)) = spans.split_first() else {
        return;
    };
    const SHOWN: usize = 6;
    let names: Vec<String> = path.iter().map(|name| format!("`{name}`")).collect();
    let shown = if names.len() > 2 * SHOWN {
        let (head, tail) = (&names[..SHOWN], &names[names.len() - SHOWN..]);
        format!("{} → … → {}", head.join(" → "), tail.join(" → "))
    } else {
        names.join(" → ")
    };
    let mut diagnostic = Diagnostic::meaning(
        *first,
        format!("these units wait for each other in a circle: {shown}"),
    )
    .label(text.clone());
    for (span, text) in rest.iter().take(2 * SHOWN) {
        diagnostic = diagnostic.and(*span, text.clone());
    }
    cx.say(diagnostic.help("remove one of these dependencies"));
}

/// Names that replicas take must be free.
fn instances(units: &[Lowered], index: &FxHashMap<UnitName, usize>, cx: &mut Cx<'_>) {
    for unit in units {
        if unit.spec.replicas.is_none() {
            continue;
        }
        for name in unit.spec.instance_names() {
            if let Some(&other) = index.get(&name) {
                cx.say(
                    Diagnostic::meaning(
                        units[other].key,
                        format!("`{name}` is also an instance of `{}`", unit.spec.name),
                    )
                    .label("this unit")
                    .and(
                        unit.replicas.unwrap_or(unit.key),
                        format!("replicas are named `{}-1` and so on", unit.spec.name),
                    )
                    .help("rename one of them"),
                );
            }
        }
    }
}

fn ports(units: &[Lowered], cx: &mut Cx<'_>) {
    let mut taken: FxHashMap<u16, (usize, Span)> = FxHashMap::default();
    let mut warned: FxHashSet<u16> = FxHashSet::default();
    for (at, unit) in units.iter().enumerate() {
        let several = unit.spec.replicas.is_some_and(|count| count > 1);
        for &(port, span) in &unit.ports {
            if several {
                cx.say(
                    Diagnostic::meaning(span, format!("port {port} for more than one instance"))
                        .label("only one process can listen on it")
                        .and(unit.replicas.unwrap_or(unit.key), "as many instances")
                        .help("write `auto`, or remove `replicas`"),
                );
            }
            match taken.get(&port) {
                Some(&(other, first)) if other != at && warned.insert(port) => cx.say(
                    Diagnostic::warning(
                        span,
                        format!(
                            "`{}` and `{}` both have port {port}",
                            units[other].spec.name, unit.spec.name
                        ),
                    )
                    .label("the second one")
                    .and(first, "the first one"),
                ),
                Some(_) => {}
                None => {
                    taken.insert(port, (at, span));
                }
            }
        }
    }
}
