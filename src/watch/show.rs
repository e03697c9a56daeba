//! What is watched, and what would count: for people.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ignoring::Rule;
use super::scope::Pattern;
use super::walk::{Visitor, walk};
use super::watching_thread::Eye;
use crate::domain::id::UnitName;

/// What is watched for one unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitWatch {
    pub unit: UnitName,
    /// How many folders have a watch of the kernel, those on the way to them included.
    pub watches: usize,
    pub paths: Vec<PathStatus>,
}

/// One path or glob of a unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PathStatus {
    /// Relative to the stack's folder where it is below it.
    pub path: String,
    pub backend: Backend,
    /// It is not there.
    pub missing: bool,
    pub files: usize,
    pub folders: usize,
    /// What was left out, most first. A folder counts once, whatever is in it.
    pub ignored: Vec<Ignored>,
    /// Folders that cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// By events of the kernel.
    Inotify,
    /// By a look every now and then, and why.
    Polling { every_ms: u64, why: String },
}

/// What a rule left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Ignored {
    /// The rule and where it stands.
    pub rule: String,
    pub count: usize,
}

/// Whether a change of a file would count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Why {
    pub path: String,
    /// One for each unit that watches.
    pub units: Vec<WhyUnit>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct WhyUnit {
    pub unit: UnitName,
    pub counts: bool,
    /// By which rule, in words.
    pub rule: String,
}

#[derive(Default)]
struct Counting {
    files: usize,
    folders: usize,
    ignored: BTreeMap<Rule, usize>,
    unreadable: Vec<(PathBuf, String)>,
}

impl Visitor for Counting {
    fn folder(&mut self, _path: &Path) -> bool {
        self.folders += 1;
        true
    }

    fn file(&mut self, _path: &Path, _is_link: bool) {
        self.files += 1;
    }

    fn ignored(&mut self, _path: &Path, rule: Rule) {
        *self.ignored.entry(rule).or_default() += 1;
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.unreadable.push((path.to_owned(), error.to_string()));
    }
}

impl Eye {
    pub(super) fn status(&mut self, units: &[UnitName]) -> Vec<UnitWatch> {
        let ids: Vec<u32> = (self.units.iter())
            .filter(|(_, unit)| units.is_empty() || units.contains(&unit.name))
            .map(|(id, _)| *id)
            .collect();
        let mut all = Vec::new();
        for id in ids {
            let watches = self.places.as_ref().map_or(0, |places| places.count(id));
            let Some(unit) = self.units.get(&id) else {
                continue;
            };
            let mut paths = Vec::new();
            for (place, pattern) in unit.patterns.iter().enumerate() {
                let mut counting = Counting::default();
                if pattern.root.is_dir() {
                    walk(
                        &mut self.ignoring,
                        &unit.own,
                        pattern,
                        &pattern.root,
                        &mut counting,
                    );
                } else if pattern.root.is_file() {
                    counting.files = 1;
                }
                let why = unit.polled.get(&place).cloned();
                let missing = pattern.root.symlink_metadata().is_err();
                let text = Path::new(&pattern.text).to_owned();
                paths.push((text, why, missing, counting));
            }
            let name = unit.name.clone();
            let paths = paths
                .into_iter()
                .map(|(text, why, missing, counting)| {
                    let backend = match why {
                        Some(why) => Backend::Polling {
                            every_ms: u64::try_from(self.look_every.as_millis())
                                .unwrap_or(u64::MAX),
                            why,
                        },
                        None => Backend::Inotify,
                    };
                    self.path_status(&text, backend, missing, &counting)
                })
                .collect();
            all.push(UnitWatch {
                unit: name,
                watches,
                paths,
            });
        }
        all.sort_by(|a, b| a.unit.cmp(&b.unit));
        all
    }

    fn path_status(
        &self,
        text: &Path,
        backend: Backend,
        missing: bool,
        counting: &Counting,
    ) -> PathStatus {
        let mut ignored: Vec<Ignored> = (counting.ignored.iter())
            .map(|(rule, count)| Ignored {
                rule: self.rule_in_words(rule),
                count: *count,
            })
            .collect();
        ignored.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
        PathStatus {
            path: self.shown(text),
            backend,
            missing,
            files: counting.files,
            folders: counting.folders,
            ignored,
            unreadable: counting
                .unreadable
                .iter()
                .map(|(path, error)| format!("{}: {error}", self.shown(path)))
                .collect(),
        }
    }

    fn rule_in_words(&self, rule: &Rule) -> String {
        match &rule.from {
            Some(from) => format!("`{}` in {}", rule.pattern, self.shown(from)),
            None if rule.own && rule.pattern == "logs.file" => "its own log file".to_owned(),
            None if rule.own => format!("`{}` in its `ignore`", rule.pattern),
            None => format!("`{}`, which pk always leaves out", rule.pattern),
        }
    }

    pub(super) fn why(&mut self, path: &Path) -> Why {
        let ids: Vec<u32> = self.units.keys().copied().collect();
        let mut units = Vec::new();
        for id in ids {
            let patterns = self.units.get(&id).map(|unit| unit.patterns.clone());
            let mut best: Option<(bool, String)> = None;
            for pattern in patterns.unwrap_or_default() {
                let verdict = self.verdict(id, &pattern, path);
                // What counts wins; then what says most.
                match (verdict, &best) {
                    (Some(verdict @ (true, _)), _) => {
                        best = Some(verdict);
                        break;
                    }
                    (Some(verdict), None) => best = Some(verdict),
                    (Some(_) | None, _) => {}
                }
            }
            let (counts, rule) =
                best.unwrap_or((false, "it is outside of what is watched".to_owned()));
            if let Some(unit) = self.units.get(&id) {
                units.push(WhyUnit {
                    unit: unit.name.clone(),
                    counts,
                    rule,
                });
            }
        }
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        Why {
            path: self.shown(path),
            units,
        }
    }

    fn verdict(&mut self, id: u32, pattern: &Pattern, path: &Path) -> Option<(bool, String)> {
        let text = self.shown(Path::new(&pattern.text));
        if !pattern.is_glob() && pattern.root == path && !path.is_dir() {
            return Some((true, "it is named literally".to_owned()));
        }
        if !pattern.takes_file(path) {
            return None;
        }
        let unit = self.units.get(&id)?;
        let is_dir = path.is_dir();
        let rule = (self.ignoring).rule_on_the_way(&unit.own, &pattern.root, path, is_dir);
        Some(match rule {
            Some(rule) => (false, format!("ignored by {}", self.rule_in_words(&rule))),
            None if is_dir => (
                false,
                "it is a folder: only the files in it count".to_owned(),
            ),
            None if pattern.is_glob() => (true, format!("it matches `{text}`")),
            None => (true, format!("it is below `{text}`")),
        })
    }
}
