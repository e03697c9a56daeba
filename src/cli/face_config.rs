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
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::diagnostic::{Diagnostic, Report};
use crate::config::parse;
use crate::config::source::{Sources, Span};
use crate::config::suggest::closest;
use crate::config::tree::{Entry, Node, Value, parse_bool};
use crate::tui::{Action, BindError, Keymap, ThemeName};

/// What it says.
#[derive(Clone, Debug)]
pub struct FaceConfig {
    /// `None`: what the terminal can show.
    pub theme: Option<ThemeName>,
    pub mouse: bool,
    pub keymap: Keymap,
}

const KEYS: [&str; 3] = ["theme", "mouse", "keys"];

impl FaceConfig {
    /// Reads the file; one that is not there says nothing.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read() -> Result<Self, Report> {
        let Some(path) = path() else {
            return Self::parse(&PathBuf::new(), String::new());
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::parse(&path, text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::parse(&path, String::new())
            }
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", path.display());
                Err(Report {
                    diagnostics: vec![Diagnostic::file(what)],
                    sources: Sources::new(Path::new("")),
                })
            }
        }
    }

    fn parse(path: &Path, text: String) -> Result<Self, Report> {
        let mut sources = Sources::new(Path::new(""));
        let file = sources.add(path, text);
        let mut mistakes = Vec::new();
        let root = parse::parse(&sources, file, &mut mistakes);
        let config = Self::of(root.as_ref(), &mut mistakes);
        if mistakes.is_empty() {
            return Ok(config);
        }
        Err(Report {
            diagnostics: mistakes,
            sources,
        })
    }

    fn of(root: Option<&Node>, mistakes: &mut Vec<Diagnostic>) -> Self {
        let mut config = Self {
            theme: None,
            mouse: true,
            keymap: Keymap::default(),
        };
        let Some(root) = root.filter(|root| !root.is_null()) else {
            return config;
        };
        for entry in entries(root, mistakes) {
            let value = &entry.value;
            match &*entry.key {
                "theme" => {
                    let theme = text(value).and_then(|name| ThemeName::parse(name));
                    if theme.is_none() {
                        let known = ThemeName::ALL.map(ThemeName::as_str);
                        let no = Diagnostic::structure(value.span, "no theme has that name")
                            .label(format!("expected one of {}", known.join(", ")));
                        mistakes.push(no.maybe_help(meant(text(value), known)));
                    }
                    config.theme = theme;
                }
                "mouse" => match plain(value).and_then(|text| parse_bool(text)) {
                    Some(mouse) => config.mouse = mouse,
                    None => mistakes.push(mismatch(value, "`true` or `false`")),
                },
                "keys" => config.keymap = keymap(value, mistakes),
                other => {
                    let no = Diagnostic::structure(entry.key_span, "unknown key")
                        .label(format!("expected one of {}", KEYS.join(", ")));
                    mistakes.push(no.maybe_help(meant(Some(other), KEYS)));
                }
            }
        }
        config
    }
}

fn entries<'n>(node: &'n Node, mistakes: &mut Vec<Diagnostic>) -> &'n [Entry] {
    match node.as_map() {
        Some(map) => &map.entries,
        None => {
            mistakes.push(mismatch(node, "a map"));
            &[]
        }
    }
}

fn mismatch(node: &Node, expected: &str) -> Diagnostic {
    let what = format!("expected {expected}, found {}", node.describe());
    Diagnostic::structure(node.span, what)
}

fn text(node: &Node) -> Option<&Arc<str>> {
    match &node.value {
        Value::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
        Value::Scalar(_) | Value::Seq(_) | Value::Map(_) => None,
    }
}

/// What is not quoted.
fn plain(node: &Node) -> Option<&Arc<str>> {
    match &node.value {
        Value::Scalar(scalar) if scalar.plain => Some(&scalar.text),
        Value::Scalar(_) | Value::Seq(_) | Value::Map(_) => None,
    }
}

