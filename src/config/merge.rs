//! Lays one tree over another.
//!
//! Maps merge deep, scalars and lists are replaced, `null` removes. Every node keeps the
//! place it came from. This is the rule for several `-f` files and for `defaults`.

use std::sync::Arc;

use super::tree::{Entry, KeyIndex, Map, Node, Value};

/// `over` laid over `base`.
#[must_use]
pub fn merge(base: &Node, over: &Node) -> Node {
    match (&base.value, &over.value) {
        (Value::Map(low), Value::Map(high)) => Node {
            // The folder of the file that defines a unit is that of its first definition.
            span: base.span,
            value: Value::Map(Arc::new(merge_maps(low, high))),
        },
        _ => without_nulls(over),
    }
}

fn merge_maps(base: &Map, over: &Map) -> Map {
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
        if above.value.is_null() {
            continue;
        }
        let both_maps = entry.value.as_map().is_some() && above.value.as_map().is_some();
        entries.push(Entry {
            key: entry.key.clone(),
            key_span: if both_maps {
                entry.key_span
            } else {
                above.key_span
            },
            value: merge(&entry.value, &above.value),
        });
    }
    let added = over.entries.iter().zip(used).filter(|(_, used)| !used);
    for (entry, _) in added {
        if !entry.value.is_null() {
            entries.push(Entry {
                value: without_nulls(&entry.value),
                ..entry.clone()
            });
        }
    }
    Map { entries }
}

/// What a tree leaves when it is laid over nothing: a `null` removes, so there is nothing.
fn without_nulls(node: &Node) -> Node {
    let Some(map) = node.as_map() else {
        return node.clone();
    };
    if !holds_null(map) {
        return node.clone();
    }
    let kept = map.entries.iter().filter(|entry| !entry.value.is_null());
    let entries = kept
        .map(|entry| Entry {
            value: without_nulls(&entry.value),
            ..entry.clone()
        })
        .collect();
    Node {
        span: node.span,
        value: Value::Map(Arc::new(Map { entries })),
    }
}

fn holds_null(map: &Map) -> bool {
    map.entries.iter().any(|entry| {
        entry.value.is_null() || entry.value.as_map().is_some_and(|map| holds_null(map))
    })
}
