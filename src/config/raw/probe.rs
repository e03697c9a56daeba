//! Probes as the file has them.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::command::RawCommand;
use super::scalar::{Flag, Int, Span, reference, whole};
use crate::config::context::Cx;
use crate::config::decode::{Decode, Leaf, OneOrMany, Refusal, Table, Text, decode_leaf, mismatch};
use crate::config::record::{choice, record};
use crate::config::tree::{Node, Value};
use crate::domain::spec::StatusRange;

record! {
    /// Asks a unit whether it has started, is ready or is alive. Exactly one of `http`, `tcp`,
    /// `exec`, `file`, `port`, `log` and `notify` says how.
    RawProbe, "a probe", {
        /// A GET of this URL answers with a status from 200 to 399, or as the map says.
        http: RawHttp,
        /// A connection to `[HOST:]PORT` is accepted. Default host: 127.0.0.1.
        tcp: Text,
        /// The command exits with 0.
        exec: RawCommand,
        /// The file exists.
        file: Text,
        /// The unit itself listens on its port of that name.
        port: Text,
        /// A line of the unit's output matches this regular expression. Not for liveness.
        log: Text,
        /// The unit says so through `sd_notify(3)`; as liveness it sends `WATCHDOG=1`.
        notify: Flag,
        /// The slowest pace of probing. Default: 10s.
        interval: Span,
        /// For one check. Default: 1s.
        timeout: Span,
        /// From the start until the first check. Default: none.
        initial_delay: Span,
        /// Successes in a row that it takes. Default: 1.
        success_threshold: Int<1, 1_000_000>,
        /// Failures in a row that it takes. Default: 3.
        failure_threshold: Int<1, 1_000_000>,
        /// Of readiness: what happens when a unit that was ready no longer is. Default: `wait`.
        on_failure: RawOnFailure,
    }
}

choice! {
    /// What the loss of readiness does.
    RawOnFailure, "`wait` or `restart`", { Wait = "wait", Restart = "restart" }
}

record! {
    /// A request and what its answer must be.
    HttpRecord, "an `http` probe", {
        /// An absolute URL, `http://` or `https://`.
        url: Text,
        /// Default: GET.
        method: Text,
        /// Headers to send.
        headers: Table<Text>,
        /// Status codes that pass: a number, a range such as `200-299`, or a list. Default: 200-399.
        status: OneOrMany<RawStatus>,
        /// A regular expression that the answer's body must match.
        body: Text,
    }
}

#[derive(Clone, Debug)]
pub(in crate::config) enum RawHttp {
    Url(Text),
    Record(Box<HttpRecord>),
}

impl Decode for RawHttp {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        match &node.value {
            Value::Map(_) => Decode::decode(node, cx).map(|http| Self::Record(Box::new(http))),
            Value::Scalar(_) => Decode::decode(node, cx).map(Self::Url),
            Value::Seq(_) => {
                cx.say(mismatch(node, "a URL, or a map with `url`"));
                None
            }
        }
    }
}

impl JsonSchema for RawHttp {
    fn schema_name() -> Cow<'static, str> {
        "Http".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let url = generator.subschema_for::<Text>();
        let record = generator.subschema_for::<HttpRecord>();
        json_schema!({"anyOf": [url, record]})
    }
}

/// A status code, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct RawStatus(pub StatusRange);

impl Leaf for RawStatus {
    const EXPECTED: &'static str = "a status code such as `200`, or a range such as `200-299`";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        let code = |text: &str| -> Option<u16> {
            (text.len() == 3 && text.bytes().all(|b| b.is_ascii_digit()))
                .then(|| text.parse().ok())?
                .filter(|code| (100..=599).contains(code))
        };
        if plain && let Some(code) = whole(text, plain).and_then(|n| u16::try_from(n).ok()) {
            return (100..=599)
                .contains(&code)
                .then_some(Self(StatusRange {
                    first: code,
                    last: code,
                }))
                .ok_or_else(Refusal::default);
        }
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (code(first), code(last)),
            None => (code(text), code(text)),
        };
        let (Some(first), Some(last)) = (first, last) else {
            return Err(Refusal::default());
        };
        if first > last {
            return Err(Refusal::meaning("the range is upside down"));
        }
        Ok(Self(StatusRange { first, last }))
    }
}

impl Decode for RawStatus {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

impl JsonSchema for RawStatus {
    fn schema_name() -> Cow<'static, str> {
        "StatusCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 100, "maximum": 599},
            {"type": "string", "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"},
            reference(),
        ]})
    }
}

/// For the schema of unions elsewhere.
pub(in crate::config) fn any_of(options: &[Schema]) -> Schema {
    json_schema!({"anyOf": json!(options)})
}
