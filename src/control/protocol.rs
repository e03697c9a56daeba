//! What goes over the socket: HTTP with JSON, under `/v1`.
//!
//! ```text
//!  GET  /v1/openapi.json     all this, for programs
//!  GET  /v1/session          who runs, since when                      Record
//!  GET  /v1/state            the whole stack now                       State
//!  GET  /v1/state/stream     each state that follows (SSE: snapshot, end)
//!  POST /v1/commands         Act                                       Taken
//!  GET  /v1/ports            where the units listen                    [UnitPorts]
//!  GET  /v1/containment      by what processes are held                Held
//!  GET  /v1/timeline         how the stack started                     Timeline
//!  POST /v1/reload           ReloadAsk                                 Reloaded
//!  GET  /v1/changes          what changed, from a place on             ChangesPage
//!  GET  /v1/changes/stream   each change (SSE: change, resync, end)
//!  GET  /v1/watch            which files are watched                   [UnitWatch]
//!  POST /v1/watch/why        whether a file would count                Why
//!  GET  /v1/logs             a page of lines, from a place on          LogPage
//!  GET  /v1/logs/open/stream what is open of lines (SSE: open, end)    OpenTexts
//!  GET  /v1/feed             all of it in order (SSE: snapshot, lines, open, change, resync,
//!                            end)
//!  GET  /v1/stats/stream     what the runs use (SSE: stats, end)       StackStats
//!  GET  /v1/units/UNIT/terminal/stream   (SSE: screen, output, end)    Drawn, Written
//!  POST /v1/units/UNIT/terminal/size     TerminalSize                  TerminalSize
//!  GET  /v1/units/UNIT/processes         who is in its group           [UnitProcess]
//!  POST /v1/units/UNIT/input             Typed                         {}
//! ```
//!
//! This module owns the types and their JSON alone. Whatever else is answered is a
//! [`Problem`]. Durations are written as the file writes them.

mod open;
mod terminal;

use std::path::PathBuf;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::reload::BadFiles;
use crate::domain::admission::{Answer, Denial};
use crate::domain::change::Change;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::{Attempt, InstanceId, Revision, RunId, UnitName};
use crate::domain::signal::Signal;
use crate::domain::snapshot::Snapshot;
use crate::domain::terminal::TerminalDenial;
use crate::domain::time::Instant;
use crate::logs::{Cut, LogLine, Origin, Stream};
pub use open::{OpenQuery, OpenText, OpenTexts};
pub use terminal::{Drawn, Typed, Written};

/// The largest body of a request, in bytes: room for every name of a large stack.
pub const MAX_BODY: usize = 1 << 20;

/// The stack at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct State {
    /// The time in the stack; the snapshot's own is that of the last event before it.
    pub now: Instant,
    pub snapshot: Snapshot,
    /// The folder of the lines of this run, if they are kept on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logs: Option<PathBuf>,
}

/// What may be asked: every command but a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    Start {
        units: Vec<UnitName>,
    },
    Stop {
        units: Vec<UnitName>,
    },
    Restart {
        units: Vec<UnitName>,
    },
    Kill {
        units: Vec<UnitName>,
    },
    Signal {
        units: Vec<UnitName>,
        signal: Signal,
    },
    Enable {
        units: Vec<UnitName>,
    },
    Disable {
        units: Vec<UnitName>,
    },
    Scale {
        unit: UnitName,
        replicas: u32,
    },
    /// Of no unit by name: of all that watch.
    PauseWatch {
        #[serde(default)]
        units: Vec<UnitName>,
    },
    ResumeWatch {
        #[serde(default)]
        units: Vec<UnitName>,
    },
    Attend {
        on: bool,
    },
    Shutdown {
        #[serde(default = "graceful")]
        how: Shutdown,
        #[serde(default = "requested")]
        cause: ShutdownCause,
    },
}

fn graceful() -> Shutdown {
    Shutdown::Graceful
}

fn requested() -> ShutdownCause {
    ShutdownCause::Requested
}

impl From<Act> for Command {
    fn from(act: Act) -> Self {
        match act {
            Act::Start { units } => Self::Start(units),
            Act::Stop { units } => Self::Stop(units),
            Act::Restart { units } => Self::Restart(units),
            Act::Kill { units } => Self::Kill(units),
            Act::Signal { units, signal } => Self::Signal(units, signal),
            Act::Enable { units } => Self::Enable(units),
            Act::Disable { units } => Self::Disable(units),
            Act::Scale { unit, replicas } => Self::Scale { unit, replicas },
            Act::PauseWatch { units } => Self::PauseWatch(units),
            Act::ResumeWatch { units } => Self::ResumeWatch(units),
            Act::Attend { on } => Self::Attend(on),
            Act::Shutdown { how, cause } => Self::Shutdown(how, cause),
        }
    }
}

impl Act {
    /// `None`: it cannot leave the process.
    #[must_use]
    pub fn of(command: Command) -> Option<Self> {
        Some(match command {
            Command::Start(units) => Self::Start { units },
            Command::Stop(units) => Self::Stop { units },
            Command::Restart(units) => Self::Restart { units },
            Command::Kill(units) => Self::Kill { units },
            Command::Signal(units, signal) => Self::Signal { units, signal },
            Command::Enable(units) => Self::Enable { units },
            Command::Disable(units) => Self::Disable { units },
            Command::Scale { unit, replicas } => Self::Scale { unit, replicas },
            Command::PauseWatch(units) => Self::PauseWatch { units },
            Command::ResumeWatch(units) => Self::ResumeWatch { units },
            Command::Attend(on) => Self::Attend { on },
            Command::Reload(_) => return None,
            Command::Shutdown(how, cause) => Self::Shutdown { how, cause },
        })
    }
}

