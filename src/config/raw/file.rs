//! The top level of a file.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::command::{EnvFile, Variables};
use super::unit::RawUnit;
use crate::config::context::Cx;
use crate::config::decode::{Decode, NonEmpty, OneOrMany, Text, expect_map};
use crate::config::diagnostic::Diagnostic;
use crate::config::record::record;
use crate::config::snippet::quoted;
use crate::config::tree::{Map, Node, Value};
use crate::domain::id::UnitName;

/// What a unit's name must match.
pub(in crate::config) const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_.-]*$";

record! {
    /// A stack: services and tasks, and what they share.
    RawFile, "the file", {
        /// What the stack is called. Default: the name of the folder.
        name: Text,
        /// Further files, relative to this one.
        include: OneOrMany<Text>,
        /// Variables of every unit: a map, or a list of `NAME=value`.
        environment: Variables,
        /// Files of variables, relative to this file. Default: `.env`, if there is one.
        env_file: OneOrMany<EnvFile>,
        /// What a command given as a string is handed to. Default: `[bash, -c]`, or `[sh, -c]`
        /// where there is no bash.
        shell: NonEmpty<Text>,
        /// Laid under every unit of a kind.
        defaults: RawDefaults,
        /// Units that run until they are stopped, by name.
        services: RawUnits,
        /// Units that run to completion, by name.
        tasks: RawUnits,
    }
}

record! {
    /// Laid under every unit of a kind: maps deep, scalars and lists replaced.
    RawDefaults, "`defaults`", {
        /// Under every service.
        services: DefaultUnit,
        /// Under every task.
        tasks: DefaultUnit,
    }
}

/// Checked where it stands, and kept as a tree to be laid under others.
#[derive(Clone, Debug)]
pub(in crate::config) struct DefaultUnit(pub Node);

impl Decode for DefaultUnit {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        RawUnit::decode(node, cx)?;
        Some(Self(node.clone()))
    }
}

impl JsonSchema for DefaultUnit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        RawUnit::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<RawUnit>()
    }
}

/// Units by name, each still a tree: the defaults are laid under it first.
#[derive(Clone, Debug)]
pub(in crate::config) struct RawUnits(pub Arc<Map>);

impl Decode for RawUnits {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        expect_map(node, "a map from name to unit", cx)?;
        let Value::Map(map) = &node.value else {
            return None;
        };
        for entry in &map.entries {
            if !UnitName::is_valid(&entry.key) {
                cx.say(
                    Diagnostic::structure(
                        entry.key_span,
                        format!("{} cannot name a unit", quoted(&entry.key)),
                    )
                    .label(
                        "expected letters, digits, `_`, `.` and `-`, the first a letter or digit",
                    )
                    .maybe_help(tidy(&entry.key).map(|name| format!("did you mean `{name}`?"))),
                );
            }
        }
        Some(Self(map.clone()))
    }
}

/// The nearest valid name.
fn tidy(name: &str) -> Option<String> {
    let replaced: String = name
        .trim()
        .chars()
        .map(|c| {
            let fine = c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if fine { c } else { '-' }
        })
        .collect();
    let name = replaced.trim_matches('-').trim_start_matches(['.', '_']);
    (UnitName::is_valid(name) && name.len() <= 60).then(|| name.to_owned())
}

impl JsonSchema for RawUnits {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Units".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let unit = generator.subschema_for::<Option<RawUnit>>();
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": NAME},
            "additionalProperties": unit
        })
    }
}
