//! Values that one scalar holds.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use crate::config::context::Cx;
use crate::config::decode::{Decode, Leaf, Refusal, Text, decode_leaf};
use crate::config::suggest::did_you_mean;
use crate::config::tree::{CoreType, Node, Scalar, parse_bool, parse_int};
use crate::domain::signal::Signal;
use crate::domain::text::{QuantityError, parse_duration, parse_size};

/// The schema of a string that interpolation makes something else of.
pub(in crate::config) fn reference() -> serde_json::Value {
    json!({"type": "string", "pattern": r"\$\{"})
}

macro_rules! leaf {
    ($name:ident, $schema:expr) => {
        impl Decode for $name {
            fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
                decode_leaf(node, cx)
            }
        }

        leaf_schema!($name, $schema);
    };
}

macro_rules! leaf_schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                Schema::try_from($schema).unwrap_or_default()
            }
        }
    };
}

leaf_schema!(
    Text,
    json!({"type": ["string", "number", "boolean"], "description": "A text."})
);

/// `true` or `false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Flag(pub bool);

impl Leaf for Flag {
    const EXPECTED: &'static str = "`true` or `false`";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        if plain && let Some(value) = parse_bool(text) {
            return Ok(Self(value));
        }
        Err(Refusal::help(
            match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "y" => Some("true"),
                "false" | "no" | "off" | "n" => Some("false"),
                _ => None,
            }
            .map(|word| format!("did you mean `{word}`, without quotes?")),
        ))
    }
}

leaf!(Flag, json!({"anyOf": [{"type": "boolean"}, reference()]}));

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Int<const MIN: i64, const MAX: i64>(pub i64);

pub(in crate::config) fn whole(text: &str, plain: bool) -> Option<i128> {
    if !plain {
        return None;
    }
    parse_int(text).or_else(|| {
        let value: f64 = text.parse().ok()?;
        (value.fract() == 0.0 && value.abs() < 1e15).then_some(value as i128)
    })
}

impl<const MIN: i64, const MAX: i64> Leaf for Int<MIN, MAX> {
    const EXPECTED: &'static str = "a whole number";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        let range = || {
            Some(if MAX >= i64::from(u32::MAX) {
                format!("expected a whole number of at least {MIN}")
            } else {
                format!("expected a whole number from {MIN} to {MAX}")
            })
        };
        let Some(value) = whole(text, plain) else {
            let quoted = !plain && whole(text, true).is_some();
            return Err(Refusal {
                label: range(),
                help: quoted.then(|| "remove the quotes: in quotes it is a string".to_owned()),
                meaning: false,
            });
        };
        match i64::try_from(value) {
            Ok(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
            _ => Err(Refusal {
                label: range(),
                ..Refusal::default()
            }),
        }
    }
}

impl<const MIN: i64, const MAX: i64> Decode for Int<MIN, MAX> {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

impl<const MIN: i64, const MAX: i64> JsonSchema for Int<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Int_{MIN}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{"type": "integer", "minimum": MIN, "maximum": MAX}, reference()]
        })
    }
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::config) struct Number(pub f64);

impl Leaf for Number {
    const EXPECTED: &'static str = "a number";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        let scalar = Scalar {
            text: text.clone(),
            plain,
        };
        if scalar.core_type() != CoreType::Number {
            return Err(Refusal::default());
        }
        let value = text
            .parse()
            .ok()
            .or_else(|| parse_int(text).map(|n| n as f64));
        match value {
            Some(value) if f64::is_finite(value) => Ok(Self(value)),
            _ => Err(Refusal::default()),
        }
    }
}

leaf!(Number, json!({"anyOf": [{"type": "number"}, reference()]}));

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Span(pub Duration);

impl Leaf for Span {
    const EXPECTED: &'static str = "a duration";

