//! A line as a unit wrote it, in pieces of one style.
//!
//! Colours and weights (SGR) are taken over; every other escape sequence and control
//! character is shown as text, so that no unit can move the cursor or rename the window.

use std::borrow::Cow;

use ratatui::style::{Color, Modifier, Style};

use crate::tui::fit;

/// Text of one style, without controls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub style: Style,
    pub text: Cow<'a, str>,
}

/// Columns to which a tab goes on.
const TAB: usize = 8;

/// Cuts a line into pieces, at most `max` bytes of it.
#[must_use]
pub fn pieces(bytes: &[u8], max: usize) -> Vec<Piece<'_>> {
    let bytes = &bytes[..bytes.len().min(max)];
    let mut out = Vec::new();
    if bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        // Most lines.
        out.push(Piece {
            style: Style::new(),
            text: text.into(),
        });
        return out;
    }
    let mut style = Style::new();
    let mut column = 0;
    for chunk in bytes.utf8_chunks() {
        text(chunk.valid(), &mut style, &mut column, &mut out);
        if !chunk.invalid().is_empty() {
            let hex: String = (chunk.invalid().iter())
                .map(|byte| format!("\\x{byte:02x}"))
                .collect();
            column += hex.len();
            out.push(Piece {
                style,
                text: hex.into(),
            });
        }
    }
    out
}

fn text<'a>(text: &'a str, style: &mut Style, column: &mut usize, out: &mut Vec<Piece<'a>>) {
    let mut push = |style: Style, text: Cow<'a, str>, column: &mut usize| {
        if !text.is_empty() {
            *column += fit::width(&text);
            out.push(Piece { style, text });
        }
    };
    let mut rest = text;
    while let Some(at) = rest.find(fit::is_control) {
        let (plain, tail) = rest.split_at(at);
        push(*style, plain.into(), column);
        if let Some(length) = sgr_length(tail.as_bytes()) {
            *style = sgr(*style, &tail[2..length - 1]);
            rest = &tail[length..];
            continue;
        }
        let mut chars = tail.chars();
        match chars.next() {
            Some('\t') => {
                let fill = TAB - *column % TAB;
                push(*style, " ".repeat(fill).into(), column);
            }
            Some(control) => push(*style, picture(control).into(), column),
            None => {}
        }
        rest = chars.as_str();
    }
    push(*style, rest.into(), column);
}

fn picture(control: char) -> String {
    match u32::from(control) {
        // The pictures of the C0 controls stand in their order.
        code @ 0..=0x1f => char::from_u32(0x2400 + code).map_or_else(String::new, String::from),
        0x7f => "\u{2421}".to_owned(),
        code @ 0x80..=0x9f => format!("\\x{code:02x}"),
        code => format!("\\u{{{code:x}}}"),
    }
}

/// The length of the colour sequence that `bytes` begins with.
fn sgr_length(bytes: &[u8]) -> Option<usize> {
    const LONGEST: usize = 64;
    let parameters = bytes.strip_prefix(b"\x1b[")?;
    let length = (parameters.iter())
        .take(LONGEST)
        .position(|byte| !matches!(byte, b'0'..=b'9' | b';' | b':'))?;
    (parameters[length] == b'm').then_some(length + 3)
}

