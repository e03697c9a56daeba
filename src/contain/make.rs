//! Makes one process, by the best way that this kernel grants, and names what went wrong.
//!
//! ```text
//!  clone3, born in its cgroup ─refused─► clone3, joins by itself ─refused─► clone, joins
//! ```
//!
//! Each way is tried anew for each process: which one a kernel or a filter refuses is known
//! at once, and a cgroup may differ from the next one.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::cgroup::{Cgroup, CreateError};
use super::child::Child;
use super::clone::{self, ChildStep, CloneError, Join, NewProcess, Place, Way};
use super::error::{SpawnCause, Step};
use super::keeper::Keeper;
use super::registry;
use super::resolve::Executable;

/// Tries when the program is open for writing, a millisecond apart.
const BUSY_TRIES: usize = 20;

/// Who holds what is made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Holder<'a> {
    Cgroup(&'a Cgroup),
    Keeper(&'a Arc<Keeper>),
    /// Its process group alone.
    Nobody,
}

/// Makes the process and watches it.
pub(super) fn start(
    mut process: NewProcess<'_>,
    executable: &Executable,
    holder: Holder<'_>,
) -> Result<Child, SpawnCause> {
    let cgroup = match holder {
        Holder::Cgroup(cgroup) => Some(cgroup),
        Holder::Keeper(_) | Holder::Nobody => None,
    };
    let kept = matches!(holder, Holder::Keeper(_));
    let _unknown_child = (!kept).then(registry::spawning);
    let mut tries = 0;
    let (pid, pidfd) = loop {
        let made = match holder {
            Holder::Keeper(keeper) => match keeper.start(&process) {
                Ok(made) => return Ok(Child::kept(keeper, made)),
                Err(error) => Err(error),
            },
            Holder::Cgroup(_) | Holder::Nobody => make(&process, cgroup),
        };
        let error = match made {
            Ok(made) => break made,
            Err(error) => error,
        };
        let errno = Errno::from_io_error(&error.cause);
        match (error.step, errno) {
            // A program that was just written may be open in a process that is between its
            // making and its exec, for as long as that takes.
            (ChildStep::Execute, Some(Errno::TXTBSY)) if tries < BUSY_TRIES => {
                tries += 1;
                thread::sleep(Duration::from_millis(1));
            }
            // The leader has gone to another session. The cgroup holds this one all the same.
            (ChildStep::Group, Some(Errno::PERM))
                if cgroup.is_some() && process.place != Place::Lead =>
            {
                process.place = Place::Lead;
            }
            _ => return Err(cause(error, executable)),
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

fn make(process: &NewProcess<'_>, cgroup: Option<&Cgroup>) -> Result<(Pid, OwnedFd), CloneError> {
    let born = cgroup.map_or(Join::None, |cgroup| Join::Born(cgroup.dir()));
    let error = match clone::spawn(process, born, Way::Clone3) {
        Err(error) if is_refusal(&error) => error,
        made => return made,
    };
    let procs = match cgroup.map(Cgroup::open_procs) {
        Some(Ok(procs)) => Some(procs),
        Some(Err(cause)) => {
            return Err(CloneError {
                step: ChildStep::Cgroup,
                cause,
            });
        }
        None => None,
    };
    let join = procs
        .as_ref()
        .map_or(Join::None, |fd| Join::Write(fd.as_fd()));
    let unknown = Errno::from_io_error(&error.cause) == Some(Errno::NOSYS);
    if !unknown && procs.is_some() {
        match clone::spawn(process, join, Way::Clone3) {
            Err(error) if is_refusal(&error) => {}
            made => return made,
        }
    }
    clone::spawn(process, join, Way::Clone)
}

/// Whether the way is refused, not the process.
fn is_refusal(error: &CloneError) -> bool {
    let refusals = [
        Errno::NOSYS,
        Errno::PERM,
        Errno::INVAL,
        Errno::ACCESS,
        Errno::OPNOTSUPP,
        // Older than Linux 5.7: it does not know the field that names the cgroup.
        Errno::TOOBIG,
        Errno::BUSY,
    ];
    error.step == ChildStep::None
        && Errno::from_io_error(&error.cause).is_some_and(|errno| refusals.contains(&errno))
}

fn cause(error: CloneError, executable: &Executable) -> SpawnCause {
    let CloneError { step, cause } = error;
    let option = |what| move |cause| SpawnCause::Option { what, cause };
    match (step, Errno::from_io_error(&cause)) {
        (ChildStep::None, Some(Errno::AGAIN)) => SpawnCause::ProcessLimit,
        (ChildStep::None, Some(Errno::NOMEM)) => SpawnCause::NoMemory,
        (ChildStep::None | ChildStep::Cgroup, Some(Errno::NODEV | Errno::NOENT)) => {
            SpawnCause::CgroupGone
        }
        (ChildStep::None, _) => limit(Step::Process, "cannot make the process")(cause),
        (ChildStep::Cgroup, _) => {
            limit(Step::Cgroup, "cannot put the process into its cgroup")(cause)
        }
        (ChildStep::Group, Some(Errno::PERM)) => SpawnCause::LeaderMoved,
        (ChildStep::Group, _) => other(Step::Process, "cannot give it a process group")(cause),
        (ChildStep::Descriptors, _) => limit(Step::Pipes, "cannot set up its descriptors")(cause),
        (ChildStep::Nofile, _) => option("limit its open files")(cause),
        (ChildStep::Nice, _) => option("set its nice value")(cause),
        (ChildStep::User, _) => option("change its user")(cause),
        (ChildStep::Directory, _) => executable.diagnose_dir(cause),
        (ChildStep::Execute, _) => match cause.raw_os_error() {
            Some(errno) => executable.diagnose(errno),
            None => other(Step::Execute, "cannot execute the program")(cause),
        },
    }
}

/// Why there is no cgroup to put the process into.
pub(super) fn no_cgroup(error: CreateError) -> SpawnCause {
    let cause = match error {
        CreateError::Make(cause) => cause,
        CreateError::Open(cause) => return limit(Step::Cgroup, "cannot open its cgroup")(cause),
        CreateError::Watch(cause) => return limit(Step::Observe, "cannot watch its cgroup")(cause),
        CreateError::Limit(cause) => {
            let what = "set the limits of its cgroup";
            return SpawnCause::Option { what, cause };
        }
    };
    match Errno::from_io_error(&cause) {
        // `cgroup.max.descendants` and `cgroup.max.depth` answer so.
        Some(Errno::AGAIN | Errno::NOSPC) => SpawnCause::CgroupLimit,
        Some(Errno::PERM | Errno::ACCESS) => SpawnCause::CgroupDenied,
        Some(Errno::ROFS) => SpawnCause::CgroupReadOnly,
        Some(Errno::NOENT | Errno::NODEV) => SpawnCause::CgroupGone,
        Some(_) | None => limit(Step::Cgroup, "cannot make its cgroup")(cause),
    }
}

/// That there are too many open files is said as such.
pub(super) fn limit(step: Step, action: &'static str) -> impl FnOnce(io::Error) -> SpawnCause {
    move |error| match Errno::from_io_error(&error) {
        Some(Errno::MFILE | Errno::NFILE) => SpawnCause::FileLimit,
        Some(_) | None => other(step, action)(error),
    }
}

pub(super) fn other(step: Step, action: &'static str) -> impl FnOnce(io::Error) -> SpawnCause {
    move |cause| SpawnCause::Other {
        step,
        action,
        cause,
    }
}
