//! Open lines, such as prompts, in rows of their own below all others on a terminal.
//!
//! ```text
//!  api      | one                     what has ended, for good
//!  api      | password? ▂             what is open: taken off before anything else is written
//! ```
//!
//! A row is never wider than the terminal, so that it is taken off by what put it there.

use std::collections::HashMap;

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use super::escape::Sanitizer;
use crate::logs::{LogLine, OpenLine, Origin, without_colour};

/// As many fit on any terminal, with some of what came before.
const MOST: usize = 6;

/// To the beginning of the row, and nothing from there on.
const CLEAR: &[u8] = b"\r\x1b[J";

/// The row above.
const UP: &[u8] = b"\x1b[A";

/// What is open on the screen.
#[derive(Debug, Default)]
pub struct OpenRows {
    drawn: Vec<Vec<u8>>,
    /// Of each stream the number of the last line that was shown.
    seen: HashMap<Origin, u64>,
}

impl OpenRows {
    /// A line is shown: what was open before it is no more.
    pub fn saw(&mut self, line: &LogLine) {
        self.seen.insert(line.origin, line.seq);
    }

    /// Those that have not ended in a line that was shown, the latest of them.
    #[must_use]
    pub fn current<'a>(&self, open: &'a [OpenLine]) -> Vec<&'a OpenLine> {
        let is_open = |line: &&OpenLine| {
            let seen = self.seen.get(&line.origin);
            seen.is_none_or(|seen| *seen < line.after)
        };
        let mut current: Vec<_> = open.iter().filter(is_open).collect();
        current.sort_by_key(|line| line.since);
        current.drain(..current.len().saturating_sub(MOST));
        current
    }

    /// Takes them off the screen.
    pub fn erase(&mut self, out: &mut Vec<u8>) {
        for row in 0..self.drawn.len() {
            if row > 0 {
                out.extend_from_slice(UP);
            }
            out.extend_from_slice(CLEAR);
        }
        self.drawn.clear();
    }

    /// Puts these there in the place of those that are.
    pub fn draw(&mut self, rows: Vec<Vec<u8>>, out: &mut Vec<u8>) {
        if rows == self.drawn {
            return;
        }
        self.erase(out);
        for (at, row) in rows.iter().enumerate() {
            if at > 0 {
                out.push(b'\n');
            }
            out.extend_from_slice(row);
        }
        self.drawn = rows;
    }
}

/// The text of an open line in so many columns: its end, for that is where a prompt asks.
#[must_use]
pub(super) fn clipped(line: &OpenLine, columns: usize) -> String {
    let bytes = without_colour(&line.shown());
    let text = Sanitizer::default().line(&bytes, false).replace('\t', " ");
    if text.width() <= columns {
        return text;
    }
    let (mut from, mut width) = (text.len(), 1);
    for (at, grapheme) in text.grapheme_indices(true).rev() {
        width += grapheme.width();
        if width > columns {
            break;
        }
        from = at;
    }
    format!("…{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{Attempt, InstanceId, RunId};
    use crate::logs::{Cut, Stream};

    fn open(instance: u32, after: u64, text: &'static str) -> OpenLine {
        OpenLine {
            origin: Origin {
                run: RunId {
                    instance: InstanceId(instance),
                    attempt: Attempt(1),
                },
                stage: 0,
                stream: Stream::Stdout,
            },
            since: jiff::Timestamp::UNIX_EPOCH,
            after,
            is_settled: true,
            bytes: text.into(),
        }
    }

    #[test]
    fn a_line_that_has_ended_is_open_no_more() {
        let mut rows = OpenRows::default();
        let all = [open(1, 5, "a"), open(2, 0, "b")];
        assert_eq!(rows.current(&all).len(), 2);
        let line = |number| LogLine {
            cut: Cut::Newline,
            ..all[0].as_line(number)
        };
        rows.saw(&line(4));
        assert_eq!(rows.current(&all).len(), 2);
        rows.saw(&line(7));
        assert_eq!(rows.current(&all), [&all[1]]);
    }

    #[test]
    fn rows_are_taken_off_before_others_are_drawn() {
        let mut rows = OpenRows::default();
        let mut out = Vec::new();
        rows.draw(vec![b"one".to_vec(), b"two".to_vec()], &mut out);
        assert_eq!(out, b"one\ntwo");
        out.clear();
        rows.draw(vec![b"one".to_vec(), b"two".to_vec()], &mut out);
        assert!(out.is_empty(), "nothing has changed");
        rows.erase(&mut out);
        assert_eq!(out, b"\r\x1b[J\x1b[A\r\x1b[J");
        out.clear();
        rows.erase(&mut out);
        assert!(out.is_empty());
    }

    #[test]
    fn the_end_of_a_line_is_shown() {
        let clipped = |text, columns| clipped(&open(1, 0, text), columns);
        assert_eq!(clipped("password? ", 20), "password? ");
        assert_eq!(clipped("a long way to the password? ", 12), "… password? ");
        assert_eq!(clipped("10%\r20%\r\x1b[32m30%\x1b[0m\r", 12), "30%");
        assert_eq!(clipped("日本語", 5), "…本語");
        assert_eq!(clipped("\x1b[Jx", 20), "x");
    }
}
