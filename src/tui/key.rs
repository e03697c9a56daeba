//! Keys as a person writes them: `ctrl-r`, `f5`, `space`, `?`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// One key with what is held down beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    pub code: KeyCode,
    pub ctrl: bool,
    pub alt: bool,
}

/// A text that names no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key; keys are written such as `x`, `X`, `ctrl-x`, `alt-x`, `f5`, `space`, `pagedown`"
)]
pub struct NoKey(pub String);

const NAMES: [(&str, KeyCode); 16] = [
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backtab", KeyCode::BackTab),
    ("backspace", KeyCode::Backspace),
    ("space", KeyCode::Char(' ')),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
];

impl Key {
    #[must_use]
    pub const fn plain(code: KeyCode) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
        }
    }
}

impl From<KeyEvent> for Key {
    /// Shift is in the character already. What terminals send for ctrl-\\ to ctrl-_ is read as
    /// ctrl-4 to ctrl-7.
    fn from(event: KeyEvent) -> Self {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            KeyCode::Char(c @ '4'..='7') if ctrl => {
                KeyCode::Char(char::from(c as u8 - b'4' + b'\\'))
            }
            code => code,
        };
        Self {
            code,
            ctrl,
            alt: event.modifiers.contains(KeyModifiers::ALT),
        }
    }
}

impl FromStr for Key {
    type Err = NoKey;

    fn from_str(text: &str) -> Result<Self, NoKey> {
        let no_key = || NoKey(text.to_owned());
        let (mut ctrl, mut alt, mut rest) = (false, false, text);
        loop {
            if let Some(after) = rest.strip_prefix("ctrl-").filter(|rest| !rest.is_empty()) {
                (ctrl, rest) = (true, after);
            } else if let Some(after) = rest.strip_prefix("alt-").filter(|rest| !rest.is_empty()) {
                (alt, rest) = (true, after);
            } else {
                break;
            }
        }
        let named = NAMES.iter().find(|(name, _)| *name == rest);
        let function = || {
            let number: u8 = rest.strip_prefix('f')?.parse().ok()?;
            (1..=12).contains(&number).then_some(KeyCode::F(number))
        };
        let mut chars = rest.chars();
        let code = match (named, function(), chars.next(), chars.next()) {
            (Some((_, code)), ..) => *code,
            (None, Some(code), ..) => code,
            (None, None, Some(one), None) if !one.is_control() && one != ' ' => KeyCode::Char(one),
            _ => return Err(no_key()),
        };
        Ok(Self { code, ctrl, alt })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ctrl {
            f.write_str("ctrl-")?;
        }
        if self.alt {
            f.write_str("alt-")?;
        }
        if let Some((name, _)) = NAMES.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "f{n}"),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        for text in [
            "x",
            "X",
            "ctrl-r",
            "alt-ctrl-x",
            "f10",
            "space",
            "?",
            "-",
            "ctrl--",
            "pagedown",
        ] {
            let key: Key = text.parse().unwrap();
            let again: Key = key.to_string().parse().unwrap();
            assert_eq!(key, again, "{text}");
        }
        for text in ["", "xy", "f13", "ctrl-", "super-x", " "] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
    }
}
