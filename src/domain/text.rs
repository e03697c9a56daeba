//! Durations and sizes as people write them.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize as _, Deserializer, Serializer};

/// Why a text is no duration or no size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    #[error("a number needs a unit")]
    NoUnit,
    #[error("unknown unit `{0}`")]
    UnknownUnit(String),
    #[error("not a number")]
    NotANumber,
    #[error("too large")]
    TooLarge,
}

const NANOS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const BYTES: [(&str, u64); 11] = [
    ("B", 1),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("kiB", 1 << 10),
];

/// Reads `250ms`, `10s`, `5m`, `1h30m`, `1.5s`. A bare number is refused, but for `0`.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: f64 = 0.0;
    let mut exact: u64 = 0;
    if rest.is_empty() {
        return Err(QuantityError::NotANumber);
    }
    while !rest.is_empty() {
        let (number, unit, after) = split_quantity(rest)?;
        let scale = NANOS
            .iter()
            .find(|(name, _)| *name == unit)
            .map(|&(_, scale)| scale)
            .ok_or_else(|| QuantityError::UnknownUnit(unit.to_owned()))?;
        match number.parse::<u64>() {
            Ok(whole) => {
                let nanos = whole.checked_mul(scale).ok_or(QuantityError::TooLarge)?;
                exact = exact.checked_add(nanos).ok_or(QuantityError::TooLarge)?;
            }
            Err(_) => {
                let value: f64 = number.parse().map_err(|_| QuantityError::NotANumber)?;
                total += value * scale as f64;
            }
        }
        rest = after;
    }
    // One bound for whole numbers and fractions: what fits a count of nanoseconds.
    if total >= u64::MAX as f64 {
        return Err(QuantityError::TooLarge);
    }
    exact
        .checked_add(total as u64)
        .map(Duration::from_nanos)
        .ok_or(QuantityError::TooLarge)
}

/// Reads `512MiB`, `2GB`, `100B`. A bare number is refused, but for `0`.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    let (number, unit, after) = split_quantity(text)?;
    if !after.is_empty() {
        return Err(QuantityError::NotANumber);
    }
    let scale = BYTES
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|&(_, scale)| scale)
        .ok_or_else(|| QuantityError::UnknownUnit(unit.to_owned()))?;
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or(QuantityError::TooLarge);
    }
    let value: f64 = number.parse().map_err(|_| QuantityError::NotANumber)?;
    let bytes = value * scale as f64;
    if bytes > u64::MAX as f64 {
        return Err(QuantityError::TooLarge);
    }
    Ok(bytes as u64)
}

/// Splits `1.5s30ms` into `1.5`, `s` and `30ms`.
fn split_quantity(text: &str) -> Result<(&str, &str, &str), QuantityError> {
    let number_end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    if number.is_empty() || number == "." {
        return Err(QuantityError::NotANumber);
    }
    if rest.is_empty() {
        return Err(QuantityError::NoUnit);
    }
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, after) = rest.split_at(unit_end);
    Ok((number, unit.trim(), after))
}

/// Writes a duration in the file's own form, exactly: `1h30m`, `250ms`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let seconds = duration.as_secs();
    for (scale, unit, value) in [
        (3600, "h", seconds / 3600),
        (60, "m", seconds / 60 % 60),
        (1, "s", seconds % 60),
    ] {
        let _ = scale;
        if value > 0 {
            let _ = write!(out, "{value}{unit}");
        }
    }
    let nanos = duration.subsec_nanos();
    for (unit, value) in [
        ("ms", nanos / 1_000_000),
        ("us", nanos / 1_000 % 1_000),
        ("ns", nanos % 1_000),
    ] {
        if value > 0 {
            let _ = write!(out, "{value}{unit}");
        }
    }
    out
}

/// Writes a duration for reading at a glance: `12ms`, `3.2s`, `4m10s`.
#[must_use]
pub fn short_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => format!("{}us", duration.as_micros()),
        1..=999 => format!("{millis}ms"),
        1_000..=9_999 if !millis.is_multiple_of(1000) => format!("{:.1}s", duration.as_secs_f64()),
        1_000..=59_999 => format!("{}s", millis / 1000),
        60_000..=3_599_999 => format!("{}m{:02}s", millis / 60_000, millis / 1000 % 60),
        _ => format!("{}h{:02}m", millis / 3_600_000, millis / 60_000 % 60),
    }
}

/// Writes a size in the file's own form, exactly: `512MiB`, `1500B`.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    for (unit, scale) in [
        ("TiB", 1u64 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
    ] {
        if bytes >= scale && bytes.is_multiple_of(scale) {
            return format!("{}{unit}", bytes / scale);
        }
    }
    format!("{bytes}B")
}

/// For `#[serde(serialize_with)]` on a [`Duration`].
pub fn serialize_duration<S: Serializer>(
    value: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format_duration(*value))
}

/// For `#[serde(serialize_with)]` on an optional [`Duration`].
pub fn serialize_opt_duration<S: Serializer>(
    value: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(duration) => serialize_duration(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// For `#[serde(with)]` on a [`Duration`]: as the file writes it, both ways.
pub mod duration {
    use super::*;

    pub use super::serialize_duration as serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text)
            .map_err(|error| serde::de::Error::custom(format!("`{text}` is no duration: {error}")))
    }
}

/// For `#[serde(with)]` on an optional [`Duration`].
pub mod opt_duration {
    use super::*;

    pub use super::serialize_opt_duration as serialize;

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        parse_duration(&text)
            .map(Some)
            .map_err(|error| serde::de::Error::custom(format!("`{text}` is no duration: {error}")))
    }
}

/// For `#[serde(serialize_with)]` on an optional size in bytes.
pub fn serialize_opt_size<S: Serializer>(
    value: &Option<u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(bytes) => serializer.serialize_str(&format_size(*bytes)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_size_is_refused() {
        for (text, expected) in [
            ("0", Ok(0)),
            ("1.5KiB", Ok(1536)),
            ("1KiB2", Err(QuantityError::NotANumber)),
            ("20000000TiB", Err(QuantityError::TooLarge)),
            ("20000000.5TiB", Err(QuantityError::TooLarge)),
        ] {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }

    #[test]
    fn a_glance_tells_hours_and_minutes() {
        assert_eq!(short_duration(Duration::from_secs(7_384)), "2h03m");
        assert_eq!(short_duration(Duration::from_secs(250)), "4m10s");
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("10"), Err(QuantityError::NoUnit));
        assert_eq!(
            parse_duration("10 parsecs"),
            Err(QuantityError::UnknownUnit("parsecs".into()))
        );
        assert_eq!(parse_duration("s"), Err(QuantityError::NotANumber));
        assert_eq!(parse_duration("-1s"), Err(QuantityError::NotANumber));
        assert_eq!(parse_duration(""), Err(QuantityError::NotANumber));
        assert_eq!(
            parse_duration("10000000000000000000.5s"),
            Err(QuantityError::TooLarge)
        );
        assert_eq!(
            parse_duration("999999999999h"),
            Err(QuantityError::TooLarge)
        );
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("2GB"), Ok(2_000_000_000));
        assert_eq!(parse_size("1.5KiB"), Ok(1536));
        assert_eq!(parse_size("12"), Err(QuantityError::NoUnit));
        assert_eq!(
            parse_size("12Mb"),
            Err(QuantityError::UnknownUnit("Mb".into()))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(nanos in 0..u64::from(u32::MAX) * 1_000_000, bytes: u32) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&format_size(u64::from(bytes))), Ok(u64::from(bytes)));
        }
    }
}
