//! Keys of a map, read one by one, with a word about every one that means nothing.
//!
//! Scalars are taken as the YAML library of process-compose takes them: any scalar is a
//! text, `yes` is true. What it refuses and is plain in meaning is taken with a warning.

use std::sync::Arc;

pub(super) use super::blocks::Block;
use super::blocks::FOREIGN;
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::suggest::{closest, one_of};
use crate::config::tree::{Entry, Map, Node, Scalar, Value, parse_bool, parse_int};

/// A value with the places of its key and itself.
#[derive(Clone, Debug)]
pub(super) struct Given<T> {
    pub key: Span,
    pub span: Span,
    pub value: T,
}

pub(super) type Word = Given<Arc<str>>;

/// The keys of one map.
pub(super) struct Fields<'n> {
    pub map: &'n Map,
    pub block: Block,
}

impl<'n> Fields<'n> {
    /// `None`: it is no map, which a diagnostic says.
    pub(super) fn of(node: &'n Node, block: Block, cx: &mut Cx<'_>) -> Option<Self> {
        let Value::Map(map) = &node.value else {
            let name = block.name();
            cx.say(
                Diagnostic::structure(
                    node.span,
                    format!("expected a map for {name}, found {}", node.describe()),
                )
                .label("expected a map"),
            );
            return None;
        };
        Some(Self { map, block })
    }

    /// Warns of what has no meaning here; in a strict file it is an error.
    pub(super) fn warn_unknown(&self, strict: bool, cx: &mut Cx<'_>) {
        for entry in &self.map.entries {
            if self.block.keys().contains(&&*entry.key) || entry.key.starts_with("x-") {
                continue;
            }
            let message = format!(
                "unknown key {} in {}",
                quoted(&entry.key),
                self.block.name()
            );
            let strict = strict && matches!(self.block, Block::Project | Block::Process);
            let diagnostic = if strict {
                Diagnostic::structure(entry.key_span, message)
            } else {
                Diagnostic::warning(entry.key_span, message)
            };
            let help = self.meant(&entry.key, cx);
            let label = if strict {
                "refused because of `is_strict`"
            } else {
                "it has no effect"
            };
            cx.say(diagnostic.label(label).maybe_help(help));
        }
    }

    fn meant(&self, key: &str, cx: &mut Cx<'_>) -> Option<String> {
        let process = self.block == Block::Process;
        if process && let Some((_, help)) = FOREIGN.iter().find(|(other, _)| *other == key) {
            return Some((*help).to_owned());
        }
        let home = Block::ALL
            .into_iter()
            .find(|block| *block != self.block && block.keys().contains(&key));
        if let Some(home) = home {
            let place = match home {
                Block::Process => "the process itself, one level up".to_owned(),
                Block::Project => "the top of the file".to_owned(),
                other => other.name().to_owned(),
            };
            return Some(format!("`{key}` belongs to {place}"));
        }
        let keys = self.block.keys();
        if let Some(meant) = cx.suggest(|| closest(key, keys.iter().copied()).map(str::to_owned)) {
            return Some(format!("did you mean `{meant}`?"));
        }
        if let Some((_, help)) = FOREIGN.iter().find(|(other, _)| *other == key) {
            return Some((*help).to_owned());
        }
        cx.listed
            .insert(keys.first().copied().unwrap_or_default())
            .then(|| {
                format!(
                    "{} has {}",
                    self.block.name(),
                    one_of(keys.iter().copied()).replace(" or ", " and ")
                )
            })
    }

