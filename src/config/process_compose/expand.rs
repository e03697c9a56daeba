//! `${…}` in the text of a file, before it is read as YAML.
//!
//! This module owns the dialect: bare `$NAME` is the shell's, `$$` is one `$`, and what
//! is no expansion is left alone. It also knows which part of the result came from where,
//! so that everything said of the result points into the file.

use crate::config::source::{FileId, Span};
use crate::config::tree::{Entry, Map, Node, Value};

/// A text after expansion.
#[derive(Debug, Default)]
pub(super) struct Expanded {
    pub text: String,
    pieces: Vec<Piece>,
    /// The first backslash that was taken away, in the file.
    pub backslash: Option<usize>,
    /// Forms that mean something else than in a shell, in the file.
    pub odd: Vec<(usize, usize)>,
}

/// A part of the result and the part of the file that it stands for.
#[derive(Clone, Copy, Debug)]
struct Piece {
    at: usize,
    from: usize,
    to: usize,
    literal: bool,
}

impl Expanded {
    fn literal(&mut self, text: &str, from: usize) {
        if text.is_empty() {
            return;
        }
        self.pieces.push(Piece {
            at: self.text.len(),
            from,
            to: from + text.len(),
            literal: true,
        });
        self.text.push_str(text);
    }

    fn replaced(&mut self, text: &str, from: usize, to: usize) {
        self.pieces.push(Piece {
            at: self.text.len(),
            from,
            to,
            literal: false,
        });
        self.text.push_str(text);
    }

    /// The place in the file of a place in the result.
    fn origin(&self, at: usize, end: bool) -> usize {
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        let Some(piece) = after.checked_sub(1).and_then(|i| self.pieces.get(i)) else {
            return at;
        };
        if piece.literal {
            (piece.from + at - piece.at).min(piece.to)
        } else if end && at > piece.at {
            piece.to
        } else {
            piece.from
        }
    }

    pub(super) fn span(&self, file: FileId, span: Span) -> Span {
        let start = self.origin(span.start as usize, false);
        let end = self.origin(span.end as usize, true);
        Span::new(file, start, end)
    }

    /// The tree with every place moved into the file.
    pub(super) fn tree(&self, file: FileId, node: &Node) -> Node {
        let value = match &node.value {
            Value::Scalar(scalar) => Value::Scalar(scalar.clone()),
            Value::Seq(items) => {
                Value::Seq(items.iter().map(|item| self.tree(file, item)).collect())
            }
            Value::Map(map) => {
                let entries = map.entries.iter().map(|entry| Entry {
                    key: entry.key.clone(),
                    key_span: self.span(file, entry.key_span),
                    value: self.tree(file, &entry.value),
                });
                Value::Map(std::sync::Arc::new(Map {
                    entries: entries.collect(),
                }))
            }
        };
        Node {
            span: self.span(file, node.span),
            value,
        }
    }
}

/// Whether a text may change by expansion at all.
pub(super) fn is_plain(text: &str) -> bool {
    !text.contains("${") && !text.contains("$$") && !text.contains("\\\\") && !text.contains("\\/")
}

/// Expands `text`; `lookup` gives the value of a variable.
pub(super) fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut out = Expanded::default();
    let bytes = text.as_bytes();
    let (mut start, mut at) = (0, 0);
    while let Some(found) = memchr::memchr2(b'$', b'\\', bytes.get(at..).unwrap_or_default()) {
        at += found;
        let next = bytes.get(at + 1).copied();
        match (bytes[at], next) {
            (b'$', Some(b'$')) => {
                out.literal(&text[start..at], start);
                out.replaced("$", at, at + 2);
                at += 2;
                start = at;
            }
            (b'\\', Some(b'\\' | b'/')) => {
                out.literal(&text[start..at], start);
                out.backslash.get_or_insert(at);
                let kept = &text[at + 1..at + 2];
                out.replaced(kept, at, at + 2);
                at += 2;
                start = at;
            }
            (b'$', Some(b'{')) => {
                let mut form = Form {
                    text,
                    at: at + 2,
                    lookup,
                    odd: false,
                };
                match form.value() {
                    Some(value) => {
                        out.literal(&text[start..at], start);
                        out.replaced(&value, at, form.at);
                        if form.odd {
                            out.odd.push((at, form.at));
                        }
                        at = form.at;
                        start = at;
                    }
                    // Not one of its forms: the shell's, or no expansion at all.
                    None => at += 2,
                }
            }
            _ => at += 1,
        }
    }
    out.literal(&text[start..], start);
    out
}

