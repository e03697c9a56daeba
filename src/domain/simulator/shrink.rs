//! From a scenario that fails to the smallest one found that fails in the same way.

use super::drive::live;
use super::scenario::{Act, Scenario, Step};
use super::stack::remove_unit;
use crate::domain::spec::{
    Essential, Lifetime, Restart, RestartPolicy, Shutdown, Timeouts, UnitSpec,
};

/// How many scenarios are tried at most.
const TRIES: usize = 4000;

/// Deletes units, edges, options and history as long as the same property is violated.
pub fn shrink(scenario: &Scenario, property: &str) -> Scenario {
    let mut best = scenario.clone();
    let mut tries = 0;
    loop {
        let mut progress = false;
        let mut place = 0;
        // Each success changes the list of what may be left out, from this place on.
        while let Some(smaller) = candidate(&best, place) {
            tries += 1;
            if tries > TRIES {
                return best;
            }
            let fails = smaller
                .as_ref()
                .and_then(|smaller| live(smaller, false).err());
            match (smaller, fails) {
                (Some(smaller), Some((violation, _))) if violation.property == property => {
                    best = smaller;
                    progress = true;
                }
                (Some(_) | None, _) => place += 1,
            }
        }
        if !progress {
            return best;
        }
    }
}

/// The scenario without its `place`th part; `Some(None)` where there is nothing to leave
/// out, `None` behind the last place.
fn candidate(scenario: &Scenario, place: usize) -> Option<Option<Scenario>> {
    let mut smaller = scenario.clone();
    let mut place = place;
    if place < smaller.history.len() {
        smaller.history.remove(place);
        return Some(Some(smaller));
    }
    place -= smaller.history.len();
    if place < smaller.units.len() {
        remove_everywhere(&mut smaller, place);
        return Some((!smaller.units.is_empty()).then_some(smaller));
    }
    place -= smaller.units.len();
    if place < OPTIONS {
        return Some(without_option(smaller, place));
    }
    place -= OPTIONS;
    let edges: usize = smaller.units.iter().map(|unit| unit.depends_on.len()).sum();
    if place < edges * 3 {
        return Some(with_less_of_an_edge(smaller, place / 3, place % 3));
    }
    place -= edges * 3;
    if place < smaller.units.len() * FIELDS {
        let name = smaller.units[place / FIELDS].name.clone();
        let mut changed = false;
        for units in all_units(&mut smaller) {
            for unit in units.iter_mut().filter(|unit| unit.name == name) {
                let was = unit.clone();
                without_field(unit, place % FIELDS);
                changed |= was != *unit;
            }
        }
        return Some(changed.then_some(smaller));
    }
    place -= smaller.units.len() * FIELDS;
    // Names within commands.
    let (at, which) = (place / 2, place % 2);
    let step = smaller.history.get_mut(at)?;
    Some(
        names_of(step)
            .is_some_and(|names| {
                let several = names.len() > 1;
                if several {
                    names.remove(which.min(names.len() - 1));
                }
                several
            })
            .then_some(smaller),
    )
}

fn all_units(scenario: &mut Scenario) -> impl Iterator<Item = &mut Vec<UnitSpec>> {
    let reloads = scenario.history.iter_mut().filter_map(|step| {
        if let Act::Reload(units) = &mut step.act {
            Some(units)
        } else {
            None
        }
    });
    std::iter::once(&mut scenario.units).chain(reloads)
}

fn remove_everywhere(scenario: &mut Scenario, place: usize) {
    let name = scenario.units[place].name.clone();
    for units in all_units(scenario) {
        if let Some(place) = units.iter().position(|unit| unit.name == name) {
            remove_unit(units, place);
        }
    }
    scenario
        .options
        .selection
        .units
        .retain(|unit| *unit != name.to_string());
}

const OPTIONS: usize = 6;

fn without_option(mut scenario: Scenario, place: usize) -> Option<Scenario> {
    let options = &mut scenario.options;
    let had = match place {
        0 => std::mem::take(&mut options.abort_on_failure),
        1 => std::mem::take(&mut options.ends_when_done),
        2 => options.ends_with.take().is_some(),
        3 => options.code_from.take().is_some(),
        4 => !std::mem::take(&mut options.selection.units).is_empty(),
        _ => std::mem::take(&mut options.selection.no_deps),
    };
    had.then_some(scenario)
}

fn with_less_of_an_edge(mut scenario: Scenario, edge: usize, what: usize) -> Option<Scenario> {
    let mut left = edge;
    for unit in &mut scenario.units {
        if left >= unit.depends_on.len() {
            left -= unit.depends_on.len();
            continue;
        }
        let changed = match what {
            0 => {
                unit.depends_on.remove(left);
                true
            }
            1 => std::mem::take(&mut unit.depends_on[left].restart),
            _ => !std::mem::replace(&mut unit.depends_on[left].required, true),
        };
        return changed.then_some(scenario);
    }
    None
}

const FIELDS: usize = 13;

