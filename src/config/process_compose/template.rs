//! Go templates, as far as such files use them.
//!
//! Fields (`{{.PORT}}`, `{{.db.host}}`), pipelines of the usual functions, `if`, `with`
//! and comments. What names something that is not there, or is beyond this, is no template
//! of this file (docker's `--format '{{.Names}}'`): the caller leaves the text alone.

use std::collections::BTreeMap;

use super::functions::apply;
use crate::config::tree::{CoreType, Node, Value as Tree};

/// A value that templates see.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
}

impl Value {
    pub(super) fn of(node: &Node) -> Self {
        match &node.value {
            Tree::Seq(items) => Self::List(items.iter().map(Self::of).collect()),
            Tree::Map(map) => Self::Map(
                map.entries
                    .iter()
                    .map(|entry| (entry.key.to_string(), Self::of(&entry.value)))
                    .collect(),
            ),
            Tree::Scalar(scalar) if scalar.is_null() => Self::Nil,
            Tree::Scalar(scalar) => match scalar.core_type() {
                CoreType::String => Self::Text(scalar.text.to_string()),
                CoreType::Bool => Self::Bool(scalar.text.eq_ignore_ascii_case("true")),
                CoreType::Number => match scalar.text.parse() {
                    Ok(number) => Self::Int(number),
                    Err(_) => scalar
                        .text
                        .parse()
                        .map_or_else(|_| Self::Text(scalar.text.to_string()), Self::Float),
                },
            },
        }
    }

