//! Keys, pasted texts and the mouse as a terminal of the xterm family sends them to its
//! programs. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use vt100::{MouseProtocolEncoding as Encoding, MouseProtocolMode as Mode};

/// What a key sends. `application`: the program has asked for the other form of arrows.
#[must_use]
pub(super) fn key(key: KeyEvent, application: bool) -> Vec<u8> {
    let held = |modifier| key.modifiers.contains(modifier);
    let (ctrl, alt, shift) = (
        held(KeyModifiers::CONTROL),
        held(KeyModifiers::ALT),
        held(KeyModifiers::SHIFT),
    );
    let modifier = 1 + u8::from(shift) + 2 * u8::from(alt) + 4 * u8::from(ctrl);
    let letter = |last: char| match (modifier, application) {
        (1, true) => format!("\x1bO{last}").into_bytes(),
        (1, false) => format!("\x1b[{last}").into_bytes(),
        (_, _) => format!("\x1b[1;{modifier}{last}").into_bytes(),
    };
    let number = |number: u8| match modifier {
        1 => format!("\x1b[{number}~").into_bytes(),
        _ => format!("\x1b[{number};{modifier}~").into_bytes(),
    };
    // Escape before a key is what Alt has always sent.
    let with_alt = |bytes: &[u8]| {
        let mut sent = Vec::with_capacity(bytes.len() + 1);
        if alt {
            sent.push(0x1b);
        }
        sent.extend_from_slice(bytes);
        sent
    };
    match key.code {
        KeyCode::Char(c) if ctrl => match control(c) {
            Some(byte) => with_alt(&[byte]),
            None => with_alt(c.encode_utf8(&mut [0; 4]).as_bytes()),
        },
        KeyCode::Char(c) => with_alt(c.encode_utf8(&mut [0; 4]).as_bytes()),
        KeyCode::Enter => with_alt(b"\r"),
        KeyCode::Tab => with_alt(b"\t"),
        KeyCode::BackTab => b"\x1b[Z".to_vec(),
        KeyCode::Backspace if ctrl => with_alt(b"\x08"),
        KeyCode::Backspace => with_alt(b"\x7f"),
        KeyCode::Esc => with_alt(b"\x1b"),
        KeyCode::Up => letter('A'),
        KeyCode::Down => letter('B'),
        KeyCode::Right => letter('C'),
        KeyCode::Left => letter('D'),
        KeyCode::Home => letter('H'),
        KeyCode::End => letter('F'),
        KeyCode::Insert => number(2),
        KeyCode::Delete => number(3),
        KeyCode::PageUp => number(5),
        KeyCode::PageDown => number(6),
        KeyCode::F(n @ 1..=4) => {
            let last = char::from(b'P' + n - 1);
            match modifier {
                1 => format!("\x1bO{last}").into_bytes(),
                _ => format!("\x1b[1;{modifier}{last}").into_bytes(),
            }
        }
        KeyCode::F(5) => number(15),
        KeyCode::F(n @ 6..=10) => number(n + 11),
        KeyCode::F(n @ 11..=12) => number(n + 12),
        // What no key of such a terminal sends.
        _ => Vec::new(),
    }
}

/// The control character of a key that is held with Ctrl.
fn control(c: char) -> Option<u8> {
    match c.to_ascii_lowercase() {
        letter @ 'a'..='z' => Some(letter as u8 - b'a' + 1),
        ' ' | '@' | '2' => Some(0),
        '[' | '3' => Some(0x1b),
        '\\' | '4' => Some(0x1c),
        ']' | '5' => Some(0x1d),
        '^' | '6' => Some(0x1e),
        '_' | '7' | '/' => Some(0x1f),
        '8' | '?' => Some(0x7f),
        _ => None,
    }
}

/// What pasting sends: lines end as Enter ends them.
#[must_use]
pub(super) fn paste(text: &str, bracketed: bool) -> Vec<u8> {
    let lines = text.replace("\r\n", "\r").replace('\n', "\r");
    if bracketed {
        // A text that ends the brackets by itself would be taken for typed from there on.
        let inner = lines.replace("\x1b[201~", "");
        format!("\x1b[200~{inner}\x1b[201~").into_bytes()
    } else {
        lines.into_bytes()
    }
}

