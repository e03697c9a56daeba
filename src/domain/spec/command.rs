//! What a unit executes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::secret;

/// One command: a script for a shell, or a list of arguments executed directly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `script` is handed to `shell` (such as `[bash, -c]`) as its last argument.
    Shell {
        shell: Arc<[String]>,
        script: String,
    },
    /// Program and arguments; never empty.
    Exec(Vec<String>),
}

impl Command {
    /// The program and its arguments, as `execve(2)` gets them.
    #[must_use]
    pub fn argv(&self) -> Vec<&str> {
        match self {
            Self::Shell { shell, script } => shell
                .iter()
                .map(String::as_str)
                .chain([script.as_str()])
                .collect(),
            Self::Exec(argv) => argv.iter().map(String::as_str).collect(),
        }
    }
}

/// Secrets are masked wherever configuration is shown, and this is how it is shown.
impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Shell { script, .. } => serializer.serialize_str(&secret::masked_text(script)),
            Self::Exec(argv) => serializer.collect_seq(secret::masked_args(argv)),
        }
    }
}

/// Variables by name.
pub type EnvMap = BTreeMap<String, String>;

/// The variables that a unit gets beyond those of the operating system.
///
/// What all units of a file share is held once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// From the top of the file.
    pub stack: Arc<EnvMap>,
    /// From the unit: these win.
    pub unit: EnvMap,
}

impl Environment {
    /// Each variable once, in order of name.
    #[must_use]
    pub fn resolved(&self) -> BTreeMap<&str, &str> {
        self.stack
            .iter()
            .chain(&self.unit)
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

/// Secrets are masked wherever configuration is shown, and this is how it is shown.
impl Serialize for Environment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.resolved()
                .into_iter()
                .map(|(name, value)| (name, secret::masked(name, value))),
        )
    }
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stage {
    /// As named in the file, or the number of the stage from 1.
    pub name: String,
    pub command: Command,
    #[serde(
        serialize_with = "serialize_masked",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub environment: EnvMap,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<PathBuf>,
}

fn serialize_masked<S: Serializer>(map: &EnvMap, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(
        map.iter()
            .map(|(name, value)| (name, secret::masked(name, value))),
    )
}

/// A command, or stages joined by kernel pipes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    Command(Command),
    /// Never empty.
    Pipeline(Vec<Stage>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_wins_over_the_stack() {
        let environment = Environment {
            stack: Arc::new(
                [("A", "1"), ("B", "1")]
                    .map(|(k, v)| (k.into(), v.into()))
                    .into(),
            ),
            unit: [("B", "2"), ("TOKEN", "x")]
                .map(|(k, v)| (k.into(), v.into()))
                .into(),
        };
        assert_eq!(
            environment.resolved().into_iter().collect::<Vec<_>>(),
            [("A", "1"), ("B", "2"), ("TOKEN", "x")]
        );
        let shown = serde_json::to_value(&environment).unwrap();
        assert_eq!(
            shown,
            serde_json::json!({"A": "1", "B": "2", "TOKEN": secret::MASK})
        );
    }
}
