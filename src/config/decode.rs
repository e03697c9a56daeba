//! A tree into typed values, with every mistake reported.
//!
//! This module owns the traversal: what it cannot read it reports and leaves out, and goes
//! on with the rest. The types themselves stand in [`super::raw`]; [`record!`] makes both the
//! reading and the JSON schema of a type from one declaration, so they cannot part.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::context::Cx;
use super::diagnostic::{Diagnostic, Kind};
use super::snippet::quoted;
use super::source::Span;
use super::suggest::{did_you_mean, one_of};
use super::tree::{Map, Node, Scalar, Value};

/// What can be read from a tree.
pub(super) trait Decode: Sized {
    /// `None`: a diagnostic says why.
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self>;
}

/// A value that one scalar holds.
pub(super) trait Leaf: Sized {
    /// With its article: `a duration`.
    const EXPECTED: &'static str;

    /// `plain`: it may be other than a string.
    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal>;
}

/// Why a scalar is not what was expected.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    pub label: Option<String>,
    pub help: Option<String>,
    /// Well-formed, but without sense: the schema has no say in it.
    pub meaning: bool,
}

impl Refusal {
    pub(super) fn help(help: Option<String>) -> Self {
        Self {
            help,
            ..Self::default()
        }
    }

    pub(super) fn meaning(label: impl Into<String>) -> Self {
        Self {
            label: Some(label.into()),
            help: None,
            meaning: true,
        }
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub span: Span,
    pub value: T,
}

/// A value with its key.
#[derive(Clone, Debug)]
pub(super) struct Field<T> {
    pub key: Span,
    pub span: Span,
    pub value: T,
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Deref for Field<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A map whose keys the file chooses.
#[derive(Clone, Debug)]
pub(super) struct Table<V>(pub Vec<Row<V>>);

#[derive(Clone, Debug)]
pub(super) struct Row<V> {
    pub key: Arc<str>,
    pub key_span: Span,
    pub span: Span,
    pub value: V,
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub Vec<Spanned<T>>);

/// A list that must not be empty.
#[derive(Clone, Debug)]
pub(super) struct NonEmpty<T>(pub Vec<Spanned<T>>);

impl<T: Decode> Decode for Spanned<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let value = T::decode(node, cx)?;
        Some(Self {
            span: node.span,
            value,
        })
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let items = expect_seq(node, "a list", cx)?;
        Some(
            items
                .iter()
                .filter_map(|item| T::decode(item, cx))
                .collect(),
        )
    }
}

impl<T: Decode> Decode for NonEmpty<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let items = expect_seq(node, "a list", cx)?;
        if items.is_empty() {
            cx.say(
                Diagnostic::structure(node.span, "the list is empty")
                    .label("expected at least one item"),
            );
            return None;
        }
        let list: Vec<_> = items
            .iter()
            .filter_map(|item| Decode::decode(item, cx))
            .collect();
        (!list.is_empty()).then_some(Self(list))
    }
}

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Seq(_) => Decode::decode(node, cx).map(Self),
            Value::Scalar(_) | Value::Map(_) => Decode::decode(node, cx).map(|one| Self(vec![one])),
        }
    }
}

impl<V: Decode> Decode for Table<V> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        let map = expect_map(node, "a map", cx)?;
        let rows = map.entries.iter().filter_map(|entry| {
            Some(Row {
                key: entry.key.clone(),
                key_span: entry.key_span,
                span: entry.value.span,
                value: V::decode(&entry.value, cx)?,
            })
        });
        Some(Self(rows.collect()))
    }
}

/// Reads the value of a known key; `null` is as good as no key.
pub(super) fn field<T: Decode>(entry: &super::tree::Entry, cx: &mut Cx<'_>) -> Option<Field<T>> {
    if entry.value.is_null() {
        return None;
    }
    Some(Field {
        key: entry.key_span,
        span: entry.value.span,
        value: T::decode(&entry.value, cx)?,
    })
}

pub(super) fn mismatch(node: &Node, expected: &str) -> Diagnostic {
    Diagnostic::structure(
        node.span,
        format!("expected {expected}, found {}", node.describe()),
    )
    .label(format!("expected {expected}"))
}

