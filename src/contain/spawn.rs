//! Starts the stages of one request in one process group, joined by kernel pipes.
//!
//! All or nothing: when a stage cannot be started, the ones before it are killed.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use super::child::Child;
use super::clone::{NewProcess, Place};
use super::error::{SpawnCause, SpawnError, Step};
use super::fault::{self, Call};
use super::make::{self, Holder, limit, other};
use super::registry;
use super::request::SpawnRequest;
use super::resolve::Executable;
use super::sys;
use crate::domain::signal::Signal;

/// Which of a stage's outputs a pipe carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pipe {
    Stdout,
    Stderr,
}

/// The read end of a captured pipe: non-blocking, and closed in every child.
#[derive(Debug)]
pub struct Output {
    /// From 0.
    pub stage: usize,
    pub pipe: Pipe,
    pub fd: OwnedFd,
}

#[derive(Debug)]
pub(super) struct Spawned {
    pub children: Vec<Arc<Child>>,
    pub outputs: Vec<Output>,
}

/// Kills and buries the stages started so far unless all were.
struct Partial {
    /// The group to kill, if the first stage founded it.
    founded: Option<Pid>,
    children: Vec<Arc<Child>>,
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.children.is_empty() {
            return;
        }
        match self.founded {
            Some(group) => {
                let _ = sys::signal_group(group, Signal::KILL);
            }
            None => {
                for child in &self.children {
                    let _ = child.signal(Signal::KILL);
                }
            }
        }
        registry::bury(std::mem::take(&mut self.children));
    }
}

/// Finds the program of each stage. Everything that can be told beforehand is, before the
/// first process is made.
pub(super) fn resolve(request: &SpawnRequest) -> Result<Vec<Executable>, SpawnError> {
    let stages = request.stages();
    if stages.is_empty() {
        return Err(failed(request, 0)(SpawnCause::EmptyCommand));
    }
    (stages.iter().enumerate())
        .map(|(index, stage)| Executable::find(stage).map_err(failed(request, index)))
        .collect()
}

/// Starts `request`; `group` is the one to join, `None` makes the first stage lead a new one.
pub(super) fn spawn(
    request: &SpawnRequest,
    executables: &[Executable],
    group: Option<Pid>,
    holder: Holder<'_>,
) -> Result<Spawned, SpawnError> {
    registry::sweep();
    let failed = |stage| failed(request, stage);
    let session = request.options().session;
    let alone = matches!(holder, Holder::Nobody);
    if session && alone && (group.is_some() || executables.len() > 1) {
        return Err(failed(0)(SpawnCause::SessionNotAlone));
    }
    let mut partial = Partial {
        founded: None,
        children: Vec::new(),
    };
    let mut outputs = Vec::new();
    let mut upstream: Option<OwnedFd> = None;
    for (index, executable) in executables.iter().enumerate() {
        let last = index + 1 == executables.len();
        let (stdout_read, stdout) = pipe().map_err(failed(index))?;
        let (stderr_read, stderr) = pipe().map_err(failed(index))?;
        let process = NewProcess {
            path: &executable.path,
            argv: &executable.argv,
            environment: &executable.environment,
            dir: &executable.dir,
            place: match group.or(partial.founded) {
                _ if session => Place::Session,
                Some(group) => Place::Join(group),
                None => Place::Lead,
            },
            stdin: upstream.as_ref().map(OwnedFd::as_fd),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
            options: request.options(),
        };
        let child = make::start(process, executable, holder).map_err(failed(index))?;
        // A number that is another's to free is not signalled.
        let kept = matches!(holder, Holder::Keeper(_));
        if group.is_none() && index == 0 && !kept {
            partial.founded = Some(child.pid());
        }
        partial.children.push(Arc::new(child));
        upstream = None;
        if last {
            outputs.push(captured(index, Pipe::Stdout, stdout_read).map_err(failed(index))?);
        } else {
            upstream = Some(stdout_read);
        }
        outputs.push(captured(index, Pipe::Stderr, stderr_read).map_err(failed(index))?);
    }
    Ok(Spawned {
        children: std::mem::take(&mut partial.children),
        outputs,
    })
}

pub(super) fn failed(
    request: &SpawnRequest,
    stage: usize,
) -> impl FnOnce(SpawnCause) -> SpawnError {
    let stages = request.stages().len();
    move |cause| SpawnError {
        stage,
        stages,
        cause,
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnCause> {
    fault::check(Call::Pipe)
        .and_then(|()| Ok(pipe_with(PipeFlags::CLOEXEC)?))
        .map_err(limit(Step::Pipes, "cannot make a pipe"))
}

fn captured(stage: usize, pipe: Pipe, fd: OwnedFd) -> Result<Output, SpawnCause> {
    // Set on the read end alone: programs do not expect a stdout that does not block.
    fcntl_setfl(&fd, OFlags::NONBLOCK)
        .map_err(|error| other(Step::Pipes, "cannot set up a pipe")(error.into()))?;
    Ok(Output { stage, pipe, fd })
}
