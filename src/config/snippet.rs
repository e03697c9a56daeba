//! Draws a diagnostic with its source lines.
//!
//! The drawing is that of rustc (`annotate-snippets`); this module owns what it is given: of
//! each file only the lines that matter, and of a long line only the part that does.

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Label, Severity};
use super::source::{SourceFile, Sources};

/// A longer line is cut around what is marked in it.
const MAX_LINE: usize = 160;
/// Lines between two marks beyond which each is drawn for itself.
const MAX_APART: usize = 2000;
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
    group = match together(&diagnostic.labels, 0, sources) {
        Some(snippet) => group.element(snippet),
        None => apart(group, &diagnostic.labels, sources),
    };
    for help in &diagnostic.help {
        group = group.element(Level::HELP.message(clipped(help)));
    }
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    tidied(&renderer.render(&[group]), diagnostic.labels.is_empty())
}

/// Without the lines that the renderer draws for nothing: the mark of a second snippet that
/// has no path, and a gutter beside no source.
fn tidied(drawn: &str, placeless: bool) -> String {
    let lines = drawn.lines().filter(|line| {
        let bare = without_styles(line);
        bare.trim() != ":::" && !(placeless && bare.trim() == "|")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn without_styles(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let mut bare = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        bare.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    bare
}

/// All labels in one snippet, where they stand close together in one file; `before` labels
/// came before these.
fn together<'a>(
    labels: &'a [Label],
    before: usize,
    sources: &'a Sources,
) -> Option<Snippet<'a, Annotation<'a>>> {
    let file_id = labels.first()?.span.file;
    if labels.iter().any(|label| label.span.file != file_id) {
        return None;
    }
    let file = sources.get(file_id);
    let lines = || {
        labels
            .iter()
            .map(|label| file.line_of(label.span.start as usize))
    };
    let (first, last) = (lines().min()?, lines().max()?);
    if last - first > MAX_APART || (first..=last).any(|line| file.line(line).1.len() > MAX_LINE) {
        return None;
    }
    let (from, _) = file.line(first);
    let (last_start, last_line) = file.line(last);
    let source = file.text().get(from..last_start + last_line.len())?;
    let annotations = labels.iter().enumerate().map(|(index, label)| {
        let (start, end) = within_line(file, label);
        annotation(kind(before + index), start - from..end - from, label)
    });
    Some(
        Snippet::source(source)
            .path(file.shown())
            .line_start(first + 1)
            .annotations(annotations),
    )
}

/// A snippet per label, each with the part of its line that matters.
fn apart<'a>(mut group: Group<'a>, labels: &'a [Label], sources: &'a Sources) -> Group<'a> {
    for (index, label) in labels.iter().enumerate() {
        if let Some(snippet) = together(std::slice::from_ref(label), index, sources) {
            group = group.element(snippet);
            continue;
        }
        let file = sources.get(label.span.file);
        let place = sources.place(label.span);
        let origin = Origin::path(place.path)
            .line(place.location.line)
            .char_column(place.location.column);
        group = group
            .element(origin)
            .element(windowed(file, label, kind(index)));
    }
    group
}

fn kind(index: usize) -> AnnotationKind {
    if index == 0 {
        AnnotationKind::Primary
    } else {
        AnnotationKind::Context
    }
}

fn annotation(
    kind: AnnotationKind,
    range: std::ops::Range<usize>,
    label: &Label,
) -> Annotation<'_> {
    let annotation = kind.span(range);
    if label.text.is_empty() {
        annotation
    } else {
        annotation.label(clipped(&label.text))
    }
}

/// The part of a label on its first line, as bytes of the file.
fn within_line(file: &SourceFile, label: &Label) -> (usize, usize) {
    let (line_start, line) = file.line(file.line_of(label.span.start as usize));
    let start = (label.span.start as usize).clamp(line_start, line_start + line.len());
    let line_end = (line_start + line.trim_end().len()).max(start);
    let end = (label.span.end as usize).clamp(start, line_end);
    // The renderer cannot point into a character.
    let floor = |at| file.text().floor_char_boundary(at);
    (floor(start), floor(end))
}

fn windowed<'a>(
    file: &'a SourceFile,
    label: &'a Label,
    kind: AnnotationKind,
) -> Snippet<'a, Annotation<'a>> {
    let line_index = file.line_of(label.span.start as usize);
    let (line_start, line) = file.line(line_index);
    let (start, end) = within_line(file, label);
    let (shown, shift) = window(line, start - line_start);
    let fit = |offset: usize| {
        let moved = (offset - line_start + shift.added).saturating_sub(shift.removed);
        let mut at = moved.min(shown.len());
        while !shown.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (from, to) = (fit(start), fit(end));
    Snippet::source(shown)
        .line_start(line_index + 1)
        .fold(false)
        .annotation(annotation(kind, from..to.max(from), label))
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