pub(super) fn expect_seq<'n>(
    node: &'n Node,
    expected: &str,
    cx: &mut Cx<'_>,
) -> Option<&'n [Node]> {
    if let Value::Seq(items) = &node.value {
        return Some(items);
    }
    cx.say(mismatch(node, expected));
    None
}

pub(super) fn expect_map<'n>(node: &'n Node, expected: &str, cx: &mut Cx<'_>) -> Option<&'n Map> {
    if let Value::Map(map) = &node.value {
        return Some(map);
    }
    cx.say(mismatch(node, expected));
    None
}

pub(super) fn expect_scalar<'n>(
    node: &'n Node,
    expected: &str,
    cx: &mut Cx<'_>,
) -> Option<&'n Scalar> {
    if let Value::Scalar(scalar) = &node.value
        && !scalar.is_null()
    {
        return Some(scalar);
    }
    let diagnostic = mismatch(node, expected);
    let empty = node.is_null() && expected == Text::EXPECTED;
    cx.say(if empty {
        diagnostic.help("write `\"\"` for an empty text")
    } else {
        diagnostic
    });
    None
}

pub(super) fn decode_leaf<T: Leaf>(node: &Node, cx: &mut Cx<'_>) -> Option<T> {
    let scalar = expect_scalar(node, T::EXPECTED, cx)?;
    if !super::interpolate::is_interpolated(&scalar.text) {
        return match T::read(&scalar.text, scalar.plain) {
            Ok(value) => Some(value),
            Err(refusal) => {
                refuse::<T>(refusal, node, None, cx);
                None
            }
        };
    }
    let text = cx.interpolate(scalar, node.span)?;
    let reference = scalar.text.contains("${");
    match T::read(&text, scalar.plain || reference) {
        Ok(value) => Some(value),
        Err(refusal) => {
            refuse::<T>(refusal, node, reference.then_some(&text), cx);
            None
        }
    }
}

fn refuse<T: Leaf>(refusal: Refusal, node: &Node, interpolated: Option<&str>, cx: &mut Cx<'_>) {
    let found = match interpolated {
        Some(text) => format!("{} after interpolation", quoted(text)),
        None => node.describe(),
    };
    let kind = if refusal.meaning || interpolated.is_some() {
        Kind::Meaning
    } else {
        Kind::Structure
    };
    let label = refusal
        .label
        .unwrap_or_else(|| format!("expected {}", T::EXPECTED));
    cx.say(
        Diagnostic::structure(
            node.span,
            format!("expected {}, found {found}", T::EXPECTED),
        )
        .of_kind(kind)
        .label(label)
        .maybe_help(refusal.help),
    );
}

pub(super) fn unknown_key(
    entry: &super::tree::Entry,
    what: &str,
    known: &[&'static str],
    cx: &mut Cx<'_>,
) {
    let diagnostic = Diagnostic::structure(
        entry.key_span,
        format!("unknown key {} in {what}", quoted(&entry.key)),
    );
    let known = || known.iter().copied();
    let diagnostic = match cx.suggest(|| did_you_mean(&entry.key, known())) {
        Some(help) => diagnostic.label(help),
        None => diagnostic.label("not a key here").help(format!(
            "{what} has {}",
            one_of(known()).replace(" or ", " and ")
        )),
    };
    cx.say(diagnostic);
}

/// Any text that pk reads itself. A number or a truth value is taken as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text(pub Arc<str>);

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Leaf for Text {
    const EXPECTED: &'static str = "a text";

    fn read(text: &Arc<str>, _: bool) -> Result<Self, Refusal> {
        if text.contains('\0') {
            return Err(Refusal::meaning(
                "a NUL character cannot be handed to a program",
            ));
        }
        Ok(Self(text.clone()))
    }
}

impl Decode for Text {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

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
        let value = generator.subschema_for::<T>();
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

pub(super) fn not_a_choice(text: &str, plain: bool, words: &[&'static str]) -> Refusal {
    let meant = match super::tree::parse_bool(text) {
        Some(false) if plain && words.contains(&"no") => Some("did you mean `no`?".to_owned()),
        _ => did_you_mean(text, words.iter().copied()),
    };
    Refusal {
        label: Some(format!("expected {}", one_of(words.iter().copied()))),
        help: meant,
        meaning: false,
    }
}
