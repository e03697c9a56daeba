//! Probes of a process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::fields::{Block, Fields, Word};
use super::process::Around;
use crate::config::context::Cx;
use crate::config::diagnostic::Diagnostic;
use crate::config::lower::paths::tidy;
use crate::config::source::Span;
use crate::config::tree::Value;
use crate::domain::spec::{Check, Command, HttpCheck, OnFailure, Pattern, Probe, StatusRange};

/// A probe and where it stands.
pub(super) struct Lowered {
    pub probe: Probe,
    pub key: Span,
    /// Until when its first success must have come.
    pub ready_within: Duration,
}

/// `None`: there is none, or one that checks nothing.
pub(super) fn probe(
    process: &Fields<'_>,
    key: &str,
    around: &Around<'_>,
    working_dir: &Path,
    cx: &mut Cx<'_>,
) -> Option<Lowered> {
    let (span, fields) = process.block(key, Block::Probe, cx)?;
    let exec = fields.block("exec", Block::Exec, cx);
    let http = fields.block("http_get", Block::HttpGet, cx);
    if let (Some(_), Some((http, _))) = (&exec, &http) {
        cx.say(
            Diagnostic::warning(*http, "this probe has both `exec` and `http_get`")
                .label("only `exec` is made"),
        );
    }
    let check = match (exec, http) {
        (Some((_, exec)), _) => self::exec(&exec, around, working_dir, cx),
        (None, Some((_, http))) => get(&http, around, cx),
        (None, None) => None,
    };
    let Some(check) = check else {
        if !cx.complained_within(process.get(key)?.value.span) {
            cx.say(
                Diagnostic::warning(span, "this probe checks nothing")
                    .label("it is left out")
                    .help("give it `exec` or `http_get`"),
            );
        }
        return None;
    };
    let second = Duration::from_secs(1);
    let mut seconds = |key, default: u64| {
        let given = fields.int(key, cx).map(|given| given.value);
        Duration::from_secs(match given {
            Some(given) => u64::try_from(given).unwrap_or(0),
            None => default,
        })
    };
    let mut probe = Probe::new(check);
    probe.initial_delay = seconds("initial_delay_seconds", 0);
    // Zero and less stand for the least there is.
    probe.interval = seconds("period_seconds", 10).max(second);
    probe.timeout = seconds("timeout_seconds", 1).max(second);
    probe.failure_threshold = fields.count("failure_threshold", cx).unwrap_or(3);
    probe.on_failure = OnFailure::Restart;
    if let Some(threshold) = fields.int("success_threshold", cx)
        && threshold.value > 1
    {
        cx.say(
            Diagnostic::warning(
                threshold.span,
                "process-compose reads `success_threshold` and never uses it",
            )
            .label("one success is enough here too"),
        );
    }
    let ready_within =
        probe.initial_delay + probe.interval * (probe.failure_threshold - 1) + probe.timeout;
    Some(Lowered {
        probe,
        key: span,
        ready_within,
    })
}

fn exec(
    fields: &Fields<'_>,
    around: &Around<'_>,
    working_dir: &Path,
    cx: &mut Cx<'_>,
) -> Option<Check> {
    let command = fields.text("command", cx)?;
    let script = around.rendered(&command, cx);
    let shell = &around.shell;
    let own = fields
        .text("working_dir", cx)
        .map(|dir| tidy(&working_dir.join(&*dir.value)))
        .filter(|dir| dir != working_dir);
    Some(Check::Exec(match own {
        None => Command::Shell {
            shell: Arc::clone(shell),
            script,
        },
        Some(dir) => Command::Exec(
            [
                "sh",
                "-c",
                "cd -- \"$1\" && shift && exec \"$@\"",
                "sh",
                &dir.to_string_lossy(),
            ]
            .into_iter()
            .map(str::to_owned)
            .chain(shell.iter().cloned())
            .chain([script])
            .collect(),
        ),
    }))
}

