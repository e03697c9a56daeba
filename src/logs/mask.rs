//! What must not be stored is masked before it is: secrets by their bytes, also across the
//! ends of chunks and lines, and what `logs.redact` matches within a line.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::{Regex, RegexBuilder};

use super::splitter::Batch;
use super::withheld::Withheld;
use crate::domain::secret::MASK;

/// What is masked in the lines of one unit.
#[derive(Debug)]
pub struct Masks {
    secrets: Option<(AhoCorasick, Vec<Vec<u8>>)>,
    redact: Option<Redact>,
    masked: AtomicU64,
}

/// What `logs.redact` names.
#[derive(Debug)]
struct Redact {
    /// Of many lines at once, and of one.
    many: Regex,
    one: Regex,
    withheld: Withheld,
}

impl Masks {
    /// Masks these very bytes, and what one of the regular expressions matches.
    ///
    /// # Errors
    /// One of them is none, or all together are too large.
    pub fn new(secrets: &[String], redact: &[String]) -> Result<Self, String> {
        let mut list: Vec<Vec<u8>> = (secrets.iter())
            .filter(|secret| !secret.is_empty())
            .map(|secret| secret.as_bytes().to_vec())
            .collect();
        list.sort_unstable();
        list.dedup();
        let secrets = match list.is_empty() {
            true => None,
            false => {
                let finder = AhoCorasick::builder()
                    .match_kind(MatchKind::LeftmostLongest)
                    .build(&list)
                    .map_err(|error| error.to_string())?;
                Some((finder, list))
            }
        };
        let redact = match redact {
            [] => None,
            all => {
                let parts: Vec<String> = all.iter().map(|one| format!("(?:{one})")).collect();
                let build = |many: bool| {
                    RegexBuilder::new(&parts.join("|"))
                        .multi_line(many)
                        .crlf(many)
                        .build()
                        .map_err(|error| error.to_string())
                };
                Some(Redact {
                    many: build(true)?,
                    one: build(false)?,
                    withheld: Withheld::new(&parts.join("|")),
                })
            }
        };
        Ok(Self {
            secrets,
            redact,
            masked: AtomicU64::new(0),
        })
    }

    /// How many places were masked so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked.load(Ordering::Relaxed)
    }

    /// There is nothing to mask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.secrets.is_none() && self.redact.is_none()
    }

    /// The lines with what a regular expression matches masked.
    pub(super) fn redacted(&self, batch: Batch) -> Batch {
        let (batch, count) = self.redacted_and_counted(batch);
        self.masked.fetch_add(count, Ordering::Relaxed);
        batch
    }

    /// Whether a regular expression may mask a line.
    pub(super) fn redacts(&self) -> bool {
        self.redact.is_some()
    }

    /// A line that is shown before it ends: masked, and without what may have to be. Nothing is
    /// counted.
    pub(super) fn shown(&self, line: &[u8]) -> Vec<u8> {
        let Some(redact) = &self.redact else {
            return line.to_vec();
        };
        let mut until = redact.withheld.from(line);
        let found = redact.one.find_iter(line);
        let found: Vec<_> = found.filter(|found| !found.is_empty()).collect();
        for found in &found {
            if found.start() < until && until < found.end() {
                until = found.start();
            }
        }
        let (mut out, mut copied) = (Vec::new(), 0);
        for found in found.iter().take_while(|found| found.end() <= until) {
            out.extend_from_slice(&line[copied..found.start()]);
            out.extend_from_slice(MASK.as_bytes());
            copied = found.end();
        }
        out.extend_from_slice(&line[copied..until]);
        out
    }

    fn redacted_and_counted(&self, batch: Batch) -> (Batch, u64) {
        let Some(Redact { many, one, .. }) = &self.redact else {
            return (batch, 0);
        };
        let text = batch.text();
        let mut out: Vec<u8> = Vec::new();
        let (mut copied, mut from, mut count) = (0, 0, 0);
        let mut mask = |start: usize, end: usize| {
            if start < end {
                out.extend_from_slice(&text[copied..start]);
                out.extend_from_slice(MASK.as_bytes());
                copied = end;
                count += 1;
            }
        };
        while let Some(found) = (from < text.len())
            .then(|| many.find_at(text, from))
            .flatten()
        {
            if memchr::memchr(b'\n', found.as_bytes()).is_none() {
                mask(found.start(), found.end());
                from = found.end().max(found.start() + 1).max(from + 1);
                continue;
            }
            // It reaches over a line's end: the line alone decides.
            let start = found.start();
            let line = memchr::memrchr(b'\n', &text[from..start]).map_or(from, |n| from + n + 1);
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |n| start + n);
            for within in one.find_iter(&text[line..end]) {
                mask(line + within.start(), line + within.end());
            }
            from = end + 1;
        }
        if count == 0 {
            return (batch, 0);
        }
        out.extend_from_slice(&text[copied..]);
        (Batch::kept(out.into(), batch.last()), count)
    }
}

/// Masks the secrets of one stream.
#[derive(Debug)]
pub(super) struct Masker {
    masks: Arc<Masks>,
    /// What may be the beginning of a secret.
    held: Vec<u8>,
}

impl Masker {
    pub fn new(masks: Arc<Masks>) -> Self {
        Self {
            masks,
            held: Vec::new(),
        }
    }

