//! Starts the stages of one request in one process group, joined by kernel pipes.
//!
//! All or nothing: when a stage cannot be started, the ones before it are killed.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::child::Child;
use super::error::{SpawnCause, SpawnError, Step};
use super::registry;
use super::request::SpawnRequest;
use super::resolve::Executable;
use super::sys::{self, NewProcess};
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

/// Starts `request`; `group` is the one to join, `None` makes the first stage lead a new one.
pub(super) fn spawn(
    request: &SpawnRequest,
    group: Option<Pid>,
    released: bool,
) -> Result<Spawned, SpawnError> {
    let stages = request.stages();
    let failed = |stage| {
        move |cause| SpawnError {
            stage,
            stages: stages.len(),
            cause,
        }
    };
    if released {
        return Err(failed(0)(SpawnCause::Released));
    }
    if stages.is_empty() {
        return Err(failed(0)(SpawnCause::EmptyCommand));
    }
    registry::sweep();
    // Everything that can be told beforehand is, before the first process is made.
    let executables = (stages.iter().enumerate())
        .map(|(index, stage)| Executable::find(stage).map_err(failed(index)))
        .collect::<Result<Vec<_>, _>>()?;

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
            group: group.or(partial.founded),
            stdin: upstream.as_ref().map(OwnedFd::as_fd),
            stdout: stdout.as_fd(),
            stderr: stderr.as_fd(),
        };
        let child = start(&process, executable).map_err(failed(index))?;
        if group.is_none() && index == 0 {
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

/// Tries when the program is open for writing, a millisecond apart.
const BUSY_TRIES: usize = 20;

fn start(process: &NewProcess<'_>, executable: &Executable) -> Result<Child, SpawnCause> {
    let _unknown_child = registry::spawning();
    let mut tries = 0;
    let pid = loop {
        match sys::spawn(process) {
            Ok(pid) => break pid,
            // A program that was just written may be open in a process that is between its
            // making and its exec, for as long as that takes.
            Err(error) if is(&error, Errno::TXTBSY) && tries < BUSY_TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(1));
            }
            Err(error) => {
                return Err(match error.raw_os_error() {
                    Some(errno) => executable.diagnose(errno),
                    None => other(Step::Process, "cannot make the process")(error),
                });
            }
        }
    };
    registry::remember(pid);
    Child::observe(pid).map_err(|error| {
        // Our child, not reaped: the number is its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        registry::forget(pid);
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        limit(Step::Observe, "cannot watch the process")(error)
    })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), SpawnCause> {
    pipe_with(PipeFlags::CLOEXEC)
        .map_err(|error| limit(Step::Pipes, "cannot make a pipe")(error.into()))
}

fn captured(stage: usize, pipe: Pipe, fd: OwnedFd) -> Result<Output, SpawnCause> {
    // Set on the read end alone: programs do not expect a stdout that does not block.
    fcntl_getfl(&fd)
        .and_then(|flags| fcntl_setfl(&fd, flags | OFlags::NONBLOCK))
        .map_err(|error| other(Step::Pipes, "cannot set up a pipe")(error.into()))?;
    Ok(Output { stage, pipe, fd })
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

fn limit(step: Step, action: &'static str) -> impl FnOnce(io::Error) -> SpawnCause {
    move |error| {
        if is(&error, Errno::MFILE) || is(&error, Errno::NFILE) {
            SpawnCause::FileLimit
        } else {
            other(step, action)(error)
        }
    }
}

fn other(step: Step, action: &'static str) -> impl FnOnce(io::Error) -> SpawnCause {
    move |cause| SpawnCause::Other {
        step,
        action,
        cause,
    }
}
