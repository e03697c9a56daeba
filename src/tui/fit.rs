//! Texts of any kind in a given number of columns.
//!
//! Names and reasons come from files and programs: they may hold control characters, wide
//! characters and marks that have no width of their own.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

/// How many columns it takes.
#[must_use]
pub fn width(text: &str) -> usize {
    if is_plain(text) {
        return text.len();
    }
    text.graphemes(true).map(grapheme_width).sum()
}

/// Columns of one grapheme, as the terminal's buffer counts them.
#[must_use]
pub fn grapheme_width(grapheme: &str) -> usize {
    grapheme.width()
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Whether the character would do something to a terminal, or reorder what stands there.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// In one line, without anything that a terminal obeys.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return text.into();
    }
    let shown = |c: char| match u32::from(c) {
        0x09..=0x0d => ' ',
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or(' '),
        0x7f => '\u{2421}',
        _ => '\u{fffd}',
    };
    text.chars()
        .map(|c| if is_control(c) { shown(c) } else { c })
        .collect::<String>()
        .into()
}

/// As much of it as fits, with `…` where something is left out.
#[must_use]
pub fn clip(text: &str, columns: usize) -> Cow<'_, str> {
    let text = clean(text);
    if width(&text) <= columns {
        return text;
    }
    if columns == 0 {
        return "".into();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme_width(grapheme);
        if used + wide > columns - 1 {
            break;
        }
        out.push_str(grapheme);
        used += wide;
    }
    out.push('…');
    out.into()
}

/// Its beginning and its end, which tell instances of a unit apart.
#[must_use]
pub fn clip_middle(text: &str, columns: usize) -> Cow<'_, str> {
    let text = clean(text);
    if width(&text) <= columns || columns < 5 {
        return clip(&text, columns).into_owned().into();
    }
    let head = (columns - 1) / 2;
    let tail = columns - 1 - head;
    let mut start = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = grapheme_width(grapheme);
        if used + wide > head {
            break;
        }
        start.push_str(grapheme);
        used += wide;
    }
    let mut end: Vec<&str> = Vec::new();
    let mut used = 0;
    for grapheme in text.graphemes(true).rev() {
        let wide = grapheme_width(grapheme);
        if used + wide > tail {
            break;
        }
        end.push(grapheme);
        used += wide;
    }
    end.reverse();
    format!("{start}…{}", end.concat()).into()
}

/// Clipped, and filled up with spaces on the right.
#[must_use]
pub fn pad(text: &str, columns: usize) -> String {
    let clipped = clip(text, columns);
    let fill = columns.saturating_sub(width(&clipped));
    format!("{clipped}{:fill$}", "")
}

/// Clipped, and filled up with spaces on the left.
#[must_use]
pub fn pad_left(text: &str, columns: usize) -> String {
    let clipped = clip(text, columns);
    let fill = columns.saturating_sub(width(&clipped));
    format!("{:fill$}{clipped}", "")
}

/// Broken into lines at spaces where that can be.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let text = clean(text);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_word_bounds() {
        let wide = width(word);
        if used + wide > columns && used > 0 {
            lines.push(String::new());
            used = 0;
            if word.trim().is_empty() {
                continue;
            }
        }
        for grapheme in word.graphemes(true) {
            let wide = grapheme_width(grapheme);
            if wide > columns {
                // Nowhere does it fit.
                continue;
            }
            if used + wide > columns {
                lines.push(String::new());
                used = 0;
            }
            if let Some(last) = lines.last_mut() {
                last.push_str(grapheme);
            }
            used += wide;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_does_not_fit_says_so() {
        assert_eq!(clip("database", 8), "database");
        assert_eq!(clip("database", 5), "data…");
        assert_eq!(clip("日本語", 4), "日…");
        assert_eq!(clip("x", 0), "");
        assert_eq!(clip("a\nb\u{1b}[2J\u{202e}", 20), "a b␛[2J\u{fffd}");
        assert_eq!(clip_middle("service-number-12", 9), "serv…r-12");
        assert_eq!(pad("ab", 4), "ab  ");
        assert_eq!(pad_left("ab", 4), "  ab");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdef", 4), ["abcd", "ef"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_place(text in "\\PC{0,40}|[\\x00-\\x1f日é🏳️‍🌈\u{301}a ]{0,40}", columns in 0usize..30) {
            prop_assert!(width(&clip(&text, columns)) <= columns);
            prop_assert!(width(&clip_middle(&text, columns)) <= columns);
            prop_assert_eq!(width(&pad(&text, columns)), columns);
            if columns > 1 {
                for line in wrap(&text, columns) {
                    prop_assert!(width(&line) <= columns, "{line:?}");
                }
            }
        }
    }
}