/// What the mouse sends, at a row and column from 0; `None`: the program did not ask for it.
#[must_use]
pub(super) fn mouse(
    event: MouseEvent,
    (row, column): (u16, u16),
    mode: Mode,
    encoding: Encoding,
) -> Option<Vec<u8>> {
    const MOVED: u8 = 32;
    const WHEEL: u8 = 64;
    let button = |button| match button {
        MouseButton::Left => 0,
        MouseButton::Middle => 1,
        MouseButton::Right => 2,
    };
    let presses = mode != Mode::None;
    let releases = presses && mode != Mode::Press;
    let (wanted, code, released) = match event.kind {
        MouseEventKind::Down(which) => (presses, button(which), false),
        MouseEventKind::Up(which) => (releases, button(which), true),
        MouseEventKind::Drag(which) => (
            matches!(mode, Mode::ButtonMotion | Mode::AnyMotion),
            button(which) + MOVED,
            false,
        ),
        MouseEventKind::Moved => (mode == Mode::AnyMotion, 3 + MOVED, false),
        MouseEventKind::ScrollUp => (presses, WHEEL, false),
        MouseEventKind::ScrollDown => (presses, WHEEL + 1, false),
        MouseEventKind::ScrollLeft => (presses, WHEEL + 2, false),
        MouseEventKind::ScrollRight => (presses, WHEEL + 3, false),
    };
    if !wanted {
        return None;
    }
    let held = |modifier, bit| {
        if event.modifiers.contains(modifier) {
            bit
        } else {
            0
        }
    };
    let code = code
        + held(KeyModifiers::SHIFT, 4)
        + held(KeyModifiers::ALT, 8)
        + held(KeyModifiers::CONTROL, 16);
    let (row, column) = (u32::from(row) + 1, u32::from(column) + 1);
    Some(match encoding {
        Encoding::Sgr => {
            let last = if released { 'm' } else { 'M' };
            format!("\x1b[<{code};{column};{row}{last}").into_bytes()
        }
        Encoding::Default | Encoding::Utf8 => {
            // Which button it was is not told by this form.
            let code = if released { code | 3 } else { code };
            let mut bytes = b"\x1b[M".to_vec();
            for number in [u32::from(code), column, row] {
                let number = number + 32;
                match (encoding, char::from_u32(number)) {
                    (Encoding::Utf8, Some(c)) => {
                        bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    // Further away than one byte reaches.
                    (_, _) => bytes.push(u8::try_from(number).unwrap_or(u8::MAX)),
                }
            }
            bytes
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(code: KeyCode, modifiers: KeyModifiers, application: bool) -> String {
        let bytes = key(KeyEvent::new(code, modifiers), application);
        String::from_utf8(bytes).unwrap().replace('\x1b', "^[")
    }

    #[test]
    fn keys_are_sent_as_xterm_sends_them() {
        const NONE: KeyModifiers = KeyModifiers::NONE;
        const CTRL: KeyModifiers = KeyModifiers::CONTROL;
        const ALT: KeyModifiers = KeyModifiers::ALT;
        for (code, modifiers, expected) in [
            (KeyCode::Char('a'), NONE, "a"),
            (KeyCode::Char('é'), NONE, "é"),
            (KeyCode::Char('c'), CTRL, "\x03"),
            (KeyCode::Char('x'), ALT, "^[x"),
            (KeyCode::Char('4'), CTRL, "\x1c"),
            (KeyCode::Enter, NONE, "\r"),
            (KeyCode::Backspace, NONE, "\x7f"),
            (KeyCode::Esc, NONE, "^["),
            (KeyCode::Up, NONE, "^[[A"),
            (KeyCode::Up, CTRL, "^[[1;5A"),
            (KeyCode::End, NONE, "^[[F"),
            (KeyCode::Delete, NONE, "^[[3~"),
            (KeyCode::PageUp, KeyModifiers::SHIFT, "^[[5;2~"),
            (KeyCode::F(1), NONE, "^[OP"),
            (KeyCode::F(5), NONE, "^[[15~"),
            (KeyCode::F(6), NONE, "^[[17~"),
            (KeyCode::F(10), NONE, "^[[21~"),
            (KeyCode::F(12), NONE, "^[[24~"),
            (KeyCode::BackTab, NONE, "^[[Z"),
        ] {
            assert_eq!(sent(code, modifiers, false), expected, "{code:?}");
        }
        assert_eq!(sent(KeyCode::Up, NONE, true), "^[OA");
        assert_eq!(sent(KeyCode::Left, ALT, true), "^[[1;3D");
    }

    #[test]
    fn what_is_pasted_cannot_break_out() {
        assert_eq!(paste("a\nb", false), b"a\rb");
        assert_eq!(paste("a\x1b[201~b", true), b"\x1b[200~ab\x1b[201~".to_vec());
    }

    #[test]
    fn the_mouse_is_sent_to_who_asks_for_it() {
        let event = |kind| MouseEvent {
            kind,
            column: 0,
            row: 0,
            modifiers: KeyModifiers::NONE,
        };
        let down = event(MouseEventKind::Down(MouseButton::Left));
        let up = event(MouseEventKind::Up(MouseButton::Left));
        assert_eq!(mouse(down, (4, 9), Mode::None, Encoding::Sgr), None);
        let sgr = |event| mouse(event, (4, 9), Mode::PressRelease, Encoding::Sgr).unwrap();
        assert_eq!(sgr(down), b"\x1b[<0;10;5M");
        assert_eq!(sgr(up), b"\x1b[<0;10;5m");
        assert_eq!(sgr(event(MouseEventKind::ScrollDown)), b"\x1b[<65;10;5M");
        let old = mouse(down, (4, 9), Mode::Press, Encoding::Default).unwrap();
        assert_eq!(old, [0x1b, b'[', b'M', 32, 42, 37]);
        assert_eq!(mouse(up, (4, 9), Mode::Press, Encoding::Default), None);
    }
}
