//! What is wrong with a configuration, as data.
//!
//! This module owns the shape and order of diagnostics. How one is drawn is
//! [`super::snippet`]'s matter.

use std::collections::HashSet;
use std::fmt;

use super::snippet;
use super::source::{Sources, Span};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

/// Which kind of rule a diagnostic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file cannot be had.
    File,
    /// It is no YAML, or YAML that is refused whatever it says.
    Syntax,
    /// The JSON schema rules this out too: an unknown key, a wrong type, a malformed value.
    Structure,
    /// Only the meaning rules it out.
    Meaning,
}

/// A place and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Label {
    pub span: Span,
    pub text: String,
}

/// One thing that is wrong, or looks wrong.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic {
    pub severity: Severity,
    pub kind: Kind,
    /// A lower-case fragment: what is wrong.
    pub message: String,
    /// Where; the first is the place itself, the others tell why. Empty: no place in a file.
    pub labels: Vec<Label>,
    /// What to do about it.
    pub help: Vec<String>,
}

impl Diagnostic {
    fn new(severity: Severity, kind: Kind, span: Option<Span>, message: String) -> Self {
        let label = |span| Label {
            span,
            text: String::new(),
        };
        Self {
            severity,
            kind,
            message,
            labels: span.map(label).into_iter().collect(),
            help: Vec::new(),
        }
    }

    #[must_use]
    pub fn file(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::File, None, message.into())
    }

    #[must_use]
    pub fn syntax(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::Syntax, Some(span), message.into())
    }

    #[must_use]
    pub fn structure(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::Structure, Some(span), message.into())
    }

    #[must_use]
    pub fn meaning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, Kind::Meaning, Some(span), message.into())
    }

    #[must_use]
    pub fn warning(span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, Kind::Meaning, Some(span), message.into())
    }

    /// Of another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The text beside the place itself: what was expected there.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.text = text.into();
        }
        self
    }

    /// A further place.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    #[must_use]
    pub fn maybe_help(mut self, text: Option<String>) -> Self {
        self.help.extend(text);
        self
    }

    #[must_use]
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }

    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Orders diagnostics by place and drops what was said twice.
///
/// One mistake in what many units share is one diagnostic.
pub(super) fn settle(diagnostics: &mut Vec<Diagnostic>) {
    let mut seen = HashSet::new();
    diagnostics.retain(|diagnostic| seen.insert((diagnostic.span(), diagnostic.message.clone())));
    diagnostics.sort_by(|a, b| {
        (a.span().is_some(), a.span(), a.severity).cmp(&(b.span().is_some(), b.span(), b.severity))
    });
}

/// How many diagnostics are drawn in full.
pub const MAX_SHOWN: usize = 100;

/// Why there is no configuration: every error of every file, with the texts they point to.
#[derive(Debug)]
pub struct Report {
    /// In order of place; warnings too.
    pub diagnostics: Vec<Diagnostic>,
    pub sources: Sources,
}

impl Report {
    /// All diagnostics drawn with their source lines, the first [`MAX_SHOWN`] of them.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        render(&self.diagnostics, &self.sources, color)
    }

    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|d| d.is_error())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Draws diagnostics, each followed by an empty line.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let mut out = String::new();
    for diagnostic in diagnostics.iter().take(MAX_SHOWN) {
        out.push_str(&snippet::draw(diagnostic, sources, color));
        out.push_str("\n\n");
    }
    if let Some(more) = diagnostics.len().checked_sub(MAX_SHOWN).filter(|&n| n > 0) {
        out.push_str(&format!("… and {more} more\n"));
    }
    out
}
