//! From what was typed to what is meant: units that exist, a selection, what ends the stack.
//!
//! Pure: everything that is wrong comes back as text, all of it at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::args;
use crate::config::suggest;
use crate::domain::id::UnitName;
use crate::domain::plan::{Plan, Selection, SelectionError};
use crate::domain::set::Options;
use crate::domain::spec::{ArgumentsError, Program, UnitKind, UnitSpec};

/// Something that cannot be meant, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub what: String,
    pub help: Option<String>,
}

impl Mistake {
    fn new(what: String, help: Option<String>) -> Self {
        Self { what, help }
    }
}

/// What to run and how long.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub plan: Arc<Plan>,
    pub options: Options,
    /// The names of the units that may run.
    pub units: BTreeSet<UnitName>,
}

/// What `up` asks for.
///
/// # Errors
/// Names that the plan does not have.
pub fn up(args: &args::Up, plan: Arc<Plan>) -> Result<Wanted, Vec<Mistake>> {
    let selection = Selection {
        units: args.units.clone(),
        profiles: args.profiles.clone(),
        no_deps: args.no_deps,
    };
    let mut mistakes = Vec::new();
    let units = units(&plan, &selection, &mut mistakes);
    if let Some(name) = &args.exit_code_from {
        if plan.get(name).is_none() {
            mistakes.push(unknown_unit(name, &plan));
        } else if mistakes.is_empty() && !units.contains(name.as_str()) {
            let help = "name it beside the units to start";
            mistakes.push(Mistake::new(
                format!("`{name}` is not among the units that are started"),
                Some(help.to_owned()),
            ));
        }
    }
    if mistakes.is_empty() && units.is_empty() {
        mistakes.push(nothing(&plan));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let from = args.exit_code_from.as_deref().map(UnitName::from);
    let options = Options {
        selection,
        abort_on_failure: args.abort_on_failure || args.ci,
        ends_when_done: args.ci,
        keep: args.keep_project,
        ends_with: from.clone(),
        code_from: from,
        no_watch: args.no_watch,
        no_clock: false,
        kept_by_watch: args.watch,
    };
    Ok(Wanted {
        plan,
        options,
        units,
    })
}

/// What `run` asks for.
///
/// # Errors
/// No such task, or one that takes no arguments.
pub fn run(args: &args::Run, plan: Arc<Plan>) -> Result<Wanted, Vec<Mistake>> {
    let Some(task) = plan.get(&args.task).map(Arc::clone) else {
        return Err(vec![unknown_task(&args.task, &plan)]);
    };
    if task.kind != UnitKind::Task {
        return Err(vec![Mistake::new(
            format!("`{}` is a service, and `run` runs tasks", args.task),
            Some(format!("start it with `pk up {}`", args.task)),
        )]);
    }
    let plan = if args.args.is_empty() {
        plan
    } else {
        Arc::new(with_args(&plan, &task, &args.args).map_err(|mistake| vec![mistake])?)
    };
    let selection = Selection {
        units: vec![args.task.clone()],
        profiles: args.profiles.clone(),
        no_deps: false,
    };
    let mut mistakes = Vec::new();
    let units = units(&plan, &selection, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let name = task.name.clone();
    let options = Options {
        selection,
        ends_with: (!args.keep).then(|| name.clone()),
        code_from: Some(name),
        no_watch: true,
        no_clock: true,
        ..Options::default()
    };
    Ok(Wanted {
        plan,
        options,
        units,
    })
}

fn with_args(plan: &Plan, task: &UnitSpec, args: &[String]) -> Result<Plan, Mistake> {
    let Program::Command(command) = &task.program else {
        return Err(Mistake::new(
            format!("`{}` is a pipeline, which takes no arguments", task.name),
            Some("a task with a `command` does".to_owned()),
        ));
    };
    let mut changed = task.clone();
    changed.program = Program::Command(command.with_args(args).map_err(|error| {
        let help = match error {
            ArgumentsError::NoPlace => "write \"$@\" where they go".to_owned(),
            ArgumentsError::UnknownShell(_) => {
                "write the command as a list: it gets them at its end".to_owned()
            }
        };
        Mistake::new(
            format!("`{}` cannot be given arguments: {error}", task.name),
            Some(help),
        )
    })?);
    let changed = Arc::new(changed);
    let units = plan
        .units()
        .iter()
        .map(|unit| {
            let is_task = unit.name == changed.name;
            Arc::clone(if is_task { &changed } else { unit })
        })
        .collect();
    Plan::new(plan.name(), units).map_err(|errors| {
        let text: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Mistake::new(text.join("; "), None)
    })
}

fn units(plan: &Plan, selection: &Selection, mistakes: &mut Vec<Mistake>) -> BTreeSet<UnitName> {
    let roots = match plan.select(selection) {
        Ok(roots) => roots,
        Err(errors) => {
            mistakes.extend(errors.iter().map(|error| explain(error, plan)));
            return BTreeSet::new();
        }
    };
    let reached = plan.graph().closure(roots, plan.units(), |dependency| {
        dependency.required && !selection.no_deps
    });
    plan.units()
        .iter()
        .zip(reached)
        .filter(|(_, reached)| *reached)
        .map(|(unit, _)| unit.name.clone())
        .collect()
}

fn explain(error: &SelectionError, plan: &Plan) -> Mistake {
    match error {
        SelectionError::UnknownUnit(name) => unknown_unit(name, plan),
        SelectionError::UnknownProfile { profile, known } => {
            let names = || known.iter().map(String::as_str);
            let help = suggest::did_you_mean(profile, names()).or_else(|| {
                (!known.is_empty()).then(|| format!("there is {}", suggest::one_of(names())))
            });
            Mistake::new(error.to_string(), help)
        }
    }
}

fn unknown_unit(name: &str, plan: &Plan) -> Mistake {
    let replica_of = plan.units().iter().find(|unit| {
        unit.instance_names()
            .any(|instance| instance.as_str() == name)
    });
    if let Some(unit) = replica_of {
        return Mistake::new(
            format!("`{name}` is a replica, and they start together"),
            Some(format!("name the unit: `{}`", unit.name)),
        );
    }
    let all = plan.units().iter().map(|unit| unit.name.as_str());
    Mistake::new(
        format!("no unit is named `{name}`"),
        suggest::did_you_mean(name, all).or_else(|| Some(inventory(plan, None))),
    )
}

fn unknown_task(name: &str, plan: &Plan) -> Mistake {
    let tasks = plan
        .units()
        .iter()
        .filter(|unit| unit.kind == UnitKind::Task);
    Mistake::new(
        format!("no task is named `{name}`"),
        suggest::did_you_mean(name, tasks.map(|unit| unit.name.as_str()))
            .or_else(|| Some(inventory(plan, Some(UnitKind::Task)))),
    )
}

/// What there is instead, if that can be told in a line.
fn inventory(plan: &Plan, kind: Option<UnitKind>) -> String {
    const SHOWN: usize = 30;
    let units = plan.units().iter();
    let names: Vec<&str> = units
        .filter(|unit| kind.is_none_or(|kind| unit.kind == kind))
        .map(|unit| unit.name.as_str())
        .collect();
    match names.len() {
        0 => "the file has no tasks".to_owned(),
        1..=SHOWN => format!("there is {}", names.join(", ")),
        _ => "`pk graph` shows what there is".to_owned(),
    }
}

/// Everything is disabled or in a profile.
fn nothing(plan: &Plan) -> Mistake {
    let profiles: BTreeSet<&str> = plan
        .units()
        .iter()
        .flat_map(|unit| unit.profiles.iter().map(String::as_str))
        .collect();
    let help = if profiles.is_empty() {
        "every unit is disabled; name the ones to start".to_owned()
    } else {
        let profiles: Vec<&str> = profiles.into_iter().collect();
        format!("choose with `--profile`: {}", profiles.join(", "))
    };
    Mistake::new("there is nothing to start".to_owned(), Some(help))
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
