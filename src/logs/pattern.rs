//! What a search looks for: it is matched against many lines at once.
//!
//! A line matches as if it stood alone, so no match reaches over the end of a line. A literal
//! is found by its bytes; a regular expression runs over the whole text, and only where what
//! it finds reaches into another line is that line looked at by itself.

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Pattern(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Literal(Box<Finder<'static>>),
    Regex {
        /// `^` and `$` are at the ends of lines.
        many: Regex,
        one: Regex,
        /// It speaks of the beginning or end of the text, which only a line alone has.
        anchored: bool,
    },
}

impl Default for Pattern {
    /// Every line has it.
    fn default() -> Self {
        Self(Kind::Literal(Box::new(Finder::new("").into_owned())))
    }
}

impl Pattern {
    /// These very characters.
    ///
    /// # Errors
    /// It is longer than a regular expression may be, where case does not count.
    pub fn literal(text: &str, ignore_case: bool) -> Result<Self, regex::Error> {
        if ignore_case {
            return Self::regex(&regex::escape(text), true);
        }
        let finder = Finder::new(text).into_owned();
        Ok(Self(Kind::Literal(Box::new(finder))))
    }

    /// A regular expression, matched against each line; `.` is any character but a carriage
    /// return.
    ///
    /// # Errors
    /// It is none.
    pub fn regex(text: &str, ignore_case: bool) -> Result<Self, regex::Error> {
        let plain = regex::escape(text) == text;
        if plain && !ignore_case && !text.is_empty() {
            return Self::literal(text, false);
        }
        let build = |multi_line: bool| {
            RegexBuilder::new(text)
                .case_insensitive(ignore_case)
                .multi_line(multi_line)
                .crlf(true)
                .build()
        };
        Ok(Self(Kind::Regex {
            many: build(true)?,
            one: build(false)?,
            anchored: text.contains("\\A") || text.contains("\\z"),
        }))
    }

    /// Whether the line has it.
    #[must_use]
    pub fn is_match(&self, line: &[u8]) -> bool {
        match &self.0 {
            Kind::Literal(finder) => finder.find(line).is_some(),
            Kind::Regex { one, .. } => one.is_match(line),
        }
    }

    /// Where in the line it is: first and last byte of each place.
    pub fn find_iter<'a>(
        &'a self,
        line: &'a [u8],
    ) -> Box<dyn Iterator<Item = (usize, usize)> + 'a> {
        match &self.0 {
            Kind::Literal(finder) => {
                let len = finder.needle().len();
                Box::new(finder.find_iter(line).map(move |at| (at, at + len)))
            }
            Kind::Regex { one, .. } => Box::new(
                one.find_iter(line)
                    .map(|found| (found.start(), found.end())),
            ),
        }
    }

    /// Calls `found` with the start and the newline of every line of `text` that has it. Each
    /// line ends with a newline.
    pub(super) fn lines(&self, text: &[u8], mut found: impl FnMut(usize, usize)) {
        let mut from = 0;
        while from < text.len() {
            let Some(at) = self.next(text, from) else {
                return;
            };
            let start = memchr::memrchr(b'\n', &text[from..at]).map_or(from, |n| from + n + 1);
            let newline = memchr::memchr(b'\n', &text[at..]).map_or(text.len(), |n| at + n);
            if self.holds(text, at, start, newline) {
                found(start, newline);
            }
            from = newline + 1;
        }
    }

    /// Where the next line that may have it has it.
    fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        match &self.0 {
            Kind::Literal(finder) => Some(from + finder.find(&text[from..])?),
            Kind::Regex { anchored: true, .. } => Some(from),
            Kind::Regex { many, .. } => {
                let at = many.find_at(text, from)?.start();
                // An empty match behind the last newline is in no line.
                (at < text.len()).then_some(at)
            }
        }
    }

    fn holds(&self, text: &[u8], at: usize, start: usize, newline: usize) -> bool {
        match &self.0 {
            Kind::Literal(finder) => at + finder.needle().len() <= newline,
            Kind::Regex { .. } => {
                let end = newline - usize::from(newline > start && text[newline - 1] == b'\r');
                self.is_match(&text[start..end])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(pattern: &Pattern, text: &str) -> Vec<String> {
        let mut lines = Vec::new();
        pattern.lines(text.as_bytes(), |start, newline| {
            lines.push(text[start..newline].trim_end_matches('\r').to_owned());
        });
        lines
    }

    #[test]
    fn no_match_reaches_over_the_end_of_a_line() {
        let text = "a b\nb\r\n\nab\n";
        let regex = |text: &str| Pattern::regex(text, false).unwrap();
        assert_eq!(found(&regex(r"a\s"), text), ["a b"]);
        assert_eq!(found(&regex(r"b$"), text), ["a b", "b", "ab"]);
        assert_eq!(found(&regex(r"^b"), text), ["b"]);
        assert_eq!(found(&regex(r"^$"), text), [""]);
        assert_eq!(found(&regex(r"[^a]b"), text), ["a b"]);
        assert_eq!(found(&regex(r"\Aa"), text), ["a b", "ab"]);
        assert_eq!(found(&regex("ab"), text), ["ab"]);
        let literal = Pattern::literal("b\nb", false).unwrap();
        assert!(found(&literal, text).is_empty());
        assert_eq!(found(&Pattern::regex("AB", true).unwrap(), text), ["ab"]);
    }

    proptest! {
        #[test]
        fn many_lines_match_as_each_alone(
            lines in prop::collection::vec("[ab \r]{0,4}", 0..12),
            pattern in prop::sample::select(vec![
                "a", "ab", "a.b", r"a\s*b", "^a", "b$", "^$", r"\s", "[^a]", "(a|b)+$", r"\bb", "", "x*",
            ]),
        ) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let pattern = Pattern::regex(pattern, false).unwrap();
            let alone: Vec<String> = text.split_inclusive('\n')
                .map(|line| line.trim_end_matches('\n'))
                .filter(|line| pattern.is_match(line.strip_suffix('\r').unwrap_or(line).as_bytes()))
                .map(|line| line.trim_end_matches('\r').to_owned())
                .collect();
            prop_assert_eq!(found(&pattern, &text), alone);
        }
    }
}
