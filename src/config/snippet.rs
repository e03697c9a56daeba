//! Draws a diagnostic with its source lines.
//!
//! The drawing is that of rustc (`annotate-snippets`); this module owns what it is given: of
//! each file only the lines that matter, and of a long line only the part that does.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Label, Severity};
use super::source::{SourceFile, Sources};

/// A longer line is cut around what is marked in it.
const MAX_LINE: usize = 160;
/// What is left of a cut line before the mark.
const LEAD: usize = 40;
/// A longer message is cut: it repeats what the file says, which may be anything.
const MAX_TEXT: usize = 1000;

pub(super) fn draw(diagnostic: &Diagnostic, sources: &Sources, color: bool) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(clipped(&diagnostic.message)));
    for (index, label) in diagnostic.labels.iter().enumerate() {
        let file = sources.get(label.span.file);
        let place = sources.place(label.span);
        let kind = if index == 0 {
            AnnotationKind::Primary
        } else {
            AnnotationKind::Context
        };
        group = group
            .element(
                Origin::path(place.path)
                    .line(place.location.line)
                    .char_column(place.location.column),
            )
            .element(snippet(file, label, kind));
    }
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(clipped(help)));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    renderer.render(&[group])
}

fn snippet<'a>(
    file: &'a SourceFile,
    label: &'a Label,
    kind: AnnotationKind,
) -> Snippet<'a, Annotation<'a>> {
    let line_index = file.line_of(label.span.start as usize);
    let (line_start, line) = file.line(line_index);
    let start = (label.span.start as usize)
        .saturating_sub(line_start)
        .min(line.len());
    let end = (label.span.end as usize)
        .saturating_sub(line_start)
        .clamp(start, line.trim_end().len().max(start));
    let (shown, shift) = window(line, start);
    let fit = |offset: usize| {
        let mut at = (offset + shift.added)
            .saturating_sub(shift.removed)
            .min(shown.len());
        while !shown.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (from, to) = (fit(start), fit(end));
    let mut annotation = kind.span(from..to.max(from));
    if !label.text.is_empty() {
        annotation = annotation.label(clipped(&label.text));
    }
    Snippet::source(shown)
        .line_start(line_index + 1)
        .fold(false)
        .annotation(annotation)
}

struct Shift {
    removed: usize,
    added: usize,
}

/// The part of a line around `start`, and how offsets in it moved.
fn window(line: &str, start: usize) -> (String, Shift) {
    let boundary = |mut at: usize| {
        at = at.min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    if line.len() <= MAX_LINE {
        return (
            line.to_owned(),
            Shift {
                removed: 0,
                added: 0,
            },
        );
    }
    let from = boundary(if start < MAX_LINE - LEAD {
        0
    } else {
        start - LEAD
    });
    let to = boundary(from + MAX_LINE);
    let ellipsis = |cut: bool| if cut { "…" } else { "" };
    let (lead, tail) = (ellipsis(from > 0), ellipsis(to < line.len()));
    let shown = format!("{lead}{}{tail}", &line[from..to]);
    (
        shown,
        Shift {
            removed: from,
            added: lead.len(),
        },
    )
}

fn clipped(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return text.to_owned();
    }
    let mut at = MAX_TEXT;
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    format!("{}…", &text[..at])
}

/// A value as a message quotes it: short, on one line.
pub(super) fn quoted(value: &str) -> String {
    const MAX: usize = 60;
    let mut out = String::from("`");
    for (index, c) in value.chars().enumerate() {
        if index == MAX {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out.push('`');
    out
}
