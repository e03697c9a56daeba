//! Commands, stages and variables.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::scalar::Flag;
use crate::config::context::Cx;
use crate::config::decode::{Decode, NonEmpty, Spanned, Table, Text, expect_scalar, mismatch};
use crate::config::diagnostic::Diagnostic;
use crate::config::interpolate::port_reference;
use crate::config::record::record;
use crate::config::tree::{Node, Value};

/// A string for the shell, or a list executed directly.
#[derive(Clone, Debug)]
pub(in crate::config) enum RawCommand {
    Script(Arc<str>),
    Words(Vec<Spanned<Text>>),
}

impl Decode for RawCommand {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Seq(_) => {
                let words: Vec<Spanned<Text>> = NonEmpty::decode(node, cx)?.0;
                if let Some(program) = words.first().filter(|word| word.trim().is_empty()) {
                    cx.say(
                        Diagnostic::meaning(program.span, "the command names no program")
                            .label("expected the program to run")
                            .help("the first item is the program, the others are its arguments"),
                    );
                    return None;
                }
                Some(Self::Words(words))
            }
            Value::Map(_) => {
                cx.say(mismatch(
                    node,
                    "a string for the shell, or a list of arguments",
                ));
                None
            }
            Value::Scalar(_) => {
                let scalar = expect_scalar(node, "a command", cx)?;
                if let Some((range, unit, port)) = port_reference(&scalar.text) {
                    let variable = variable_for(unit, port);
                    let reference = scalar.text[range.clone()].to_owned();
                    let span = cx.part_of(&scalar.text, node.span, range);
                    cx.say(
                        Diagnostic::meaning(
                            span,
                            format!("the shell would read {}", crate::config::snippet::quoted(&reference)),
                        )
                        .label("pk replaces nothing in what goes to a shell")
                        .help(format!(
                            "add `environment: {{{variable}: \"{reference}\"}}` and write `${variable}` here"
                        )),
                    );
                    return None;
                }
                if scalar.text.trim().is_empty() {
                    cx.say(
                        Diagnostic::meaning(node.span, "the command is empty")
                            .label("expected what to run"),
                    );
                    return None;
                }
                if scalar.text.contains('\0') {
                    cx.say(
                        Diagnostic::meaning(node.span, "the command contains a NUL character")
                            .label("it cannot be passed to a program"),
                    );
                    return None;
                }
                Some(Self::Script(scalar.text.clone()))
            }
        }
    }
}

/// `API_HTTP_PORT` for `${api.ports.http}`.
fn variable_for(unit: &str, port: &str) -> String {
    let name = format!("{unit}_{port}_PORT").to_ascii_uppercase();
    name.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

impl JsonSchema for RawCommand {
    fn schema_name() -> Cow<'static, str> {
        "Command".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<NonEmpty<Text>>();
        json_schema!({
            "description": "A string for the shell, or a list executed directly.",
            "anyOf": [{"type": ["string", "number", "boolean"]}, words]
        })
    }
}

record! {
    /// One stage of a pipeline, with what it needs beside its command.
    StageRecord, "a stage", {
        /// Shown beside its output. Default: the number of the stage.
        name: Text,
        /// A string for the shell, or a list executed directly.
        command: RawCommand,
        /// Variables of this stage alone.
        environment: Variables,
        /// Relative to the file. Default: that of the unit.
        working_dir: Text,
    }
}

/// A command, or a map that holds one.
#[derive(Clone, Debug)]
pub(in crate::config) enum RawStage {
    Command(RawCommand),
    Record(Box<StageRecord>),
}

impl Decode for RawStage {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Decode::decode(node, cx).map(|stage| Self::Record(Box::new(stage))),
            Value::Scalar(_) | Value::Seq(_) => Decode::decode(node, cx).map(Self::Command),
        }
    }
}

impl JsonSchema for RawStage {
    fn schema_name() -> Cow<'static, str> {
        "Stage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let command = generator.subschema_for::<RawCommand>();
        let record = generator.subschema_for::<StageRecord>();
        json_schema!({"anyOf": [command, record]})
    }
}

/// A map of variables, or a list of `NAME=value`.
#[derive(Clone, Debug)]
pub(in crate::config) enum Variables {
    Map(Table<Text>),
    List(Vec<Spanned<Text>>),
}

impl Decode for Variables {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Decode::decode(node, cx).map(Self::Map),
            Value::Seq(_) => Decode::decode(node, cx).map(Self::List),
            Value::Scalar(_) => {
                cx.say(mismatch(
                    node,
                    "a map of variables, or a list of `NAME=value`",
                ));
                None
            }
        }
    }
}

impl JsonSchema for Variables {
    fn schema_name() -> Cow<'static, str> {
        "Variables".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let map = generator.subschema_for::<Table<Text>>();
        let list = generator.subschema_for::<Vec<Text>>();
        json_schema!({
            "description": "A map of variables, or a list of `NAME=value`.",
            "anyOf": [map, list]
        })
    }
}

record! {
    /// An env file that may be missing.
    EnvFileRecord, "an `env_file` entry", {
        /// Relative to the file that names it.
        path: Text,
        /// Whether it must be there. Default: `true`.
        required: Flag,
    }
}

#[derive(Clone, Debug)]
pub(in crate::config) enum EnvFile {
    Path(Text),
    Record(EnvFileRecord),
}

impl Decode for EnvFile {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Decode::decode(node, cx).map(Self::Record),
            Value::Scalar(_) => Decode::decode(node, cx).map(Self::Path),
            Value::Seq(_) => {
                cx.say(mismatch(
                    node,
                    "a path, or a map with `path` and `required`",
                ));
                None
            }
        }
    }
}

impl JsonSchema for EnvFile {
    fn schema_name() -> Cow<'static, str> {
        "EnvFile".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let path = generator.subschema_for::<Text>();
        let record = generator.subschema_for::<EnvFileRecord>();
        json_schema!({"anyOf": [path, record]})
    }
}
