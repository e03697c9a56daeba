//! The graph of a plan laid out in columns: what needs nothing first. Pure.
//!
//! ```text
//!  rank by longest path ─► an edge over several ranks passes each of them as a lane
//!    ─► order within a rank by what is next to it ─► one channel per source in each gap
//! ```

use std::collections::{BTreeMap, BTreeSet};

use super::fit;
use crate::domain::graph::UnitIndex;
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;

const LEFT: u8 = 1;
const RIGHT: u8 = 2;
const UP: u8 = 4;
const DOWN: u8 = 8;

/// Columns that a name may take.
const LONGEST: usize = 24;

/// A unit in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub name: UnitName,
    pub x: usize,
    pub y: usize,
    /// Of its column, glyph and space included.
    pub width: usize,
    pub needs: Vec<usize>,
    pub needed_by: Vec<usize>,
}

/// Units in their places and the wires between them.
#[derive(Clone, Debug, Default)]
pub struct GraphPlan {
    pub nodes: Vec<Node>,
    /// By row and column, the directions in which a wire leaves a cell.
    wires: BTreeMap<(usize, usize), u8>,
    pub width: usize,
    pub height: usize,
}

/// What stands in a rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item {
    Node(usize),
    /// A wire from that node passes.
    Lane(usize),
}

impl GraphPlan {
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let graph = plan.graph();
        let count = graph.len();
        let mut rank = vec![0usize; count];
        let mut nodes: Vec<Node> = (plan.units().iter())
            .map(|spec| Node {
                name: spec.name.clone(),
                x: 0,
                y: 0,
                width: 0,
                needs: Vec::new(),
                needed_by: Vec::new(),
            })
            .collect();
        for unit in graph.order() {
            let me = unit.index();
            let mut needs: Vec<usize> = graph
                .dependencies(*unit)
                .map(|(on, _): (UnitIndex, usize)| on.index())
                .collect();
            needs.sort_unstable();
            needs.dedup();
            rank[me] = needs.iter().map(|on| rank[*on] + 1).max().unwrap_or(0);
            for on in &needs {
                nodes[*on].needed_by.push(me);
            }
            nodes[me].needs = needs;
        }
        let mut ranks = ranks(&nodes, &rank);
        for sweep in 0..6 {
            order(&mut ranks, &nodes, &rank, sweep % 2 == 0);
        }
        place(nodes, &ranks, &rank)
    }

    /// The wires of a row between two columns.
    pub fn wires(
        &self,
        y: usize,
        from: usize,
        to: usize,
    ) -> impl Iterator<Item = (usize, &'static str)> + '_ {
        (self.wires.range((y, from)..(y, to.max(from)))).map(|((_, x), bits)| (*x, drawn(*bits)))
    }

    fn wire(&mut self, y: usize, x: usize, bits: u8) {
        *self.wires.entry((y, x)).or_default() |= bits;
    }

    fn across(&mut self, y: usize, from: usize, to: usize) {
        for x in from..=to {
            let left = if x > from { LEFT } else { 0 };
            let right = if x < to { RIGHT } else { 0 };
            self.wire(y, x, left | right);
        }
    }

    fn down(&mut self, x: usize, from: usize, to: usize) {
        for y in from..=to {
            let up = if y > from { UP } else { 0 };
            let down = if y < to { DOWN } else { 0 };
            self.wire(y, x, up | down);
        }
    }
}

fn ranks(nodes: &[Node], rank: &[usize]) -> Vec<Vec<Item>> {
    let depth = rank.iter().max().map_or(0, |max| max + 1);
    let mut ranks: Vec<Vec<Item>> = vec![Vec::new(); depth];
    for (index, node) in nodes.iter().enumerate() {
        ranks[rank[index]].push(Item::Node(index));
        let furthest = node.needed_by.iter().map(|on| rank[*on]).max().unwrap_or(0);
        for lane in &mut ranks[rank[index] + 1..furthest.max(rank[index] + 1)] {
            lane.push(Item::Lane(index));
        }
    }
    ranks
}

