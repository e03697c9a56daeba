//! The functions of Go templates that files use.

use super::template::Value;

/// The function applied; `Err` names one that is not known, or not for such values.
pub(super) fn apply(name: &str, values: &[Value]) -> Result<Value, String> {
    let shown = || values.iter().map(Value::show);
    let unknown = || format!("`{name}`");
    Ok(match (name, values) {
        ("print", _) => Value::Text(shown().collect()),
        ("println", _) => Value::Text(shown().collect::<Vec<_>>().join(" ") + "\n"),
        ("printf", [format, rest @ ..]) => Value::Text(printf(&format.show(), rest)?),
        ("len", [Value::Text(text)]) => Value::Int(length(text.len())),
        ("len", [Value::List(items)]) => Value::Int(length(items.len())),
        ("len", [Value::Map(map)]) => Value::Int(length(map.len())),
        ("not", [value]) => Value::Bool(!value.is_true()),
        ("and", [first, rest @ ..]) => {
            let mut all = std::iter::once(first).chain(rest);
            let last = all.clone().last().unwrap_or(first);
            all.find(|value| !value.is_true()).unwrap_or(last).clone()
        }
        ("or", [first, rest @ ..]) => {
            let mut all = std::iter::once(first).chain(rest);
            let last = all.clone().last().unwrap_or(first);
            all.find(|value| value.is_true()).unwrap_or(last).clone()
        }
        ("eq", [first, rest @ ..]) => Value::Bool(rest.contains(first)),
        ("ne", [a, b]) => Value::Bool(a != b),
        ("lt" | "le" | "gt" | "ge", [a, b]) => {
            let order = compare(a, b).ok_or_else(unknown)?;
            Value::Bool(match name {
                "lt" => order.is_lt(),
                "le" => order.is_le(),
                "gt" => order.is_gt(),
                _ => order.is_ge(),
            })
        }
        ("index", [value, path @ ..]) => {
            let mut value = value;
            for step in path {
                value = match (value, step) {
                    (Value::List(items), Value::Int(at)) => usize::try_from(*at)
                        .ok()
                        .and_then(|at| items.get(at))
                        .ok_or_else(unknown)?,
                    (Value::Map(map), Value::Text(key)) => map.get(key).ok_or_else(unknown)?,
                    _ => return Err(unknown()),
                };
            }
            value.clone()
        }
        ("html", _) => Value::Text(
            shown()
                .collect::<String>()
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;")
                .replace('"', "&#34;")
                .replace('\'', "&#39;"),
        ),
        ("urlquery", _) => Value::Text(query(&shown().collect::<String>())),
        _ => return Err(unknown()),
    })
}

fn length(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

fn compare(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn query(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `%v`, `%s`, `%d`, `%q` and `%05d` with widths.
fn printf(format: &str, values: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flags = String::new();
        while let Some(&next) = chars.peek() {
            if !next.is_ascii_digit() && next != '-' {
                break;
            }
            flags.push(next);
            chars.next();
        }
        let verb = chars.next().unwrap_or('%');
        if verb == '%' {
            out.push('%');
            continue;
        }
        let value = values
            .next()
            .ok_or_else(|| format!("`printf` with too few values for {format:?}"))?;
        let text = match (verb, value) {
            ('q', value) => format!("{:?}", value.show()),
            ('x', Value::Int(number)) => format!("{number:x}"),
            ('v' | 's' | 'd', value) => value.show(),
            _ => return Err(format!("`printf` with `%{verb}`")),
        };
        let left = flags.starts_with('-');
        let digits = flags.trim_start_matches('-');
        let width: usize = digits.parse().unwrap_or(0);
        let fill = width.saturating_sub(text.chars().count());
        if left {
            out.push_str(&text);
            out.extend(std::iter::repeat_n(' ', fill));
        } else {
            let pad = if digits.starts_with('0') { '0' } else { ' ' };
            out.extend(std::iter::repeat_n(pad, fill));
            out.push_str(&text);
        }
    }
    Ok(out)
}
