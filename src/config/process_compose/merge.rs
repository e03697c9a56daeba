//! Lays one file, or one process, over another by the rules of process-compose.
//!
//! What is not zero wins, maps merge by key, lists are joined; `namespace`, the watched
//! paths and an entry of `depends_on` are replaced whole, and an environment is merged by
//! name. A zero value above another one has no effect there, which a warning says.

use std::sync::Arc;

use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::snippet::quoted;
use crate::config::tree::{Entry, KeyIndex, Map, Node, Value};

/// `over` laid over `base`: files, processes, or blocks of them.
pub(super) fn merge(base: &Node, over: &Node, cx: &mut Cx<'_>) -> Node {
    value("", base, over, cx)
}

fn value(key: &str, base: &Node, over: &Node, cx: &mut Cx<'_>) -> Node {
    if over.is_null() {
        return base.clone();
    }
    if base.is_null() {
        return over.clone();
    }
    match (&base.value, &over.value) {
        (_, Value::Scalar(scalar)) if is_zero(&scalar.text, scalar.plain) => {
            if let Value::Scalar(below) = &base.value
                && !is_zero(&below.text, below.plain)
            {
                warn_of_zero(key, base, over, cx);
            }
            base.clone()
        }
        _ if key == "environment" => environment(base, over),
        _ if key == "namespace" || key == "paths" => over.clone(),
        (Value::Map(low), Value::Map(high)) => Node {
            span: base.span,
            value: Value::Map(Arc::new(maps(key, low, high, cx))),
        },
        (Value::Seq(low), Value::Seq(high)) => Node {
            span: base.span,
            value: Value::Seq(low.iter().chain(high.iter()).cloned().collect()),
        },
        _ => over.clone(),
    }
}

fn warn_of_zero(key: &str, base: &Node, over: &Node, cx: &mut Cx<'_>) {
    let help = if key == "disabled" {
        "write `is_disabled: \"false\"`, which does"
    } else {
        "in process-compose files only other values win over a value below"
    };
    cx.say(
        Diagnostic::warning(
            over.span,
            format!("this {} does not replace the value below it", quoted(key)),
        )
        .label("it has no effect")
        .and(base.span, "this value stays")
        .help(help),
    );
}

fn is_zero(text: &str, plain: bool) -> bool {
    match text {
        "" => true,
        "0" | "false" | "False" | "FALSE" | "no" | "off" => plain,
        _ => false,
    }
}

fn maps(key: &str, base: &Map, over: &Map, cx: &mut Cx<'_>) -> Map {
    let mut entries: Vec<Entry> = Vec::with_capacity(base.entries.len() + over.entries.len());
    let index = KeyIndex::of(&over.entries);
    let mut used = vec![false; over.entries.len()];
    for entry in &base.entries {
        let Some(at) = index.find(&over.entries, &entry.key) else {
            entries.push(entry.clone());
            continue;
        };
        used[at] = true;
        let above = &over.entries[at];
        // An entry of `depends_on`, and what the names under these keys mean, is one value.
        let merged = if key == "depends_on" && !above.value.is_null() {
            above.value.clone()
        } else {
            value(&entry.key, &entry.value, &above.value, cx)
        };
        entries.push(Entry {
            key: entry.key.clone(),
            key_span: entry.key_span,
            value: merged,
        });
    }
    let added = over.entries.iter().zip(used).filter(|(_, used)| !used);
    entries.extend(added.map(|(entry, _)| entry.clone()));
    Map { entries }
}

/// Entries by name, whatever their values hold.
fn environment(base: &Node, over: &Node) -> Node {
    let (Value::Seq(low), Value::Seq(high)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let name = |node: &Node| match &node.value {
        Value::Scalar(scalar) => scalar.text.split_once('=').map(|(name, _)| name.to_owned()),
        Value::Seq(_) | Value::Map(_) => None,
    };
    let replaced: std::collections::BTreeSet<String> = high.iter().filter_map(name).collect();
    let kept = low
        .iter()
        .filter(|node| name(node).is_none_or(|name| !replaced.contains(&name)));
    Node {
        span: base.span,
        value: Value::Seq(kept.chain(high.iter()).cloned().collect()),
    }
}
