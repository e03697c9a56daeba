//! All units of a stack with their graph, and which of them are asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::graph::{Graph, GraphError, UnitIndex};
use super::id::UnitName;
use super::spec::UnitSpec;

/// A stack that can run: every name is defined, nothing depends on itself.
#[derive(Clone, Debug)]
pub struct Plan {
    name: String,
    units: Vec<Arc<UnitSpec>>,
    graph: Graph,
}

impl Plan {
    /// # Errors
    ///
    /// See [`Graph::build`].
    pub fn new(
        name: impl Into<String>,
        units: Vec<Arc<UnitSpec>>,
    ) -> Result<Self, Vec<GraphError>> {
        let graph = Graph::build(&units)?;
        Ok(Self {
            name: name.into(),
            units,
            graph,
        })
    }

    /// The name of the stack.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In the order of the file.
    #[must_use]
    pub fn units(&self) -> &[Arc<UnitSpec>] {
        &self.units
    }

    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<UnitSpec>> {
        self.graph.find(name).map(|unit| self.unit(unit))
    }

    #[must_use]
    pub fn unit(&self, index: UnitIndex) -> &Arc<UnitSpec> {
        &self.units[index.index()]
    }

    /// Which units `selection` asks for, in the order of the file.
    ///
    /// Without names: those that are not disabled and have no profile or an active one.
    /// What they require comes along when the stack runs.
    ///
    /// # Errors
    ///
    /// Names and profiles that the plan does not have.
    pub fn select(
        &self,
        selection: &Selection,
    ) -> Result<BTreeSet<UnitIndex>, Vec<SelectionError>> {
        let mut errors = Vec::new();
        let known: BTreeSet<&str> = self
            .units
            .iter()
            .flat_map(|unit| unit.profiles.iter().map(String::as_str))
            .collect();
        for profile in &selection.profiles {
            if !known.contains(profile.as_str()) {
                errors.push(SelectionError::UnknownProfile {
                    profile: profile.clone(),
                    known: known.iter().map(ToString::to_string).collect(),
                });
            }
        }
        let mut asked = BTreeSet::new();
        for name in &selection.units {
            match self.graph.find(name) {
                Some(unit) => {
                    asked.insert(unit);
                }
                None => errors.push(SelectionError::UnknownUnit(name.clone())),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        if selection.units.is_empty() {
            asked.extend(
                (0..)
                    .map(UnitIndex)
                    .zip(&self.units)
                    .filter_map(|(index, unit)| {
                        let active = unit.profiles.is_empty()
                            || unit.profiles.iter().any(|p| selection.profiles.contains(p));
                        (active && !unit.disabled).then_some(index)
                    }),
            );
        }
        Ok(asked)
    }

    /// What differs in `new`.
    #[must_use]
    pub fn difference(&self, new: &Self) -> PlanDifference {
        let mut difference = PlanDifference::default();
        for unit in &new.units {
            match self.get(unit.name.as_str()) {
                None => difference.added.push(unit.name.clone()),
                Some(old) if same_run(old, unit) => {
                    let scaled = old.replicas != unit.replicas;
                    if scaled {
                        difference.scaled.push(unit.name.clone());
                    } else if old == unit {
                        difference.unchanged.push(unit.name.clone());
                    } else {
                        difference.updated.push(unit.name.clone());
                    }
                }
                Some(_) => difference.changed.push(unit.name.clone()),
            }
        }
        difference.removed = self
            .units
            .iter()
            .filter(|unit| new.get(unit.name.as_str()).is_none())
            .map(|unit| unit.name.clone())
            .collect();
        difference.dependents = new.restarted_with(&difference);
        difference
    }

    /// Who restarts only because what it depends on does, in the order of the file.
    fn restarted_with(&self, difference: &PlanDifference) -> Vec<UnitName> {
        let mut ends: BTreeSet<&UnitName> = difference.changed.iter().collect();
        let mut more = BTreeSet::new();
        for &index in self.graph.order() {
            let unit = self.unit(index);
            let restarts = unit
                .depends_on
                .iter()
                .any(|edge| edge.restart && ends.contains(&edge.unit));
            let is_new = difference.added.contains(&unit.name);
            if restarts && !is_new && ends.insert(&unit.name) {
                more.insert(index);
            }
        }
        more.into_iter()
            .map(|index| self.unit(index).name.clone())
            .collect()
    }

    /// `new` with as many instances as run now, where the file says the same of them as it
    /// did when it was `read` before: what was scaled by hand stays so.
    #[must_use]
    pub fn keep_scale(&self, read: &Self, new: &Self) -> Self {
        let mut kept = new.clone();
        for unit in &mut kept.units {
            let name = unit.name.as_str();
            let (Some(now), Some(before)) = (self.get(name), read.get(name)) else {
                continue;
            };
            let by_hand = now.replicas != before.replicas;
            if by_hand && before.replicas == unit.replicas && unit.replicas.is_some() {
                let mut scaled = (**unit).clone();
                scaled.replicas = now.replicas;
                *unit = Arc::new(scaled);
            }
        }
        // The names of instances: another unit may bear one of them by now.
        match Self::new(kept.name, kept.units) {
            Ok(kept) => kept,
            Err(_) => new.clone(),
        }
    }
}

/// Whether a run of `old` may go on under `new`: they differ at most in what no live
/// process has seen.
#[must_use]
pub fn same_run(old: &UnitSpec, new: &UnitSpec) -> bool {
    let mut old = old.clone();
    // An instance of a unit with replicas bears another name than that of a unit without.
    let same_names = old.replicas.is_some() == new.replicas.is_some();
    old.replicas = new.replicas;
    old.description.clone_from(&new.description);
    old.profiles.clone_from(&new.profiles);
    old.disabled = new.disabled;
    old.essential = new.essential;
    old.watch.clone_from(&new.watch);
    old.schedule.clone_from(&new.schedule);
    old.depends_on.clone_from(&new.depends_on);
    same_names && old == *new
}

/// What a reload would do, by unit.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct PlanDifference {
    pub added: Vec<UnitName>,
    pub removed: Vec<UnitName>,
    /// Restarts.
    pub changed: Vec<UnitName>,
    /// Unchanged or updated, and restart if they run, because what they depend on does.
    pub dependents: Vec<UnitName>,
    /// Changed in what a live run does not see: takes effect without a restart.
    pub updated: Vec<UnitName>,
    /// Another number of instances; those that stay go on.
    pub scaled: Vec<UnitName>,
    pub unchanged: Vec<UnitName>,
}

impl PlanDifference {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.updated.is_empty()
            && self.scaled.is_empty()
    }
}