    /// A key with a value other than null.
    pub(super) fn get(&self, key: &str) -> Option<&'n Entry> {
        debug_assert!(self.block.keys().contains(&key), "{key}");
        self.map.get(key).filter(|entry| !entry.value.is_null())
    }

    pub(super) fn text(&self, key: &str, cx: &mut Cx<'_>) -> Option<Word> {
        let entry = self.get(key)?;
        let scalar = scalar(&entry.value, "a text", cx)?;
        Some(given(entry, scalar.text.clone()))
    }

    pub(super) fn flag(&self, key: &str, cx: &mut Cx<'_>) -> Option<Given<bool>> {
        let entry = self.get(key)?;
        let scalar = scalar(&entry.value, "`true` or `false`", cx)?;
        let Some(value) = truth(&scalar.text) else {
            cx.say(mismatch(&entry.value, "`true` or `false`"));
            return None;
        };
        warn_of_quotes(entry, scalar, cx);
        Some(given(entry, value))
    }

    pub(super) fn is(&self, key: &str, cx: &mut Cx<'_>) -> bool {
        self.flag(key, cx).is_some_and(|flag| flag.value)
    }

    pub(super) fn int(&self, key: &str, cx: &mut Cx<'_>) -> Option<Given<i64>> {
        let entry = self.get(key)?;
        let value = integer(entry, &entry.value, cx)?;
        Some(given(entry, value))
    }

    /// A number that is not negative, capped; `None` if it is 0 or less.
    pub(super) fn count(&self, key: &str, cx: &mut Cx<'_>) -> Option<u32> {
        let number = self.int(key, cx)?.value;
        u32::try_from(number).ok().filter(|&number| number > 0)
    }

    pub(super) fn block(&self, key: &str, block: Block, cx: &mut Cx<'_>) -> Option<(Span, Self)> {
        let entry = self.get(key)?;
        let fields = Self::of(&entry.value, block, cx)?;
        fields.warn_unknown(false, cx);
        Some((entry.key_span, fields))
    }

    /// A list of texts; one text counts as a list of one.
    pub(super) fn texts(&self, key: &str, cx: &mut Cx<'_>) -> Option<Vec<Word>> {
        let entry = self.get(key)?;
        let items = match &entry.value.value {
            Value::Seq(items) => &items[..],
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(&entry.value),
        };
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            if let Some(scalar) = scalar(item, "a text", cx) {
                out.push(Given {
                    key: entry.key_span,
                    span: item.span,
                    value: scalar.text.clone(),
                });
            }
        }
        Some(out)
    }
}

fn given<T>(entry: &Entry, value: T) -> Given<T> {
    Given {
        key: entry.key_span,
        span: entry.value.span,
        value,
    }
}

pub(super) fn mismatch(node: &Node, expected: &str) -> Diagnostic {
    Diagnostic::structure(
        node.span,
        format!("expected {expected}, found {}", node.describe()),
    )
    .label(format!("expected {expected}"))
}

pub(super) fn scalar<'n>(node: &'n Node, expected: &str, cx: &mut Cx<'_>) -> Option<&'n Scalar> {
    if let Value::Scalar(scalar) = &node.value {
        return Some(scalar);
    }
    cx.say(mismatch(node, expected));
    None
}

pub(super) fn truth(text: &str) -> Option<bool> {
    parse_bool(text).or_else(|| match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some(true),
        "no" | "n" | "off" | "false" => Some(false),
        _ => None,
    })
}

pub(super) fn integer(entry: &Entry, node: &Node, cx: &mut Cx<'_>) -> Option<i64> {
    let scalar = scalar(node, "a whole number", cx)?;
    let text = scalar.text.trim();
    let whole = parse_int(text).or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i128)
    });
    let Some(whole) = whole.and_then(|whole| i64::try_from(whole).ok()) else {
        cx.say(mismatch(node, "a whole number"));
        return None;
    };
    warn_of_quotes(entry, scalar, cx);
    Some(whole)
}

fn warn_of_quotes(entry: &Entry, scalar: &Scalar, cx: &mut Cx<'_>) {
    if !scalar.plain {
        cx.say(
            Diagnostic::warning(
                entry.value.span,
                format!("the value of {} is in quotes", quoted(&entry.key)),
            )
            .label("process-compose itself refuses this")
            .help("remove the quotes"),
        );
    }
}
