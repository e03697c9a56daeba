//! What a person typed of `pk logs`, and nothing more.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::args::Form;
use crate::logs::{Level, Stream};

/// A stream, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogStream {
    Stdout,
    Stderr,
    /// Of `watch.run`.
    Build,
}

impl From<LogStream> for Stream {
    fn from(stream: LogStream) -> Self {
        match stream {
            LogStream::Stdout => Self::Stdout,
            LogStream::Stderr => Self::Stderr,
            LogStream::Build => Self::Build,
        }
    }
}

/// A level, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Fatal => Self::Fatal,
        }
    }
}

/// Show what the units of a stack have written: of the one that runs, or of an earlier run.
#[derive(Clone, Debug, Default, Args)]
pub struct Logs {
    /// Units or instances: names, globs ('api-*'), or @PROFILE; all if none is named.
    #[arg(value_name = "UNIT")]
    pub units: Vec<String>,
    /// Go on with what they write until the stack ends; on a terminal also with what of a line is
    /// still open.
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// Begin with the last N lines that are to be shown; all that are kept if left out.
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub lines: Option<usize>,
    /// Only lines from TIME on: 5m (ago), 14:30, 2026-01-31, 2026-01-31T14:30.
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only lines before TIME.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only lines that this regular expression matches.
    #[arg(long, value_name = "RE")]
    pub grep: Option<String>,
    /// Upper and lower case are the same to --grep.
    #[arg(short = 'i', long, requires = "grep")]
    pub ignore_case: bool,
    /// Only lines that --grep does not match.
    #[arg(short = 'v', long = "invert-match", requires = "grep")]
    pub invert: bool,
    /// Also N lines before and after each that --grep finds.
    #[arg(
        short = 'C',
        long,
        value_name = "N",
        requires = "grep",
        default_value = "0"
    )]
    pub context: usize,
    /// Only this stream.
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<LogStream>,
    /// Only the Nth start of each unit, from 1.
    #[arg(long, value_name = "N")]
    pub attempt: Option<u32>,
    /// Another run of the stack: its number, or -1 for the one before the last.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub run: Option<i64>,
    /// Only lines that say they are that grave, in JSON or logfmt.
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<LogLevel>,
    /// Pass on all that units wrote, also what moves the cursor.
    #[arg(long)]
    pub raw: bool,
    /// Put the time before each line.
    #[arg(long)]
    pub timestamps: bool,
    /// In which form: json is one object in each line.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub output: Form,
    // Under the name of the global one, which thereby has no `-f` here.
    /// Read FILE instead of searching for pk.yaml.
    #[arg(id = "files", long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Look from DIR instead of the current folder.
    #[arg(id = "directory", long = "directory", value_name = "DIR")]
    pub directory: Option<PathBuf>,
}
