//! The first file of a project that has none, from what the project is run with so far.
//!
//! This module owns the text. It reads no file, and what it writes is to be read and changed
//! by a person, so it says why things are as they are.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

/// What was found in the folder of the project, as text.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// A file of docker compose: its name, and what is in it.
    pub docker: Option<(String, String)>,
    /// `package.json`.
    pub package: Option<String>,
    /// What runs the scripts of it.
    pub package_runner: &'static str,
}

/// A file, and what it was made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Starter {
    pub text: String,
    /// Names of files; empty: from nothing.
    pub from: Vec<String>,
    /// What was found and could not be used, and why.
    pub notes: Vec<String>,
}

const HEAD: &str = "\
# What this project runs: `pk up` starts it, `pk check` looks for mistakes, and
# `pk schema` prints the schema of this file for editors.
";

const EMPTY: &str = "\
services:
  # Runs until it is stopped. `command` goes to a shell; a list is run as it is.
  web:
    command: echo listening; exec sleep 1000000
    # It is ready once it has said so. Others: `tcp: 8080`, `http: http://127.0.0.1:8080/`,
    # `exec: COMMAND`, `file: PATH`.
    readiness: {log: listening}
    restart: on-failure
    # Is done after `setup`. A service is waited for until it is ready.
    depends_on: [setup]
    # environment: {LOG_LEVEL: debug}
    # ports: {http: auto}     # a free port, given to it as PORT
    # watch: [src]            # a save restarts it

tasks:
  # Runs to its end.
  setup:
    command: echo set up
";

/// Scripts that run until they are stopped; of several the first counts.
const SERVED: [&str; 4] = ["dev", "start", "serve", "watch"];

/// Scripts that come to an end, and are worth a task.
const TASKS: [&str; 6] = ["build", "test", "lint", "migrate", "seed", "typecheck"];

/// Makes a file of what was found.
#[must_use]
pub fn starter(project: &Project) -> Starter {
    let mut stack = Stack::default();
    let mut from = Vec::new();
    let mut notes = Vec::new();
    if let Some((name, text)) = &project.docker {
        match stack.containers(text) {
            Ok(()) => from.push(name.clone()),
            Err(why) => notes.push(format!("`{name}` is left out: {why}")),
        }
    }
    if let Some(text) = &project.package {
        match stack.scripts(text, project.package_runner) {
            Ok(()) => from.push("package.json".to_owned()),
            Err(why) => notes.push(format!("`package.json` is left out: {why}")),
        }
    }
    let body = if from.is_empty() {
        EMPTY.to_owned()
    } else {
        stack.body()
    };
    Starter {
        text: format!("{HEAD}{body}"),
        from,
        notes,
    }
}

#[derive(Default)]
struct Stack {
    names: BTreeSet<String>,
    services: String,
    tasks: String,
}

impl Stack {
    fn body(&self) -> String {
        let mut body = String::new();
        for (key, units) in [("services", &self.services), ("tasks", &self.tasks)] {
            if !units.is_empty() {
                let _ = write!(body, "\n{key}:\n{units}");
            }
        }
        body
    }

    /// A name that a unit may have and none has yet.
    fn name(&mut self, wanted: &str) -> String {
        let mut name = unit_name(wanted);
        while !self.names.insert(name.clone()) {
            name.push_str("-2");
        }
        name
    }

    /// A service for each container that docker compose runs.
    fn containers(&mut self, text: &str) -> Result<(), String> {
        let file: Value = serde_saphyr::from_str(text).map_err(|_| "it is no YAML".to_owned())?;
        let services = file.get("services").and_then(Value::as_object);
        let services = services
            .filter(|services| !services.is_empty())
            .ok_or("it has no services")?;
        self.services.push_str(
            "  # Containers are not pk's children: `docker compose up` runs in their place, and a\n  \
             # SIGTERM to it stops them.\n",
        );
        for name in services.keys() {
            self.names.insert(unit_name(name));
        }
        for (name, service) in services {
            let unit = unit_name(name);
            let _ = writeln!(self.services, "  {unit}:");
            let argv = [
                "docker",
                "compose",
                "up",
                "--no-deps",
                "--no-log-prefix",
                name,
            ];
            let _ = writeln!(self.services, "    command: {}", list(&argv));
            self.services.push_str("    shutdown: {timeout: 20s}\n");
            if let Some(port) = published(service) {
                let _ = writeln!(self.services, "    readiness: {{tcp: {port}}}");
            }
            let on: Vec<String> = depends_on(service)
                .into_iter()
                .filter(|on| services.contains_key(on))
                .map(|on| unit_name(&on))
                .collect();
            if !on.is_empty() {
                let _ = writeln!(self.services, "    depends_on: [{}]", on.join(", "));
            }
        }
        Ok(())
    }

