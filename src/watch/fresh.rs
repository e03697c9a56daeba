//! Whether what a task makes is newer than what it is made from.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::ignoring::{Ignoring, Own, Rule};
use super::scope::Pattern;
use super::walk::{Visitor, walk};

/// Why a task has to run, or that it need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staleness {
    UpToDate,
    /// This input changed after an output was made.
    Changed(PathBuf),
    /// Nothing is there that matches this output, or this input.
    Missing(String),
    /// It names no inputs or no outputs to compare.
    Unknown,
}

/// The newest or the oldest of the files that were seen.
struct Times {
    newest: Option<(SystemTime, PathBuf)>,
    oldest: Option<SystemTime>,
}

impl Visitor for Times {
    fn folder(&mut self, _path: &Path) -> bool {
        true
    }

    fn file(&mut self, path: &Path, _is_link: bool) {
        let Ok(time) = std::fs::metadata(path).and_then(|metadata| metadata.modified()) else {
            return;
        };
        if self
            .newest
            .as_ref()
            .is_none_or(|(newest, _)| time > *newest)
        {
            self.newest = Some((time, path.to_owned()));
        }
        if self.oldest.is_none_or(|oldest| time < oldest) {
            self.oldest = Some(time);
        }
    }

    fn ignored(&mut self, _path: &Path, _rule: Rule) {}

    fn unreadable(&mut self, _path: &Path, _error: &io::Error) {}
}

/// Compares the times of files: a task is up to date if every output is there, and none is
/// older than any input. Both are paths and globs, made absolute; an ignore file hides
/// inputs that a folder or glob expands to, never outputs.
#[must_use]
pub fn staleness(base: &Path, inputs: &[String], outputs: &[String]) -> Staleness {
    if inputs.is_empty() || outputs.is_empty() {
        return Staleness::Unknown;
    }
    let mut ignoring = Ignoring::new(base);
    let mut of = |text: &String, honours_files: bool| {
        let pattern = Pattern::new(text);
        let own = Own::new(base, &[], honours_files, None);
        let mut times = Times {
            newest: None,
            oldest: None,
        };
        if pattern.root.is_dir() {
            walk(&mut ignoring, &own, &pattern, &pattern.root, &mut times);
        } else if !pattern.is_glob() {
            times.file(&pattern.root, false);
        }
        times
    };
    let mut oldest: Option<SystemTime> = None;
    for output in outputs {
        match of(output, false).oldest {
            Some(time) => oldest = Some(oldest.map_or(time, |oldest| oldest.min(time))),
            None => return Staleness::Missing(output.clone()),
        }
    }
    for input in inputs {
        match (of(input, true).newest, oldest) {
            (Some((time, path)), Some(oldest)) if time > oldest => {
                return Staleness::Changed(path);
            }
            (Some(_), _) => {}
            (None, _) => return Staleness::Missing(input.clone()),
        }
    }
    Staleness::UpToDate
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn newer_inputs_and_missing_outputs_call_for_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let text = |name: &str| base.join(name).to_string_lossy().into_owned();
        let write = |name: &str, age: u64| {
            let path = base.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "x").unwrap();
            let time = SystemTime::now() - Duration::from_secs(age);
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
        };
        let (inputs, outputs) = ([text("src/**/*.c"), text("Makefile")], [text("out")]);
        let now = || staleness(base, &inputs, &outputs);
        write("src/deep/a.c", 100);
        write("Makefile", 200);
        assert_eq!(now(), Staleness::Missing(text("out")));
        write("out/a.o", 50);
        assert_eq!(now(), Staleness::UpToDate);
        write("out/b.o", 150);
        assert_eq!(now(), Staleness::Changed(base.join("src/deep/a.c")));
        assert_eq!(staleness(base, &inputs, &[]), Staleness::Unknown);
    }
}
