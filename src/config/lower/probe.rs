//! Probes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{command, paths, pattern};
use crate::config::context::Cx;
use crate::config::decode::{Field, Text};
use crate::config::diagnostic::Diagnostic;
use crate::config::raw::probe::{RawHttp, RawOnFailure, RawProbe};
use crate::config::raw::scalar::Span as RawDuration;
use crate::config::snippet::quoted;
use crate::config::source::Span;
use crate::config::suggest::{did_you_mean, one_of};
use crate::domain::spec::{Check, HttpCheck, OnFailure, Port, Probe, StatusRange};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Readiness,
    Liveness,
    Startup,
}

/// What a probe may refer to.
pub(super) struct Around<'a> {
    pub shell: &'a Arc<[String]>,
    pub ports: &'a BTreeMap<String, Port>,
}

pub(super) fn probe(
    raw: &Field<Box<RawProbe>>,
    role: Role,
    around: &Around<'_>,
    cx: &mut Cx<'_>,
) -> Option<Probe> {
    let mut given = kinds(raw);
    given.sort_by_key(|&(_, span)| span);
    let check = match given[..] {
        [one] => check(raw, one.0, around, cx)?,
        [] => {
            // A kind that is given but could not be read was said already.
            if cx.complained_within(raw.span) {
                return None;
            }
            cx.say(
                Diagnostic::meaning(raw.key, "this probe checks nothing")
                    .label("expected one of the kinds below it")
                    .help(format!("say how: {}", one_of(KINDS))),
            );
            return None;
        }
        [first, second, ..] => {
            cx.say(
                Diagnostic::meaning(
                    second.1,
                    format!("this probe has both `{}` and `{}`", first.0, second.0),
                )
                .label("the second kind")
                .and(first.1, "the first kind")
                .help("a probe makes exactly one check"),
            );
            return None;
        }
    };
    if role == Role::Liveness
        && let Check::Log(_) = check
    {
        cx.say(
            Diagnostic::meaning(given[0].1, "a `log` probe cannot tell that a unit is alive")
                .label("a line that came once says nothing about later")
                .help("use it under `readiness` or `startup`"),
        );
        return None;
    }
    if let Some(on_failure) = raw.on_failure.as_ref().filter(|_| role != Role::Readiness) {
        cx.say(
            Diagnostic::meaning(on_failure.key, "only `readiness` has `on_failure`")
                .label("not allowed in this probe")
                .help("`liveness` and `startup` always restart the unit"),
        );
    }
    let threshold = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
    let mut probe = Probe::new(check);
    probe.interval = positive(raw.interval.as_ref(), "interval", Probe::INTERVAL, cx);
    probe.timeout = positive(raw.timeout.as_ref(), "timeout", Probe::TIMEOUT, cx);
    if let Some(delay) = &raw.initial_delay {
        probe.initial_delay = delay.0;
    }
    if let Some(count) = &raw.success_threshold {
        probe.success_threshold = threshold(count.0);
    }
    if let Some(count) = &raw.failure_threshold {
        probe.failure_threshold = threshold(count.0);
    }
    if let Some(on_failure) = &raw.on_failure {
        probe.on_failure = match on_failure.value {
            RawOnFailure::Wait => OnFailure::Wait,
            RawOnFailure::Restart => OnFailure::Restart,
        };
    }
    Some(probe)
}

/// A duration that must not be zero.
pub(super) fn positive(
    raw: Option<&Field<RawDuration>>,
    key: &str,
    default: Duration,
    cx: &mut Cx<'_>,
) -> Duration {
    let Some(raw) = raw else {
        return default;
    };
    if raw.0.is_zero() {
        cx.say(
            Diagnostic::meaning(raw.span, format!("`{key}` must be longer than 0"))
                .label("expected a duration such as `10s`"),
        );
    }
    raw.0
}

const KINDS: [&str; 7] = ["http", "tcp", "exec", "file", "port", "log", "notify"];

