//! Bytes in, lines out: however the bytes are cut into chunks, the lines are the same.
//!
//! - A line ends at a newline; one carriage return before it is dropped with it.
//! - A carriage return elsewhere stays in the line: what it overwrites is for a face to show.
//! - More than [`MAX_LINE`] bytes without a newline are cut there and marked as continued.
//! - The bytes after the last newline are a line of their own once the stream ends.

use bytes::Bytes;

use super::line::Cut;
use super::pool;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// Complete lines as the unit wrote them, in one piece of memory: each ends with a newline,
/// also the last one where the unit wrote none ([`Cut`] tells). Only the last one may be cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    text: Bytes,
    lines: u32,
    last: Cut,
}

impl Batch {
    /// One line that was split before.
    #[must_use]
    pub fn of(line: &[u8], cut: Cut) -> Self {
        let mut text = Vec::with_capacity(line.len() + 1);
        text.extend_from_slice(line);
        text.push(b'\n');
        Self {
            text: text.into(),
            lines: 1,
            last: cut,
        }
    }

    /// Text that ends with a newline, as it was kept; the last line ended by `last`.
    #[must_use]
    pub fn kept(text: Bytes, last: Cut) -> Self {
        let lines = memchr::memchr_iter(b'\n', &text).count();
        Self {
            text,
            lines: u32::try_from(lines).unwrap_or(u32::MAX),
            last,
        }
    }

    /// How many lines it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines as usize
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The memory that its text takes, in bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.text.len()
    }

    /// All its lines, each with its newline.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// How its last line ended.
    #[must_use]
    pub fn last(&self) -> Cut {
        self.last
    }

    /// Every line.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Cut)> {
        lines(&self.text, self.last).map(|(start, end, cut)| (&self.text[start..end], cut))
    }

    /// Every line from the one of that index on, with its index, sharing the memory.
    pub fn shared_from(&self, first: usize) -> impl Iterator<Item = (usize, Bytes, Cut)> + '_ {
        let lines = lines(&self.text, self.last).enumerate().skip(first);
        lines.map(|(at, (start, end, cut))| (at, self.text.slice(start..end), cut))
    }
}

/// Where the lines of such a text are, without what ends them.
fn lines(text: &[u8], last: Cut) -> impl Iterator<Item = (usize, usize, Cut)> + '_ {
    let mut start = 0;
    memchr::memchr_iter(b'\n', text).map(move |newline| {
        let cut = if newline + 1 == text.len() {
            last
        } else {
            Cut::Newline
        };
        let from = std::mem::replace(&mut start, newline + 1);
        (from, line_end(text, from, newline, cut), cut)
    })
}

/// The end of the line from `start` whose newline is at `newline`.
pub(super) fn line_end(text: &[u8], start: usize, newline: usize, cut: Cut) -> usize {
    let returned = cut == Cut::Newline && newline > start && text[newline - 1] == b'\r';
    newline - usize::from(returned)
}

/// Splits one stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Begun and not ended; at most [`MAX_LINE`] bytes.
    partial: Vec<u8>,
}

impl Splitter {
    /// Gives `take` the lines that end in `chunk`: at most two batches where no line is
    /// longer than it may be.
    pub fn feed(&mut self, chunk: &[u8], take: &mut dyn FnMut(Batch)) {
        let mut rest = chunk;
        loop {
            if self.partial.len() + rest.len() <= MAX_LINE {
                // No line in here can be too long: one look for the last end is enough.
                match memchr::memrchr(b'\n', rest) {
                    None => self.partial.extend_from_slice(rest),
                    Some(at) => {
                        let (ended, begun) = rest.split_at(at + 1);
                        take(Batch::kept(self.joined(ended), Cut::Newline));
                        self.partial.extend_from_slice(begun);
                    }
                }
                return;
            }
            let room = MAX_LINE - self.partial.len();
            match memchr::memchr(b'\n', &rest[..rest.len().min(room + 1)]) {
                Some(at) => {
                    let (ended, more) = rest.split_at(at + 1);
                    take(Batch::kept(self.joined(ended), Cut::Newline));
                    rest = more;
                }
                None => {
                    let (piece, more) = rest.split_at(room);
                    self.partial.extend_from_slice(piece);
                    take(Batch::of(&self.partial, Cut::Continued));
                    self.partial.clear();
                    rest = more;
                }
            }
        }
    }

    /// The last line, if the stream did not end with a newline.
    #[must_use]
    pub fn finish(&mut self) -> Option<Batch> {
        let partial = std::mem::take(&mut self.partial);
        (!partial.is_empty()).then(|| Batch::of(&partial, Cut::Unterminated))
    }

