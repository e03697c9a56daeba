//! Says in a person's words what the YAML parser found.
//!
//! The parser's own messages speak of its states ("simple key expect ':'"); the cause can
//! mostly be told from the text around the place.

use super::brackets;
use super::diagnostic::Diagnostic;
use super::source::{FileId, Span};

/// The diagnostic for a syntax error at byte `at`.
pub(super) fn explain(info: &str, file: FileId, text: &str, at: usize) -> Diagnostic {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[at..].find('\n').map_or(text.len(), |n| at + n);
    let line = &text[line_start..line_end];
    let width = text[at..].chars().next().map_or(0, char::len_utf8);
    let span = Span::new(file, at, (at + width).min(line_end.max(at)));

    if let Some(tab) = leading_tab(line) {
        let tab = line_start + tab;
        return Diagnostic::syntax(
            Span::new(file, tab, tab + 1),
            "a tab where YAML wants spaces",
        )
        .label("this is a tab")
        .help("indent with spaces");
    }
    if let Some(control) = text[at..]
        .chars()
        .next()
        .filter(|&c| c.is_control() && c != '\n' && c != '\r')
    {
        return Diagnostic::syntax(
            span,
            format!("the control character U+{:04X}", u32::from(control)),
        )
        .label("not allowed in YAML")
        .help("in double quotes it can be written as an escape, such as `\"\\e[0m\"`");
    }
    if let Some(quote) = text[at..]
        .chars()
        .next()
        .filter(|&c| matches!(c, '"' | '\''))
        && info.contains("quoted scalar")
    {
        return Diagnostic::syntax(span, "a quoted string that never ends")
            .label("it starts here")
            .help(format!("close it with `{quote}`"));
    }
    if let Some(open) = brackets::unclosed(text).filter(|&open| open < at) {
        let (opener, closer) = if text[open..].starts_with('[') {
            ('[', ']')
        } else {
            ('{', '}')
        };
        return Diagnostic::syntax(
            Span::new(file, open, open + 1),
            format!("this `{opener}` is never closed"),
        )
        .label("opened here")
        .help(format!("close it with `{closer}`"));
    }
    let diagnostic = Diagnostic::syntax(span, format!("not valid YAML: {}", plain_words(info)));
    let above = text[..line_start]
        .trim_end()
        .lines()
        .next_back()
        .unwrap_or_default();
    match hint(line, above, at - line_start, info) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn leading_tab(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    line[..indent].find('\t')
}

fn plain_words(info: &str) -> String {
    let info = info.trim();
    match info {
        "simple key expect ':'" | "simple key expected" | "could not find expected ':'" => {
            "a line that is neither `key: value` nor a list item".to_owned()
        }
        "mapping values are not allowed in this context" => {
            "a `:` where no map can start".to_owned()
        }
        "illegal placement of ':' indicator" => {
            "a `:` within brackets or braces that are still open".to_owned()
        }
        "recursion limit exceeded" => "lists and maps nested too deep".to_owned(),
        "found unknown anchor" | "while parsing node, found unknown anchor" => {
            "an alias of an anchor that was not defined before".to_owned()
        }
        _ if info.starts_with("unexpected character") => {
            "a character that no value can start with".to_owned()
        }
        "while parsing a node, did not find expected node content" => {
            "a value is missing".to_owned()
        }
        _ => {
            let info = info.strip_prefix("while ").map_or(info, |rest| {
                rest.split_once(", ").map_or(rest, |(_, what)| what)
            });
            info.to_owned()
        }
    }
}

fn hint(line: &str, above: &str, column: usize, info: &str) -> Option<String> {
    let trimmed = line.trim_start();
    for line in [line, above] {
        if let Some((key, rest)) = line.trim_start().split_once(':')
            && !rest.is_empty()
            && !rest.starts_with(' ')
            && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && !key.is_empty()
        {
            return Some(format!("put a space behind the colon: `{key}: …`"));
        }
    }
    if info.starts_with("illegal placement") {
        return Some("close what was opened with `[` or `{`".to_owned());
    }
    if info.contains("unknown anchor") {
        return Some("write `&name` before the value that `*name` stands for".to_owned());
    }
    if info.contains("mapping values") || line.matches(": ").count() > 1 {
        return Some(
            "a value that holds `: ` needs quotes; a map inside of one starts on its own line"
                .to_owned(),
        );
    }
    let rest = line.get(column..).unwrap_or_default();
    if rest.starts_with(['@', '`', '%']) || trimmed.contains(": @") || trimmed.contains(": `") {
        return Some("a value that starts with `@`, `%` or a backquote needs quotes".to_owned());
    }
    if info.contains("block") || info.contains("indentation") || info.contains("expected") {
        return Some(
            "look at the indentation: what belongs together starts in the same column".to_owned(),
        );
    }
    None
}
