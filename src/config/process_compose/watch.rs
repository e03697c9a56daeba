//! What a process watches.

use std::path::Path;
use std::time::Duration;

use super::fields::{Block, Fields};
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::lower::paths::tidy;
use crate::config::snippet::quoted;
use crate::config::tree::Value;
use crate::domain::spec::{Watch, WatchAction};
use crate::domain::text::parse_duration;

/// What is not watched unless the file says so.
const EXCLUDED: [&str; 19] = [
    ".git",
    "node_modules",
    "vendor",
    "target",
    "dist",
    "build",
    "bin",
    ".venv",
    "venv",
    "__pycache__",
    ".next",
    ".direnv",
    ".devenv",
    ".devbox",
    "result",
    "*.log",
    "*.swp",
    "*~",
    "*.tmp",
];

pub(super) fn watch(process: &Fields<'_>, working_dir: &Path, cx: &mut Cx<'_>) -> Option<Watch> {
    let (key, fields) = process.block("watch", Block::Watch, cx)?;
    let items = match fields.get("paths").map(|entry| &entry.value) {
        Some(node) => match &node.value {
            Value::Seq(items) => &items[..],
            Value::Scalar(_) | Value::Map(_) => std::slice::from_ref(node),
        },
        None => &[],
    };
    let mut watch = Watch {
        paths: Vec::new(),
        ignore: Vec::new(),
        debounce: Duration::from_millis(300),
        run: None,
        action: WatchAction::Restart,
        cascade: fields.is("cascade", cx),
        gitignore: false,
    };
    if !fields.is("disable_default_excludes", cx) {
        watch
            .ignore
            .extend(EXCLUDED.map(|name| format!("**/{name}")));
    }
    for item in items {
        let Some(path) = Fields::of(item, Block::WatchPath, cx) else {
            continue;
        };
        path.warn_unknown(false, cx);
        let Some(root) = path.text("path", cx) else {
            cx.say(
                Diagnostic::meaning(item.span, "this entry watches nothing")
                    .label("expected `path`"),
            );
            continue;
        };
        let root = tidy(&working_dir.join(&*root.value));
        // A pattern with a slash starts at the path, one without is a name anywhere below.
        let within = |pattern: &str| {
            let slash = if pattern.contains('/') { "" } else { "**/" };
            format!("{}/{slash}{pattern}", root.display())
        };
        let include = path.texts("include", cx).unwrap_or_default();
        if include.is_empty() {
            watch.paths.push(root.to_string_lossy().into_owned());
        }
        watch
            .paths
            .extend(include.iter().map(|pattern| within(&pattern.value)));
        let exclude = path.texts("exclude", cx).unwrap_or_default();
        watch
            .ignore
            .extend(exclude.iter().map(|pattern| within(&pattern.value)));
    }
    if let Some(word) = fields.text("debounce", cx) {
        match parse_duration(&word.value) {
            Ok(debounce) => watch.debounce = debounce,
            Err(error) => cx.say(
                Diagnostic::meaning(
                    word.span,
                    format!("{} is not a duration", quoted(&word.value)),
                )
                .label(error.to_string()),
            ),
        }
    }
    if watch.paths.is_empty() {
        if !cx.complained_within(process.get("watch")?.value.span) {
            cx.say(
                Diagnostic::warning(key, "this `watch` watches nothing")
                    .label("expected `paths` below it"),
            );
        }
        return None;
    }
    Some(watch)
}