    fn scripts(&mut self, text: &str, runner: &str) -> Result<(), String> {
        let file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let scripts = file.get("scripts").and_then(Value::as_object);
        let scripts = scripts.ok_or("it has no scripts")?;
        let served = SERVED.iter().find(|name| scripts.contains_key(**name));
        let tasks: Vec<&&str> = TASKS
            .iter()
            .filter(|name| scripts.contains_key(**name))
            .collect();
        if served.is_none() && tasks.is_empty() {
            return Err(format!(
                "none of its scripts is named {}",
                SERVED.join(", ")
            ));
        }
        if let Some(script) = served {
            let package = file.get("name").and_then(Value::as_str);
            // The scope of a package is nobody's name for a service.
            let package = package.and_then(|name| name.rsplit('/').next());
            let name = self.name(package.unwrap_or("web"));
            let _ = writeln!(self.services, "  {name}:");
            let _ = writeln!(
                self.services,
                "    command: {}",
                list(&[runner, "run", script])
            );
            self.services.push_str(
                "    # readiness: {http: 'http://127.0.0.1:3000/'}\n    \
                 # depends_on: []\n",
            );
        }
        for script in tasks {
            let name = self.name(script);
            let _ = writeln!(self.tasks, "  {name}:");
            let _ = writeln!(
                self.tasks,
                "    command: {}",
                list(&[runner, "run", script])
            );
            // What is not asked for is not run by `pk up`.
            self.tasks
                .push_str("    disabled: true   # `pk run` runs it\n");
        }
        Ok(())
    }
}

/// As units may be named.
fn unit_name(wanted: &str) -> String {
    let name: String = wanted
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "_.-".contains(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    if name.is_empty() { "unit" } else { name }.to_owned()
}

/// A list on one line. JSON is YAML; a `$` is one.
fn list(words: &[&str]) -> String {
    let plain = |word: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        // A word that YAML could take for something else begins otherwise, or is one of these.
        word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
            && word.chars().all(is_plain)
            && ![
                "true", "false", "null", "yes", "no", "on", "off", "y", "n", "-", "---",
            ]
            .contains(&&*word.to_ascii_lowercase())
    };
    let words = words.iter().map(|word| {
        if plain(word) {
            (*word).to_owned()
        } else {
            Value::from(word.replace('$', "$$")).to_string()
        }
    });
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}

/// The first port of this machine that leads to the container.
fn published(service: &Value) -> Option<u16> {
    service.get("ports")?.as_array()?.iter().find_map(|port| {
        let text = match port {
            Value::String(text) => text.clone(),
            Value::Object(map) => match map.get("published")? {
                Value::String(text) => return text.parse().ok(),
                number => return u16::try_from(number.as_u64()?).ok(),
            },
            _ => return None,
        };
        // [HOST:]PUBLISHED:CONTAINER[/PROTOCOL]
        let text = match text.split_once('/') {
            Some((_, "udp")) => return None,
            Some((text, _)) => text,
            None => &text,
        };
        text.rsplit(':').nth(1)?.parse().ok()
    })
}

fn depends_on(service: &Value) -> Vec<String> {
    match service.get("depends_on") {
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        }
        Some(Value::Object(map)) => map.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_become_services_that_wait_for_each_other() {
        let text = "services:\n  db:\n    image: postgres\n    ports: ['127.0.0.1:5432:5432']\n  \
                    app:\n    build: .\n    ports: ['8080:80/tcp', 53:53/udp]\n    \
                    depends_on: {db: {condition: service_healthy}, gone: {}}\n";
        let made = starter(&Project {
            docker: Some(("compose.yaml".to_owned(), text.to_owned())),
            ..Project::default()
        });
        assert_eq!(made.from, ["compose.yaml"]);
        let services = made.text.split_once("services:\n").unwrap().1;
        let units: Vec<&str> = services
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .collect();
        assert_eq!(
            units,
            [
                "  db:",
                "    command: [docker, compose, up, --no-deps, --no-log-prefix, db]",
                "    shutdown: {timeout: 20s}",
                "    readiness: {tcp: 5432}",
                "  app:",
                "    command: [docker, compose, up, --no-deps, --no-log-prefix, app]",
                "    shutdown: {timeout: 20s}",
                "    readiness: {tcp: 8080}",
                "    depends_on: [db]",
            ]
        );
    }

    #[test]
    fn scripts_become_a_service_and_tasks() {
        let text = r#"{"name": "@acme/shop", "scripts": {"start": "x", "dev": "y", "test": "z"}}"#;
        let made = starter(&Project {
            package: Some(text.to_owned()),
            package_runner: "pnpm",
            ..Project::default()
        });
        assert!(
            made.text
                .contains("  shop:\n    command: [pnpm, run, dev]\n"),
            "{}",
            made.text
        );
        assert!(
            made.text
                .contains("  test:\n    command: [pnpm, run, test]\n")
        );
        assert!(!made.text.contains("run, start"), "{}", made.text);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        for text in ["services: {}", "]", "name: x"] {
            let made = starter(&Project {
                docker: Some(("docker-compose.yml".to_owned(), text.to_owned())),
                package: Some("{".to_owned()),
                ..Project::default()
            });
            assert_eq!(made.notes.len(), 2, "{:?}", made.notes);
            assert!(made.text.ends_with(EMPTY));
        }
    }

    #[test]
    fn names_and_words_are_such_as_the_file_takes() {
        assert_eq!(unit_name("dev:web"), "dev-web");
        assert_eq!(unit_name("-_x"), "x");
        assert_eq!(unit_name("ß"), "unit");
        assert_eq!(
            list(&["a b", "$x", "true", "1"]),
            r#"["a b", "$$x", "true", "1"]"#
        );
    }
}
