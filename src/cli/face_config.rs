//! How a person wants the dashboard: `$XDG_CONFIG_HOME/pk/config.yaml`.
//!
//! ```yaml
//! theme: light          # dark, light, sixteen, plain
//! mouse: false          # leave the mouse to the terminal
//! keys:                 # by the names that the help's palette shows
//!   restart: R
//!   quit: [q, ctrl-q]
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::tui::{Keymap, ThemeName};

/// What it says.
#[derive(Clone, Debug)]
pub struct FaceConfig {
    /// `None`: what the terminal can show.
    pub theme: Option<ThemeName>,
    pub mouse: bool,
    pub keymap: Keymap,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    theme: Option<String>,
    mouse: Option<bool>,
    #[serde(default)]
    keys: BTreeMap<String, Keys>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Keys {
    One(String),
    Many(Vec<String>),
}

impl FaceConfig {
    /// Reads the file; one that is not there says nothing.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read() -> Result<Self, Vec<String>> {
        let Some(path) = path() else {
            return Self::parse("");
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(vec![format!("cannot read `{}`: {error}", path.display())]),
        };
        Self::parse(&text).map_err(|mistakes| {
            let named = mistakes.into_iter();
            named
                .map(|mistake| format!("{}: {mistake}", path.display()))
                .collect()
        })
    }

    fn parse(text: &str) -> Result<Self, Vec<String>> {
        let raw = if text.trim().is_empty() {
            Raw::default()
        } else {
            serde_saphyr::from_str::<Option<Raw>>(text)
                .map_err(|error| vec![error.to_string()])?
                .unwrap_or_default()
        };
        let mut mistakes = Vec::new();
        let theme = raw.theme.and_then(|name| {
            let theme = ThemeName::parse(&name);
            if theme.is_none() {
                let known: Vec<&str> = ThemeName::ALL.iter().map(|theme| theme.as_str()).collect();
                mistakes.push(format!(
                    "no theme is named `{name}`; there is {}",
                    known.join(", ")
                ));
            }
            theme
        });
        let wishes: BTreeMap<String, Vec<String>> = (raw.keys.into_iter())
            .map(|(action, keys)| {
                let keys = match keys {
                    Keys::One(key) => vec![key],
                    Keys::Many(keys) => keys,
                };
                (action, keys)
            })
            .collect();
        let keymap = Keymap::rebound(&wishes).unwrap_or_else(|errors| {
            mistakes.extend(errors.iter().map(ToString::to_string));
            Keymap::default()
        });
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            theme,
            mouse: raw.mouse.unwrap_or(true),
            keymap,
        })
    }
}

fn path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".config")))?;
    Some(folder.join("pk/config.yaml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read() {
        let config = FaceConfig::parse(
            "theme: light\nmouse: false\nkeys:\n  restart: R\n  quit: [q, ctrl-q]\n",
        );
        let config = config.unwrap();
        assert_eq!(config.theme, Some(ThemeName::Light));
        assert!(!config.mouse);
        assert_ne!(config.keymap, Keymap::default());
        assert!(FaceConfig::parse("").unwrap().mouse);
        assert!(FaceConfig::parse("# nothing\n").unwrap().mouse);
    }

    #[test]
    fn mistakes_are_told() {
        let told = |text| FaceConfig::parse(text).unwrap_err();
        assert_eq!(
            told("theme: pink\nkeys: {fly: x, stop: super-x}\n").len(),
            3
        );
        assert!(told("colour: red\n")[0].contains("colour"));
    }
}
