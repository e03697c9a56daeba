//! The schema and `check` say the same of a file's structure.

use pk::config::{Kind, Severity, schema};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::Project;

const FILE: &str = "schemas/pk.schema.json";

/// Set `PK_UPDATE_SCHEMA` to write the file anew.
#[test]
fn the_schema_in_the_repository_is_the_generated_one() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).unwrap());
    if std::env::var_os("PK_UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &generated).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        held == generated,
        "{FILE} is not what the types make; run the test with PK_UPDATE_SCHEMA=1"
    );
}

/// Makes documents near what a schema allows: mostly right, here and there not.
struct Maker<'a> {
    root: &'a Value,
    random: fastrand::Rng,
    /// One place in so many is wrong.
    mistakes: u32,
}

const STRINGS: [&str; 22] = [
    "run",
    "10s",
    "1h30m",
    "0",
    "10",
    "1.5s",
    "512MiB",
    "2 GB",
    "ready",
    "started",
    "always",
    "on-failure",
    "auto",
    "output",
    "${HOME}",
    "${NOPE:-5}",
    "${NOPE}",
    "$${x}",
    "200-299",
    "SIGTERM",
    "http://localhost/",
    "",
];

const NAMES: [&str; 6] = ["a", "web", "db-1", "x-y", "bad name", "_x"];

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: u32) -> Value {
        if self.random.u32(0..self.mistakes) == 0 {
            return self.wrong();
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self
                .root
                .pointer(reference.trim_start_matches('#'))
                .unwrap();
            return self.make(target, depth);
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let index = self.random.usize(0..options.len());
            return self.make(&options[index], depth);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.random.choice(words).unwrap().clone();
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => self.random.choice(kinds).unwrap().clone(),
            kind => kind.clone(),
        };
        match kind.as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let least = usize::from(schema["minItems"].is_number());
                let count = self.random.usize(least..3);
                (0..count)
                    .map(|_| self.make(&schema["items"], depth + 1))
                    .collect()
            }
            Some("string") => json!(self.random.choice(STRINGS).unwrap()),
            Some("boolean") => json!(self.random.bool()),
            Some("null") => Value::Null,
            Some("integer") => json!(self.random.i64(-3..600)),
            Some("number") => json!(self.random.i32(-20..70) as f64 / 4.0),
            _ => self.wrong(),
        }
    }

    fn object(&mut self, schema: &Value, depth: u32) -> Value {
        let mut out = Map::new();
        let keep = if depth == 0 { 2 } else { 8 };
        for (key, value) in schema["properties"].as_object().into_iter().flatten() {
            if self.random.u32(0..keep) > 0 {
                continue;
            }
            let mut key = key.clone();
            match self.random.u32(0..self.mistakes * 4) {
                0 => key.push('s'),
                1 => key.insert_str(0, "x-"),
                2 => key = key.to_uppercase(),
                _ => {}
            }
            let value = self.make(value, depth + 1);
            out.insert(key, value);
        }
        if schema["additionalProperties"].is_object() {
            for _ in 0..self.random.usize(0..3) {
                let most = if self.random.u32(0..self.mistakes) == 0 {
                    NAMES.len()
                } else {
                    4
                };
                let name = NAMES[self.random.usize(0..most)];
                let value = self.make(&schema["additionalProperties"], depth + 1);
                out.insert(name.to_owned(), value);
            }
        }
        Value::Object(out)
    }

    fn wrong(&mut self) -> Value {
        match self.random.u32(0..8) {
            0 => Value::Null,
            1 => json!(self.random.bool()),
            2 => json!(self.random.i64(-5..70_000)),
            3 => json!(0.5),
            4 => json!([]),
            5 => json!({}),
            6 => json!([self.random.choice(STRINGS).unwrap()]),
            _ => json!(self.random.choice(STRINGS).unwrap()),
        }
    }
}

fn compare(seed: u64, mistakes: u32, right: &mut u32, wrong: &mut u32) {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut maker = Maker {
        root: &schema,
        random: fastrand::Rng::with_seed(seed),
        mistakes,
    };
    let document = maker.make(&schema, 0);
    if document.is_null() || !document.is_object() {
        return;
    }
    let project = Project::of(&document.to_string());
    let structural: Vec<String> = match project.load() {
        Ok(_) => Vec::new(),
        Err(report) => report
            .diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
            .filter(|d| matches!(d.kind, Kind::Structure | Kind::Syntax))
            .map(|d| d.message.clone())
            .collect(),
    };
    let errors: Vec<String> = validator
        .iter_errors(&document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(
        structural.is_empty(),
        errors.is_empty(),
        "seed {seed}\n{document:#}\ncheck: {structural:#?}\nvalidator: {errors:#?}"
    );
    *(if errors.is_empty() { right } else { wrong }) += 1;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_validator_and_check_agree(seed: u64) {
        for (n, mistakes) in [5, 30, 200, 100_000].into_iter().enumerate() {
            compare(seed.wrapping_add(n as u64), mistakes, &mut 0, &mut 0);
        }
    }
}

#[test]
fn documents_of_both_sorts_are_compared() {
    let (mut right, mut wrong) = (0, 0);
    for seed in 0..300 {
        compare(seed, 60, &mut right, &mut wrong);
    }
    assert!(right > 30 && wrong > 30, "{right} right, {wrong} wrong");
}