    /// What was written since the last line's end: a prompt, perhaps.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }

    fn joined(&mut self, ended: &[u8]) -> Bytes {
        let text = pool::joined(&self.partial, ended);
        self.partial.clear();
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, Cut)> {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        let mut take = |batch: Batch| {
            assert_eq!(batch.len(), batch.iter().count());
            lines.extend(batch.iter().map(|(bytes, cut)| (bytes.to_vec(), cut)));
        };
        for chunk in chunks {
            splitter.feed(chunk, &mut take);
        }
        if let Some(last) = splitter.finish() {
            take(last);
        }
        lines
    }

    /// The rules, said once more and naively.
    fn expected(all: &[u8]) -> Vec<(Vec<u8>, Cut)> {
        let mut lines = Vec::new();
        let mut parts: Vec<&[u8]> = all.split(|&b| b == b'\n').collect();
        let last = parts.pop().unwrap_or_default();
        for (mut part, ended) in parts.into_iter().map(|p| (p, true)).chain([(last, false)]) {
            while part.len() > MAX_LINE {
                lines.push((part[..MAX_LINE].to_vec(), Cut::Continued));
                part = &part[MAX_LINE..];
            }
            if ended {
                let part = part.strip_suffix(b"\r").unwrap_or(part);
                lines.push((part.to_vec(), Cut::Newline));
            } else if !part.is_empty() {
                lines.push((part.to_vec(), Cut::Unterminated));
            }
        }
        lines
    }

    #[test]
    fn lines_across_chunks() {
        assert_eq!(
            split(&[b"a", b"b\nc\r", b"\n\n\r\n\rd\re\xff"]),
            [
                (b"ab".to_vec(), Cut::Newline),
                (b"c".to_vec(), Cut::Newline),
                (b"".to_vec(), Cut::Newline),
                (b"".to_vec(), Cut::Newline),
                (b"\rd\re\xff".to_vec(), Cut::Unterminated),
            ]
        );
        assert_eq!(split(&[]), []);
    }

    #[test]
    fn long_lines_are_cut() {
        let exact = [vec![b'x'; MAX_LINE], b"\n".to_vec()].concat();
        assert_eq!(split(&[&exact]), expected(&exact));
        assert_eq!(split(&[&exact]).len(), 1);
        let longer = vec![b'y'; 2 * MAX_LINE + 5];
        let cuts: Vec<_> = split(&[&longer])
            .into_iter()
            .map(|(l, c)| (l.len(), c))
            .collect();
        assert_eq!(
            cuts,
            [
                (MAX_LINE, Cut::Continued),
                (MAX_LINE, Cut::Continued),
                (5, Cut::Unterminated)
            ]
        );
        // The carriage return that belongs to the newline is what makes it too long.
        let edge = [vec![b'z'; MAX_LINE], b"\r\n".to_vec()].concat();
        assert_eq!(split(&[&edge]), expected(&edge));
    }

    #[test]
    fn what_is_kept_is_what_was_not_ended() {
        let mut splitter = Splitter::default();
        let mut found = 0;
        splitter.feed(b"one\nlogin: ", &mut |batch| found += batch.len());
        assert_eq!(found, 1);
        assert_eq!(splitter.partial(), b"login: ");
    }

    proptest! {
        #[test]
        fn any_chunking_of_any_bytes_gives_the_same_lines(
            pieces in prop::collection::vec(
                (prop::sample::select(vec![&b"\n"[..], b"\r", b"\r\n", b"a", b"\xff\x00", b"line"]), 1..4usize),
                0..60,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let all: Vec<u8> = pieces.iter().flat_map(|(p, n)| p.repeat(*n)).collect();
            let mut at: Vec<usize> = cuts.iter().map(|i| i.index(all.len() + 1)).collect();
            at.extend([0, all.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|w| &all[w[0]..w[1]]).collect();
            prop_assert_eq!(split(&chunks), expected(&all));
        }

        #[test]
        fn long_lines_too(
            lengths in prop::collection::vec(0..MAX_LINE + 70_000, 1..4),
            chunk in 30_000..200_000usize,
            ended: bool,
        ) {
            let mut all: Vec<u8> = lengths.iter()
                .flat_map(|n| [vec![b'x'; *n], b"\r\n".to_vec()].concat())
                .collect();
            if !ended {
                all.truncate(all.len() - 2);
            }
            let chunks: Vec<&[u8]> = all.chunks(chunk).collect();
            prop_assert!(split(&chunks) == expected(&all));
        }
    }
}
