//! Tells what a program writes to the usual screen from what it draws on the alternate one.
//!
//! A full-screen program (`less`, `vi`) switches to the alternate screen (`CSI ? 1049 h`) and
//! back. What it draws there is no output to be read later, so it is no line of a log.

/// The longest escape sequence that is looked into, in bytes.
const LONGEST: usize = 64;

/// Passes on what is written while the usual screen is shown.
#[derive(Debug, Default)]
pub(super) struct UsualScreen {
    /// The alternate screen is shown.
    alternate: bool,
    /// An escape sequence that has begun.
    begun: Vec<u8>,
}

impl UsualScreen {
    /// Adds to `out` what of `bytes` is for the usual screen. The switches themselves are not.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.begun.is_empty() {
                let text = memchr::memchr(0x1b, rest).unwrap_or(rest.len());
                if !self.alternate {
                    out.extend_from_slice(&rest[..text]);
                }
                rest = &rest[text..];
                if let Some((&escape, after)) = rest.split_first() {
                    self.begun.push(escape);
                    rest = after;
                }
                continue;
            }
            // An escape within a sequence begins another one.
            if first == 0x1b {
                self.flush(out);
                continue;
            }
            self.begun.push(first);
            rest = &rest[1..];
            let introduced = self.begun.get(1) == Some(&b'[');
            let ended = self.begun.len() > 2 && (0x40..=0x7e).contains(&first);
            match switch(&self.begun) {
                Some(to) if ended || !introduced => {
                    self.alternate = to;
                    self.begun.clear();
                }
                Some(_) | None if ended || !introduced || self.begun.len() >= LONGEST => {
                    self.flush(out);
                }
                Some(_) | None => {}
            }
        }
    }

    /// Adds what had begun and came to no end.
    pub(super) fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.alternate {
            out.extend_from_slice(&self.begun);
        }
        self.begun.clear();
    }
}

/// Whether a whole sequence switches, and whether to the alternate screen.
fn switch(sequence: &[u8]) -> Option<bool> {
    if sequence == b"\x1bc" {
        // A full reset shows the usual screen.
        return Some(false);
    }
    let inner = sequence.strip_prefix(b"\x1b[?")?;
    let (&last, modes) = inner.split_last()?;
    let to = match last {
        b'h' => true,
        b'l' => false,
        _ => return None,
    };
    let mut modes = modes.split(|&byte| byte == b';');
    modes
        .any(|mode| matches!(mode, b"47" | b"1047" | b"1049"))
        .then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(chunks: &[&[u8]]) -> String {
        let (mut screen, mut out) = (UsualScreen::default(), Vec::new());
        for chunk in chunks {
            screen.take(chunk, &mut out);
        }
        screen.flush(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_full_screen_program_draws_is_left_out() {
        let text = b"a\r\n\x1b[?1049h\x1b[2Jpage\x1b[?1049lb \x1b[31mred\x1b[m\n";
        assert_eq!(usual(&[text]), "a\r\nb \x1b[31mred\x1b[m\n");
        // However it is cut into chunks.
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(usual(&[one, two]), usual(&[text]), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(usual(&bytes), usual(&[text]));
    }

    #[test]
    fn other_sequences_stay() {
        for text in [
            "\x1b[?25lx\x1b[?25h",
            "\x1b]0;title\x07x",
            "\x1b(Bx",
            "\x1b[1;2Hx",
            "x\x1b",
            "x\x1b[?104",
        ] {
            assert_eq!(usual(&[text.as_bytes()]), text);
        }
        assert_eq!(usual(&[b"a\x1b[?25;1049hb\x1bcc"]), "ac");
        let long = format!("\x1b[{}x", "1;".repeat(100));
        assert_eq!(usual(&[long.as_bytes()]), long);
    }
}
