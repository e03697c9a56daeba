//! What a unit wrote, made safe for a terminal.
//!
//! A unit's colours (SGR) pass; every other escape sequence and control character is shown
//! as text, so that no unit can move the cursor, rename the window or answer for the
//! keyboard. This module must not know where the text goes.

use std::borrow::Cow;

/// How much of a split sequence is kept for its other half. None that means colour is as
/// long.
const MAX_CARRY: usize = 64;

/// How much of the colours in force is kept from line to line.
const MAX_SGR: usize = 128;

const RESET: &str = "\u{1b}[0m";

/// The state of one stream between its lines.
#[derive(Clone, Debug, Default)]
pub struct Sanitizer {
    /// The sequences that set the colours in force.
    sgr: String,
    /// The beginning of a sequence or character whose rest comes with the next piece.
    carry: Vec<u8>,
}

impl Sanitizer {
    /// The line for a terminal. Colours that it leaves on are ended at its end and set again
    /// in the next line. `continued`: the next line is more of the same line, so a sequence
    /// may be split between them.
    pub fn line(&mut self, bytes: &[u8], continued: bool) -> String {
        let bytes: Cow<'_, [u8]> = if self.carry.is_empty() {
            bytes.into()
        } else {
            let mut joined = std::mem::take(&mut self.carry);
            joined.extend_from_slice(bytes);
            joined.into()
        };
        let (bytes, carry) = if continued {
            bytes.split_at(bytes.len() - unfinished(&bytes))
        } else {
            (&*bytes, &[][..])
        };
        let mut out = self.sgr.clone();
        for chunk in bytes.utf8_chunks() {
            self.text(chunk.valid(), &mut out);
            for byte in chunk.invalid() {
                push_hex(*byte, &mut out);
            }
        }
        if !self.sgr.is_empty() {
            out.push_str(RESET);
        }
        let carry = carry.to_vec();
        self.carry = carry;
        out
    }

    fn text(&mut self, text: &str, out: &mut String) {
        let mut rest = text;
        while let Some(at) = rest.find(is_control) {
            let (plain, tail) = rest.split_at(at);
            out.push_str(plain);
            if let Some(length) = sgr_length(tail.as_bytes()) {
                let (sequence, after) = tail.split_at(length);
                out.push_str(sequence);
                self.remember(sequence);
                rest = after;
                continue;
            }
            let mut chars = tail.chars();
            if let Some(control) = chars.next() {
                push_control(control, out);
            }
            rest = chars.as_str();
        }
        out.push_str(rest);
    }

    fn remember(&mut self, sequence: &str) {
        let parameters = &sequence[2..sequence.len() - 1];
        let starts_anew = parameters.split(';').next().is_none_or(is_zero);
        if starts_anew {
            self.sgr.clear();
        }
        let only_resets = parameters.split(';').all(is_zero);
        if !only_resets {
            if self.sgr.len() + sequence.len() > MAX_SGR {
                self.sgr.clear();
            }
            self.sgr.push_str(sequence);
        }
    }
}

fn is_zero(parameter: &str) -> bool {
    parameter.bytes().all(|byte| byte == b'0')
}