fn kinds(raw: &RawProbe) -> Vec<(&'static str, Span)> {
    let notify = raw.notify.as_ref().filter(|notify| notify.0);
    [
        raw.http.as_ref().map(|f| f.key),
        raw.tcp.as_ref().map(|f| f.key),
        raw.exec.as_ref().map(|f| f.key),
        raw.file.as_ref().map(|f| f.key),
        raw.port.as_ref().map(|f| f.key),
        raw.log.as_ref().map(|f| f.key),
        notify.map(|f| f.key),
    ]
    .into_iter()
    .zip(KINDS)
    .filter_map(|(span, kind)| Some((kind, span?)))
    .collect()
}

fn check(raw: &RawProbe, kind: &str, around: &Around<'_>, cx: &mut Cx<'_>) -> Option<Check> {
    match kind {
        "http" => raw
            .http
            .as_ref()
            .and_then(|raw| http(raw, cx))
            .map(Check::Http),
        "tcp" => raw.tcp.as_ref().and_then(|raw| tcp(raw, cx)),
        "exec" => {
            let exec = raw.exec.as_ref()?;
            Some(Check::Exec(command::command(exec, around.shell)))
        }
        "file" => {
            let file = raw.file.as_ref()?;
            if file.trim().is_empty() {
                cx.say(
                    Diagnostic::meaning(file.span, "the probe names no file")
                        .label("expected the path of a file"),
                );
                return None;
            }
            Some(Check::File(paths::absolute(file, file.span, cx)))
        }
        "port" => raw.port.as_ref().and_then(|raw| port(raw, around, cx)),
        "log" => {
            let log = raw.log.as_ref()?;
            pattern(log, log.span, cx).map(Check::Log)
        }
        _ => Some(Check::Notify),
    }
}

fn port(raw: &Field<Text>, around: &Around<'_>, cx: &mut Cx<'_>) -> Option<Check> {
    if around.ports.contains_key(&***raw) {
        return Some(Check::Port(raw.to_string()));
    }
    let names = || around.ports.keys().map(String::as_str);
    let number = raw.parse::<u16>().is_ok();
    let help = if number {
        "give it a name under `ports`, and name that; `tcp` takes a number".to_owned()
    } else if around.ports.is_empty() {
        "name it under `ports` of this unit".to_owned()
    } else {
        did_you_mean(raw, names()).unwrap_or_else(|| format!("it has {}", one_of(names())))
    };
    cx.say(
        Diagnostic::meaning(raw.span, format!("the unit has no port {}", quoted(raw)))
            .label("expected the name of a port of this unit")
            .help(help),
    );
    None
}

fn tcp(raw: &Field<Text>, cx: &mut Cx<'_>) -> Option<Check> {
    let text = raw.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host.trim_start_matches('[').trim_end_matches(']'), port),
        None => ("127.0.0.1", text),
    };
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    match port.parse::<u16>() {
        Ok(number) if number > 0 && !host.contains(['/', ' ']) => Some(Check::Tcp {
            host: host.to_owned(),
            port: number,
        }),
        // The port of `auto`, which is known only at the start.
        Ok(0) if cx.sources.slice(raw.span).contains(".ports.") => Some(Check::Tcp {
            host: host.to_owned(),
            port: 0,
        }),
        _ => {
            cx.say(
                Diagnostic::meaning(
                    raw.span,
                    format!("{} is not of the form `[HOST:]PORT`", quoted(text)),
                )
                .label("expected a port such as `5432`, or `localhost:5432`"),
            );
            None
        }
    }
}

const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE",
];

