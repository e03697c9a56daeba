//! Shows a resolved configuration, close to the file's own form, with secrets masked.

use serde_json::{Map, Value, json};

use crate::domain::plan::Plan;
use crate::domain::secret;
use crate::domain::spec::{Command, Program, UnitKind, UnitSpec};

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
    object.shift_remove("name");
    object.shift_remove("kind");
    object.retain(|_, value| !is_empty(value));
    if let Some(depends_on) = object.get_mut("depends_on") {
        *depends_on = dependencies(spec);
    }
    if let Some(umask) = object.get_mut("umask") {
        *umask = format!("{:03o}", spec.umask.unwrap_or_default()).into();
    }
    if let Some(restart) = object.get_mut("restart").and_then(Value::as_object_mut) {
        flatten(restart, "backoff");
        if let (Some(initial), Some(max)) =
            (restart.shift_remove("initial"), restart.shift_remove("max"))
        {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            restart.insert(
                "backoff".to_owned(),
                format!("{}..{}", text(&initial), text(&max)).into(),
            );
        }
        restart.retain(|_, value| !value.is_null());
    }
    if let Some(schedule) = object.get_mut("schedule").and_then(Value::as_object_mut) {
        flatten(schedule, "cron");
        if let Some(expression) = schedule.shift_remove("expression") {
            schedule.insert("cron".to_owned(), expression);
        }
        schedule.retain(|_, value| !value.is_null());
    }
    flatten(object, "freshness");
    if let Program::Command(Command::Shell { shell, .. }) = &spec.program {
        object.insert("shell".to_owned(), shell.iter().cloned().collect());
    }
    codes(spec, object);
    let word = |value: &Value| match value.as_str() {
        Some("no") => json!(false),
        Some("full" | "any") => json!(true),
        _ => value.clone(),
    };
    for key in ["tty", "essential"] {
        if let Some(value) = object.get_mut(key) {
            *value = word(value);
        }
    }
    object.retain(|_, value| *value != json!(false) && !is_empty(value));
    for probe in ["readiness", "liveness", "startup"] {
        if let Some(value) = object.get_mut(probe).and_then(Value::as_object_mut) {
            show_probe(value, probe == "readiness");
        }
    }
    value
}

/// Puts the parts of a nested map in its place.
fn flatten(object: &mut Map<String, Value>, key: &str) {
    match object.shift_remove(key) {
        Some(Value::Object(parts)) => object.extend(parts),
        Some(other) => {
            object.insert(key.to_owned(), other);
        }
        None => {}
    }
}

fn codes(spec: &UnitSpec, object: &mut Map<String, Value>) {
    let codes = &spec.success_exit_codes;
    let numbers = codes.codes.iter().map(|code| json!(code));
    let signals = codes.signals.iter().map(|signal| json!(signal.to_string()));
    let all: Vec<Value> = numbers.chain(signals).collect();
    object.insert("success_exit_codes".to_owned(), all.into());
}

fn show_probe(probe: &mut Map<String, Value>, readiness: bool) {
    if !readiness {
        probe.shift_remove("on_failure");
    }
    if let Some(tcp) = probe.get_mut("tcp") {
        let host = tcp["host"].as_str().unwrap_or_default();
        let bracketed = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        *tcp = format!("{bracketed}:{}", tcp["port"]).into();
    }
    // A unit variant is its own name.
    if probe.get("notify").is_some() {
        probe.insert("notify".to_owned(), true.into());
    }
    let Some(http) = probe.get_mut("http").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(Value::String(url)) = http.get_mut("url") {
        *url = secret::masked_url(url).into_owned();
    }
    if let Some(headers) = http.get_mut("headers").and_then(Value::as_object_mut) {
        mask_headers(headers);
    }
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