    /// As `%v` prints it.
    pub(super) fn show(&self) -> String {
        match self {
            Self::Nil => "<no value>".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Int(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::Text(value) => value.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(Self::show).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(map) => {
                let items: Vec<String> = map
                    .iter()
                    .map(|(key, value)| format!("{key}:{}", value.show()))
                    .collect();
                format!("map[{}]", items.join(" "))
            }
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(value) => !value.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }
}

/// Renders `text`; `Err` names what stands in the way.
pub(super) fn render(text: &str, vars: &Value) -> Result<String, String> {
    let mut parts = split(text)?;
    parts.reverse();
    let mut out = String::new();
    let end = block(&mut parts, vars, true, &mut out)?;
    match end {
        None => Ok(out),
        Some(word) => Err(format!("`{word}` without `if`")),
    }
}

#[derive(Debug)]
enum Part<'a> {
    Text(&'a str),
    Action(&'a str),
}

fn split(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let mut before = &rest[..at];
        let inner = &rest[at + 2..];
        let Some(end) = close(inner) else {
            return Err("`{{` without `}}`".to_owned());
        };
        let mut action = &inner[..end];
        rest = &inner[end + 2..];
        if let Some(trimmed) = action.strip_prefix("- ") {
            before = before.trim_end();
            action = trimmed;
        }
        if let Some(trimmed) = action.strip_suffix(" -") {
            rest = rest.trim_start();
            action = trimmed;
        }
        parts.push(Part::Text(before));
        parts.push(Part::Action(action.trim()));
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

/// Where the action ends, which may hold braces in quotes.
fn close(action: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in action.char_indices() {
        match (quote, c) {
            (None, '"' | '`') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '}') if action[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    action.find("}}")
}

/// Up to an `else` or `end` of its own, which is returned.
fn block(
    parts: &mut Vec<Part<'_>>,
    dot: &Value,
    shown: bool,
    out: &mut String,
) -> Result<Option<String>, String> {
    while let Some(part) = parts.pop() {
        let action = match part {
            Part::Text(text) => {
                if shown {
                    out.push_str(text);
                }
                continue;
            }
            Part::Action(action) => action,
        };
        if action.is_empty() || (action.starts_with("/*") && action.ends_with("*/")) {
            continue;
        }
        let (word, rest) = action
            .split_once(char::is_whitespace)
            .unwrap_or((action, ""));
        match word {
            "end" | "else" => return Ok(Some(action.to_owned())),
            "if" | "with" => branch(word, rest, parts, dot, shown, out)?,
            "range" | "define" | "template" | "block" | "break" | "continue" => {
                return Err(format!("`{word}`"));
            }
            _ => {
                let value = pipeline(action, dot)?;
                if shown {
                    out.push_str(&value.show());
                }
            }
        }
    }
    Ok(None)
}

fn branch(
    word: &str,
    condition: &str,
    parts: &mut Vec<Part<'_>>,
    dot: &Value,
    shown: bool,
    out: &mut String,
) -> Result<(), String> {
    let value = match pipeline(condition, dot) {
        Ok(value) => value,
        // A condition may ask whether something is there.
        Err(_) if condition.trim().starts_with('.') && !condition.contains('|') => Value::Nil,
        Err(error) => return Err(error),
    };
    let holds = value.is_true();
    let inner = if word == "with" { &value } else { dot };
    let end = block(parts, inner, shown && holds, out)?;
    match end.as_deref() {
        Some("end") => Ok(()),
        Some("else") => match block(parts, dot, shown && !holds, out)?.as_deref() {
            Some("end") => Ok(()),
            _ => Err("`if` without `end`".to_owned()),
        },
        Some(more) => {
            let more = more.trim_start_matches("else").trim_start().to_owned();
            let (word, rest) = more
                .split_once(char::is_whitespace)
                .ok_or_else(|| format!("`else {more}`"))?;
            if word != "if" {
                return Err(format!("`else {word}`"));
            }
            branch(word, rest, parts, dot, shown && !holds, out)
        }
        None => Err("`if` without `end`".to_owned()),
    }
}

fn pipeline(text: &str, dot: &Value) -> Result<Value, String> {
    let tokens = tokens(text)?;
    let mut piped: Option<Value> = None;
    for stage in tokens.split(|token| token == "|") {
        piped = Some(call(stage, piped, dot)?);
    }
    piped.ok_or_else(|| "nothing".to_owned())
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '|' | '(' | ')' => out.push(c.to_string()),
            '"' | '`' | '\'' => {
                let mut word = String::from(c);
                let mut closed = false;
                while let Some((_, next)) = chars.next() {
                    if next == '\\' && c != '`' {
                        word.push(match chars.next().map(|(_, c)| c) {
                            Some('n') => '\n',
                            Some('t') => '\t',
                            Some(other) => other,
                            None => break,
                        });
                    } else if next == c {
                        closed = true;
                        break;
                    } else {
                        word.push(next);
                    }
                }
                if !closed {
                    return Err(format!("`{}`", &text[at..]));
                }
                out.push(word);
            }
            c => {
                let mut word = String::from(c);
                while let Some(&(_, next)) = chars.peek() {
                    if next.is_whitespace() || "|()\"`".contains(next) {
                        break;
                    }
                    word.push(next);
                    chars.next();
                }
                out.push(word);
            }
        }
    }
    Ok(out)
}

fn call(stage: &[String], piped: Option<Value>, dot: &Value) -> Result<Value, String> {
    let mut values: Vec<Value> = Vec::new();
    let mut function: Option<&str> = None;
    let mut at = 0;
    while let Some(token) = stage.get(at) {
        at += 1;
        if token == "(" {
            let mut depth = 1;
            let start = at;
            while depth > 0 {
                match stage.get(at).map(String::as_str) {
                    Some("(") => depth += 1,
                    Some(")") => depth -= 1,
                    Some(_) => {}
                    None => return Err("`(` without `)`".to_owned()),
                }
                at += 1;
            }
            values.push(call(&stage[start..at - 1], None, dot)?);
        } else if at == 1 && token.starts_with(|c: char| c.is_alphabetic()) && !is_word(token) {
            function = Some(token);
        } else {
            values.push(operand(token, dot)?);
        }
    }
    values.extend(piped);
    match function {
        Some(name) => apply(name, &values),
        None if values.len() == 1 => Ok(values.remove(0)),
        None => Err(format!("`{}`", stage.join(" "))),
    }
}

fn is_word(token: &str) -> bool {
    matches!(token, "true" | "false" | "nil")
}

fn operand(token: &str, dot: &Value) -> Result<Value, String> {
    if let Some(text) = token.strip_prefix(['"', '`']) {
        return Ok(Value::Text(text.to_owned()));
    }
    match token {
        "." => return Ok(dot.clone()),
        "true" => return Ok(Value::Bool(true)),
        "false" => return Ok(Value::Bool(false)),
        "nil" => return Ok(Value::Nil),
        _ => {}
    }
    if let Ok(number) = token.parse() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = token.parse() {
        return Ok(Value::Float(number));
    }
    let path = token
        .strip_prefix("$.")
        .or_else(|| token.strip_prefix('.'))
        .ok_or_else(|| format!("`{token}`"))?;
    let mut value = dot;
    for name in path.split('.') {
        let Value::Map(map) = value else {
            return Err(format!("`{token}`"));
        };
        value = map.get(name).ok_or_else(|| format!("`{token}`"))?;
    }
    Ok(value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Value {
        let map = |list: Vec<(&str, Value)>| {
            Value::Map(list.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        map(vec![
            ("PORT", Value::Int(8080)),
            ("name", Value::Text("api".into())),
            ("off", Value::Bool(false)),
            ("db", map(vec![("host", Value::Text("h".into()))])),
            ("list", Value::List(vec![Value::Int(1), Value::Int(2)])),
            ("PC_REPLICA_NUM", Value::Int(3)),
        ])
    }

    #[test]
    fn what_files_write() {
        for (text, shown) in [
            ("plain", "plain"),
            ("-p {{.PORT}} {{ .db.host }}", "-p 8080 h"),
            ("80{{ printf \"%02d\" .PC_REPLICA_NUM }}", "8003"),
            ("{{ .PORT | printf \"%s-%d\" \"x\" }}", "x-8080"),
            (
                "{{ .name | print \"x-\" }} {{ print .name .PORT }}",
                "x-api api8080",
            ),
            ("a {{- /* c */ -}} b", "ab"),
            (
                "{{ \"{{.Names}}\" }} {{\"{{\"}}.X{{\"}}\"}}",
                "{{.Names}} {{.X}}",
            ),
            (
                "{{if .off}}a{{else if eq .PORT 8080}}b{{else}}c{{end}}d",
                "bd",
            ),
            ("{{if .missing}}a{{else}}b{{end}}", "b"),
            ("{{with .db}}{{.host}}{{end}}", "h"),
            ("{{index .list 1}} {{len .list}} {{.list}}", "2 2 [1 2]"),
            ("{{or .off .name}} {{and .name .PORT}}", "api 8080"),
        ] {
            match render(text, &vars()) {
                Ok(rendered) => assert_eq!(rendered, shown, "{text}"),
                Err(error) => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn what_is_for_somebody_else_is_not_rendered() {
        for text in [
            "docker ps --format '{{.Names}}'",
            "{{json .}}",
            "{{range .list}}x{{end}}",
            "{{ unclosed",
            "{{if .PORT}}",
        ] {
            assert!(render(text, &vars()).is_err(), "{text}");
        }
    }
}
