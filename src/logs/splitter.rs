//! Bytes in, lines out: however the bytes are cut into chunks, the lines are the same.
//!
//! - A line ends at a newline; one carriage return before it is dropped with it.
//! - A carriage return elsewhere stays in the line: what it overwrites is for a face to show.
//! - More than [`MAX_LINE`] bytes without a newline are cut there and marked as continued.
//! - The bytes after the last newline are a line of their own once the stream ends.

use bytes::Bytes;

use super::line::Cut;

/// The longest line, in bytes.
pub const MAX_LINE: usize = 1 << 20;

/// Complete lines, in one piece of memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    bytes: Bytes,
    lines: Vec<Span>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
    cut: Cut,
}

impl Batch {
    /// One line that was split before.
    #[must_use]
    pub fn of(line: Bytes, cut: Cut) -> Self {
        Self {
            lines: vec![span(0, line.len(), cut)],
            bytes: line,
        }
    }

    /// How many lines it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The memory it takes, in bytes.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.lines.len() * size_of::<Span>()
    }

    /// The line at `index` without copying it.
    #[must_use]
    pub fn line(&self, index: usize) -> Option<(Bytes, Cut)> {
        let span = self.lines.get(index)?;
        let range = span.start as usize..span.end as usize;
        Some((self.bytes.slice(range), span.cut))
    }

    /// Every line.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Cut)> {
        (self.lines.iter()).map(|span| {
            (
                &self.bytes[span.start as usize..span.end as usize],
                span.cut,
            )
        })
    }
}

/// Splits one stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// Begun and not ended; at most [`MAX_LINE`] bytes.
    partial: Vec<u8>,
}

impl Splitter {
    /// The lines that end in `chunk`.
    #[must_use]
    pub fn feed(&mut self, chunk: &[u8]) -> Batch {
        if self.partial.len() + chunk.len() <= MAX_LINE && memchr::memchr(b'\n', chunk).is_none() {
            self.partial.extend_from_slice(chunk);
            return Batch::default();
        }
        let mut bytes = Vec::with_capacity(self.partial.len() + chunk.len());
        bytes.append(&mut self.partial);
        // Of what was kept, no byte is a newline.
        let searched = bytes.len();
        bytes.extend_from_slice(chunk);

        let mut lines = Vec::new();
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &bytes[searched..]).map(|at| at + searched) {
            start = cut_long(&mut lines, start, newline);
            let end = newline - usize::from(newline > start && bytes[newline - 1] == b'\r');
            lines.push(span(start, end, Cut::Newline));
            start = newline + 1;
        }
        start = cut_long(&mut lines, start, bytes.len());
        self.partial = bytes[start..].to_vec();
        bytes.truncate(start);
        Batch {
            bytes: bytes.into(),
            lines,
        }
    }

    /// The last line, if the stream did not end with a newline.
    #[must_use]
    pub fn finish(&mut self) -> Batch {
        if self.partial.is_empty() {
            return Batch::default();
        }
        let bytes = Bytes::from(std::mem::take(&mut self.partial));
        let lines = vec![span(0, bytes.len(), Cut::Unterminated)];
        Batch { bytes, lines }
    }

    /// What was written since the last line's end: a prompt, perhaps.
    #[must_use]
    pub fn partial(&self) -> &[u8] {
        &self.partial
    }
}

/// Cuts what is longer than a line may be; returns where the rest begins.
fn cut_long(lines: &mut Vec<Span>, mut start: usize, end: usize) -> usize {
    while end - start > MAX_LINE {
        lines.push(span(start, start + MAX_LINE, Cut::Continued));
        start += MAX_LINE;
    }
    start
}

/// A chunk and a partial line are far smaller than 4 GiB; a chunk that is not is cut short.
fn span(start: usize, end: usize, cut: Cut) -> Span {
    let clamp = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        start: clamp(start),
        end: clamp(end),
        cut,
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
            lines.extend(batch.iter().map(|(bytes, cut)| (bytes.to_vec(), cut)));
        };
        for chunk in chunks {
            take(splitter.feed(chunk));
        }
        take(splitter.finish());
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
        assert_eq!(splitter.feed(b"one\nlogin: ").len(), 1);
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
