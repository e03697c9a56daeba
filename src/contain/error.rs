//! What can go wrong on this floor, in words for the person who wrote the file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::group::Member;
use crate::domain::signal::Signal;

/// Everything that this floor reports as an error.
#[derive(Debug, thiserror::Error)]
pub enum ContainError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The group was asked to be released while it had members.
    #[error("{} of the group's processes still run", .0.len())]
    NotEmpty(Vec<Member>),
    /// The process runs as another user (`EPERM`): it is alive all the same.
    #[error("not permitted to send {0}: the process belongs to another user")]
    NotPermitted(Signal),
    #[error("cannot send {signal}: {cause}")]
    Signal { signal: Signal, cause: io::Error },
    /// The process cannot be taken into the group.
    #[error("cannot adopt process {pid}: {cause}")]
    Adopt { pid: u32, cause: io::Error },
    #[error("cannot suspend or resume the group: {0}")]
    Suspend(io::Error),
    #[error("cannot read the figures of the group: {0}")]
    Stats(io::Error),
    #[error("cannot wait for a child: {0}")]
    Wait(io::Error),
    #[error("cannot read the process table: {0}")]
    ProcessTable(io::Error),
}

/// Why a program was not started. Nothing of its request runs any more.
#[derive(Debug)]
pub struct SpawnError {
    /// Which stage, from 0.
    pub stage: usize,
    /// How many stages were asked for.
    pub stages: usize,
    pub cause: SpawnCause,
}

impl SpawnError {
    /// What was being done.
    #[must_use]
    pub fn step(&self) -> Step {
        self.cause.step()
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.stages > 1 {
            write!(f, "stage {}: ", self.stage + 1)?;
        }
        self.cause.fmt(f)
    }
}

impl std::error::Error for SpawnError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}

/// The part of a spawn that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Reading the request.
    Request,
    /// Entering the working directory.
    WorkingDir,
    /// Finding the program.
    Resolve,
    /// Making the pipes.
    Pipes,
    /// Making the cgroup, or putting the process into it.
    Cgroup,
    /// Making the process.
    Process,
    /// Giving it what the request's options ask for.
    Options,
    /// Executing the program in it (`execve(2)`).
    Execute,
    /// Watching the new process.
    Observe,
}

/// The cause of a [`SpawnError`].
#[derive(Debug, thiserror::Error)]
pub enum SpawnCause {
    #[error("the command is empty")]
    EmptyCommand,
    #[error("{0} holds a NUL byte, which no program can receive")]
    NulByte(&'static str),
    #[error("the group was released: it starts no further process")]
    Released,
    #[error("the group is suspended: a process started in it would not run")]
    Suspended,
    #[error("a process of a session of its own cannot join a process group that is there already")]
    SessionNotAlone,

    #[error("working directory does not exist: {}", .0.display())]
    WorkingDirMissing(PathBuf),
    #[error("working directory is not a directory: {}", .0.display())]
    WorkingDirNotADirectory(PathBuf),
    #[error("working directory is not accessible (permission denied): {}", .0.display())]
    WorkingDirDenied(PathBuf),

    #[error("command not found: `{program}` is in no folder of PATH")]
    NotInPath { program: String, path: String },
    #[error("command not found: {} does not exist", .0.display())]
    NotFound(PathBuf),
    #[error("cannot execute {}: it is a directory", .0.display())]
    IsDirectory(PathBuf),
    #[error("cannot execute {}: permission denied (is it executable? `chmod +x` makes it so)", .0.display())]
    NotExecutable(PathBuf),
    #[error("cannot execute {}: its first line names the interpreter `{interpreter}`, which does not exist", script.display())]
    InterpreterMissing {
        script: PathBuf,
        interpreter: String,
    },
    #[error("cannot execute {}: the loader or a library loader that it needs does not exist", .0.display())]
    LoaderMissing(PathBuf),
    #[error("cannot execute {}: it is neither a program for this machine nor a script that begins with `#!`", .0.display())]
    BadFormat(PathBuf),
    #[error("cannot execute {}: it is open for writing", .0.display())]
    Busy(PathBuf),
    #[error("the arguments and environment are too long ({bytes} bytes)")]
    TooLong { bytes: usize },

    #[error(
        "no further process is allowed (EAGAIN: a limit on processes, see `ulimit -u` and the pids limit)"
    )]
    ProcessLimit,
    #[error("no memory for a further process")]
    NoMemory,
    #[error("too many open files (EMFILE: see `ulimit -n`)")]
    FileLimit,
    #[error("the group's leader left its process group, so the stage cannot join it")]
    LeaderMoved,

    #[error(
        "no further cgroup is allowed (see cgroup.max.descendants and cgroup.max.depth above it)"
    )]
    CgroupLimit,
    #[error("cannot make its cgroup: not permitted")]
    CgroupDenied,
    #[error("cannot make its cgroup: the cgroup filesystem is read-only")]
    CgroupReadOnly,
    #[error("its cgroup was removed by somebody else")]
    CgroupGone,

    #[error("cannot {what}: {cause}")]
    Option {
        what: &'static str,
        cause: io::Error,
    },
    #[error("{action}: {cause}")]
    Other {
        step: Step,
        action: &'static str,
        cause: io::Error,
    },
}

impl SpawnCause {
    /// The step at which this happens.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::EmptyCommand
            | Self::NulByte(_)
            | Self::Released
            | Self::Suspended
            | Self::SessionNotAlone => Step::Request,
            Self::WorkingDirMissing(_)
            | Self::WorkingDirNotADirectory(_)
            | Self::WorkingDirDenied(_) => Step::WorkingDir,
            Self::NotInPath { .. } | Self::NotFound(_) | Self::IsDirectory(_) => Step::Resolve,
            Self::NotExecutable(_)
            | Self::InterpreterMissing { .. }
            | Self::LoaderMissing(_)
            | Self::BadFormat(_)
            | Self::Busy(_)
            | Self::TooLong { .. } => Step::Execute,
            Self::FileLimit => Step::Pipes,
            Self::ProcessLimit | Self::NoMemory | Self::LeaderMoved => Step::Process,
            Self::CgroupLimit | Self::CgroupDenied | Self::CgroupReadOnly | Self::CgroupGone => {
                Step::Cgroup
            }
            Self::Option { .. } => Step::Options,
            Self::Other { step, .. } => *step,
        }
    }
}
