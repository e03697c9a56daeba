//! From what was typed to units of the running stack.

use std::sync::Arc;

use globset::Glob;

use super::args::Units;
use crate::cli::resolve::Mistake;
use crate::config::suggest;
use crate::domain::id::UnitName;
use crate::domain::snapshot::{Snapshot, UnitView};

/// Who is meant, each once, in the order in which they were named.
///
/// # Errors
/// A name, glob or profile that nothing has.
pub fn expand(units: &Units, snapshot: &Snapshot) -> Result<Vec<UnitName>, Mistake> {
    if units.all {
        return Ok(snapshot
            .units
            .iter()
            .map(|unit| unit.name.clone())
            .collect());
    }
    each(&units.units, snapshot)
}

/// The same for names alone.
///
/// # Errors
/// A name, glob or profile that nothing has.
pub fn each(names: &[String], snapshot: &Snapshot) -> Result<Vec<UnitName>, Mistake> {
    let mut found: Vec<UnitName> = Vec::new();
    for name in names {
        for name in one(name, snapshot)? {
            if !found.contains(&name) {
                found.push(name);
            }
        }
    }
    Ok(found)
}

fn one(name: &str, snapshot: &Snapshot) -> Result<Vec<UnitName>, Mistake> {
    let all = |test: &dyn Fn(&UnitView) -> bool| -> Vec<UnitName> {
        let units = snapshot.units.iter().filter(|unit| test(unit));
        units.map(|unit| unit.name.clone()).collect()
    };
    let mistake = |what: String, help: Option<String>| Mistake { what, help };
    if let Some(profile) = name.strip_prefix('@') {
        let found = all(&|unit| unit.profiles.iter().any(|own| own == profile));
        let what = format!("no unit of `{}` has the profile `{profile}`", snapshot.name);
        return some(found).ok_or_else(|| mistake(what, None));
    }
    if name.contains(['*', '?', '[', '{']) {
        let glob = Glob::new(name)
            .map_err(|error| mistake(format!("`{name}` is no glob: {}", error.kind()), None))?
            .compile_matcher();
        let found =
            all(&|unit| glob.is_match(unit.name.as_str()) || glob.is_match(unit.unit.as_str()));
        let what = format!("no unit of `{}` is named like `{name}`", snapshot.name);
        return some(found).ok_or_else(|| mistake(what, None));
    }
    let is = |unit: &Arc<UnitView>| unit.name.as_str() == name || unit.unit.as_str() == name;
    if snapshot.units.iter().any(is) {
        return Ok(vec![name.into()]);
    }
    let known = snapshot
        .units
        .iter()
        .flat_map(|unit| [unit.name.as_str(), unit.unit.as_str()]);
    Err(mistake(
        format!("`{}` has no unit named `{name}`", snapshot.name),
        suggest::did_you_mean(name, known).or_else(|| Some("`pk ps` shows what it has".to_owned())),
    ))
}

fn some(found: Vec<UnitName>) -> Option<Vec<UnitName>> {
    (!found.is_empty()).then_some(found)
}

/// The instances that bear these names, or belong to units that do.
pub fn instances<'a>(
    names: &'a [UnitName],
    snapshot: &'a Snapshot,
) -> impl Iterator<Item = &'a Arc<UnitView>> {
    let meant = |unit: &&Arc<UnitView>| names.contains(&unit.name) || names.contains(&unit.unit);
    snapshot.units.iter().filter(meant)
}
