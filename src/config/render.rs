//! Shows a resolved configuration, close to the file's own form, with secrets masked.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::known::Known;
use crate::domain::plan::Plan;
use crate::domain::secret;
use crate::domain::spec::{
    Check, Command, Lifetime, Probe, Program, Restart, Shutdown, UnitKind, UnitSpec,
};
use crate::domain::text::format_duration;

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
    let known = known_secrets(plan);
    for unit in services.values_mut().chain(tasks.values_mut()) {
        mask_known(unit, &known);
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

/// The secrets that the variables of the units and of this process hold.
#[must_use]
pub fn known_secrets(plan: &Plan) -> Known {
    let mut known = Known::of(plan.units().iter().map(AsRef::as_ref));
    // What a file takes over from pk's own environment may be in no unit's.
    let own: Vec<_> = std::env::vars_os().collect();
    let own = own
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
    known.add(own);
    known
}

/// The same as YAML, which pk reads again as it is: a `$` that would be replaced is doubled.
#[must_use]
pub fn to_yaml(plan: &Plan) -> String {
    let mut value = to_json(plan);
    for kind in ["services", "tasks"] {
        let units = value.get_mut(kind).and_then(Value::as_object_mut);
        for unit in units.into_iter().flat_map(Map::values_mut) {
            double_dollars(unit, "");
        }
    }
    if let Some(Value::String(name)) = value.get_mut("name") {
        *name = name.replace('$', "$$");
    }
    match serde_saphyr::to_string(&value) {
        Ok(text) => text,
        // Every value above is a plain map, list or scalar, and JSON is YAML.
        Err(_) => value.to_string(),
    }
}

/// Keys whose text goes to a shell, which is left alone on reading.
const SHELL_KEYS: [&str; 7] = [
    "command", "exec", "run", "status", "ready", "exit", "failed",
];

/// `key`: what the value stands behind; of a map that the file names the keys of, none.
fn double_dollars(value: &mut Value, key: &str) {
    match value {
        Value::String(text) => {
            if !SHELL_KEYS.contains(&key) && text.contains('$') {
                *text = text.replace('$', "$$");
            }
        }
        Value::Array(list) => {
            for item in list {
                double_dollars(item, "");
            }
        }
        Value::Object(map) => {
            let free = matches!(key, "environment" | "headers");
            for (key, value) in map {
                double_dollars(value, if free { "" } else { key });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Takes away what the file need not say, as it is so anyway.
fn drop_defaults(object: &mut Map<String, Value>, default: &impl Serialize) {
    if let Ok(Value::Object(default)) = serde_json::to_value(default) {
        object.retain(|key, value| default.get(key) != Some(value));
    }
}

/// `backoff`, `factor` and `jitter` stand side by side in the file.
fn show_restart(restart: &Restart) -> Value {
    let mut shown = Map::new();
    let default = Restart::default();
    if restart.policy != default.policy {
        shown.insert("policy".to_owned(), json!(restart.policy));
    }
    let (backoff, usual) = (restart.backoff, default.backoff);
    if (backoff.initial, backoff.max) != (usual.initial, usual.max) {
        let (initial, max) = (
            format_duration(backoff.initial),
            format_duration(backoff.max),
        );
        shown.insert("backoff".to_owned(), format!("{initial}..{max}").into());
    }
    let numbers = [
        ("factor", backoff.factor, usual.factor),
        ("jitter", backoff.jitter, usual.jitter),
    ];
    for (key, number, usual) in numbers {
        if number.to_bits() != usual.to_bits() {
            shown.insert(key.to_owned(), number.into());
        }
    }
    if let Ok(Value::Object(mut rest)) = serde_json::to_value(restart) {
        drop_defaults(&mut rest, &default);
        rest.retain(|key, value| !value.is_null() && key != "policy" && key != "backoff");
        shown.extend(rest);
    }
    match shown.get("policy") {
        Some(policy) if shown.len() == 1 => policy.clone(),
        _ => Value::Object(shown),
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
    if let Some(restart) = object.get_mut("restart") {
        *restart = show_restart(&spec.restart);
    }
    if let Some(shutdown) = object.get_mut("shutdown").and_then(Value::as_object_mut) {
        drop_defaults(shutdown, &Shutdown::default());
    }
    if spec.lifetime == Lifetime::Leader {
        object.shift_remove("lifetime");
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
            // Of the checks itself none is the default: no port has an empty name.
            let usual = Probe::new(Check::Port(String::new()));
            drop_defaults(value, &usual);
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
        *url = secret::masked_text(url).into_owned();
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

fn mask_known(value: &mut Value, known: &Known) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(masked) = known.mask(text) {
                *text = masked;
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| mask_known(value, known)),
        Value::Object(map) => map.values_mut().for_each(|value| mask_known(value, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mask_headers(headers: &mut Map<String, Value>) {
    for (name, value) in headers {
        if let Value::String(text) = value {
            *text = secret::masked(name, text).into_owned();
        }
    }
}
