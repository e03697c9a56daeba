//! Which keys of the file `up` does not act on yet.
//!
//! `check` accepts them; `up` refuses them by name instead of ignoring them in silence. This
//! list shrinks as pk grows and is all that has to change for it.

use std::sync::Arc;

use super::context::Cx;
use super::raw::probe::{RawHttp, RawProbe};
use super::raw::unit::RawUnit;
use super::source::{Place, Span};
use crate::domain::spec::{Check, UnitSpec};

/// A key that is valid but without effect in this version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhonoured {
    pub unit: Arc<str>,
    /// As in `readiness.http`.
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

/// The same for a process of another tool's file, whose keys bear other names.
pub(super) fn of_process(spec: &UnitSpec, span: Span, cx: &Cx<'_>, out: &mut Vec<Unhonoured>) {
    let mut add = |key: &str, used: bool| {
        if used {
            out.push(Unhonoured {
                unit: spec.name.as_str().into(),
                key: key.to_owned(),
                span,
                place: cx.sources.place(span),
            });
        }
    };
    for probe in [&spec.readiness, &spec.liveness].into_iter().flatten() {
        let https = matches!(&probe.check, Check::Http(http) if http.url.starts_with("https:"));
        add("http_get.scheme: https", https);
    }
}
