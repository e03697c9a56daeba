//! The graph for programs that draw: Graphviz and Mermaid.

use crate::domain::graph::UnitIndex;
use crate::domain::plan::Plan;
use crate::domain::spec::{Dependency, UnitKind, UnitSpec};

/// For `dot -Tsvg`. Arrows lead from a unit to what it waits for.
pub fn dot(plan: &Plan) -> String {
    let mut text = format!("digraph {} {{\n  rankdir=LR;\n", quoted(plan.name()));
    for unit in plan.units() {
        let shape = match unit.kind {
            UnitKind::Service => "box",
            UnitKind::Task => "ellipse",
        };
        let name = quoted(unit.name.as_str());
        let label = quoted(&label(unit));
        text.push_str(&format!("  {name} [shape={shape}, label={label}];\n"));
    }
    for (unit, edge) in edges(plan) {
        let style = if edge.required { "solid" } else { "dashed" };
        text.push_str(&format!(
            "  {} -> {} [label={}, style={style}];\n",
            quoted(unit.name.as_str()),
            quoted(edge.unit.as_str()),
            quoted(&manner(edge))
        ));
    }
    text.push_str("}\n");
    text
}

/// For Markdown that is drawn. Names are numbered: Mermaid has words of its own.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let place = |name: &str| plan.graph().find(name).map_or(0, UnitIndex::index);
    for (index, unit) in plan.units().iter().enumerate() {
        let label = label(unit);
        text.push_str(&match unit.kind {
            UnitKind::Service => format!("  u{index}[\"{label}\"]\n"),
            UnitKind::Task => format!("  u{index}([\"{label}\"])\n"),
        });
    }
    for (unit, edge) in edges(plan) {
        let arrow = if edge.required { "-->" } else { "-.->" };
        text.push_str(&format!(
            "  u{} {arrow}|{}| u{}\n",
            place(unit.name.as_str()),
            manner(edge),
            place(edge.unit.as_str())
        ));
    }
    text
}

fn edges(plan: &Plan) -> impl Iterator<Item = (&UnitSpec, &Dependency)> {
    let units = plan.units().iter();
    units.flat_map(|unit| unit.depends_on.iter().map(move |edge| (&**unit, edge)))
}

fn label(unit: &UnitSpec) -> String {
    match unit.replicas {
        Some(replicas) => format!("{} ×{replicas}", unit.name),
        None => unit.name.to_string(),
    }
}

fn manner(edge: &Dependency) -> String {
    let restarts = if edge.restart { ", restarts" } else { "" };
    format!("{}{restarts}", edge.condition)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
