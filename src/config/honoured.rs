//! Which keys of the file `up` does not act on yet.
//!
//! `check` accepts them; `up` refuses them by name instead of ignoring them in silence. This
//! list shrinks as pk grows and is all that has to change for it.

use std::sync::Arc;

use super::context::Cx;
use super::raw::policy::RawTty;
use super::raw::probe::{RawHttp, RawProbe};
use super::raw::unit::RawUnit;
use super::source::{Place, Span};

/// A key that is valid but without effect in this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhonoured {
    pub unit: Arc<str>,
    /// As in `shutdown.send_keys`.
    pub key: String,
    pub span: Span,
    pub place: Place,
}

impl std::fmt::Display for Unhonoured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            unit, key, place, ..
        } = self;
        write!(
            f,
            "{place}: `{key}` of `{unit}` is not supported by `pk up` in this version yet"
        )
    }
}

pub(super) fn collect(unit: &Arc<str>, raw: &RawUnit, cx: &Cx<'_>, out: &mut Vec<Unhonoured>) {
    let mut add = |key: &str, span: Option<Span>| {
        if let Some(span) = span {
            out.push(Unhonoured {
                unit: unit.clone(),
                key: key.to_owned(),
                span,
                place: cx.sources.place(span),
            });
        }
    };
    add("user", raw.user.as_ref().map(|f| f.key));
    add("umask", raw.umask.as_ref().map(|f| f.key));
    add("nice", raw.nice.as_ref().map(|f| f.key));
    add("limits", raw.limits.as_ref().map(|f| f.key));
    let tty = raw.tty.as_ref().filter(|tty| tty.value != RawTty::No);
    add("tty", tty.map(|f| f.key));
    add(
        "stdin",
        raw.stdin.as_ref().filter(|flag| flag.0).map(|f| f.key),
    );
    add("watch", raw.watch.as_ref().map(|f| f.key));
    add("schedule", raw.schedule.as_ref().map(|f| f.key));
    add("on", raw.on.as_ref().map(|f| f.key));
    add("logs", raw.logs.as_ref().map(|f| f.key));
    add("inputs", raw.inputs.as_ref().map(|f| f.key));
    add("outputs", raw.outputs.as_ref().map(|f| f.key));
    add("status", raw.status.as_ref().map(|f| f.key));
    let foreground = raw.foreground.as_ref().filter(|flag| flag.0);
    add("foreground", foreground.map(|f| f.key));
    let keys = raw
        .shutdown
        .as_ref()
        .and_then(|shutdown| shutdown.send_keys.as_ref());
    add("shutdown.send_keys", keys.map(|f| f.key));
    for (role, probe) in [
        ("readiness", &raw.readiness),
        ("liveness", &raw.liveness),
        ("startup", &raw.startup),
    ] {
        if let Some(probe) = probe {
            for (kind, span) in probe_keys(probe) {
                add(&format!("{role}.{kind}"), Some(span));
            }
        }
    }
}

fn probe_keys(probe: &RawProbe) -> Vec<(&'static str, Span)> {
    let mut keys = Vec::new();
    let notify = probe.notify.as_ref().filter(|flag| flag.0);
    keys.extend(notify.map(|f| ("notify", f.key)));
    if let Some(http) = &probe.http {
        let url = match &http.value {
            RawHttp::Url(url) => Some((url, http.span)),
            RawHttp::Record(record) => record.url.as_ref().map(|url| (&url.value, url.span)),
        };
        keys.extend(
            url.filter(|(url, _)| url.starts_with("https:"))
                .map(|(_, span)| ("http (an https URL)", span)),
        );
    }
    keys
}
