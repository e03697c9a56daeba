//! Which conditions of a unit do not hold yet, in words.

use std::collections::BTreeMap;

use super::story::Known;
use crate::domain::id::UnitName;
use crate::domain::outcome::{Failure, Outcome};
use crate::domain::plan::Plan;
use crate::domain::spec::{Condition, Dependency, UnitSpec};

/// What the unit waits for, if for anything: `db to be ready, migrate to succeed`.
pub(super) fn unmet(spec: &UnitSpec, holds: impl Fn(&Dependency) -> bool) -> Option<String> {
    const SHOWN: usize = 3;
    let mut texts: Vec<String> = spec
        .depends_on
        .iter()
        .filter(|dependency| !holds(dependency))
        .map(|dependency| wish(dependency.unit.as_str(), dependency.condition))
        .collect();
    if texts.len() > SHOWN + 1 {
        let more = texts.split_off(SHOWN).len();
        texts.push(format!("{more} more"));
    }
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// `db to be ready`.
pub(in crate::cli) fn wish(unit: &str, condition: Condition) -> String {
    match condition {
        Condition::Started => format!("{unit} to start"),
        Condition::Ready => format!("{unit} to be ready"),
        Condition::Completed => format!("{unit} to end"),
        Condition::Succeeded => format!("{unit} to succeed"),
        Condition::LogReady => format!("{unit} to log its line"),
    }
}

/// Whether the condition holds of every instance.
pub(super) fn holds(
    dependency: &Dependency,
    plan: &Plan,
    known: &BTreeMap<UnitName, Known>,
) -> bool {
    let Some(on) = plan.get(dependency.unit.as_str()) else {
        return true;
    };
    on.instance_names().all(|name| {
        known
            .get(&name)
            .is_some_and(|known| met(known, dependency.condition))
    })
}

fn met(known: &Known, condition: Condition) -> bool {
    match condition {
        Condition::Started => known.running || known.outcome == Some(Outcome::Completed),
        Condition::Ready | Condition::LogReady => known.ready,
        Condition::Succeeded => known.outcome == Some(Outcome::Completed),
        Condition::Completed => match &known.outcome {
            Some(Outcome::Completed) => true,
            Some(Outcome::Failed(failed)) => Failure::is_exit(&failed.failure),
            Some(Outcome::Skipped(_) | Outcome::Stopped) | None => false,
        },
    }
}