/// Tabs are as harmless as spaces. The last range reorders text, so that a line may show
/// what it does not say.
fn is_control(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The length of the colour sequence that `bytes` begins with.
fn sgr_length(bytes: &[u8]) -> Option<usize> {
    let parameters = bytes.strip_prefix(b"\x1b[")?;
    let length = parameters
        .iter()
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (length <= MAX_CARRY && parameters[length] == b'm').then_some(length + 3)
}

/// How many bytes at the end may be the beginning of a colour sequence or of a character.
fn unfinished(bytes: &[u8]) -> usize {
    let tail = &bytes[bytes.len().saturating_sub(MAX_CARRY)..];
    if let Some(at) = memchr::memrchr(0x1b, tail) {
        let after = &tail[at + 1..];
        let is_open = match after.split_first() {
            None => true,
            Some((b'[', parameters)) => parameters
                .iter()
                .all(|byte| matches!(byte, b'0'..=b'9' | b';' | b':')),
            Some(_) => false,
        };
        if is_open {
            return tail.len() - at;
        }
    }
    // A character is cut if the bytes end before it does.
    (1..=3.min(bytes.len()))
        .find(|&length| {
            let first = bytes[bytes.len() - length];
            let needed = match first {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return false,
            };
            needed > length
        })
        .unwrap_or(0)
}

fn push_control(control: char, out: &mut String) {
    match u32::from(control) {
        // The pictures of the C0 controls stand in their order.
        code @ 0..=0x1f => out.extend(char::from_u32(0x2400 + code)),
        0x7f => out.push('\u{2421}'),
        code @ 0x80..=0x9f => push_hex(code as u8, out),
        code => out.push_str(&format!("\\u{{{code:x}}}")),
    }
}

fn push_hex(byte: u8, out: &mut String) {
    out.push_str(&format!("\\x{byte:02x}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(bytes: &[u8]) -> String {
        Sanitizer::default().line(bytes, false)
    }

    #[test]
    fn colours_pass_and_end_with_the_line() {
        assert_eq!(one(b"\x1b[31mred\x1b[0m plain"), "\x1b[31mred\x1b[0m plain");
        assert_eq!(one(b"\x1b[31mred\x1b[m"), "\x1b[31mred\x1b[m");
        assert_eq!(one(b"\x1b[38;2;1;2;3mx"), "\x1b[38;2;1;2;3mx\x1b[0m");
    }

    #[test]
    fn colours_go_on_in_the_next_line() {
        let mut stream = Sanitizer::default();
        assert_eq!(
            stream.line(b"\x1b[1m\x1b[31ma", false),
            "\x1b[1m\x1b[31ma\x1b[0m"
        );
        assert_eq!(stream.line(b"b", false), "\x1b[1m\x1b[31mb\x1b[0m");
        assert_eq!(
            stream.line(b"c\x1b[0;32md", false),
            "\x1b[1m\x1b[31mc\x1b[0;32md\x1b[0m"
        );
        assert_eq!(stream.line(b"\x1b[0m", false), "\x1b[0;32m\x1b[0m");
        assert_eq!(stream.line(b"e", false), "e");
    }

    #[test]
    fn all_else_is_shown_as_text() {
        assert_eq!(one(b"\x1b[2J\x1b[H"), "␛[2J␛[H");
        assert_eq!(one(b"\x1b]0;title\x07x"), "␛]0;title␇x");
        assert_eq!(one(b"\x1b]8;;http://x\x1b\\y"), "␛]8;;http://x␛\\y");
        assert_eq!(one(b"10%\r20%\x08\x7f\ttab"), "10%␍20%␈␡\ttab");
        assert_eq!(one("\u{9b}31mx \u{90}q".as_bytes()), "\\x9b31mx \\x90q");
        assert_eq!(one(b"\x9b2Jx \xff"), "\\x9b2Jx \\xff");
        assert_eq!(one("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(one(b"\x1b[>4;2m"), "␛[>4;2m");
        assert_eq!(one(b"\x1b[31"), "␛[31");
        assert_eq!(one("ä€😀".as_bytes()), "ä€😀");
    }

    #[test]
    fn a_title_split_by_a_newline_sets_no_title() {
        let mut stream = Sanitizer::default();
        assert_eq!(stream.line(b"\x1b]0;ti", false), "␛]0;ti");
        assert_eq!(stream.line(b"tle\x07", false), "tle␇");
    }

    #[test]
    fn what_is_split_within_a_line_is_joined() {
        let mut stream = Sanitizer::default();
        assert_eq!(stream.line(b"a\x1b[3", true), "a");
        assert_eq!(stream.line(b"1mred\x1b[0", true), "\x1b[31mred\x1b[0m");
        assert_eq!(stream.line("m\u{e4}".as_bytes(), false), "\x1b[31m\x1b[0mä");
        let (first, second) = "€".as_bytes().split_at(2);
        assert_eq!(stream.line(first, true), "");
        assert_eq!(stream.line(second, false), "€");
        assert_eq!(stream.line(b"\x1b[2", true), "");
        assert_eq!(stream.line(b"J", false), "␛[2J");
    }

    proptest! {
        #[test]
        fn no_bytes_bring_a_control_to_the_terminal(
            lines in prop::collection::vec(
                (prop::collection::vec(prop_oneof![
                    any::<u8>(), Just(0x1b), Just(b'['), Just(b'm'), Just(b'1'), Just(0xc2), Just(0x9b),
                ], 0..40), any::<bool>()),
                0..6,
            ),
        ) {
            let mut stream = Sanitizer::default();
            for (bytes, continued) in lines {
                let shown = stream.line(&bytes, continued);
                let mut rest = shown.as_str();
                while let Some(at) = rest.find(is_control) {
                    let tail = &rest[at..];
                    let length = sgr_length(tail.as_bytes());
                    prop_assert!(length.is_some(), "{shown:?}");
                    rest = &tail[length.unwrap()..];
                }
            }
        }
    }
}
