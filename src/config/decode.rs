//! A tree into typed values, with every mistake reported.
//!
//! This module owns the traversal: what it cannot read it reports and leaves out, and goes
//! on with the rest. The types themselves stand in [`super::raw`]; [`super::record`] declares them.

use std::ops::Deref;
use std::sync::Arc;

use super::context::Cx;
use super::diagnostic::{Diagnostic, Kind};
use super::meant::{as_list, as_unit};
use super::snippet::quoted;
use super::source::Span;
use super::suggest::{did_you_mean, foreign_key, one_of};
use super::tree::{Map, Node, Scalar, Value};

/// What can be read from a tree.
pub(super) trait Decode: Sized {
    /// Whether `null` is a value of it, and not the lack of one.
    const NULLABLE: bool = false;

    /// What to write where a map of them is expected and something else found.
    fn table_help(_: &Node) -> Option<String> {
        None
    }

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

/// What few units have is boxed, so that those without it stay small.
impl<T: Decode> Decode for Box<T> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        T::decode(node, cx).map(Self::new)
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
        let Value::Map(map) = &node.value else {
            cx.say(mismatch(node, "a map").maybe_help(V::table_help(node)));
            return None;
        };
        let rows = map.entries.iter().filter_map(|entry| {
            if entry.value.is_null() && !V::NULLABLE {
                // Over another map it would remove the key; here it is over none.
                cx.say(
                    Diagnostic::meaning(
                        entry.key_span,
                        format!("{} has no value", quoted(&entry.key)),
                    )
                    .label("expected a value behind it")
                    .help("write `\"\"` for an empty text"),
                );
                return None;
            }
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
    cx.say(mismatch(node, expected).maybe_help(as_list(node)));
    None
}

pub(super) fn expect_map<'n>(node: &'n Node, expected: &str, cx: &mut Cx<'_>) -> Option<&'n Map> {
    if let Value::Map(map) = &node.value {
        return Some(map);
    }
    let help = if expected == "a unit" {
        as_unit(node)
    } else {
        None
    };
    cx.say(mismatch(node, expected).maybe_help(help));
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
    cx.say(mismatch(node, expected));
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
    if let Some(help) = foreign_key(&entry.key, known) {
        return cx.say(diagnostic.label("not a key here").help(help));
    }
    let words = || known.iter().copied();
    let diagnostic = match cx.suggest(|| did_you_mean(&entry.key, words())) {
        Some(help) => diagnostic.label(help),
        // The list is long: once in a report is enough.
        None if !cx.listed.insert(known.first().copied().unwrap_or_default()) => {
            diagnostic.label("not a key here")
        }
        None => diagnostic.label("not a key here").help(format!(
            "{what} has {}",
            one_of(words()).replace(" or ", " and ")
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
    const EXPECTED: &'static str = "text";

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

pub(super) fn not_a_choice(text: &str, plain: bool, words: &[&'static str]) -> Refusal {
    let meant = match super::tree::parse_bool(text) {
        Some(false) if plain && words.contains(&"no") => Some("did you mean `no`?".to_owned()),
        None if text.eq_ignore_ascii_case("yes") && words.contains(&"always") => {
            Some("did you mean `always`?".to_owned())
        }
        Some(true) if plain && words.contains(&"always") => {
            Some("did you mean `always`?".to_owned())
        }
        _ => did_you_mean(text, words.iter().copied()),
    };
    Refusal {
        label: Some(format!("expected {}", one_of(words.iter().copied()))),
        help: meant,
        meaning: false,
    }
}
