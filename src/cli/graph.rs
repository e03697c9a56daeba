//! `pk graph`: what depends on what, for reading or for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::args::{GraphForm, Place};
use super::exit::End;
use super::graph_text;
use super::output::Output;
use super::stack;
use crate::domain::graph::UnitIndex;
use crate::domain::plan::Plan;
use crate::domain::spec::{Dependency, UnitKind, UnitSpec};

pub fn graph(place: &Place, form: GraphForm, output: &Output) -> End {
    match stack::load(place, output) {
        Ok(loaded) => output.print(&match form {
            GraphForm::Tree => tree(&loaded.plan),
            GraphForm::Dot => graph_text::dot(&loaded.plan),
            GraphForm::Mermaid => graph_text::mermaid(&loaded.plan),
            GraphForm::Json => format!("{:#}\n", to_json(&loaded.plan)),
        }),
        Err(end) => end,
    }
}

/// Each unit that nothing depends on, and under it what it waits for.
///
/// What stands under a unit is drawn once and named with an ellipsis afterwards: drawn each
/// time, a few dozen units could fill a disk.
fn tree(plan: &Plan) -> String {
    let mut drawing = Drawing {
        plan,
        drawn: BTreeSet::new(),
        out: String::new(),
    };
    let all = || (0..).map(UnitIndex).take(plan.units().len());
    for root in all().filter(|&unit| plan.graph().dependents(unit).next().is_none()) {
        drawing.root(root);
    }
    drawing.out
}

struct Drawing<'a> {
    plan: &'a Plan,
    drawn: BTreeSet<UnitIndex>,
    out: String,
}

impl Drawing<'_> {
    fn root(&mut self, root: UnitIndex) {
        let spec = self.plan.unit(root);
        self.out.push_str(&label(spec));
        self.out.push('\n');
        // A chain of dependencies may be longer than a stack is deep, so this one is a list.
        let mut open = vec![(root, 0_usize, String::new())];
        while let Some((unit, place, indent)) = open.pop() {
            let spec = self.plan.unit(unit);
            let Some(dependency) = spec.depends_on.get(place) else {
                self.drawn.insert(unit);
                continue;
            };
            open.push((unit, place + 1, indent.clone()));
            let Some(on) = self.plan.graph().find(dependency.unit.as_str()) else {
                continue;
            };
            let is_last = place + 1 == spec.depends_on.len();
            let (branch, below) = if is_last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let target = self.plan.unit(on);
            let repeated = self.drawn.contains(&on) && !target.depends_on.is_empty();
            let ellipsis = if repeated { " …" } else { "" };
            self.out.push_str(&format!(
                "{indent}{branch}{}{}{ellipsis}\n",
                label(target),
                manner(dependency)
            ));
            if !repeated {
                open.push((on, 0, format!("{indent}{below}")));
            }
        }
    }
}

fn label(spec: &UnitSpec) -> String {
    let mut text = spec.name.to_string();
    if spec.kind == UnitKind::Task {
        text.push_str(" (task)");
    }
    if let Some(replicas) = spec.replicas {
        text.push_str(&format!(" ×{replicas}"));
    }
    text
}

/// By which condition, and what else is said of the dependency.
fn manner(dependency: &Dependency) -> String {
    let mut text = format!(": {}", dependency.condition);
    if dependency.restart {
        text.push_str(", restarts with it");
    }
    if !dependency.required {
        text.push_str(", not required");
    }
    text
}

fn to_json(plan: &Plan) -> Value {
    let nodes: Vec<Value> = plan
        .units()
        .iter()
        .map(|spec| json!({"name": spec.name, "kind": spec.kind, "replicas": spec.replicas}))
        .collect();
    let edges: Vec<Value> = plan
        .units()
        .iter()
        .flat_map(|spec| {
            spec.depends_on.iter().map(|dependency| {
                json!({
                    "from": spec.name,
                    "to": dependency.unit,
                    "condition": dependency.condition,
                    "restart": dependency.restart,
                    "required": dependency.required,
                })
            })
        })
        .collect();
    json!({"name": plan.name(), "nodes": nodes, "edges": edges})
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::spec::{Command, Condition, Program};

    fn unit(name: &str, on: &[(&str, Condition)]) -> UnitSpec {
        let program = Program::Command(Command::Exec(vec!["true".into()]));
        let mut spec = UnitSpec::new(name.into(), UnitKind::Service, program, "/".into());
        spec.depends_on = on
            .iter()
            .map(|&(unit, condition)| Dependency {
                unit: unit.into(),
                condition,
                restart: false,
                required: true,
            })
            .collect();
        spec
    }

    fn plan(units: Vec<UnitSpec>) -> Plan {
        Plan::new("x", units.into_iter().map(Arc::new).collect()).unwrap()
    }

    #[test]
    fn a_unit_stands_above_what_it_waits_for() {
        let mut migrate = unit("migrate", &[("db", Condition::Ready)]);
        migrate.kind = UnitKind::Task;
        let mut api = unit(
            "api",
            &[("db", Condition::Ready), ("migrate", Condition::Succeeded)],
        );
        api.depends_on[0].restart = true;
        api.replicas = Some(2);
        let mut web = unit(
            "web",
            &[("api", Condition::Ready), ("migrate", Condition::Completed)],
        );
        web.depends_on[1].required = false;
        let plan = plan(vec![unit("db", &[]), migrate, api, web, unit("alone", &[])]);
        assert_eq!(
            tree(&plan),
            "\
web
├─ api ×2: ready
│  ├─ db: ready, restarts with it
│  └─ migrate (task): succeeded
│     └─ db: ready
└─ migrate (task): completed, not required …
alone
"
        );
    }

    #[test]
    fn a_long_chain_and_a_dense_graph_are_drawn() {
        let names: Vec<String> = (0..400).map(|n| format!("u{n}")).collect();
        let mut units = Vec::new();
        for n in 0..names.len() {
            let on: Vec<(&str, Condition)> = (n.saturating_sub(3)..n)
                .map(|d| (names[d].as_str(), Condition::Started))
                .collect();
            units.push(unit(&names[n], &on));
        }
        let text = tree(&plan(units));
        assert_eq!(text.lines().count(), 1 + 3 * 400 - 6);
    }
}
