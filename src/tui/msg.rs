//! What goes into `update`, and what comes out of it.

use std::sync::Arc;

use bytes::Bytes;
use crossterm::event::Event;
use jiff::Timestamp;

use super::log::{Fetched, Request, ScanReport, ScanRequest, Seek};
use crate::control::{Answered, PortError, TerminalEvent, UnitWatch};
use crate::domain::change::Change;
use crate::domain::event::Command;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::listening::UnitPorts;
use crate::domain::plan::Plan;
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::domain::terminal::TerminalSize;
use crate::domain::time::Instant;
use crate::logs::LogLine;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// On the terminal.
    Input(Event),
    /// Time went by.
    Tick {
        now: Instant,
        wall: Timestamp,
    },
    /// The stack is so now.
    Snapshot(Arc<Snapshot>),
    /// The units use that much now.
    Stats(Arc<StackStats>),
    Change(Change),
    /// So many changes were lost on the way.
    Missed(u64),
    /// Lines were written somewhere.
    LogsGrew,
    /// Lines that were asked for.
    Lines(Fetched),
    /// How far the search is.
    Scanned(ScanReport),
    /// What the terminal of a unit shows.
    Terminal(InstanceId, TerminalEvent),
    /// By what processes are held.
    Held(Held),
    /// The processes of a unit at that time.
    Processes(InstanceId, Instant, Vec<UnitProcess>),
    /// What is watched for a unit.
    Watched(UnitName, UnitWatch),
    /// Where the units listen.
    Listening(Vec<UnitPorts>),
    /// The end of a failed unit's log.
    Tail(InstanceId, Vec<LogLine>),
    /// What came of a command.
    Answered {
        what: String,
        answer: Result<Answered, PortError>,
    },
    /// What the file says now; `None`: it cannot be read.
    Plan(Option<Arc<Plan>>),
    /// What came of something done outside.
    Did(Result<String, String>),
    /// Somebody asked pk from outside to end.
    Terminated,
    /// The terminal is there again, and shows who knows what.
    Resumed,
}

/// Something is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Ask the stack; `what` is for the answer's line.
    Ask {
        what: String,
        command: Command,
    },
    /// Get lines.
    Fetch(Request),
    /// Begin a search, or end it.
    Scan(Option<ScanRequest>),
    /// Find the next match of the search.
    Seek(Seek),
    /// Look up who is in a unit's group.
    Processes(InstanceId),
    /// Look up what is watched for a unit.
    Watched(UnitName),
    /// Look up where the units listen.
    Listening,
    /// Get the end of a log.
    Tail(InstanceId, usize),
    /// Bring the terminals of these units, and no others.
    WatchTerminals(Vec<InstanceId>),
    /// Give a unit's terminal another size.
    ResizeTerminal(InstanceId, TerminalSize),
    /// Type something for a unit.
    Type(InstanceId, Bytes),
    /// To the clipboard.
    Copy(String),
    /// Whether mouse events are wanted.
    Mouse(bool),
    Suspend,
    /// Start that unit and lend it the terminal.
    Lend(UnitName),
    Edit,
    Reload,
    /// Read what the file says now: the stack has gone over to it.
    ReadPlan,
    /// Clear the screen before the next frame.
    Redraw,
    /// Leave, and let the stack run on.
    Detach,
}
