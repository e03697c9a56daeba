//! A line and what is known of it.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::id::{InstanceId, RunId};

#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Stdout,
    Stderr,
    /// Of the command that is run before changed files are acted on: both of its streams.
    Build,
}

/// Where bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    pub run: RunId,
    /// Of a pipeline, from 0.
    pub stage: u16,
    pub stream: Stream,
}

/// How a line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// By a newline, which is not part of the line, nor is one carriage return before it.
    Newline,
    /// It was too long: the next line of its stream continues it.
    Continued,
    /// By the end of its stream.
    Unterminated,
}

/// One line that a unit wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// From 0, over all units, in the order in which pk read them.
    pub seq: u64,
    pub origin: Origin,
    /// When pk read its end.
    pub time: Timestamp,
    /// As the unit wrote them: any bytes, UTF-8 or not, but no newline.
    pub bytes: Bytes,
    pub cut: Cut,
}

/// Lines that were there and are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub instance: InstanceId,
    pub lines: u64,
}

/// What a stream has written since its last line ended: a prompt, perhaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenLine {
    pub origin: Origin,
    /// When pk read its first byte.
    pub since: Timestamp,
    /// Lines of its stream that ended before it have lower numbers: whoever has seen one from
    /// this number on has seen the end of this one as well.
    pub after: u64,
    /// It has been open for a while: no more of it came at once.
    pub is_settled: bool,
    /// At most its last 64 KiB, without what may be the beginning of something to be masked.
    pub bytes: Bytes,
}

impl OpenLine {
    /// What a terminal would show of it: a carriage return goes back to its beginning.
    #[must_use]
    pub fn shown(&self) -> Bytes {
        let end = self.bytes.iter().rposition(|byte| *byte != b'\r');
        let end = end.map_or(0, |end| end + 1);
        let from = memchr::memrchr(b'\r', &self.bytes[..end]).map_or(0, |at| at + 1);
        self.bytes.slice(from..end)
    }

    /// As if it ended here, under a number that no line has.
    #[must_use]
    pub fn as_line(&self, seq: u64) -> LogLine {
        LogLine {
            seq,
            origin: self.origin,
            time: self.since,
            bytes: self.bytes.clone(),
            cut: Cut::Unterminated,
        }
    }

    /// Whether that line tells that this one has ended.
    #[must_use]
    pub fn is_ended_by(&self, line: &LogLine) -> bool {
        line.origin == self.origin && line.seq >= self.after
    }
}

/// What is kept of some instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Lines that are kept.
    pub lines: u64,
    /// Lines that came and are no more: evicted, or lost in a gap.
    pub missed: u64,
    /// The number over all units of the next line, so of no line yet.
    pub end: u64,
    /// Bytes of text that are kept.
    pub bytes: u64,
    /// When the first and the last of them came.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// What one read gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Page {
    /// What the reader missed, before the lines of this page; one entry per instance.
    pub gaps: Vec<Gap>,
    pub lines: Vec<LogLine>,
}

impl Page {
    /// How many lines the reader missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.lines).sum()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.gaps.is_empty() && self.lines.is_empty()
    }
}