fn get(fields: &Fields<'_>, around: &Around<'_>, cx: &mut Cx<'_>) -> Option<Check> {
    let mut text = |key: &str, default: &str| match fields.text(key, cx) {
        Some(word) if !word.value.is_empty() => {
            let text = around.rendered(&word, cx);
            (bare(&text, &word, around, cx), Some(word))
        }
        _ => (default.to_owned(), None),
    };
    let (host, _) = text("host", "127.0.0.1");
    let (scheme, _) = text("scheme", "http");
    let (path, _) = text("path", "/");
    let (port, place) = text("port", "");
    if let Some(place) = place
        && port
            .trim()
            .parse::<u16>()
            .ok()
            .filter(|&port| port > 0)
            .is_none()
    {
        let shown = crate::config::snippet::quoted(&port);
        cx.say(
            Diagnostic::warning(place.span, format!("{shown} is not a port"))
                .label("the probe is left out")
                .help("expected a number from 1 to 65535, or `${NAME}` with such a value"),
        );
        return None;
    }
    if let Some(number) = fields.int("num_port", cx)
        && port.is_empty()
    {
        cx.say(
            Diagnostic::warning(number.span, "`num_port` has no effect")
                .label("process-compose replaces it")
                .help("write `port`"),
        );
    }
    // An address of six parts has brackets within a URL.
    let host = if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let url = match port.trim() {
        "" => format!("{}://{host}{slash}{path}", scheme.to_ascii_lowercase()),
        port => format!(
            "{}://{host}:{port}{slash}{path}",
            scheme.to_ascii_lowercase()
        ),
    };
    if url.parse::<hyper::Uri>().is_err() {
        cx.say(
            Diagnostic::warning(
                fields
                    .get("host")
                    .or_else(|| fields.get("path"))?
                    .value
                    .span,
                format!(
                    "{} cannot be requested",
                    crate::config::snippet::quoted(&url)
                ),
            )
            .label("the probe is left out"),
        );
        return None;
    }
    let status = fields.int("status_code", cx).map(|given| given.value);
    let range = |first, last| StatusRange { first, last };
    let status = match status.and_then(|status| u16::try_from(status).ok()) {
        Some(status) if (100..400).contains(&status) => vec![range(status, status)],
        // A redirect is followed there, and an answer here.
        _ => vec![range(200, 200), range(300, 399)],
    };
    Some(Check::Http(HttpCheck {
        url,
        method: "GET".to_owned(),
        headers: headers(fields, cx),
        status,
        body: None,
    }))
}

/// No shell sees an address, so that a bare `$NAME` in it can only be meant for the reader.
fn bare(text: &str, word: &Word, around: &Around<'_>, cx: &mut Cx<'_>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let name = &rest[at + 1..];
        let end = name
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(name.len());
        match around.variable(&name[..end], cx) {
            Some(value) if end > 0 => {
                cx.say(
                    Diagnostic::warning(word.span, format!("`${}` is replaced here", &name[..end]))
                        .label("process-compose leaves it as it is")
                        .help(format!("write `${{{}}}`", &name[..end])),
                );
                out.push_str(&value);
            }
            _ => {
                out.push('$');
                out.push_str(&name[..end]);
            }
        }
        rest = &name[end..];
    }
    out.push_str(rest);
    out
}

fn headers(fields: &Fields<'_>, cx: &mut Cx<'_>) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let Some(entry) = fields.get("headers") else {
        return out;
    };
    let Value::Map(map) = &entry.value.value else {
        cx.say(super::fields::mismatch(
            &entry.value,
            "a map from name to text",
        ));
        return out;
    };
    for header in &map.entries {
        if let Some(value) = super::fields::scalar(&header.value, "a text", cx) {
            out.insert(header.key.to_string(), value.text.to_string());
        }
    }
    out
}

/// A line of the output that holds the text.
pub(super) fn log_line(line: &str) -> Probe {
    Probe::new(Check::Log(Pattern(regex::escape(line))))
}
