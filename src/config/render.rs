//! Shows a resolved configuration, close to the file's own form, with secrets masked.

use serde_json::{Map, Value, json};

use crate::domain::plan::Plan;
use crate::domain::secret;
use crate::domain::spec::{UnitKind, UnitSpec};

/// The plan as JSON: `name`, `services` and `tasks`, each unit by its name.
#[must_use]
pub fn to_json(plan: &Plan) -> Value {
    let mut services = Map::new();
    let mut tasks = Map::new();
    for spec in plan.units() {
        let table = match spec.kind {
            UnitKind::Service => &mut services,
            UnitKind::Task => &mut tasks,
        };
        table.insert(spec.name.to_string(), unit(spec));
    }
    let mut out = Map::new();
    out.insert("name".to_owned(), plan.name().into());
    for (key, table) in [("services", services), ("tasks", tasks)] {
        if !table.is_empty() {
            out.insert(key.to_owned(), Value::Object(table));
        }
    }
    Value::Object(out)
}

/// The same as YAML.
#[must_use]
pub fn to_yaml(plan: &Plan) -> String {
    match serde_saphyr::to_string(&to_json(plan)) {
        Ok(text) => text,
        // Every value above is a plain map, list or scalar, and JSON is YAML.
        Err(_) => to_json(plan).to_string(),
    }
}

fn unit(spec: &UnitSpec) -> Value {
    let mut value = serde_json::to_value(spec).unwrap_or_else(|error| json!(error.to_string()));
    let Some(object) = value.as_object_mut() else {
        return value;
    };
    object.remove("name");
    object.remove("kind");
    object.retain(|_, value| !is_empty(value));
    if let Some(depends_on) = object.get_mut("depends_on") {
        *depends_on = dependencies(spec);
    }
    if let Some(umask) = spec.umask {
        object.insert("umask".to_owned(), format!("{umask:03o}").into());
    }
    if let Some(freshness) = object.remove("freshness")
        && let Value::Object(parts) = freshness
    {
        object.extend(parts.into_iter().filter(|(_, value)| !is_empty(value)));
    }
    let codes = spec.success_exit_codes.codes.iter().map(|code| json!(code));
    let signals = spec
        .success_exit_codes
        .signals
        .iter()
        .map(|signal| json!(signal.to_string()));
    let all: Vec<Value> = codes.chain(signals).collect();
    if all.is_empty() {
        object.remove("success_exit_codes");
    } else {
        object.insert("success_exit_codes".to_owned(), all.into());
    }
    for probe in ["readiness", "liveness", "startup"] {
        if let Some(headers) = object
            .get_mut(probe)
            .and_then(|probe| probe.pointer_mut("/http/headers"))
            .and_then(Value::as_object_mut)
        {
            mask_headers(headers);
        }
        if let Some(url) = object
            .get_mut(probe)
            .and_then(|probe| probe.pointer_mut("/http/url"))
            && let Value::String(text) = url
        {
            *text = secret::masked_url(text).into_owned();
        }
    }
    value
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn dependencies(spec: &UnitSpec) -> Value {
    let entries = spec.depends_on.iter().map(|dependency| {
        let plain = !dependency.restart && dependency.required;
        let value = if plain {
            json!(dependency.condition)
        } else {
            json!({
                "condition": dependency.condition,
                "restart": dependency.restart,
                "required": dependency.required,
            })
        };
        (dependency.unit.to_string(), value)
    });
    Value::Object(entries.collect())
}

/// Headers bear secrets under names that no variable has.
fn mask_headers(headers: &mut Map<String, Value>) {
    for (name, value) in headers {
        if let Value::String(text) = value {
            let known = ["authorization", "cookie", "proxy-authorization"];
            if known.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                *text = secret::MASK.to_owned();
            } else {
                *text = secret::masked(name, text).into_owned();
            }
        }
    }
}
