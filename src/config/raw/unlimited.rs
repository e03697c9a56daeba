//! A bound that may be absent.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::probe::any_of;
use crate::config::context::Cx;
use crate::config::decode::Decode;
use crate::config::tree::{Node, Value};

/// The word that says that there is no bound.
const WORD: &str = "unlimited";

/// A value, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Unlimited<T> {
    Limit(T),
    None,
}

impl<T: Decode> Decode for Unlimited<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(scalar) if &*scalar.text == WORD => Some(Self::None),
            Value::Scalar(_) | Value::Seq(_) | Value::Map(_) => {
                T::decode(node, cx).map(Self::Limit)
            }
        }
    }
}

impl<T: JsonSchema> JsonSchema for Unlimited<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Unlimited_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        any_of(&[
            generator.subschema_for::<T>(),
            json_schema!({"const": WORD}),
        ])
    }
}