/// One `${…}`, from behind its brace.
struct Form<'a> {
    text: &'a str,
    at: usize,
    lookup: &'a dyn Fn(&str) -> Option<String>,
    odd: bool,
}

impl Form<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self
            .text
            .get(self.at..)
            .is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    fn name(&mut self) -> Option<String> {
        let rest = self.text.get(self.at..)?;
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        (end > 0).then(|| {
            self.at += end;
            rest[..end].to_owned()
        })
    }

    /// Up to one of `stops`, with what is nested in it expanded.
    fn word(&mut self, stops: &[char]) -> Option<String> {
        let mut out = String::new();
        loop {
            let c = self.peek()?;
            if stops.contains(&c) {
                return Some(out);
            }
            if self.eat("${") {
                out.push_str(&self.value()?);
            } else {
                out.push(c);
                self.at += c.len_utf8();
            }
        }
    }

    fn close(&mut self) -> Option<()> {
        self.eat("}").then_some(())
    }

    fn value(&mut self) -> Option<String> {
        if self.eat("#") {
            let name = self.name()?;
            self.close()?;
            let value = (self.lookup)(&name).unwrap_or_default();
            return Some(value.chars().count().to_string());
        }
        let name = self.name()?;
        let value = (self.lookup)(&name).unwrap_or_default();
        if self.eat("}") {
            return Some(value);
        }
        for sign in [":-", ":=", "=", ":?", ":+"] {
            if self.eat(sign) {
                self.odd |= matches!(sign, ":?" | ":+");
                let default = self.word(&['}'])?;
                self.close()?;
                return Some(if value.is_empty() { default } else { value });
            }
        }
        self.changed(value)
    }

    /// The forms that change a value.
    fn changed(&mut self, value: String) -> Option<String> {
        for (sign, change) in CASES {
            if self.eat(sign) {
                self.close()?;
                return Some(change(&value));
            }
        }
        for (sign, prefix, longest) in [
            ("##", true, true),
            ("#", true, false),
            ("%%", false, true),
            ("%", false, false),
        ] {
            if self.eat(sign) {
                let pattern = self.word(&['}'])?;
                self.close()?;
                return Some(trimmed(&value, &pattern, prefix, longest));
            }
        }
        for sign in ["//", "/#", "/%", "/"] {
            if self.eat(sign) {
                let from = self.word(&['/', '}'])?;
                let to = if self.eat("/") {
                    self.word(&['}'])?
                } else {
                    String::new()
                };
                self.close()?;
                return Some(substituted(value, sign, &from, &to));
            }
        }
        if self.eat(":") {
            let offset = self.word(&[':', '}'])?;
            let length = if self.eat(":") {
                Some(self.word(&['}'])?)
            } else {
                None
            };
            self.close()?;
            return part(&value, &offset, length.as_deref());
        }
        None
    }
}

type Change = fn(&str) -> String;

const CASES: [(&str, Change); 4] = [
    ("^^", |text| text.to_uppercase()),
    ("^", |text| first(text, |c| c.to_uppercase().collect())),
    (",,", |text| text.to_lowercase()),
    (",", |text| first(text, |c| c.to_lowercase().collect())),
];