/// Sorts each rank by where its neighbours on one side stand.
fn order(ranks: &mut [Vec<Item>], nodes: &[Node], rank: &[usize], forward: bool) {
    let depth = ranks.len();
    let turns: Vec<usize> = if forward {
        (1..depth).collect()
    } else {
        (0..depth.saturating_sub(1)).rev().collect()
    };
    for at in turns {
        let next = if forward { at - 1 } else { at + 1 };
        let places: BTreeMap<(usize, bool), usize> = (ranks[next].iter().enumerate())
            .map(|(place, item)| match item {
                Item::Node(node) => ((*node, true), place),
                Item::Lane(node) => ((*node, false), place),
            })
            .collect();
        let from = |source: usize| {
            let is_node = rank[source] == next;
            places.get(&(source, is_node)).copied()
        };
        let weight = |place: usize, item: &Item| -> f64 {
            let near: Vec<usize> = match item {
                Item::Node(node) if forward => (nodes[*node].needs.iter())
                    .filter_map(|on| from(*on))
                    .collect(),
                Item::Lane(node) if forward => from(*node).into_iter().collect(),
                Item::Node(node) | Item::Lane(node) => {
                    let on = nodes[*node].needed_by.iter();
                    let direct = on
                        .filter(|on| rank[**on] == next)
                        .filter_map(|on| places.get(&(*on, true)));
                    let lane = places.get(&(*node, false));
                    direct.chain(lane).copied().collect()
                }
            };
            if near.is_empty() {
                place as f64
            } else {
                near.iter().sum::<usize>() as f64 / near.len() as f64
            }
        };
        let mut weighted: Vec<(f64, Item)> = (ranks[at].iter().enumerate())
            .map(|(place, item)| (weight(place, item), *item))
            .collect();
        weighted.sort_by(|a, b| a.0.total_cmp(&b.0));
        ranks[at] = weighted.into_iter().map(|(_, item)| item).collect();
    }
}

fn place(nodes: Vec<Node>, ranks: &[Vec<Item>], rank: &[usize]) -> GraphPlan {
    let tallest = ranks.iter().map(Vec::len).max().unwrap_or(0);
    let mut plan = GraphPlan {
        nodes,
        height: (tallest * 2).saturating_sub(1),
        ..GraphPlan::default()
    };
    // The row of each node and lane, by rank.
    let mut rows: Vec<BTreeMap<usize, usize>> = Vec::new();
    for items in ranks {
        let start = tallest - items.len();
        rows.push(
            (items.iter().enumerate())
                .map(|(place, item)| match item {
                    Item::Node(node) | Item::Lane(node) => (*node, start + place * 2),
                })
                .collect(),
        );
    }
    let mut x = 0;
    for (depth, items) in ranks.iter().enumerate() {
        let names = items.iter().filter_map(|item| match item {
            Item::Node(node) => Some(fit::width(plan.nodes[*node].name.as_str()).min(LONGEST)),
            Item::Lane(_) => None,
        });
        let width = names.max().unwrap_or(0) + 2;
        let gap = x + width;
        let sources: BTreeSet<usize> = (items.iter())
            .map(|item| match item {
                Item::Node(node) | Item::Lane(node) => *node,
            })
            .filter(|node| {
                plan.nodes[*node]
                    .needed_by
                    .iter()
                    .any(|on| rank[*on] > depth)
            })
            .collect();
        for item in items {
            match item {
                Item::Node(node) => {
                    let y = rows[depth][node];
                    let target = &mut plan.nodes[*node];
                    (target.x, target.y, target.width) = (x, y, width);
                }
                Item::Lane(node) => plan.across(rows[depth][node], x.saturating_sub(1), gap),
            }
        }
        if sources.is_empty() {
            plan.width = plan.width.max(gap);
            x = gap + 2;
            continue;
        }
        let mut by_row: Vec<usize> = sources.into_iter().collect();
        by_row.sort_by_key(|node| rows[depth][node]);
        let next = gap + 3 + by_row.len() * 2;
        for (channel, node) in by_row.iter().enumerate() {
            let y = rows[depth][node];
            // The lowest turn first, so that fewer wires cross.
            let at = gap + 1 + (by_row.len() - 1 - channel) * 2;
            let begin = if rank[*node] == depth {
                gap - (width - 2 - fit::width(plan.nodes[*node].name.as_str()).min(LONGEST))
            } else {
                gap
            };
            plan.across(y, begin, at);
            let mut targets: Vec<(usize, bool)> = (plan.nodes[*node].needed_by.iter())
                .filter(|on| rank[**on] == depth + 1)
                .map(|on| (rows[depth + 1][on], true))
                .collect();
            if plan.nodes[*node]
                .needed_by
                .iter()
                .any(|on| rank[*on] > depth + 1)
            {
                targets.extend(rows[depth + 1].get(node).map(|row| (*row, false)));
            }
            for (row, _) in targets {
                plan.down(at, y.min(row), y.max(row));
                plan.across(row, at, next - 1);
            }
        }
        plan.width = plan.width.max(next);
        x = next;
    }
    plan
}

