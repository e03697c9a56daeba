//! Keys as the file names them, as the bytes that a terminal sends for them.

/// The bytes for each key or text in turn: `C-c` (also `^C`, `Ctrl-C`), `Enter`, `Escape`,
/// `Tab`, `Space`, `BSpace`, `Up`, `Down`, `Left`, `Right`; anything else is typed as it is.
#[must_use]
pub fn bytes<'a>(keys: impl IntoIterator<Item = &'a String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for key in keys {
        match named(key) {
            Some(named) => bytes.extend_from_slice(named),
            None => match control(key) {
                Some(control) => bytes.push(control),
                None => bytes.extend_from_slice(key.as_bytes()),
            },
        }
    }
    bytes
}

fn named(key: &str) -> Option<&'static [u8]> {
    Some(match key {
        "Enter" => b"\r",
        "Escape" | "Esc" => b"\x1b",
        "Tab" => b"\t",
        "Space" => b" ",
        "BSpace" | "Backspace" => b"\x7f",
        "Up" => b"\x1b[A",
        "Down" => b"\x1b[B",
        "Right" => b"\x1b[C",
        "Left" => b"\x1b[D",
        _ => return None,
    })
}

/// `C-c` and the like: the key without the bits that tell letters apart from control codes.
fn control(key: &str) -> Option<u8> {
    let of = ["C-", "c-", "Ctrl-", "ctrl-", "^"]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix))?;
    match of.as_bytes() {
        [byte @ (b'a'..=b'z' | b'@'..=b'_')] => Some(byte & 0x1f),
        _ => None,
    }
}

/// As process-compose writes keys: `\n`, `\e`, `\x03` and the like.
#[must_use]
pub fn unescaped(keys: &str) -> String {
    let mut out = String::new();
    let mut chars = keys.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('a') => out.push('\u{7}'),
            Some('e') => out.push('\u{1b}'),
            Some('0') => out.push('\0'),
            Some('x') => {
                let hex: String = chars.clone().take(2).collect();
                match u8::from_str_radix(&hex, 16) {
                    Ok(byte) if hex.len() == 2 => {
                        out.push(char::from(byte));
                        chars.nth(1);
                    }
                    _ => out.push_str("\\x"),
                }
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_become_what_a_terminal_sends() {
        let keys = |keys: &[&str]| super::bytes(&keys.map_owned());
        assert_eq!(keys(&["C-c"]), b"\x03");
        assert_eq!(keys(&["^C", "Ctrl-D", "C-\\"]), b"\x03\x04\x1c");
        assert_eq!(keys(&["quit", "Enter"]), b"quit\r");
        assert_eq!(keys(&["Escape", ":q!", "Enter"]), b"\x1b:q!\r");
        assert_eq!(keys(&["C-", "^", "C-ä"]), "C-^C-ä".as_bytes());
    }

    #[test]
    fn escapes_become_what_they_stand_for() {
        let of = |keys: &str| super::unescaped(keys);
        assert_eq!(of(r"a\n\r\t"), "a\n\r\t");
        assert_eq!(of(r"\b\f\v\a\e\0"), "\x08\x0c\x0b\x07\x1b\0");
        assert_eq!(of(r"\x03b\x1"), "\x03b\\x1");
        assert_eq!(of(r"\xäö"), "\\xäö");
        assert_eq!(of(r"\\ \q \"), "\\ q \\");
    }

    trait Owned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl Owned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(ToString::to_string).collect()
        }
    }
}
