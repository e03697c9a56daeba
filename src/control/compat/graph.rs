//! Who depends on whom, as a tree below each process that nobody depends on.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use serde::Serialize;

use super::Look;
use super::refusal::Refusal;
use crate::domain::graph::UnitIndex;
use crate::domain::spec::Condition;

/// A process stands in the tree as often as there are ways to it: of a large stack that can
/// be more than anybody reads.
const MOST: usize = 100_000;

#[derive(Debug, Serialize)]
pub(super) struct Graph {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Serialize)]
struct Node {
    name: String,
    process_status: &'static str,
    is_ready: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    depends_on: BTreeMap<String, Link>,
}

#[derive(Debug, Serialize)]
struct Link {
    #[serde(flatten)]
    node: Node,
    dependency_type: &'static str,
}

pub(super) fn graph(look: &Look<'_>) -> Result<Graph, Refusal> {
    let Some(plan) = &look.plan else {
        let error = "the plan of this stack is in another process";
        return Err(Refusal::bad(error));
    };
    let units = plan.units();
    let depended: BTreeSet<&str> = (units.iter())
        .flat_map(|unit| &unit.depends_on)
        .map(|edge| edge.unit.as_str())
        .collect();
    let mut left = MOST;
    let mut nodes = BTreeMap::new();
    for unit in units {
        let alone = unit.depends_on.is_empty();
        if alone || depended.contains(unit.name.as_str()) {
            continue;
        }
        let Some(index) = plan.graph().find(unit.name.as_str()) else {
            continue;
        };
        let node = node(look, index, &mut left)?;
        nodes.insert(node.name.clone(), node);
    }
    Ok(Graph { nodes })
}

/// The depth is that of the graph, which has no cycle.
fn node(look: &Look<'_>, index: UnitIndex, left: &mut usize) -> Result<Node, Refusal> {
    *left = left.checked_sub(1).ok_or_else(|| {
        let error = format!("more than {MOST} ways lead through the dependencies of this stack");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error)
    })?;
    let Some(plan) = &look.plan else {
        return Err(Refusal::bad("the plan of this stack is gone"));
    };
    let spec = plan.unit(index);
    let views = &look.snapshot.units;
    let view = views.iter().find(|view| view.unit == spec.name);
    let state = view.map(|view| look.state(view));
    let mut depends_on = BTreeMap::new();
    for edge in &spec.depends_on {
        let Some(dependency) = plan.graph().find(edge.unit.as_str()) else {
            continue;
        };
        let node = node(look, dependency, left)?;
        let link = Link {
            dependency_type: match edge.condition {
                Condition::Started => "started",
                Condition::Ready => "healthy",
                Condition::Completed => "completed",
                Condition::Succeeded => "completed_successfully",
                Condition::LogReady => "log_ready",
            },
            node,
        };
        depends_on.insert(link.node.name.clone(), link);
    }
    Ok(Node {
        name: state
            .as_ref()
            .map_or_else(|| spec.name.as_str().to_owned(), |state| state.name.clone()),
        process_status: state.as_ref().map_or("Pending", |state| state.status),
        is_ready: state.as_ref().map_or("-", |state| state.is_ready),
        depends_on,
    })
}
