//! Who depends on whom, as a graph over units.
//!
//! Edges point from a dependency to its dependent, so a walk along them is a start in
//! order and a walk against them a stop in order.

use std::sync::Arc;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;
use rustc_hash::FxHashMap;

use super::id::UnitName;
use super::spec::{Dependency, UnitSpec};

/// The position of a unit in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitIndex(pub u32);

impl UnitIndex {
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    fn node(self) -> NodeIndex {
        NodeIndex::new(self.index())
    }
}

impl From<NodeIndex> for UnitIndex {
    fn from(node: NodeIndex) -> Self {
        Self(u32::try_from(node.index()).unwrap_or(u32::MAX))
    }
}

/// Why units form no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    #[error("two units are named `{0}`")]
    Duplicate(UnitName),
    #[error("`{unit}` depends on `{dependency}`, which is not defined")]
    Unknown {
        unit: UnitName,
        dependency: UnitName,
    },
    /// The path starts and ends with the same unit.
    #[error("dependency cycle: {}", path_text(.0))]
    Cycle(Vec<UnitName>),
}

fn path_text(path: &[UnitName]) -> String {
    path.iter()
        .map(UnitName::as_str)
        .collect::<Vec<_>>()
        .join(" -> ")
}

/// An acyclic graph of units; the edge's weight is the place in the dependent's
/// `depends_on`.
#[derive(Clone, Debug)]
pub struct Graph {
    graph: DiGraph<(), u32>,
    names: FxHashMap<UnitName, UnitIndex>,
    order: Vec<UnitIndex>,
}