fn meant<'a>(
    word: Option<impl AsRef<str>>,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let found = closest(word?.as_ref(), known)?;
    Some(format!("did you mean `{found}`?"))
}

/// The keys of each action, with their places.
fn keymap(node: &Node, mistakes: &mut Vec<Diagnostic>) -> Keymap {
    let mut wishes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut places: BTreeMap<String, (Span, Vec<(String, Span)>)> = BTreeMap::new();
    for entry in entries(node, mistakes) {
        let named: &[Node] = match &entry.value.value {
            Value::Seq(keys) => keys,
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(&entry.value),
        };
        let mut keys = Vec::new();
        for key in named {
            match text(key) {
                Some(text) => keys.push((text.to_string(), key.span)),
                None => mistakes.push(mismatch(key, "a key, such as `x` or `ctrl-x`")),
            }
        }
        let texts = keys.iter().map(|(text, _)| text.clone()).collect();
        wishes.insert(entry.key.to_string(), texts);
        places.insert(entry.key.to_string(), (entry.key_span, keys));
    }
    let errors = match Keymap::rebound(&wishes) {
        Ok(keymap) => return keymap,
        Err(errors) => errors,
    };
    // Of an action that was given away from its key there is no place in the file.
    let name = |action: &str| places.get(action).map_or(node.span, |(span, _)| *span);
    for error in errors {
        let at = match &error {
            BindError::UnknownAction(action) => name(action),
            BindError::NoWayOut(action) => name(action),
            BindError::NoKey(key) => {
                let mut all = places.values().flat_map(|(_, keys)| keys);
                let found = all.find(|(text, _)| *text == key.0);
                found.map_or(node.span, |(_, span)| *span)
            }
            BindError::Taken { second, .. } => name(second),
        };
        let help = match &error {
            BindError::UnknownAction(action) => {
                let known = Action::ALL.iter().map(|action| action.name());
                meant(Some(action), known)
                    .or_else(|| Some("`:` in the dashboard lists all actions".to_owned()))
            }
            BindError::NoKey(_) | BindError::Taken { .. } | BindError::NoWayOut(_) => None,
        };
        mistakes.push(Diagnostic::meaning(at, error.to_string()).maybe_help(help));
    }
    Keymap::default()
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

    fn parse(text: &str) -> Result<FaceConfig, Report> {
        FaceConfig::parse(Path::new("/c/config.yaml"), text.to_owned())
    }

    #[test]
    fn wishes_are_read() {
        let config =
            parse("theme: light\nmouse: false\nkeys:\n  restart: R\n  quit: [q, ctrl-q]\n");
        let config = config.unwrap();
        assert_eq!(config.theme, Some(ThemeName::Light));
        assert!(!config.mouse);
        assert_ne!(config.keymap, Keymap::default());
        assert!(parse("").unwrap().mouse);
        assert!(parse("# nothing\n").unwrap().mouse);
        assert_eq!(parse("keys: {}\n").unwrap().keymap, Keymap::default());
    }

    #[test]
    fn mistakes_are_told_all_at_once_and_where_they_stand() {
        let told = |text| parse(text).unwrap_err().render(false);
        let all = told(
            "theme: pink\nmouse: perhaps\ncolour: red\nkeys:\n  restrat: R\n  stop: super-x\n  \
             start: [b]\n  kill: [b]\n  help: {a: b}\n",
        );
        for part in [
            "/c/config.yaml:1:8",
            "/c/config.yaml:2:8",
            "/c/config.yaml:3:1",
            "/c/config.yaml:5:3",
            "/c/config.yaml:6:9",
            "did you mean `restart`?",
            "`super-x` is no key",
            "`b` is given to both",
            "/c/config.yaml:9:9",
        ] {
            assert!(all.contains(part), "{part} in:\n{all}");
        }
        assert!(told("keys: [a]\n").contains("expected a map"));
        assert!(told("keys: {quit: []}\n").contains("`quit` must keep a key"));
        assert!(told("theme: [\n").contains("/c/config.yaml:"));
    }
}