fn drawn(bits: u8) -> &'static str {
    const L: u8 = LEFT;
    const R: u8 = RIGHT;
    const U: u8 = UP;
    const D: u8 = DOWN;
    const LR: u8 = L | R;
    const UD: u8 = U | D;
    match bits {
        UD | U | D => "│",
        0 | L | R | LR => "─",
        b if b == L | D => "╮",
        b if b == L | U => "╯",
        b if b == R | D => "╭",
        b if b == R | U => "╰",
        b if b == LR | D => "┬",
        b if b == LR | U => "┴",
        b if b == UD | L => "┤",
        b if b == UD | R => "├",
        _ => "┼",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::spec::{Command, Condition, Dependency, Program, UnitKind, UnitSpec};

    fn plan(units: &[(String, Vec<String>)]) -> Plan {
        let spec = |(name, on): &(String, Vec<String>)| {
            let program = Program::Command(Command::Exec(vec!["true".into()]));
            let mut spec = UnitSpec::new(
                UnitName::new(name.as_str()),
                UnitKind::Service,
                program,
                "/".into(),
            );
            spec.depends_on = (on.iter())
                .map(|on| Dependency {
                    unit: UnitName::new(on.as_str()),
                    condition: Condition::Started,
                    restart: false,
                    required: true,
                })
                .collect();
            Arc::new(spec)
        };
        Plan::new("test", units.iter().map(spec).collect()).unwrap()
    }

    fn drawing(graph: &GraphPlan) -> String {
        let mut text = String::new();
        for y in 0..graph.height {
            let mut row = vec![" ".to_owned(); graph.width];
            for (x, wire) in graph.wires(y, 0, graph.width) {
                wire.clone_into(&mut row[x]);
            }
            for node in graph.nodes.iter().filter(|node| node.y == y) {
                for (at, c) in "● ".chars().chain(node.name.as_str().chars()).enumerate() {
                    row[node.x + at] = c.to_string();
                }
            }
            text.push_str(row.concat().trim_end());
            text.push('\n');
        }
        text
    }

    #[test]
    fn a_shop_is_drawn() {
        let units = [
            ("db", vec![]),
            ("api", vec!["db", "migrate"]),
            ("worker", vec!["db", "migrate"]),
            ("web", vec!["api"]),
            ("migrate", vec!["db"]),
            ("order", vec!["api", "worker"]),
        ];
        let units =
            units.map(|(name, on)| (name.to_owned(), on.into_iter().map(str::to_owned).collect()));
        insta::assert_snapshot!(drawing(&GraphPlan::new(&plan(&units))));
    }

    proptest! {
        #[test]
        fn every_unit_has_a_place_of_its_own(edges in prop::collection::vec((0usize..20, 0usize..20), 0..40)) {
            let units: Vec<(String, Vec<String>)> = (0..20).map(|unit| {
                let on: BTreeSet<usize> = edges.iter().filter(|(a, b)| *a == unit && b < a).map(|(_, b)| *b).collect();
                (format!("u{unit}"), on.into_iter().map(|on| format!("u{on}")).collect())
            }).collect();
            let graph = GraphPlan::new(&plan(&units));
            let places: BTreeSet<(usize, usize)> = graph.nodes.iter().map(|node| (node.y, node.x)).collect();
            prop_assert_eq!(places.len(), 20);
            for node in &graph.nodes {
                prop_assert!(node.y < graph.height && node.x + node.width <= graph.width);
                for on in &node.needs {
                    prop_assert!(graph.nodes[*on].x < node.x);
                }
                // No wire runs through a name.
                for (x, _) in graph.wires(node.y, node.x, node.x + 2 + node.name.as_str().len()) {
                    prop_assert!(false, "wire at {x} in {}", node.name);
                }
            }
        }
    }
}
