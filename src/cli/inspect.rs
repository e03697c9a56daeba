//! The commands that read the file and start nothing: `check`, `config`, `schema`.

use super::args::{self, ConfigForm, Place};
use super::exit::End;
use super::foreign;
use super::output::Output;
use super::stack;
use crate::config::foreign::Foreign;
use crate::config::{self, Loaded};
use crate::domain::spec::UnitKind;

pub fn check(place: &Place, args: &args::Foreign, output: &Output) -> End {
    match foreign::load(place, &foreign::meant(args), None, output) {
        Ok(loaded) => output.print(&checked(place, &loaded)),
        Err(end) => end,
    }
}

/// As [`check`], and as strict as process-compose is here.
pub fn dry_run(place: &Place, args: &args::Foreign, output: &Output) -> End {
    let foreign = Foreign {
        strict: true,
        ..foreign::meant(args)
    };
    match foreign::load(place, &foreign, None, output) {
        Ok(loaded) => output.print(&checked(place, &loaded)),
        Err(end) => end,
    }
}

/// `pk.yaml: 5 services, 2 tasks`.
fn checked(place: &Place, loaded: &Loaded) -> String {
    let files = match &place.files[..] {
        [] | [_] => stack::main_file(loaded),
        several => {
            let names = several.iter().map(|file| file.display().to_string());
            names.collect::<Vec<_>>().join(", ")
        }
    };
    let mut text = format!("{files}: {}", count(loaded));
    if !loaded.warnings.is_empty() {
        let warnings = plural(loaded.warnings.len(), "warning");
        text.push_str(&format!(", {warnings}"));
    }
    text.push('\n');
    for command in &loaded.env_commands {
        text.push_str(&format!(
            "note: `{}` comes from a command that `pk up` runs\n",
            command.name
        ));
    }
    text
}

fn count(loaded: &Loaded) -> String {
    let of = |kind| {
        loaded
            .plan
            .units()
            .iter()
            .filter(|u| u.kind == kind)
            .count()
    };
    let (services, tasks) = (of(UnitKind::Service), of(UnitKind::Task));
    match (services, tasks) {
        (0, tasks) => plural(tasks, "task"),
        (services, 0) => plural(services, "service"),
        (services, tasks) => {
            format!("{}, {}", plural(services, "service"), plural(tasks, "task"))
        }
    }
}

/// `1 task`, `2 tasks`.
#[must_use]
pub fn plural(count: usize, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}

pub fn config(place: &Place, form: ConfigForm, output: &Output) -> End {
    match stack::load(place, output) {
        Ok(loaded) => {
            let text = match form {
                ConfigForm::Yaml => config::to_yaml(&loaded.plan),
                ConfigForm::Json => format!("{:#}", config::to_json(&loaded.plan)),
            };
            output.print(&format!("{}\n", text.trim_end()))
        }
        Err(end) => end,
    }
}

pub fn schema(output: &Output) -> End {
    output.print(&format!("{:#}\n", config::schema()))
}
