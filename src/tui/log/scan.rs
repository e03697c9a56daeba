//! A search through all that is kept of a log, in slices.
//!
//! It reads on while lines come, so that the count of an open search stays true. Between
//! slices the keys are answered.

use std::collections::VecDeque;

use memchr::memmem;
use regex::bytes::{Regex, RegexBuilder};

use crate::logs::{Cursor, LogLine, LogSource, Selection, Start};

/// What is searched.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: Matcher,
}

#[derive(Clone, Debug)]
enum Matcher {
    /// Case counts: the text has a capital.
    Exact(Box<memmem::Finder<'static>>),
    Regex(Regex),
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    /// A text in any case, or as it stands if it holds a capital; a regular expression where
    /// the text can be read as one and holds more than words.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let any_case = !text.chars().any(char::is_uppercase);
        let is_plain = text == regex::escape(text);
        let build = |pattern: &str| {
            RegexBuilder::new(pattern)
                .case_insensitive(any_case)
                .size_limit(1 << 20)
                .build()
        };
        let literal = || {
            let exact = Matcher::Exact(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()));
            if any_case {
                build(&regex::escape(text)).map_or(exact, Matcher::Regex)
            } else {
                exact
            }
        };
        let matcher = if is_plain {
            literal()
        } else {
            build(text).map_or_else(|_| literal(), Matcher::Regex)
        };
        Self {
            text: text.to_owned(),
            matcher,
        }
    }

    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    #[must_use]
    pub fn is_match(&self, bytes: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Exact(finder) => finder.find(bytes).is_some(),
            Matcher::Regex(regex) => regex.is_match(bytes),
        }
    }

    /// Where it matches in a text that is shown.
    #[must_use]
    pub fn places(&self, text: &str) -> Vec<std::ops::Range<usize>> {
        /// More than fit on a screen.
        const MOST: usize = 256;
        match &self.matcher {
            Matcher::Exact(finder) => (finder.find_iter(text.as_bytes()))
                .map(|at| at..at + self.text.len())
                .take(MOST)
                .collect(),
            Matcher::Regex(regex) => (regex.find_iter(text.as_bytes()))
                .map(|found| found.range())
                .filter(|range| !range.is_empty())
                .take(MOST)
                .collect(),
        }
    }
}

/// A search to begin.
#[derive(Clone, Debug)]
pub struct ScanRequest {
    pub generation: u64,
    pub selection: Selection,
    pub pattern: Pattern,
    /// Lines before this number are not searched.
    pub from: u64,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub struct ScanReport {
    pub generation: u64,
    /// Numbers of matching lines that were found since the last report.
    pub found: Vec<u64>,
    /// They themselves, for who shows matching lines alone.
    pub lines: Vec<LogLine>,
    /// It has caught up with the end of the log.
    pub is_done: bool,
}

/// A search under way.
#[derive(Debug)]
pub struct Scan {
    request: ScanRequest,
    cursor: Cursor,
}

/// Lines read in one slice: a few milliseconds.
const SLICE: usize = 8192;

impl Scan {
    #[must_use]
    pub fn new(source: &dyn LogSource, request: ScanRequest) -> Self {
        let cursor = source.cursor(request.selection.clone(), Start::Oldest);
        Self { request, cursor }
    }

    /// Reads on a little.
    pub fn step(&mut self, source: &dyn LogSource) -> ScanReport {
        let page = source.read(&mut self.cursor, SLICE);
        let is_done = page.lines.len() < SLICE;
        let mut report = ScanReport {
            generation: self.request.generation,
            is_done,
            ..ScanReport::default()
        };
        for line in page.lines {
            if line.seq >= self.request.from && self.request.pattern.is_match(&line.bytes) {
                report.found.push(line.seq);
                // A copy of its own: a line that is kept must not keep its whole block.
                let bytes = bytes::Bytes::copy_from_slice(&line.bytes);
                report.lines.push(LogLine { bytes, ..line });
            }
        }
        report
    }
}

/// Matches that are kept, newest last.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    pub seqs: VecDeque<u64>,
    pub lines: VecDeque<LogLine>,
    bytes: usize,
    /// Also those that are no longer kept.
    pub count: u64,
}

impl Hits {
    const MOST: usize = 1_000_000;
    /// Bytes of lines.
    const MOST_BYTES: usize = 32 << 20;

    pub fn add(&mut self, report: ScanReport) {
        self.count += report.found.len() as u64;
        self.seqs.extend(report.found);
        while self.seqs.len() > Self::MOST {
            self.seqs.pop_front();
        }
        for line in report.lines {
            self.bytes += line.bytes.len() + size_of::<LogLine>();
            self.lines.push_back(line);
        }
        while self.bytes > Self::MOST_BYTES {
            let Some(line) = self.lines.pop_front() else {
                break;
            };
            self.bytes -= line.bytes.len() + size_of::<LogLine>();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_searched_as_one_expects() {
        let is_match = |pattern: &str, line: &str| Pattern::new(pattern).is_match(line.as_bytes());
        assert!(is_match("error", "An ERROR here"));
        assert!(!is_match("Error", "An ERROR here"));
        assert!(is_match("a.*z", "xabcz"));
        assert!(is_match("[api]", "i"));
        // No expression, so a text.
        assert!(is_match("foo(", "call foo(1)"));
        assert!(is_match("Foo(", "call Foo(1)"));
        assert_eq!(Pattern::new("a").places("banana"), [1..2, 3..4, 5..6]);
    }
}
