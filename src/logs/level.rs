//! How grave a line says it is: found in JSON and logfmt lines, asked of nobody.

use std::ops::Range;

use memchr::memmem;

/// From the least to the most grave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

/// What the field is called, the commonest first.
const KEYS: [&str; 6] = ["level", "lvl", "severity", "log.level", "levelname", "@l"];

impl Level {
    /// The level of a name as libraries write it, or of a number as pino and bunyan do.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "trace" | "verbose" | "10" => Self::Trace,
            "debug" | "dbg" | "20" => Self::Debug,
            "info" | "information" | "informational" | "notice" | "inf" | "30" => Self::Info,
            "warn" | "warning" | "wrn" | "40" => Self::Warn,
            "error" | "err" | "eror" | "50" => Self::Error,
            "fatal" | "critical" | "crit" | "panic" | "alert" | "emergency" | "emerg"
            | "dpanic" | "60" => Self::Fatal,
            _ => return None,
        })
    }

    /// The level of a line, and where its value stands in it.
    #[must_use]
    pub fn of(line: &[u8]) -> Option<(Self, Range<usize>)> {
        let json = line.trim_ascii_start().first() == Some(&b'{');
        KEYS.iter().find_map(|key| {
            let range = if json {
                json_value(line, key)
            } else {
                logfmt_value(line, key)
            }?;
            let name = std::str::from_utf8(&line[range.clone()]).ok()?;
            Some((Self::from_name(name)?, range))
        })
    }
}

/// `"key" : "value"` or a number, wherever it stands in the object.
fn json_value(line: &[u8], key: &str) -> Option<Range<usize>> {
    let quoted = format!("\"{key}\"");
    memmem::find_iter(line, &quoted).find_map(|at| {
        let after = at + quoted.len();
        let blanks = |from: usize| {
            let rest = line.get(from..)?;
            Some(from + rest.iter().position(|b| !b.is_ascii_whitespace())?)
        };
        let colon = blanks(after).filter(|at| line[*at] == b':')?;
        let start = blanks(colon + 1)?;
        if line[start] == b'"' {
            let len = memchr::memchr(b'"', &line[start + 1..])?;
            return Some(start + 1..start + 1 + len);
        }
        let digits = line[start..].iter().take_while(|b| b.is_ascii_digit());
        let len = digits.count();
        (len > 0).then(|| start..start + len)
    })
}

/// `key=value` as a word of its own.
fn logfmt_value(line: &[u8], key: &str) -> Option<Range<usize>> {
    let assigned = format!("{key}=");
    memmem::find_iter(line, &assigned)
        .filter(|at| *at == 0 || line[at - 1].is_ascii_whitespace())
        .map(|at| {
            let start = at + assigned.len();
            let quote = usize::from(line.get(start) == Some(&b'"'));
            let start = start + quote;
            let value = line[start..]
                .iter()
                .take_while(|b| !b.is_ascii_whitespace() && **b != b'"');
            start..start + value.count()
        })
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_found_where_libraries_write_them() {
        for (line, level) in [
            (r#"{"level":"warn","msg":"x"}"#, Some(Level::Warn)),
            (r#" {"msg":"x", "severity" : "ERROR"}"#, Some(Level::Error)),
            (r#"{"level":50,"time":1}"#, Some(Level::Error)),
            (r#"{"msg":"\"level\"","lvl":"DBG"}"#, Some(Level::Debug)),
            (r#"{"level":"what"}"#, None),
            ("ts=1 level=info msg=x", Some(Level::Info)),
            ("level=\"fatal\"", Some(Level::Fatal)),
            ("sealevel=info", None),
            ("a plain warning", None),
            ("{", None),
        ] {
            let found = Level::of(line.as_bytes()).map(|(level, _)| level);
            assert_eq!(found, level, "{line}");
        }
        let (_, range) = Level::of(b"level=warn x").unwrap();
        assert_eq!(range, 6..10);
    }
}
