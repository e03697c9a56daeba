//! What the file at hand asks for that may not come out as meant.

use super::super::args::Place;
use super::super::inspect::plural;
use super::super::stack;
use super::Finding;
use crate::config;
use crate::domain::plan::Plan;
use crate::domain::spec::{Command, Program, UnitSpec};

/// Programs that hand their work to somebody else's process.
const HANDED_OVER: [&str; 8] = [
    "docker",
    "docker-compose",
    "podman",
    "nerdctl",
    "at",
    "batch",
    "systemd-run",
    "kubectl",
];

pub(super) fn look(place: &Place) -> Vec<Finding> {
    let about = "file";
    let request = match stack::request(place) {
        Ok(request) => request,
        Err(message) => return vec![Finding::bad(about, message)],
    };
    let nothing = request.files.is_empty() && config::discover::discover(&request.folder).is_err();
    if nothing {
        return vec![
            Finding::fine(about, "none in this folder or above").help("`pk init` writes one"),
        ];
    }
    match config::load(&request) {
        Ok(loaded) => {
            let units = plural(loaded.plan.units().len(), "unit");
            let main = stack::main_file(&loaded);
            let mut findings = vec![Finding::fine(about, format!("{main}: {units}"))];
            findings.extend(handed_over(&loaded.plan));
            findings
        }
        Err(report) => {
            let errors = plural(report.errors().count(), "mistake");
            vec![Finding::bad(about, errors).help("`pk check` shows each with its place")]
        }
    }
}

fn handed_over(plan: &Plan) -> Vec<Finding> {
    let units = plan.units().iter();
    let found = units.filter_map(|unit| Some((unit, programs(unit).find(|p| is_handed_over(p))?)));
    found
        .map(|(unit, program)| {
            let what = format!(
                "`{}` runs `{program}`, whose work is done by another process: pk ends the \
                 command, not what it set going",
                unit.name
            );
            if unit.shutdown.command.is_some() {
                return Finding::fine("handed over", what);
            }
            Finding::weak("handed over", what)
                .help("keep it in the foreground, or say how it ends with `shutdown.command`")
        })
        .collect()
}

/// The first word of each command, without its folder.
fn programs(unit: &UnitSpec) -> impl Iterator<Item = &str> {
    let commands: Vec<&Command> = match &unit.program {
        Program::Command(command) => vec![command],
        Program::Pipeline(stages) => stages.iter().map(|stage| &stage.command).collect(),
    };
    commands.into_iter().filter_map(|command| {
        let first = match command {
            Command::Exec(argv) => argv.first()?.as_str(),
            Command::Shell { script, .. } => {
                let mut words = script.split_whitespace();
                words.find(|word| *word != "exec" && !word.contains('='))?
            }
        };
        first.rsplit('/').next()
    })
}

fn is_handed_over(program: &str) -> bool {
    HANDED_OVER.contains(&program)
}
