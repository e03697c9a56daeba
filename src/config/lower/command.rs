//! Commands and pipelines.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{environment, paths};
use crate::config::context::Cx;
use crate::config::decode::{Field, NonEmpty, Spanned};
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::command::{RawCommand, RawStage};
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::domain::spec::{Command, EnvMap, Program, Stage};

pub(super) fn command(raw: &RawCommand, shell: &Arc<[String]>) -> Command {
    match raw {
        RawCommand::Script(script) => Command::Shell {
            shell: shell.clone(),
            script: script.to_string(),
        },
        RawCommand::Words(words) => {
            Command::Exec(words.iter().map(|word| word.to_string()).collect())
        }
    }
}

pub(super) fn optional(raw: Option<&Field<RawCommand>>, shell: &Arc<[String]>) -> Option<Command> {
    raw.map(|raw| command(raw, shell))
}

/// The program of a unit; `None` where a diagnostic says why there is none.
pub(super) fn program(
    unit: &str,
    key: Span,
    command_field: Option<&Field<RawCommand>>,
    pipeline: Option<&Field<NonEmpty<RawStage>>>,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Option<Program> {
    match (command_field, pipeline) {
        (Some(raw), None) => Some(Program::Command(command(raw, shell))),
        (None, Some(stages)) => {
            unique_names(&stages.0, cx);
            let stages = (1..).zip(&stages.0);
            let stages = stages.filter_map(|(number, raw)| stage(number, raw, raw.span, shell, cx));
            Some(Program::Pipeline(stages.collect()))
        }
        (Some(raw), Some(stages)) => {
            cx.say(
                Diagnostic::meaning(
                    stages.key,
                    format!("`{unit}` has both `command` and `pipeline`"),
                )
                .label("the pipeline")
                .and(raw.key, "the command")
                .help("keep one of them"),
            );
            None
        }
        (None, None) => {
            cx.say(
                Diagnostic::meaning(key, format!("`{unit}` has nothing to execute"))
                    .label("expected `command` or `pipeline` below it")
                    .help("write `command: …`"),
            );
            None
        }
    }
}

/// A stage is told from the others by its name.
fn unique_names(stages: &[Spanned<RawStage>], cx: &mut Cx<'_>) {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    for (number, stage) in (1..).zip(stages) {
        let name = match &stage.value {
            RawStage::Record(record) => record.name.as_ref(),
            RawStage::Command(_) => None,
        };
        let span = name.map_or(stage.span, |name| name.span);
        let name = name.map_or_else(|| number.to_string(), |name| name.to_string());
        if let Some(&first) = seen.get(&name) {
            cx.say(
                Diagnostic::meaning(span, format!("two stages are named {}", quoted(&name)))
                    .label("the second one")
                    .and(first, "the first one")
                    .help("rename one of them; a stage without a name is named by its number"),
            );
        }
        seen.insert(name, span);
    }
}

fn stage(
    number: usize,
    raw: &RawStage,
    span: Span,
    shell: &Arc<[String]>,
    cx: &mut Cx<'_>,
) -> Option<Stage> {
    let record = match raw {
        RawStage::Command(raw) => {
            return Some(Stage {
                name: number.to_string(),
                command: command(raw, shell),
                environment: EnvMap::new(),
                working_dir: None,
            });
        }
        RawStage::Record(record) => record,
    };
    let Some(raw) = &record.command else {
        if cx.complained_within(span) {
            return None;
        }
        cx.say(
            Diagnostic::meaning(span, "this stage has no `command`")
                .label("expected `command` here"),
        );
        return None;
    };
    let mut variables = EnvMap::new();
    if let Some(own) = &record.environment {
        environment::extend(&mut variables, own, cx);
    }
    Some(Stage {
        name: record
            .name
            .as_ref()
            .map_or_else(|| number.to_string(), |name| name.to_string()),
        command: command(raw, shell),
        environment: variables,
        working_dir: record
            .working_dir
            .as_ref()
            .map(|dir| paths::absolute(dir, dir.span, cx)),
    })
}