fn without_field(unit: &mut UnitSpec, field: usize) {
    match field {
        0 => unit.readiness = None,
        1 => unit.liveness = None,
        2 => unit.startup = None,
        3 => unit.restart = Restart::default(),
        4 => unit.timeouts = Timeouts::default(),
        5 => unit.shutdown = Shutdown::default(),
        6 => unit.lifetime = Lifetime::Leader,
        7 => unit.replicas = None,
        8 => unit.essential = Essential::No,
        9 => unit.profiles.clear(),
        10 => unit.disabled = false,
        11 => unit.description = None,
        _ => unit.success_exit_codes = Default::default(),
    }
}

fn names_of(step: &mut Step) -> Option<&mut Vec<crate::domain::id::UnitName>> {
    match &mut step.act {
        Act::Start(names)
        | Act::Stop(names)
        | Act::Restart(names)
        | Act::Kill(names)
        | Act::Signal(names, _)
        | Act::Enable(names)
        | Act::Disable(names)
        | Act::PauseWatch(names)
        | Act::ResumeWatch(names) => Some(names),
        Act::Scale(..)
        | Act::Reload(_)
        | Act::Shutdown(_)
        | Act::Save(..)
        | Act::Attend(_)
        | Act::Crash(..)
        | Act::Lose(_)
        | Act::Probed(..)
        | Act::Says(..)
        | Act::RepeatFact(_)
        | Act::RepeatDeadline(_)
        | Act::Jump(_) => None,
    }
}

/// A scenario as somebody would write it down.
pub fn show(scenario: &Scenario) -> String {
    let mut lines = vec![format!("seed {}, {:?}", scenario.seed, scenario.options)];
    lines.extend(scenario.units.iter().map(show_unit));
    for step in &scenario.history {
        let act = match &step.act {
            Act::Reload(units) => {
                let units: Vec<String> = units.iter().map(show_unit).collect();
                format!("Reload\n      {}", units.join("\n      "))
            }
            Act::Start(_)
            | Act::Stop(_)
            | Act::Restart(_)
            | Act::Kill(_)
            | Act::Signal(..)
            | Act::Enable(_)
            | Act::Disable(_)
            | Act::Scale(..)
            | Act::Shutdown(_)
            | Act::Save(..)
            | Act::PauseWatch(_)
            | Act::ResumeWatch(_)
            | Act::Attend(_)
            | Act::Crash(..)
            | Act::Lose(_)
            | Act::Probed(..)
            | Act::Says(..)
            | Act::RepeatFact(_)
            | Act::RepeatDeadline(_)
            | Act::Jump(_) => format!("{:?}", step.act),
        };
        lines.push(format!("  at {:>5}: {act}", step.at));
    }
    lines.push(format!(
        "  at {:>5}: the end, {:?}",
        scenario.end.0, scenario.end.1
    ));
    lines.join("\n")
}

/// Only what is not as it is by default.
fn show_unit(unit: &UnitSpec) -> String {
    let mut text = format!("  {} {}", unit.kind, unit.name);
    for on in &unit.depends_on {
        let restart = if on.restart { "+restart" } else { "" };
        let required = if on.required { "" } else { "+optional" };
        text += &format!(" <- {} {}{restart}{required}", on.unit, on.condition);
    }
    let mut say = |is: bool, what: String| {
        if is {
            text += &format!(", {what}");
        }
    };
    for (name, probe) in [
        ("readiness", &unit.readiness),
        ("liveness", &unit.liveness),
        ("startup", &unit.startup),
    ] {
        if let Some(p) = probe {
            let thresholds = (p.success_threshold, p.failure_threshold);
            let what = format!(
                "{name} {} {:?} {thresholds:?} {:?}",
                p.check.kind(),
                p.interval,
                p.on_failure
            );
            say(true, what);
        }
    }
    let r = &unit.restart;
    say(
        r.policy != RestartPolicy::No,
        format!(
            "restart {:?} max {:?} in {:?} reset {:?}",
            r.policy, r.max_restarts, r.window, r.reset_after
        ),
    );
    say(
        unit.timeouts != Timeouts::default(),
        format!("{:?}", unit.timeouts),
    );
    let s = &unit.shutdown;
    say(
        *s != Shutdown::default(),
        format!(
            "stop {:?} command {} leader_only {}",
            s.timeout,
            s.command.is_some(),
            s.leader_only
        ),
    );
    say(unit.lifetime == Lifetime::Group, "lifetime group".into());
    say(
        unit.replicas.is_some(),
        format!("replicas {:?}", unit.replicas),
    );
    say(unit.disabled, "disabled".into());
    say(
        !unit.profiles.is_empty(),
        format!("profiles {:?}", unit.profiles),
    );
    say(
        unit.essential != Essential::No,
        format!("essential {:?}", unit.essential),
    );
    say(
        unit.working_dir.as_os_str() != "/",
        format!("in {}", unit.working_dir.display()),
    );
    say(
        unit.description.is_some(),
        format!("{:?}", unit.description),
    );
    text
}
