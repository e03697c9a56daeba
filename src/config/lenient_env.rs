//! Files of variables as other tools read them.
//!
//! What such a tool passes over is passed over here: these files were not written for pk.
//! `$NAME` and `${NAME}` stand for what the file itself has given so far.

use crate::domain::spec::EnvMap;

/// Reads the lines `NAME=value`, `export NAME=value` and `NAME: value`.
#[must_use]
pub(super) fn parse(text: &str) -> EnvMap {
    let mut values = EnvMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    while !rest.is_empty() {
        let end = rest.find('\n').map_or(rest.len(), |end| end + 1);
        let line = rest[..end].trim();
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let sign = line.find(['=', ':']).filter(|_| !line.starts_with('#'));
        let Some(sign) = sign else {
            rest = &rest[end..];
            continue;
        };
        let name = line[..sign].trim_end();
        let value = line[sign + 1..].trim_start();
        let named = !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-'));
        let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
        let (value, used) = match quote {
            Some(quote) => {
                // A value in quotes may go on over several lines.
                let start = value.as_ptr() as usize - rest.as_ptr() as usize + 1;
                match closing(&rest[start..], quote) {
                    Some(at) => {
                        let inner = &rest[start..start + at];
                        let after = start + at + 1;
                        let end = rest[after..]
                            .find('\n')
                            .map_or(rest.len(), |end| after + end + 1);
                        (unquoted(inner, quote, &values), end)
                    }
                    None => (value.to_owned(), end),
                }
            }
            None => {
                let value = match value.find(" #") {
                    Some(comment) => value[..comment].trim_end(),
                    None if value.starts_with('#') => "",
                    None => value,
                };
                (expanded(value, &values), end)
            }
        };
        if named {
            values.insert(name.to_owned(), value);
        }
        rest = &rest[used..];
    }
    values
}

fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            c if c == quote => return Some(at),
            _ => {}
        }
    }
    None
}

fn unquoted(inner: &str, quote: char, values: &EnvMap) -> String {
    if quote == '\'' {
        return inner.to_owned();
    }
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, chars.clone().next()) {
            ('\\', Some(next)) => {
                chars.next();
                match next {
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    // It must survive the expansion below.
                    '$' => out.push_str("\\$"),
                    next => out.push(next),
                }
            }
            _ => out.push(c),
        }
    }
    expanded(&out, values)
}

fn expanded(text: &str, values: &EnvMap) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\$") {
            out.push('$');
            rest = after;
            continue;
        }
        let body = &rest[1..];
        let (inner, braced) = match body.strip_prefix('{') {
            Some(inner) => (inner, true),
            None => (body, false),
        };
        let end = inner
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(inner.len());
        let closed = !braced || inner[end..].starts_with('}');
        if rest.starts_with('\\') || end == 0 || !closed {
            out.push_str(&rest[..1]);
            rest = body;
            continue;
        }
        out.push_str(values.get(&inner[..end]).map_or("", String::as_str));
        rest = &inner[end + usize::from(braced)..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_and_what_is_passed_over() {
        let text = "# a comment\nA=1\nexport B = two words # gone\nC: \"x\\ny ${A}\"\nD='$A'\n\
                    nonsense\nE=\"two\nlines\"\nF=$A-${B}-$\nG=a=b\nH=\n";
        let values: Vec<String> = parse(text)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(
            values,
            [
                "A=1",
                "B=two words",
                "C=x\ny 1",
                "D=$A",
                "E=two\nlines",
                "F=1-two words-$",
                "G=a=b",
                "H=",
            ]
        );
    }
}