    /// Passes the bytes on, but for what may be the beginning of a secret.
    pub fn feed(&mut self, chunk: &[u8], pass: &mut dyn FnMut(&[u8])) {
        let Some((finder, secrets)) = &self.masks.secrets else {
            pass(chunk);
            return;
        };
        let joined;
        let text = if self.held.is_empty() {
            chunk
        } else {
            self.held.extend_from_slice(chunk);
            joined = std::mem::take(&mut self.held);
            &joined[..]
        };
        let mut rest = text;
        loop {
            // A secret may reach into what seemed to begin another one: look again behind it.
            let hold = held_from(secrets, rest);
            let (passed, count) = masked(finder, rest, hold, pass);
            self.masks.masked.fetch_add(count, Ordering::Relaxed);
            if passed == 0 {
                pass(&rest[..hold]);
                self.held = rest[hold..].to_vec();
                return;
            }
            rest = &rest[passed..];
        }
    }

    /// Passes on what was held back: nothing follows it.
    pub fn finish(&mut self, pass: &mut dyn FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        let Some((finder, _)) = &self.masks.secrets else {
            return;
        };
        let (passed, count) = masked(finder, &held, held.len(), pass);
        pass(&held[passed..]);
        self.masks.masked.fetch_add(count, Ordering::Relaxed);
    }
}

/// Passes on all up to the end of the last secret that begins before `hold`; returns where
/// that is, and how many there were.
fn masked(
    finder: &AhoCorasick,
    text: &[u8],
    hold: usize,
    pass: &mut dyn FnMut(&[u8]),
) -> (usize, u64) {
    let (mut passed, mut count) = (0, 0);
    for found in finder.find_iter(text) {
        if found.start() >= hold {
            break;
        }
        pass(&text[passed..found.start()]);
        pass(MASK.as_bytes());
        passed = found.end();
        count += 1;
    }
    (passed, count)
}

/// Where the longest end of `text` begins that is the beginning of a secret, but not all of
/// it. Its length, if there is none.
fn held_from(secrets: &[Vec<u8>], text: &[u8]) -> usize {
    let mut from = text.len();
    for secret in secrets {
        let tail = text.len().saturating_sub(secret.len() - 1);
        for at in memchr::memchr_iter(secret[0], &text[tail..]).map(|at| at + tail) {
            if at >= from {
                break;
            }
            if secret.starts_with(&text[at..]) {
                from = at;
            }
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logs::Cut;

    fn run(secrets: &[&str], chunks: &[&[u8]]) -> (Vec<u8>, u64) {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let masks = Arc::new(Masks::new(&secrets, &[]).unwrap());
        let mut masker = Masker::new(Arc::clone(&masks));
        let mut out = Vec::new();
        for chunk in chunks {
            masker.feed(chunk, &mut |bytes| out.extend_from_slice(bytes));
        }
        masker.finish(&mut |bytes| out.extend_from_slice(bytes));
        (out, masks.masked())
    }

    #[test]
    fn secrets_are_found_across_chunks_and_lines() {
        let (out, count) = run(&["hunter2-x"], &[b"pw=hun", b"ter", b"2-x!\nhunt", b"ed"]);
        assert_eq!(String::from_utf8(out).unwrap(), "pw=********!\nhunted");
        assert_eq!(count, 1);
        let (out, _) = run(&["ab\ncd", "ab\ncdef"], &[b"ab\ncd", b"ef ab\ncdx"]);
        assert_eq!(String::from_utf8(out).unwrap(), "******** ********x");
    }

    #[test]
    fn regular_expressions_stay_within_a_line() {
        let masks = Masks::new(&[], &[r"id=\S+".into(), r"x\s+y".into()]).unwrap();
        let text = b"id=7 id=8\nx\ny x  y\nid=\n".as_slice();
        let batch = masks.redacted(Batch::kept(text.into(), Cut::Newline));
        assert_eq!(
            batch.text().as_ref(),
            b"******** ********\nx\ny ********\nid=\n"
        );
        assert_eq!(masks.masked(), 3);
    }

    #[test]
    fn an_open_line_shows_no_half_of_what_is_masked() {
        let masks = Masks::new(&[], &[r"id=[0-9]+".into(), r"key \S+ \S+".into()]).unwrap();
        for (line, shown) in [
            ("login: ", "login: "),
            ("id=42 login: ", "******** login: "),
            ("login: id=4", "login: "),
            ("your key a", "your "),
            ("your key a id=7 ", "your ******** "),
            ("your key id=7 ", "your "),
        ] {
            let got = masks.shown(line.as_bytes());
            assert_eq!(String::from_utf8(got).unwrap(), shown, "{line:?}");
        }
        assert_eq!(masks.masked(), 0);
    }

    proptest! {
        #[test]
        fn any_chunking_masks_the_same(
            text in "[ab\n]{0,60}",
            secrets in prop::collection::vec("[ab\n]{1,5}", 1..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let all = text.as_bytes();
            let mut at: Vec<usize> = cuts.iter().map(|i| i.index(all.len() + 1)).collect();
            at.extend([0, all.len()]);
            at.sort_unstable();
            let chunks: Vec<&[u8]> = at.windows(2).map(|w| &all[w[0]..w[1]]).collect();
            let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
            prop_assert_eq!(run(&secrets, &chunks), run(&secrets, &[all]));
        }
    }
}
