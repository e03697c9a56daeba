//! Log files, and keys that mean nothing here.

use super::fields::{Block, Fields};
use super::process::Around;
use super::project::Project;
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::lower::paths::tidy;
use crate::config::tree::Entry;
use crate::domain::spec::LogSpec;

pub(super) fn logs(
    process: &Fields<'_>,
    around: &Around<'_>,
    number: u32,
    replicas: u32,
    project: &Project,
    cx: &mut Cx<'_>,
) -> LogSpec {
    let mut logs = project.logs.clone();
    if let Some(word) = process
        .text("log_location", cx)
        .filter(|word| !word.value.is_empty())
    {
        let text = around.rendered(&word, cx);
        let numbered = text.replace("{PC_REPLICA_NUM}", &number.to_string());
        let path = if numbered == text && replicas > 1 {
            format!("{text}.{number}")
        } else {
            numbered
        };
        logs.file = Some(tidy(&project.base.join(path)));
    }
    if let Some((_, fields)) = process.block("log_configuration", Block::Log, cx) {
        rotation(&fields, &mut logs, cx);
    }
    if logs.file.is_none() {
        // There is nothing to rotate.
        logs = LogSpec::default();
    }
    logs
}

/// What is said of log files, of which only their size and number has a meaning here.
pub(super) fn rotation(fields: &Fields<'_>, logs: &mut LogSpec, cx: &mut Cx<'_>) {
    for entry in &fields.map.entries {
        if &*entry.key != "rotation" && Block::Log.keys().contains(&&*entry.key) {
            no_effect(entry, "log files hold the lines as they are", cx);
        }
    }
    let Some((_, rotation)) = fields.block("rotation", Block::Rotation, cx) else {
        return;
    };
    if let Some(size) = rotation.count("max_size_mb", cx) {
        logs.max_size = Some(u64::from(size) << 20);
    }
    logs.max_files = rotation.count("max_backups", cx).or(logs.max_files);
    for key in ["max_age_days", "compress", "directory", "filename"] {
        if let Some(entry) = rotation.get(key) {
            no_effect(entry, "files are kept by size and number", cx);
        }
    }
}

/// Keys that are for process-compose itself.
const NO_EFFECT: [(&str, &str); 5] = [
    (
        "launch_timeout_seconds",
        "nothing waits for a launcher's output",
    ),
    (
        "disable_ansi_colors",
        "colours are for who shows the log to keep",
    ),
    ("truncate_log", "each run has a log of its own"),
    ("monitor_for", "the dashboard shows activity"),
    ("monitor_silence_threshold", "the dashboard shows activity"),
];

pub(super) fn warn_of_no_effect(process: &Fields<'_>, cx: &mut Cx<'_>) {
    for (key, why) in NO_EFFECT {
        if let Some(entry) = process.get(key) {
            no_effect(entry, why, cx);
        }
    }
}

/// Said once of each key.
pub(super) fn no_effect(entry: &Entry, why: &str, cx: &mut Cx<'_>) {
    let key = Block::key(&entry.key);
    if key.is_none_or(|key| cx.listed.insert(key)) {
        cx.say(
            Diagnostic::warning(
                entry.key_span,
                format!("`{}` has no equivalent in pk", entry.key),
            )
            .label(why),
        );
    }
}