/// The answer to a command that was not denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Taken {
    pub answer: Answer,
    /// From which state on its effect is seen.
    pub revision: Revision,
}

/// Why a request got nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request cannot be read.
    BadRequest,
    /// Nothing is under that path.
    NotFound,
    MethodNotAllowed,
    TooLarge,
    /// So many clients follow the stack that there is no place for another one.
    TooMany,
    /// The request did not come in time.
    TimedOut,
    /// Somebody else's process, or, over TCP, another host's name or page.
    Forbidden,
    /// Over TCP: without the token.
    Unauthorized,
    /// Over TCP, where nothing may be changed.
    ReadOnly,
    UnknownUnit,
    ShuttingDown,
    Ended,
    NotRunning,
    /// For another reason that the message gives.
    Denied,
    /// The files of the stack are wrong: all stays as it was.
    BadFiles,
    Internal,
}

/// What is answered to a request that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    pub code: ErrorCode,
    pub message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Of a command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub denial: Option<Denial>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Of a reload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bad_files: Option<Box<BadFiles>>,
    /// Of what is asked of a terminal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalDenial>,
}

impl Problem {
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            denial: None,
            revision: None,
            bad_files: None,
            terminal: None,
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn denied(denial: Denial, revision: Revision) -> Self {
        let code = match &denial {
            Denial::UnknownUnit(_) => ErrorCode::UnknownUnit,
            Denial::ShuttingDown => ErrorCode::ShuttingDown,
            Denial::Ended => ErrorCode::Ended,
            Denial::NotRunning(_) => ErrorCode::NotRunning,
            Denial::NotAUnit(_)
            | Denial::NoReplicas(_)
            | Denial::NameTaken(_)
            | Denial::NotWatching(_)
            | Denial::FixedPort { .. }
            | Denial::TooMany { .. } => ErrorCode::Denied,
        };
        let mut problem = Self::new(code, denial.to_string());
        problem.denial = Some(denial);
        problem.revision = Some(revision);
        problem
    }
}

/// From where changes are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// The id of a change, `start` for all that are kept; left out: what is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Changes in order.
#[derive(Clone, Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ChangesPage {
    pub changes: Vec<Change>,
    /// Go on after this one.
    pub after: String,
    /// So many were lost before the first of these: take a state.
    pub missed: u64,
}

/// Whose watches are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchQuery {
    /// Units by name, with commas between; left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
}

/// Which file is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// Absolute, or below the stack's folder.
    pub path: String,
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Go on here, with the units that it is for; nothing else of where to begin counts then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Units or instances by name, with commas between; left out: all, also later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<String>,
    /// The last so many lines; left out: all that are kept. 0: what is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// At most so many lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    /// Wait so long for a line, such as `10s`; left out: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// Also what streams have written since their last line ended, of these units.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// Lines in the order in which they were read from the units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogPage {
    pub lines: Vec<Line>,
    /// What the reader missed before these lines.
    pub gaps: Vec<UnitGap>,
    /// Go on here.
    pub cursor: String,
    /// The stack has ended and this was all.
    pub ended: bool,
    /// Where it was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenText>,
}

/// From where all of it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// From the first state of the stack on, with all that is kept of what came after.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub from_start: bool,
    /// The last so many lines; left out: all that are kept. 0: what is to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<usize>,
    /// No lines, if they are kept on disk: they are read there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub files: bool,
    /// Also what streams have written since their last line ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
}

/// Lines of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Lines {
    pub lines: Vec<Line>,
    /// What the reader missed before these lines.
    pub gaps: Vec<UnitGap>,
}

/// Lines that were there and are no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UnitGap {
    pub unit: UnitName,
    pub instance: InstanceId,
    pub lines: u64,
}

/// One line that a unit wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Line {
    pub seq: u64,
    #[schemars(with = "String")]
    pub time: Timestamp,
    /// The instance's name.
    pub unit: UnitName,
    pub instance: InstanceId,
    pub attempt: Attempt,
    /// Of a pipeline, from 0.
    pub stage: u16,
    pub stream: Stream,
    pub text: String,
    /// What it wrote, where that is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Vec<u8>>,
    pub cut: Cut,
}

impl Line {
    #[must_use]
    pub fn new(line: &LogLine, unit: UnitName) -> Self {
        let (text, bytes) = match std::str::from_utf8(&line.bytes) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (
                String::from_utf8_lossy(&line.bytes).into_owned(),
                Some(line.bytes.to_vec()),
            ),
        };
        Self {
            seq: line.seq,
            time: line.time,
            unit,
            instance: line.origin.run.instance,
            attempt: line.origin.run.attempt,
            stage: line.origin.stage,
            stream: line.origin.stream,
            text,
            bytes,
            cut: line.cut,
        }
    }

    /// As the store of the stack has it.
    #[must_use]
    pub fn log_line(self) -> LogLine {
        LogLine {
            seq: self.seq,
            origin: Origin {
                run: RunId {
                    instance: self.instance,
                    attempt: self.attempt,
                },
                stage: self.stage,
                stream: self.stream,
            },
            time: self.time,
            bytes: self.bytes.map_or_else(|| self.text.into(), Bytes::from),
            cut: self.cut,
        }
    }
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