impl Graph {
    /// Builds the graph of `specs`.
    ///
    /// # Errors
    ///
    /// All duplicate names, else all unknown dependencies, else every cycle by its path.
    pub fn build(specs: &[Arc<UnitSpec>]) -> Result<Self, Vec<GraphError>> {
        let mut errors = Vec::new();
        let edge_count = specs.iter().map(|spec| spec.depends_on.len()).sum();
        let mut names = FxHashMap::with_capacity_and_hasher(specs.len(), rustc_hash::FxBuildHasher);
        let mut graph = DiGraph::with_capacity(specs.len(), edge_count);
        for spec in specs {
            let index = UnitIndex::from(graph.add_node(()));
            if names.insert(spec.name.clone(), index).is_some() {
                errors.push(GraphError::Duplicate(spec.name.clone()));
            }
        }
        // Commands name instances as well as units.
        for spec in specs.iter().filter(|spec| spec.replicas.is_some()) {
            errors.extend(
                spec.instance_names()
                    .filter(|name| names.contains_key(name))
                    .map(GraphError::Duplicate),
            );
        }
        for (dependent, spec) in specs.iter().enumerate() {
            for (place, dependency) in (0..).zip(&spec.depends_on) {
                match names.get(&dependency.unit) {
                    Some(on) => {
                        graph.add_edge(on.node(), NodeIndex::new(dependent), place);
                    }
                    None => errors.push(GraphError::Unknown {
                        unit: spec.name.clone(),
                        dependency: dependency.unit.clone(),
                    }),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        match petgraph::algo::toposort(&graph, None) {
            Ok(order) => Ok(Self {
                graph,
                names,
                order: order.into_iter().map(UnitIndex::from).collect(),
            }),
            Err(_) => Err(cycles(&graph, specs)),
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<UnitIndex> {
        self.names.get(name).copied()
    }

    /// All units, each after what it depends on.
    #[must_use]
    pub fn order(&self) -> &[UnitIndex] {
        &self.order
    }

    /// What `unit` depends on, with the place in its `depends_on`.
    pub fn dependencies(&self, unit: UnitIndex) -> impl Iterator<Item = (UnitIndex, usize)> + '_ {
        self.graph
            .edges_directed(unit.node(), Direction::Incoming)
            .map(|edge| (edge.source().into(), *edge.weight() as usize))
    }

    /// What depends on `unit`, with the place in the dependent's `depends_on`.
    pub fn dependents(&self, unit: UnitIndex) -> impl Iterator<Item = (UnitIndex, usize)> + '_ {
        self.graph
            .edges_directed(unit.node(), Direction::Outgoing)
            .map(|edge| (edge.target().into(), *edge.weight() as usize))
    }

    /// `roots` and everything that they need, through dependencies that `follow` accepts.
    pub fn closure(
        &self,
        roots: impl IntoIterator<Item = UnitIndex>,
        specs: &[Arc<UnitSpec>],
        follow: impl Fn(&Dependency) -> bool,
    ) -> Vec<bool> {
        let mut reached = vec![false; self.len()];
        let mut stack: Vec<UnitIndex> = roots.into_iter().collect();
        while let Some(unit) = stack.pop() {
            if std::mem::replace(&mut reached[unit.index()], true) {
                continue;
            }
            let spec = &specs[unit.index()];
            stack.extend(
                self.dependencies(unit)
                    .filter(|&(_, place)| follow(&spec.depends_on[place]))
                    .map(|(dependency, _)| dependency),
            );
        }
        reached
    }
}

/// One cycle of each group of units that reach each other, as a path.
fn cycles(graph: &DiGraph<(), u32>, specs: &[Arc<UnitSpec>]) -> Vec<GraphError> {
    let mut found: Vec<Vec<usize>> = petgraph::algo::tarjan_scc(graph)
        .into_iter()
        .filter(|group| group.len() > 1 || graph.contains_edge(group[0], group[0]))
        .map(|group| cycle_within(graph, &group))
        .collect();
    found.sort();
    found
        .into_iter()
        .map(|path| GraphError::Cycle(path.into_iter().map(|i| specs[i].name.clone()).collect()))
        .collect()
}

/// The shortest cycle through the first-declared unit of a strongly connected group, in
/// the direction "depends on", beginning and ending with it.
fn cycle_within(graph: &DiGraph<(), u32>, group: &[NodeIndex]) -> Vec<usize> {
    let members: rustc_hash::FxHashSet<NodeIndex> = group.iter().copied().collect();
    let Some(&start) = group.iter().min() else {
        return Vec::new();
    };
    let mut came_from: FxHashMap<NodeIndex, NodeIndex> = FxHashMap::default();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for next in graph.neighbors_directed(node, Direction::Incoming) {
            if next == start {
                let mut path = vec![start.index()];
                let mut at = node;
                while at != start {
                    path.push(at.index());
                    at = came_from[&at];
                }
                path.push(start.index());
                path.reverse();
                return path;
            }
            if members.contains(&next) && !came_from.contains_key(&next) {
                came_from.insert(next, node);
                queue.push_back(next);
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{Command, Condition, Program};
    use crate::domain::spec::{Dependency, UnitKind};

    fn specs(units: &[(&str, &[&str])]) -> Vec<Arc<UnitSpec>> {
        units
            .iter()
            .map(|(name, on)| {
                let program = Program::Command(Command::Exec(vec!["true".into()]));
                let mut spec =
                    UnitSpec::new((*name).into(), UnitKind::Service, program, "/".into());
                spec.depends_on = on
                    .iter()
                    .map(|on| Dependency {
                        unit: (*on).into(),
                        condition: Condition::Started,
                        restart: false,
                        required: true,
                    })
                    .collect();
                Arc::new(spec)
            })
            .collect()
    }

    fn errors(units: &[(&str, &[&str])]) -> Vec<String> {
        let errors = Graph::build(&specs(units)).unwrap_err();
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn dependencies_come_first_in_order() {
        let graph =
            Graph::build(&specs(&[("web", &["api"]), ("api", &["db"]), ("db", &[])])).unwrap();
        assert_eq!(graph.order(), [UnitIndex(2), UnitIndex(1), UnitIndex(0)]);
    }

    #[test]
    fn every_error_is_reported() {
        assert_eq!(
            errors(&[("a", &["x"]), ("b", &["y"])]),
            [
                "`a` depends on `x`, which is not defined",
                "`b` depends on `y`, which is not defined"
            ]
        );
        assert_eq!(
            errors(&[("a", &[]), ("a", &[])]),
            ["two units are named `a`"]
        );
    }

    #[test]
    fn a_cycle_is_reported_as_its_path() {
        assert_eq!(
            errors(&[
                ("a", &["b"]),
                ("b", &["c", "d"]),
                ("c", &["a"]),
                ("d", &[]),
                ("e", &["e"])
            ]),
            [
                "dependency cycle: a -> b -> c -> a",
                "dependency cycle: e -> e"
            ]
        );
    }
}
