//! The logs of a stack as files: of one that runs, or that has ended, without a server.

use std::path::{Path, PathBuf};

use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::{Output, reason};
use crate::cli::resolve::Mistake;
use crate::config::suggest;
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::{Archive, FoundRun, RunRecord, RunUnit, runs, stacks};

/// A run and what it is.
#[derive(Debug)]
pub struct Kept {
    pub archive: Archive,
    pub record: RunRecord,
}

/// The run that is meant: of the stack of this place; `number` counts from the first one, or
/// back from the last one, which is 0. `None`: nothing is kept.
pub fn find(place: &Place, number: Option<i64>, output: &Output) -> Result<Option<Kept>, End> {
    let (folder, file) = reach::meant_place(place, output)?;
    let all = of(&folder, file.as_deref());
    if all.is_empty() {
        return Ok(None);
    }
    let chosen = match number {
        Some(number) => nth(&all, number).ok_or_else(|| {
            let (first, last) = (all.first(), all.last());
            let numbers = |run: Option<&(FoundRun, RunRecord)>| run.map_or(0, |run| run.0.number);
            output.error(
                &format!("no logs of a run {number} are kept"),
                Some(&format!(
                    "there are those from {} to {}; -1 is the one before the last",
                    numbers(first),
                    numbers(last)
                )),
            );
            End::NotThere
        })?,
        // The stack itself goes before a task that was run beside it.
        None => (all.iter().rev())
            .find(|(run, record)| record.task.is_none() && run.is_live())
            .or(all.last())
            .ok_or(End::NotThere)?,
    };
    let (run, record) = chosen;
    let archive = Archive::open(run).map_err(|error| {
        let what = format!("cannot read {}: {}", run.path.display(), reason(&error));
        output.error(&what, None);
        End::Failed
    })?;
    Ok(Some(Kept {
        archive,
        record: record.clone(),
    }))
}

/// The run in that folder.
pub fn at(path: &Path) -> Option<Kept> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let path = path.to_owned();
    let run = FoundRun { number, path };
    let record = run.record()?;
    let archive = Archive::open(&run).ok()?;
    Some(Kept { archive, record })
}

fn nth(all: &[(FoundRun, RunRecord)], number: i64) -> Option<&(FoundRun, RunRecord)> {
    if number > 0 {
        let number = u64::try_from(number).ok()?;
        return all.iter().find(|(run, _)| run.number == number);
    }
    let back = usize::try_from(number.unsigned_abs()).ok()?;
    all.len().checked_sub(back + 1).and_then(|at| all.get(at))
}

/// All runs of the stack of that file, else of its folder; without a file of the nearest
/// folder above that has any.
fn of(folder: &Path, file: Option<&Path>) -> Vec<(FoundRun, RunRecord)> {
    let state = std::env::var_os("XDG_STATE_HOME");
    let all: Vec<(PathBuf, RunRecord)> = stacks(state, std::env::var_os("HOME"))
        .into_iter()
        .filter_map(|stack| {
            let record = runs(&stack).iter().rev().find_map(FoundRun::record)?;
            Some((stack, record))
        })
        .collect();
    let newest = |test: &dyn Fn(&RunRecord) -> bool| {
        let meant = all.iter().filter(|(_, record)| test(record));
        meant.max_by_key(|(_, record)| record.started)
    };
    let meant = match file {
        Some(file) => newest(&|record| record.file == file)
            .or_else(|| newest(&|record| Some(record.folder.as_path()) == file.parent())),
        None => folder
            .ancestors()
            .find_map(|above| newest(&|record| record.folder == above)),
    };
    let runs = meant.map(|(stack, _)| runs(stack)).unwrap_or_default();
    runs.into_iter()
        .filter_map(|run| {
            let record = run.record()?;
            Some((run, record))
        })
        .collect()
}

impl Kept {
    /// The names of all instances, also of those that came later.
    pub fn units(&self) -> Vec<RunUnit> {
        let mut units = self.record.units.clone();
        for (_, name) in self.archive.names() {
            if !units.iter().any(|unit| unit.name == name.as_str()) {
                units.push(RunUnit {
                    name: name.to_string(),
                    unit: name.to_string(),
                    profiles: Vec::new(),
                });
            }
        }
        units
    }

    /// The instances of these names, globs and profiles.
    ///
    /// # Errors
    /// One that nothing has.
    pub fn named(&self, names: &[String]) -> Result<Vec<String>, Mistake> {
        let units = self.units();
        let mut found = Vec::new();
        for name in names {
            let glob = match name.contains(['*', '?', '[', '{']) {
                true => Some(globset::Glob::new(name).map_err(|error| Mistake {
                    what: format!("`{name}` is no glob: {}", error.kind()),
                    help: None,
                })?),
                false => None,
            };
            let glob = glob.map(|glob| glob.compile_matcher());
            let is = |text: &str| match &glob {
                Some(glob) => glob.is_match(text),
                None => text == name,
            };
            let profile = name.strip_prefix('@');
            let before = found.len();
            found.extend(
                (units.iter())
                    .filter(|unit| match profile {
                        Some(profile) => unit.profiles.iter().any(|own| own == profile),
                        None => is(&unit.name) || is(&unit.unit),
                    })
                    .map(|unit| unit.name.clone()),
            );
            if found.len() == before {
                let known = units.iter().flat_map(|unit| [&*unit.name, &*unit.unit]);
                return Err(Mistake {
                    what: format!("`{}` has no unit named `{name}`", self.record.stack),
                    help: suggest::did_you_mean(name, known),
                });
            }
        }
        Ok(found)
    }

    /// Who of these has written so far; all, if none is named.
    pub fn instances(&self, names: &[String]) -> Vec<(InstanceId, UnitName)> {
        let mut all = self.archive.names();
        all.retain(|(_, name)| names.is_empty() || names.iter().any(|one| one == name.as_str()));
        all
    }
}