/// Which units to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// By name, whatever their profile; empty: all that are active.
    pub units: Vec<String>,
    /// Active profiles.
    pub profiles: Vec<String>,
    /// Neither start nor wait for what was not asked for by name.
    pub no_deps: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("no unit is named `{0}`")]
    UnknownUnit(String),
    #[error("no unit has the profile `{profile}`")]
    UnknownProfile { profile: String, known: Vec<String> },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{Command, Program, UnitKind};

    fn unit(name: &str) -> UnitSpec {
        let program = Program::Command(Command::Exec(vec!["true".into()]));
        UnitSpec::new(name.into(), UnitKind::Service, program, "/".into())
    }

    fn plan(units: impl IntoIterator<Item = UnitSpec>) -> Plan {
        Plan::new("test", units.into_iter().map(Arc::new).collect()).unwrap()
    }

    #[test]
    fn selection_by_profile_and_name() {
        let mut debug = unit("debug");
        debug.profiles = vec!["dev".into()];
        let mut off = unit("off");
        off.disabled = true;
        let plan = plan([unit("api"), debug, off]);
        let select = |units: &[&str], profiles: &[&str]| {
            let strings = |list: &[&str]| list.iter().map(ToString::to_string).collect();
            plan.select(&Selection {
                units: strings(units),
                profiles: strings(profiles),
                no_deps: false,
            })
            .map(|units| units.into_iter().map(|u| u.0).collect::<Vec<_>>())
        };
        assert_eq!(select(&[], &[]), Ok(vec![0]));
        assert_eq!(select(&[], &["dev"]), Ok(vec![0, 1]));
        assert_eq!(select(&["off", "debug"], &[]), Ok(vec![1, 2]));
        assert_eq!(
            select(&["nope"], &["prod"])
                .unwrap_err()
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["no unit has the profile `prod`", "no unit is named `nope`"]
        );
    }

    #[test]
    fn difference_tells_what_restarts() {
        let mut changed = unit("changed");
        changed.working_dir = "/tmp".into();
        let mut scaled = unit("scaled");
        scaled.replicas = Some(2);
        let mut scaled_up = scaled.clone();
        scaled_up.replicas = Some(3);
        let mut named = unit("named");
        named.description = Some("said in other words".into());
        let old = plan([
            unit("same"),
            unit("gone"),
            unit("changed"),
            scaled,
            unit("named"),
        ]);
        let new = plan([unit("same"), unit("new"), changed, scaled_up, named]);
        let difference = old.difference(&new);
        assert_eq!(difference.added, ["new".into()]);
        assert_eq!(difference.removed, ["gone".into()]);
        assert_eq!(difference.changed, ["changed".into()]);
        assert_eq!(difference.scaled, ["scaled".into()]);
        assert_eq!(difference.updated, ["named".into()]);
        assert_eq!(difference.unchanged, ["same".into()]);
        assert!(!difference.is_empty());
        assert!(old.difference(&old).is_empty());
    }

    #[test]
    fn from_one_instance_to_many_is_another_run() {
        let one = unit("web");
        let mut many = one.clone();
        many.replicas = Some(2);
        assert!(!same_run(&one, &many));
    }

    #[test]
    fn dependents_restart_over_edges_that_say_so() {
        use crate::domain::spec::{Condition, Dependency};
        let on = |name: &str, on: &str, restart: bool| {
            let mut unit = unit(name);
            unit.depends_on = vec![Dependency {
                unit: on.into(),
                condition: Condition::Started,
                restart,
                required: true,
            }];
            unit
        };
        let stack = |dir: &str| {
            let mut db = unit("db");
            db.working_dir = dir.into();
            plan([
                on("far", "near", true),
                on("near", "db", true),
                on("loose", "db", false),
                db,
            ])
        };
        let difference = stack("/").difference(&stack("/tmp"));
        assert_eq!(difference.changed, [UnitName::from("db")]);
        assert_eq!(difference.dependents, ["far", "near"].map(UnitName::from));
        assert_eq!(
            stack("/").difference(&stack("/")).dependents,
            Vec::<UnitName>::new()
        );
    }

    #[test]
    fn what_was_scaled_by_hand_stays_until_the_file_says_otherwise() {
        let web = |replicas| {
            let mut web = unit("web");
            web.replicas = Some(replicas);
            plan([web])
        };
        let kept = |now: u32, read: u32, new: u32| {
            let kept = web(now).keep_scale(&web(read), &web(new));
            kept.get("web").and_then(|web| web.replicas)
        };
        assert_eq!(kept(3, 1, 1), Some(3));
        assert_eq!(kept(3, 1, 2), Some(2));
        assert_eq!(kept(1, 1, 2), Some(2));
    }
}
