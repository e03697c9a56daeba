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
use super::terminal::{self, Terminal};
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
    pub input: Option<OwnedFd>,
    pub terminal: Option<Terminal>,
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
    let options = request.options();
    let session = options.session || options.terminal.is_some();
    let alone = matches!(holder, Holder::Nobody);
    if session && alone && (group.is_some() || executables.len() > 1) {
        return Err(failed(0)(SpawnCause::SessionNotAlone));
    }
    let mut partial = Partial {
        founded: None,
        children: Vec::new(),
    };
    let mut outputs = Vec::new();
    let (terminal, slave) = match options.terminal {
        Some(wanted) => {
            let opened = terminal::open(wanted, options.user.as_ref()).map_err(failed(0))?;
            (Some(opened.0), Some(opened.1))
        }
        None => (None, None),
    };
    let (mut upstream, input) = stdin(request, slave.as_ref()).map_err(failed(0))?;
    for (index, executable) in executables.iter().enumerate() {
        let last = index + 1 == executables.len();
        let out = |to: bool| end(slave.as_ref().filter(|_| to)).map_err(failed(index));
        let (stdout_read, stdout) = out(last)?;
        let (stderr_read, stderr) = out(true)?;
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
            takes_terminal: slave.is_some() && index == 0,
            options,
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
            let stdout = stdout_read.map(|fd| captured(index, Pipe::Stdout, fd));
            outputs.extend(stdout.transpose().map_err(failed(index))?);
        } else {
            upstream = stdout_read;
        }
        let stderr = stderr_read.map(|fd| captured(index, Pipe::Stderr, fd));
        outputs.extend(stderr.transpose().map_err(failed(index))?);
    }
    Ok(Spawned {
        children: std::mem::take(&mut partial.children),
        outputs,
        input,
        terminal,
    })
}

/// What the first stage reads, and where that is written to.
fn stdin(
    request: &SpawnRequest,
    slave: Option<&OwnedFd>,
) -> Result<(Option<OwnedFd>, Option<OwnedFd>), SpawnCause> {
    let options = request.options();
    let typed = options.terminal.is_some_and(|wanted| !wanted.output_only);
    if let Some(slave) = slave.filter(|_| typed) {
        return Ok((Some(duplicate(slave)?), None));
    }
    if !options.input {
        return Ok((None, None));
    }
    let (read, write) = pipe()?;
    set_nonblocking(&write)?;
    Ok((Some(read), Some(write)))
}

/// Where a stage writes, and where that is read: a pipe, unless it is the terminal.
fn end(slave: Option<&OwnedFd>) -> Result<(Option<OwnedFd>, OwnedFd), SpawnCause> {
    match slave {
        Some(slave) => Ok((None, duplicate(slave)?)),
        None => pipe().map(|(read, write)| (Some(read), write)),
    }
}

fn duplicate(fd: &OwnedFd) -> Result<OwnedFd, SpawnCause> {
    fd.try_clone()
        .map_err(limit(Step::Pipes, "cannot duplicate a descriptor"))
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
    set_nonblocking(&fd)?;
    Ok(Output { stage, pipe, fd })
}

/// Set on our end alone: programs do not expect a stdin or stdout that does not block.
fn set_nonblocking(fd: &OwnedFd) -> Result<(), SpawnCause> {
    fcntl_setfl(fd, OFlags::NONBLOCK)
        .map_err(|error| other(Step::Pipes, "cannot set up a pipe")(error.into()))
}
