//! Says in a person's words what the YAML parser found.
//!
//! The parser's own messages speak of its states ("simple key expect ':'"); the cause can
//! mostly be told from the text around the place.

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
    let span = Span::new(file, at, (at + 1).min(line_end.max(at)));

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
    if let Some(quote) = unterminated_quote(info) {
        let from = text[..at].rfind(quote).unwrap_or(at);
        let opening = opening_quote(text, from, quote);
        return Diagnostic::syntax(
            Span::new(file, opening, opening + 1),
            "a quoted string that never ends",
        )
        .label("it starts here")
        .help(format!("close it with `{quote}`"));
    }
    let diagnostic = Diagnostic::syntax(span, format!("not valid YAML: {}", plain_words(info)));
    match hint(line, at - line_start, info) {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

fn leading_tab(line: &str) -> Option<usize> {
    let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
    line[..indent].find('\t')
}

fn unterminated_quote(info: &str) -> Option<char> {
    let unterminated = info.contains("quoted scalar")
        && (info.contains("end of stream") || info.contains("document indicator"));
    let single = info.contains("single");
    unterminated
        .then_some(if single { '\'' } else { '"' })
        .or_else(|| (info == "unclosed quote" || info.contains("unclosed quote")).then_some('"'))
}

/// The quote that opens the string, given the last one in it or the opening one itself.
fn opening_quote(text: &str, last: usize, quote: char) -> usize {
    let line_start = text[..last].rfind('\n').map_or(0, |n| n + 1);
    let line = &text[line_start..last];
    // An opening quote stands behind a blank or an indicator.
    let candidates = line.match_indices(quote).map(|(at, _)| at);
    candidates
        .rev()
        .filter(|&at| {
            line[..at]
                .chars()
                .next_back()
                .is_none_or(|c| matches!(c, ' ' | '[' | '{' | ',' | ':'))
        })
        .next()
        .map_or(last, |at| line_start + at)
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
        _ => {
            let info = info.strip_prefix("while ").map_or(info, |rest| {
                rest.split_once(", ").map_or(rest, |(_, what)| what)
            });
            info.to_owned()
        }
    }
}

fn hint(line: &str, column: usize, info: &str) -> Option<String> {
    let trimmed = line.trim_start();
    if info.contains("mapping values") || line.matches(": ").count() > 1 {
        return Some(
            "a value that holds `: ` needs quotes; a map inside of one starts on its own line"
                .to_owned(),
        );
    }
    if let Some((key, rest)) = trimmed.split_once(':')
        && !rest.is_empty()
        && !rest.starts_with(' ')
        && !key.contains(' ')
    {
        return Some(format!("put a space behind the colon: `{key}: …`"));
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
