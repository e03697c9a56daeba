//! One line in as many rows as it takes.

use std::borrow::Cow;
use std::ops::Range;

use ratatui::style::Style;
use unicode_segmentation::UnicodeSegmentation as _;

use super::ansi::pieces;
use super::scan::Pattern;
use crate::logs::Level;
use crate::tui::fit;
use crate::tui::theme::{Theme, Tone};

/// Bytes of one line that are laid out: what a screen shows in a glance, many times over.
const MOST: usize = 64 << 10;

/// Rows of styled text, none wider than asked for.
pub type Laid = Vec<Vec<(Style, String)>>;

/// How a line is shown.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Columns.
    pub width: usize,
    pub wrap: bool,
    /// Columns to the left that are left out, unless it wraps.
    pub pan: usize,
    /// JSON over several lines.
    pub pretty: bool,
}

/// How many rows the line takes.
#[must_use]
pub fn row_count(bytes: &[u8], shape: Shape) -> usize {
    if shape.pretty && looks_like_json(bytes) {
        return lay(bytes, shape, None, None).len();
    }
    if !shape.wrap {
        return 1;
    }
    let width = shape.width.max(1);
    let bytes = &bytes[..bytes.len().min(MOST)];
    if bytes.len() <= width && bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return 1;
    }
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        return bytes.len().div_ceil(width);
    }
    lay(bytes, shape, None, None).len()
}

/// The rows of the line, with matches marked, and with the word that tells its level in
/// colour if it brings no colours of its own.
#[must_use]
pub fn lay(
    bytes: &[u8],
    shape: Shape,
    pattern: Option<(&Pattern, Style)>,
    theme: Option<&Theme>,
) -> Laid {
    if shape.pretty
        && let Some(lines) = pretty(bytes)
    {
        let shape = Shape {
            pretty: false,
            ..shape
        };
        return lines
            .iter()
            .flat_map(|line| lay(line.as_bytes(), shape, pattern, theme))
            .collect();
    }
    let pieces = pieces(bytes, MOST);
    let bare = pieces.iter().all(|piece| piece.style == Style::new());
    let whole: Cow<'_, str> = match &pieces[..] {
        [one] => Cow::Borrowed(&*one.text),
        several => several
            .iter()
            .map(|piece| &*piece.text)
            .collect::<String>()
            .into(),
    };
    let mut marks: Vec<(Range<usize>, Style)> = Vec::new();
    if let Some(theme) = theme.filter(|_| bare)
        && let Some((range, tone)) = level(&whole)
    {
        marks.push((range, theme.tone(tone)));
    }
    if let Some((pattern, style)) = pattern {
        marks.extend(
            pattern
                .places(&whole)
                .into_iter()
                .map(|range| (range, style)),
        );
    }
    let mut rows = Rows::new(shape);
    let mut offset = 0;
    for piece in &pieces {
        if marks.is_empty() {
            rows.run(piece.style, &piece.text);
        } else {
            for (at, grapheme) in piece.text.grapheme_indices(true) {
                let at = offset + at;
                let style = (marks.iter().rev())
                    .find(|(range, _)| range.contains(&at))
                    .map_or(piece.style, |(_, mark)| piece.style.patch(*mark));
                rows.grapheme(style, grapheme);
            }
        }
        offset += piece.text.len();
    }
    rows.done
}

struct Rows {
    shape: Shape,
    done: Laid,
    /// Columns used in the last row, or passed over while panning.
    used: usize,
    skipped: usize,
    is_full: bool,
}

impl Rows {
    fn new(shape: Shape) -> Self {
        Self {
            shape,
            done: vec![Vec::new()],
            used: 0,
            skipped: 0,
            is_full: false,
        }
    }

    fn run(&mut self, style: Style, text: &str) {
        let plain = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if !plain {
            for grapheme in text.graphemes(true) {
                self.grapheme(style, grapheme);
            }
            return;
        }
        let mut rest = text;
        if !self.shape.wrap {
            let skip = (self.shape.pan - self.skipped.min(self.shape.pan)).min(rest.len());
            self.skipped += skip;
            let room = self.shape.width.saturating_sub(self.used);
            let shown = &rest[skip..];
            let shown = &shown[..shown.len().min(room)];
            self.used += shown.len();
            self.push(style, shown);
            return;
        }
        while !rest.is_empty() {
            let room = self.shape.width.max(1).saturating_sub(self.used);
            if room == 0 {
                self.done.push(Vec::new());
                self.used = 0;
                continue;
            }
            let (head, tail) = rest.split_at(rest.len().min(room));
            self.used += head.len();
            self.push(style, head);
            rest = tail;
        }
    }

    fn grapheme(&mut self, style: Style, grapheme: &str) {
        let wide = fit::grapheme_width(grapheme);
        if self.shape.wrap {
            if self.used + wide > self.shape.width.max(1) && self.used > 0 {
                self.done.push(Vec::new());
                self.used = 0;
            }
            if wide > self.shape.width {
                return;
            }
        } else {
            if self.skipped < self.shape.pan {
                self.skipped += wide;
                return;
            }
            if self.is_full || self.used + wide > self.shape.width {
                self.is_full = true;
                return;
            }
        }
        self.used += wide;
        self.push(style, grapheme);
    }