fn sgr(mut style: Style, parameters: &str) -> Style {
    let mut numbers = parameters
        .split([';', ':'])
        .map(|number| number.parse::<u16>().unwrap_or(0));
    while let Some(number) = numbers.next() {
        style = match number {
            0 => Style::new(),
            1 => style.add_modifier(Modifier::BOLD),
            2 => style.add_modifier(Modifier::DIM),
            3 => style.add_modifier(Modifier::ITALIC),
            4 => style.add_modifier(Modifier::UNDERLINED),
            7 => style.add_modifier(Modifier::REVERSED),
            9 => style.add_modifier(Modifier::CROSSED_OUT),
            22 => without(style, Modifier::BOLD | Modifier::DIM),
            23 => without(style, Modifier::ITALIC),
            24 => without(style, Modifier::UNDERLINED),
            27 => without(style, Modifier::REVERSED),
            29 => without(style, Modifier::CROSSED_OUT),
            30..=37 => style.fg(sixteen(number - 30)),
            38 => extended(&mut numbers).map_or(style, |color| style.fg(color)),
            39 => Style { fg: None, ..style },
            40..=47 => style.bg(sixteen(number - 40)),
            48 => extended(&mut numbers).map_or(style, |color| style.bg(color)),
            49 => Style { bg: None, ..style },
            90..=97 => style.fg(sixteen(number - 90 + 8)),
            100..=107 => style.bg(sixteen(number - 100 + 8)),
            _ => style,
        };
    }
    style
}

fn without(style: Style, modifier: Modifier) -> Style {
    Style {
        add_modifier: style.add_modifier - modifier,
        ..style
    }
}

/// By its number among the sixteen, so that the terminal's own palette counts.
fn sixteen(number: u16) -> Color {
    match number {
        0 => Color::Black,
        1 => Color::Red,
        2 => Color::Green,
        3 => Color::Yellow,
        4 => Color::Blue,
        5 => Color::Magenta,
        6 => Color::Cyan,
        7 => Color::Gray,
        8 => Color::DarkGray,
        9 => Color::LightRed,
        10 => Color::LightGreen,
        11 => Color::LightYellow,
        12 => Color::LightBlue,
        13 => Color::LightMagenta,
        14 => Color::LightCyan,
        _ => Color::White,
    }
}

fn extended(numbers: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let byte = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    match numbers.next()? {
        5 => Some(Color::Indexed(byte(numbers.next()?))),
        2 => Some(Color::Rgb(
            byte(numbers.next()?),
            byte(numbers.next()?),
            byte(numbers.next()?),
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(bytes: &[u8]) -> Vec<(String, Style)> {
        (pieces(bytes, usize::MAX).into_iter())
            .map(|piece| (piece.text.into_owned(), piece.style))
            .collect()
    }

    fn words(bytes: &[u8]) -> String {
        shown(bytes).into_iter().map(|(text, _)| text).collect()
    }

    #[test]
    fn colours_are_kept() {
        let red = Style::new().fg(Color::Red);
        assert_eq!(
            shown(b"a\x1b[31mb\x1b[1mc\x1b[0md"),
            [
                ("a".into(), Style::new()),
                ("b".into(), red),
                ("c".into(), red.add_modifier(Modifier::BOLD)),
                ("d".into(), Style::new()),
            ]
        );
        assert_eq!(
            shown(b"\x1b[38;5;200;48;2;1;2;3mx\x1b[39my"),
            [
                (
                    "x".into(),
                    Style::new().fg(Color::Indexed(200)).bg(Color::Rgb(1, 2, 3))
                ),
                ("y".into(), Style::new().bg(Color::Rgb(1, 2, 3))),
            ]
        );
        assert_eq!(shown(b"\x1b[94mx")[0].1, Style::new().fg(Color::LightBlue));
    }

    #[test]
    fn all_else_is_shown_as_text() {
        assert_eq!(words(b"\x1b[2J\x1b]0;t\x07x"), "␛[2J␛]0;t␇x");
        assert_eq!(words(b"a\tb"), "a       b");
        assert_eq!(words(b"\xff\xc3x"), "\\xff\\xc3x");
        assert_eq!(words("é日\u{202e}".as_bytes()), "é日\\u{202e}");
    }

    proptest! {
        #[test]
        fn no_bytes_bring_a_control_to_the_screen(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b'm'), Just(b';'), Just(b'3')], 0..60,
        )) {
            for piece in pieces(&bytes, usize::MAX) {
                prop_assert!(!piece.text.contains(fit::is_control));
            }
        }
    }
}