fn http(raw: &Field<RawHttp>, cx: &mut Cx<'_>) -> Option<HttpCheck> {
    let passing = StatusRange {
        first: 200,
        last: 399,
    };
    let record = match &raw.value {
        RawHttp::Url(text) => {
            check_url(text, raw.span, cx)?;
            return Some(HttpCheck {
                url: text.to_string(),
                method: "GET".to_owned(),
                headers: BTreeMap::new(),
                status: vec![passing],
                body: None,
            });
        }
        RawHttp::Record(record) => record,
    };
    let Some(url) = &record.url else {
        cx.say(
            Diagnostic::meaning(raw.key, "this `http` probe has no `url`")
                .label("expected `url` below it"),
        );
        return None;
    };
    let good_url = check_url(url, url.span, cx);
    let body = match &record.body {
        Some(body) => Some(pattern(body, body.span, cx)?),
        None => None,
    };
    let method = record.method.as_ref().map_or("GET", |method| method);
    let method = method.to_ascii_uppercase();
    if let Some(raw) = record
        .method
        .as_ref()
        .filter(|_| !METHODS.contains(&&*method))
    {
        let help = did_you_mean(&method, METHODS)
            .unwrap_or_else(|| format!("the methods are {}", one_of(METHODS)));
        cx.say(
            Diagnostic::meaning(raw.span, format!("{} is not an HTTP method", quoted(raw)))
                .label("expected a method such as `GET` or `HEAD`")
                .help(help),
        );
    }
    let headers = record.headers.as_ref().map_or_else(BTreeMap::new, |table| {
        let rows = table.0.iter();
        rows.map(|row| (row.key.to_string(), row.value.to_string()))
            .collect()
    });
    for row in record.headers.iter().flat_map(|table| &table.0) {
        let name = hyper::header::HeaderName::from_bytes(row.key.as_bytes());
        let value = hyper::header::HeaderValue::from_str(&row.value);
        if name.is_err() || value.is_err() {
            let span = if name.is_err() {
                row.key_span
            } else {
                row.span
            };
            cx.say(
                Diagnostic::meaning(span, "this cannot stand in an HTTP header")
                    .label("expected visible ASCII characters"),
            );
        }
    }
    good_url?;
    Some(HttpCheck {
        url: url.to_string(),
        method,
        headers,
        status: record.status.as_ref().map_or_else(
            || vec![passing],
            |list| list.0.iter().map(|status| status.0).collect(),
        ),
        body,
    })
}

/// `any`: the port is that of `auto`, which is 0 until the start.
fn bad_port(uri: &hyper::Uri, any: bool) -> Option<String> {
    let authority = uri.authority()?.as_str();
    let (_, port) = authority[authority.rfind(['@', ']']).unwrap_or(0)..].rsplit_once(':')?;
    let good = match port.parse::<u16>() {
        Ok(0) => any,
        Ok(_) => true,
        Err(_) => port.is_empty(),
    };
    (!good).then(|| "expected a port from 1 to 65535".to_owned())
}

fn check_url(url: &Text, span: Span, cx: &mut Cx<'_>) -> Option<()> {
    let problem = match url.parse::<hyper::Uri>() {
        Err(error) => error.to_string(),
        Ok(uri) => match (uri.scheme_str(), uri.host()) {
            (Some("http" | "https"), Some(host)) if !host.is_empty() => {
                match bad_port(&uri, cx.sources.slice(span).contains(".ports.")) {
                    Some(problem) => problem,
                    None => return Some(()),
                }
            }
            (Some("http" | "https"), _) => "it names no host".to_owned(),
            _ => "expected `http://` or `https://` at its start".to_owned(),
        },
    };
    let suggestion = (!url.contains("://") && !url.is_empty()).then(|| {
        let rest = url.trim_start_matches('/');
        let host = if url.starts_with(':') || url.starts_with('/') {
            "127.0.0.1"
        } else {
            ""
        };
        let slash = if url.starts_with('/') { "/" } else { "" };
        format!("did you mean `http://{host}{slash}{rest}`?")
    });
    cx.say(
        Diagnostic::meaning(
            span,
            format!("{} is not a URL that a probe can request", quoted(url)),
        )
        .label(problem)
        .maybe_help(suggestion),
    );
    None
}
