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

use super::cgroup::Cgroup;
use super::child::Child;
use super::clone::{self, ChildStep, CloneError, Join};
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
    cgroup: Option<&Cgroup>,
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
        let child = start(&process, executable, cgroup).map_err(failed(index))?;
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

fn start(
    process: &NewProcess<'_>,
    executable: &Executable,
    cgroup: Option<&Cgroup>,
) -> Result<Child, SpawnCause> {
    let _unknown_child = registry::spawning();
    let mut tries = 0;
    let (pid, pidfd) = loop {
        match make(process, cgroup) {
            Ok(made) => break made,
            // A program that was just written may be open in a process that is between its
            // making and its exec, for as long as that takes.
            Err(MakeError::Refused(error)) if is(&error, Errno::TXTBSY) && tries < BUSY_TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(1));
            }
            Err(MakeError::Refused(error)) => {
                return Err(match error.raw_os_error() {
                    Some(errno) => executable.diagnose(errno),
                    None => other(Step::Process, "cannot make the process")(error),
                });
            }
            Err(MakeError::Cgroup(error)) => {
                return Err(limit(
                    Step::Process,
                    "cannot put the process into its cgroup",
                )(error));
            }
        }
    };
    registry::remember(pid);
    Child::observe(pid, pidfd).map_err(|error| {
        // Our child, not reaped: the number is its own.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        registry::forget(pid);
        let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        limit(Step::Observe, "cannot watch the process")(error)
    })
}

enum MakeError {
    Refused(io::Error),
    Cgroup(io::Error),
}

/// By `clone3` where there is one, by `posix_spawn` else. A kernel that refuses to make the
/// child in its cgroup lets it join before it executes anything.
fn make(
    process: &NewProcess<'_>,
    cgroup: Option<&Cgroup>,
) -> Result<(Pid, Option<OwnedFd>), MakeError> {
    let join = cgroup.map_or(Join::None, |cgroup| Join::Born(cgroup.dir()));
    let error = match clone::spawn(process, join) {
        Ok((pid, pidfd)) => return Ok((pid, Some(pidfd))),
        Err(error) => error,
    };
    let unsupported = [
        Errno::NOSYS,
        Errno::PERM,
        Errno::INVAL,
        Errno::ACCESS,
        Errno::OPNOTSUPP,
    ]
    .iter()
    .any(|&errno| is(&error.cause, errno));
    if error.step != ChildStep::None || !unsupported {
        return Err(refused(error));
    }
    match cgroup {
        Some(cgroup) => {
            let procs = cgroup.open_procs().map_err(MakeError::Cgroup)?;
            match clone::spawn(process, Join::Write(procs.as_fd())) {
                Ok((pid, pidfd)) => Ok((pid, Some(pidfd))),
                Err(error) => Err(refused(error)),
            }
        }
        None => match sys::spawn(process) {
            Ok(pid) => Ok((pid, None)),
            Err(error) => Err(MakeError::Refused(error)),
        },
    }
}

fn refused(error: CloneError) -> MakeError {
    match error.step {
        ChildStep::Cgroup => MakeError::Cgroup(error.cause),
        ChildStep::None
        | ChildStep::Session
        | ChildStep::Descriptors
        | ChildStep::Directory
        | ChildStep::Execute => MakeError::Refused(error.cause),
    }
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
