//! A YAML document whose every node knows where it stands.
//!
//! This module owns the tree's shape. Anchors are resolved and keys are unique by the time
//! a tree exists (see [`super::parse`]). Collections are shared, so an alias costs nothing.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::source::Span;

#[derive(Clone, Debug)]
pub struct Node {
    pub span: Span,
    pub value: Value,
}

#[derive(Clone, Debug)]
pub enum Value {
    Scalar(Scalar),
    Seq(Arc<[Node]>),
    Map(Arc<Map>),
}

#[derive(Clone, Debug)]
pub struct Scalar {
    pub text: Arc<str>,
    /// Unquoted, so that it may be a number, a truth value or null.
    pub plain: bool,
}

impl Scalar {
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Arc<str>,
    pub key_span: Span,
    pub value: Node,
}

/// Entries in the order of the file, each key once.
#[derive(Clone, Debug, Default)]
pub struct Map {
    pub entries: Vec<Entry>,
}

impl Map {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }
}

impl Node {
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    #[must_use]
    pub fn as_map(&self) -> Option<&Arc<Map>> {
        match &self.value {
            Value::Map(map) => Some(map),
            Value::Scalar(_) | Value::Seq(_) => None,
        }
    }

    /// What it is, for a message.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Seq(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Value::Scalar(scalar) => {
                let what = match scalar.core_type() {
                    CoreType::String => "the string",
                    CoreType::Number => "the number",
                    CoreType::Bool => "the truth value",
                };
                format!("{what} {}", super::snippet::quoted(&scalar.text))
            }
        }
    }
}

/// What a scalar is under YAML's core schema, beside null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoreType {
    String,
    Number,
    Bool,
}

impl Scalar {
    #[must_use]
    pub fn core_type(&self) -> CoreType {
        if !self.plain {
            return CoreType::String;
        }
        if parse_bool(&self.text).is_some() {
            return CoreType::Bool;
        }
        let starts_like_number = self
            .text
            .starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
        if starts_like_number
            && (parse_int(&self.text).is_some() || self.text.parse::<f64>().is_ok())
        {
            CoreType::Number
        } else {
            CoreType::String
        }
    }
}

/// A truth value of the core schema.
#[must_use]
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// An integer of the core schema.
#[must_use]
pub fn parse_int(text: &str) -> Option<i128> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i128::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i128::from_str_radix(octal, 8).ok();
    }
    text.parse().ok()
}

/// Finds entries of a map by key; a hash table once the map is large enough to need one.
#[derive(Debug)]
pub(super) enum KeyIndex {
    Small,
    Large(FxHashMap<Arc<str>, usize>),
}

impl KeyIndex {
    const LARGE: usize = 16;

    pub(super) fn of(entries: &[Entry]) -> Self {
        if entries.len() < Self::LARGE {
            return Self::Small;
        }
        let keys = entries.iter().enumerate();
        Self::Large(keys.map(|(at, entry)| (entry.key.clone(), at)).collect())
    }

    pub(super) fn find(&self, entries: &[Entry], key: &str) -> Option<usize> {
        match self {
            Self::Small => entries.iter().position(|entry| &*entry.key == key),
            Self::Large(table) => table.get(key).copied(),
        }
    }

    /// Must be told of each entry pushed.
    pub(super) fn pushed(&mut self, entries: &[Entry]) {
        match self {
            Self::Small if entries.len() >= Self::LARGE => *self = Self::of(entries),
            Self::Small => {}
            Self::Large(table) => {
                if let Some(last) = entries.last() {
                    table.insert(last.key.clone(), entries.len() - 1);
                }
            }
        }
    }
}