    fn read(text: &Arc<str>, _: bool) -> Result<Self, Refusal> {
        parse_duration(text).map(Self).map_err(|error| {
            let example = "durations are written like `250ms`, `10s`, `5m` or `1h30m`";
            let bare = text.trim();
            let number: String = bare
                .chars()
                .take_while(|c| c.is_ascii_digit() || *c == '.')
                .collect();
            let unit = bare[number.len()..].trim();
            let meant = match unit.to_ascii_lowercase().as_str() {
                "" => Some("s"),
                "sec" | "secs" | "second" | "seconds" => Some("s"),
                "min" | "mins" | "minute" | "minutes" => Some("m"),
                "hr" | "hrs" | "hour" | "hours" => Some("h"),
                "msec" | "millis" | "milliseconds" => Some("ms"),
                _ => None,
            };
            let days = matches!(unit, "d" | "day" | "days");
            Refusal {
                label: Some(error.to_string()),
                help: Some(match meant {
                    Some(unit) if !number.is_empty() => format!("did you mean `{number}{unit}`?"),
                    _ if days => format!("{example}; a day is `24h`"),
                    _ => example.to_owned(),
                }),
                meaning: error == QuantityError::TooLarge,
            }
        })
    }
}

impl Decode for Span {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        decode_leaf(node, cx)
    }
}

const DURATION: &str = r"^\s*(0|(([0-9]+\.?[0-9]*|\.[0-9]+)\s*(ns|us|ms|s|m|h)\s*)+)$|\$\{";
const SIZE: &str =
    r"^\s*(0|([0-9]+\.?[0-9]*|\.[0-9]+)\s*(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB|kB|kiB)\s*)$|\$\{";

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A duration such as `250ms`, `10s`, `5m` or `1h30m`.",
            "anyOf": [{"type": "string", "pattern": DURATION}, {"const": 0}]
        })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Size(pub u64);

impl Leaf for Size {
    const EXPECTED: &'static str = "a size";

    fn read(text: &Arc<str>, _: bool) -> Result<Self, Refusal> {
        parse_size(text).map(Self).map_err(|error| {
            let bare = text.trim();
            let digits = bare.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
            let unit = match bare[digits.len()..].trim().to_ascii_lowercase().as_str() {
                "" | "m" | "mb" | "mib" => "MiB",
                "k" | "kb" | "kib" => "KiB",
                "g" | "gb" | "gib" => "GiB",
                "t" | "tb" | "tib" => "TiB",
                _ => "",
            };
            let sized = digits.parse::<f64>().is_ok() && !unit.is_empty();
            Refusal {
                label: Some(error.to_string()),
                help: Some(if sized {
                    format!("did you mean `{digits}{unit}`?")
                } else {
                    "sizes are written like `512MiB` or `2GB`".to_owned()
                }),
                meaning: error == QuantityError::TooLarge,
            }
        })
    }
}

leaf!(
    Size,
    json!({
        "description": "A size such as `512MiB` or `2GB`.",
        "anyOf": [{"type": "string", "pattern": SIZE}, {"const": 0}]
    })
);

/// A signal, by name or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct SignalName(pub Signal);

impl Leaf for SignalName {
    const EXPECTED: &'static str = "a signal";

    fn read(text: &Arc<str>, plain: bool) -> Result<Self, Refusal> {
        let by_number = whole(text, plain)
            .and_then(|n| i32::try_from(n).ok())
            .and_then(Signal::from_number)
            .filter(|signal| signal.has_name());
        if let Some(signal) = by_number.or_else(|| Signal::from_name(text)) {
            return Ok(Self(signal));
        }
        let upper = text.to_ascii_uppercase();
        let full = if upper.starts_with("SIG") {
            upper
        } else {
            format!("SIG{upper}")
        };
        Err(Refusal {
            label: Some("expected a signal such as `SIGTERM`".to_owned()),
            help: did_you_mean(&full, Signal::names()),
            // The names differ between systems, so the schema does not list them.
            meaning: true,
        })
    }
}

leaf!(
    SignalName,
    json!({"type": ["string", "number", "boolean"], "description": "A signal such as `SIGTERM`, or its number."})
);

/// File mode bits that are taken away, in octal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Umask(pub u32);

impl Leaf for Umask {
    const EXPECTED: &'static str = "an octal mask such as `022`";

    fn read(text: &Arc<str>, _: bool) -> Result<Self, Refusal> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u32::from_str_radix(digits, 8) {
            Ok(mask) if mask <= 0o777 => Ok(Self(mask)),
            _ => Err(Refusal::meaning(
                "expected three octal digits, `000` to `777`",
            )),
        }
    }
}

leaf!(
    Umask,
    json!({"type": ["string", "number", "boolean"], "description": "A mask in octal, such as `022`."})
);