    fn push(&mut self, style: Style, text: &str) {
        let Some(row) = self.done.last_mut() else {
            return;
        };
        if text.is_empty() {
            return;
        }
        match row.last_mut() {
            Some((last, run)) if *last == style => run.push_str(text),
            Some(_) | None => row.push((style, text.to_owned())),
        }
    }
}

/// What tells how serious a line is: its field, in JSON and logfmt, else a word near the
/// beginning.
fn level(text: &str) -> Option<(Range<usize>, Tone)> {
    if let Some((level, range)) = Level::of(text.as_bytes()) {
        let tone = match level {
            Level::Trace | Level::Debug => Tone::Dim,
            Level::Info => Tone::Info,
            Level::Warn => Tone::Warning,
            Level::Error | Level::Fatal => Tone::Bad,
        };
        return Some((range, tone));
    }
    const NEAR: usize = 96;
    const WORDS: [(&str, Tone); 12] = [
        ("error", Tone::Bad),
        ("fatal", Tone::Bad),
        ("panic", Tone::Bad),
        ("panicked", Tone::Bad),
        ("critical", Tone::Bad),
        ("err", Tone::Bad),
        ("warning", Tone::Warning),
        ("warn", Tone::Warning),
        ("info", Tone::Info),
        ("notice", Tone::Info),
        ("debug", Tone::Dim),
        ("trace", Tone::Dim),
    ];
    let bytes = &text.as_bytes()[..text.len().min(NEAR)];
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphabetic() {
            at += 1;
            continue;
        }
        let length = bytes[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
            .count();
        let word = &bytes[at..at + length];
        let known = WORDS
            .iter()
            .find(|(known, _)| word.eq_ignore_ascii_case(known.as_bytes()));
        if let Some((_, tone)) = known {
            return Some((at..at + length, *tone));
        }
        at += length;
    }
    None
}

fn looks_like_json(bytes: &[u8]) -> bool {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

fn pretty(bytes: &[u8]) -> Option<Vec<String>> {
    if !looks_like_json(bytes) || bytes.len() > MOST {
        return None;
    }
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let text = serde_json::to_string_pretty(&value).ok()?;
    Some(text.lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tui::theme::ThemeName;

    fn shape(width: usize, wrap: bool, pan: usize) -> Shape {
        Shape {
            width,
            wrap,
            pan,
            pretty: false,
        }
    }

    fn texts(laid: &Laid) -> Vec<String> {
        let text = |row: &Vec<(Style, String)>| row.iter().map(|(_, text)| text.as_str()).collect();
        laid.iter().map(text).collect()
    }

    #[test]
    fn a_line_wraps_or_pans() {
        let line = "abcdefgh日本".as_bytes();
        assert_eq!(
            texts(&lay(line, shape(5, true, 0), None, None)),
            ["abcde", "fgh日", "本"]
        );
        assert_eq!(texts(&lay(line, shape(5, false, 0), None, None)), ["abcde"]);
        assert_eq!(texts(&lay(line, shape(5, false, 6), None, None)), ["gh日"]);
        assert_eq!(texts(&lay(b"", shape(5, true, 0), None, None)), [""]);
    }

    #[test]
    fn json_is_spread_out() {
        let pretty = Shape {
            pretty: true,
            ..shape(20, true, 0)
        };
        let line = br#"{"a":[1],"b":"x"}"#;
        assert_eq!(
            texts(&lay(line, pretty, None, None)),
            ["{", "  \"a\": [", "    1", "  ],", "  \"b\": \"x\"", "}"]
        );
        assert_eq!(row_count(line, pretty), 6);
        assert_eq!(row_count(b"no json", pretty), 1);
    }

    #[test]
    fn matches_and_levels_are_marked() {
        let theme = Theme::new(ThemeName::Dark);
        let pattern = Pattern::new("disk");
        let laid = lay(
            b"12:00 ERROR disk full",
            shape(40, false, 0),
            Some((&pattern, theme.hit)),
            Some(&theme),
        );
        let styled = |text: &str| {
            let run = laid[0].iter().find(|(_, run)| run == text);
            run.unwrap_or_else(|| panic!("{laid:?}")).0
        };
        assert_eq!(styled("ERROR"), theme.bad);
        assert_eq!(styled("disk"), theme.hit);
    }

    #[test]
    fn the_field_of_a_line_goes_before_its_words() {
        let far = "x".repeat(100);
        for (line, word, tone) in [
            (
                r#"{"msg":"no error","level":"info"}"#.to_owned(),
                "info",
                Tone::Info,
            ),
            (format!(r#"{{"msg":"{far}","level":50}}"#), "50", Tone::Bad),
            ("error=none lvl=wrn".to_owned(), "wrn", Tone::Warning),
            ("an Error came".to_owned(), "Error", Tone::Bad),
        ] {
            let (range, found) = level(&line).unwrap();
            assert_eq!((&line[range], found), (word, tone), "{line}");
        }
    }

    proptest! {
        #[test]
        fn rows_are_counted_as_they_are_laid(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'a'), Just(b'{')], 0..80),
            width in 1usize..12,
            wrap: bool,
            pan in 0usize..20,
        ) {
            let shape = Shape { width, wrap, pan, pretty: false };
            let laid = lay(&bytes, shape, None, None);
            prop_assert_eq!(row_count(&bytes, shape), laid.len());
            for row in texts(&laid) {
                prop_assert!(fit::width(&row) <= width, "{row:?}");
            }
        }
    }
}