fn first(text: &str, change: impl Fn(char) -> String) -> String {
    let mut chars = text.chars();
    let Some(c) = chars.next() else {
        return String::new();
    };
    format!("{}{}", change(c), chars.as_str())
}

fn trimmed(value: &str, pattern: &str, prefix: bool, longest: bool) -> String {
    let mut expression = String::new();
    for c in pattern.chars() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            c => expression.push_str(&regex::escape(&c.to_string())),
        }
    }
    let Ok(expression) = regex::Regex::new(&format!("(?s)^(?:{expression})$")) else {
        return value.to_owned();
    };
    let mut ends: Vec<usize> = value.char_indices().map(|(at, _)| at).collect();
    ends.push(value.len());
    // What is cut off shall be as short or as long as asked for.
    if prefix == longest {
        ends.reverse();
    }
    for at in ends {
        let (head, tail) = value.split_at(at);
        let (cut, kept) = if prefix { (head, tail) } else { (tail, head) };
        if expression.is_match(cut) {
            return kept.to_owned();
        }
    }
    value.to_owned()
}

fn substituted(value: String, sign: &str, from: &str, to: &str) -> String {
    match sign {
        _ if from.is_empty() => value,
        "//" => value.replace(from, to),
        "/#" => match value.strip_prefix(from) {
            Some(rest) => format!("{to}{rest}"),
            None => value,
        },
        "/%" => match value.strip_suffix(from) {
            Some(rest) => format!("{rest}{to}"),
            None => value,
        },
        _ => value.replacen(from, to, 1),
    }
}

/// `None`: the numbers are none, so it is left to the shell.
fn part(value: &str, offset: &str, length: Option<&str>) -> Option<String> {
    let offset: usize = offset.trim().parse().ok()?;
    let length: usize = match length {
        Some(length) => length.trim().parse().ok()?,
        None => usize::MAX,
    };
    Some(value.chars().skip(offset).take(length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let lookup = |name: &str| match name {
            "A" => Some("value".to_owned()),
            "P" => Some("a/b/c.tar.gz".to_owned()),
            _ => None,
        };
        expand(text, &lookup).text
    }

    #[test]
    fn every_form() {
        for (text, result) in [
            ("$HOME $A", "$HOME $A"),
            ("${A} ${UNSET}.", "value ."),
            ("$${A} $$A $$", "${A} $A $"),
            ("${U:-d} ${U:=d} ${U=d} ${A:-d}", "d d d value"),
            ("${U:?d} ${U:+d} ${A:+d}", "d d value"),
            ("${U:-${A}-${V:-x}}", "value-x"),
            ("${A^^} ${A^} ${A,,} ${#A}", "VALUE Value value 5"),
            ("${A:1:2} ${A:3}", "al ue"),
            (
                "${P#*/} ${P##*/} ${P%.*} ${P%%.*}",
                "b/c.tar.gz c.tar.gz a/b/c.tar a/b/c",
            ),
            (
                "${P/b/x} ${A//a/_} ${A/#v/w} ${A/%e/x}",
                "a/x/c.tar.gz v_lue walue valux",
            ),
            // Not among its forms: left alone.
            (
                "${a[@]} ${!V} ${V-d} ${V?x} ${",
                "${a[@]} ${!V} ${V-d} ${V?x} ${",
            ),
            ("a\\\\b \\/ \\. \\n", "a\\b / \\. \\n"),
        ] {
            assert_eq!(expanded(text), result, "{text}");
        }
    }

    #[test]
    fn places_lead_back_into_the_file() {
        let lookup = |_: &str| Some("long value".to_owned());
        let text = "a: ${X}\nb: c\n";
        let out = expand(text, &lookup);
        assert_eq!(out.text, "a: long value\nb: c\n");
        let at = out.text.find("b:").unwrap();
        assert_eq!(out.origin(at, false), text.find("b:").unwrap());
        assert_eq!(out.origin(5, false), 3);
        assert_eq!(out.origin(9, true), 7);
    }
}
