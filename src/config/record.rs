//! Declares a type of the file once, for its reading and its JSON schema.
//!
//! Both come from one declaration, so they cannot part.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::decode::{Field, NonEmpty, OneOrMany, Spanned, Table};

/// Makes the schema of a wrapper that of what it wraps.
macro_rules! transparent_schema {
    ($($wrapper:ident => $inner:ty),* $(,)?) => {$(
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                <$inner>::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                generator.subschema_for::<$inner>()
            }
        }
    )*};
}

transparent_schema! { Spanned => T, Field => T }

impl<T: JsonSchema> JsonSchema for Table<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Table_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Option<T>>();
        schemars::json_schema!({"type": "object", "additionalProperties": value})
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("One_or_many_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({"anyOf": [one.clone(), {"type": "array", "items": one}]})
    }
}

impl<T: JsonSchema> JsonSchema for NonEmpty<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Some_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({"type": "array", "minItems": 1, "items": one})
    }
}

/// Declares a map with fixed keys, all optional: its type, its reading and its schema.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident, $what:literal, {
        $( $(#[$field_meta:meta])* $field:ident : $type:ty ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields, extend("patternProperties" = {"^x-": true}))]
        pub(in crate::config) struct $name {
            $( $(#[$field_meta])* pub $field: Option<$crate::config::decode::Field<$type>>, )*
        }

        impl $name {
            pub(in crate::config) const KEYS: &'static [&'static str] = &[$(stringify!($field)),*];
        }

        impl $crate::config::decode::Decode for $name {
            fn decode(
                node: &$crate::config::tree::Node,
                cx: &mut $crate::config::context::Cx<'_>,
            ) -> Option<Self> {
                let map = $crate::config::decode::expect_map(node, $what, cx)?;
                let mut out = Self::default();
                for entry in &map.entries {
                    match &*entry.key {
                        $( stringify!($field) => {
                            out.$field = $crate::config::decode::field(entry, cx);
                        } )*
                        key if key.starts_with("x-") => {}
                        _ => $crate::config::decode::unknown_key(entry, $what, Self::KEYS, cx),
                    }
                }
                Some(out)
            }
        }
    };
}

/// Declares a word out of a few: its type, its reading and its schema.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident, $what:literal, {
        $( $variant:ident = $word:literal ),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::config) enum $name { $($variant),* }

        impl $name {
            pub(in crate::config) const WORDS: &'static [&'static str] = &[$($word),*];
        }

        impl $crate::config::decode::Leaf for $name {
            const EXPECTED: &'static str = $what;

            fn read(
                text: &std::sync::Arc<str>,
                plain: bool,
            ) -> Result<Self, $crate::config::decode::Refusal> {
                match &**text {
                    $( $word => Ok(Self::$variant), )*
                    other => Err($crate::config::decode::not_a_choice(other, plain, Self::WORDS)),
                }
            }
        }

        impl $crate::config::decode::Decode for $name {
            fn decode(
                node: &$crate::config::tree::Node,
                cx: &mut $crate::config::context::Cx<'_>,
            ) -> Option<Self> {
                $crate::config::decode::decode_leaf(node, cx)
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "anyOf": [{"enum": Self::WORDS}, $crate::config::raw::scalar::reference()]
                })
            }
        }
    };
}

pub(super) use {choice, record};
