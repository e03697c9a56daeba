//! Lays one tree over another.
//!
//! Maps merge deep, scalars and lists are replaced, `null` removes. A `null` that finds
//! nothing to remove stays, so that one written by mistake is seen. Every node keeps the
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
        _ => over.clone(),
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
        entries.push(entry.clone());
    }
    Map { entries }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::config::parse::parse;
    use crate::config::source::Sources;

    fn tree(value: &Json) -> Node {
        let mut sources = Sources::new(Path::new("/"));
        let file = sources.add(Path::new("/x"), value.to_string());
        let mut diagnostics = Vec::new();
        parse(&sources, file, &mut diagnostics).unwrap()
    }

    fn json(node: &Node) -> Json {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => Json::Null,
            Value::Scalar(scalar) => json!(&*scalar.text),
            Value::Seq(items) => items.iter().map(json).collect(),
            Value::Map(map) => {
                let entries = map.entries.iter();
                Json::Object(
                    entries
                        .map(|e| (e.key.to_string(), json(&e.value)))
                        .collect(),
                )
            }
        }
    }

    fn merged(base: &Json, over: &Json) -> Json {
        json(&merge(&tree(base), &tree(over)))
    }

    #[test]
    fn the_rules() {
        let base = json!({"a": "1", "m": {"x": "1", "y": "1", "z": "1"}, "l": ["1", "2"]});
        let over = json!({"m": {"y": "2", "z": null, "n": null}, "l": ["3"], "b": {"c": "4"}});
        assert_eq!(
            merged(&base, &over),
            json!({"a": "1", "m": {"x": "1", "y": "2", "n": null}, "l": ["3"], "b": {"c": "4"}})
        );
        assert_eq!(merged(&base, &json!("x")), json!("x"));
    }

    fn document() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof!["[a-c]{1,2}".prop_map(Json::from), Just(json!(["x"]))];
        let maps = leaf.prop_recursive(4, 60, 20, |inner| {
            proptest::collection::btree_map("[a-e]{1,2}", inner, 0..20)
                .prop_map(|map| Json::Object(map.into_iter().collect()))
        });
        maps.prop_filter("a map", Json::is_object)
    }

    proptest! {
        #[test]
        fn laying_over_itself_or_nothing_changes_nothing(a in document()) {
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert_eq!(merged(&a, &json!({})), a.clone());
            prop_assert_eq!(merged(&json!({}), &a), a);
        }

        #[test]
        fn what_is_above_is_all_there(a in document(), b in document()) {
            let all = merged(&a, &b);
            prop_assert_eq!(merged(&all, &b), all.clone());
            for key in a.as_object().unwrap().keys().chain(b.as_object().unwrap().keys()) {
                prop_assert!(all.get(key).is_some());
            }
        }
    }
}
