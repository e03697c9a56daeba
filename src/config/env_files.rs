//! Reads the files of variables that a configuration names.

use std::path::Path;

use super::context::Cx;
use super::decode::{OneOrMany, Text};
use super::diagnostic::{Diagnostic, Kind};
use super::dotenv;
use super::lower::paths;
use super::raw::command::EnvFile;
use super::source::{FileId, Span};
use crate::domain::spec::EnvMap;

/// The variables of all files, those of later ones over those of earlier ones.
pub(super) fn read_all(list: &OneOrMany<EnvFile>, cx: &mut Cx<'_>) -> EnvMap {
    let mut all = EnvMap::new();
    for file in &list.0 {
        let (path, span, required) = match &file.value {
            EnvFile::Path(path) => (path, file.span, true),
            EnvFile::Record(record) => {
                let Some(path) = &record.path else {
                    cx.say(
                        Diagnostic::meaning(file.span, "this `env_file` entry has no `path`")
                            .label("expected a map with `path` and `required`"),
                    );
                    continue;
                };
                let required = record.required.as_ref().is_none_or(|flag| flag.0);
                (&path.value, path.span, required)
            }
        };
        all.extend(read_named(path, span, required, cx));
    }
    all
}

/// The `.env` beside the main file, if there is one.
pub(super) fn read_default(path: &Path, cx: &mut Cx<'_>) -> EnvMap {
    match cx.sources.read(path) {
        Ok(file) => values(file, cx),
        Err(error) if error.is_missing() => EnvMap::new(),
        Err(error) => {
            let message = format!("the env file `{}` {error}", cx.sources.show(path));
            let help = "it is read because it stands beside the configuration; `env_file: []` \
                        at the top of the file turns that off";
            cx.say(Diagnostic::file(message).help(help));
            EnvMap::new()
        }
    }
}

fn read_named(path: &Text, span: Span, required: bool, cx: &mut Cx<'_>) -> EnvMap {
    let path = paths::absolute(path, span, cx);
    if let Some(values) = cx.env_files.get(&path) {
        return (**values).clone();
    }
    let read = match cx.sources.read(&path) {
        Ok(file) => values(file, cx),
        Err(error) if error.is_missing() && !required => EnvMap::new(),
        Err(error) => {
            let message = format!("the env file `{}` {error}", cx.sources.show(&path));
            let diagnostic = Diagnostic::meaning(span, message)
                .of_kind(Kind::File)
                .label("named here");
            cx.say(if error.is_missing() {
                diagnostic.help("if it may be missing, write `{path: …, required: false}`")
            } else {
                diagnostic
            });
            return EnvMap::new();
        }
    };
    cx.env_files.insert(path, std::rc::Rc::new(read.clone()));
    read
}

fn values(file: FileId, cx: &mut Cx<'_>) -> EnvMap {
    let (values, faults) = dotenv::parse(cx.sources.get(file).text(), &cx.outer_names());
    for fault in faults {
        let span = Span::new(file, fault.range.start, fault.range.end);
        let diagnostic = Diagnostic::meaning(span, fault.message).label(fault.label);
        cx.say(diagnostic.maybe_help(fault.help));
    }
    values
}
