//! Three processes where there was one: a face, a guard, and a supervisor, so that what the
//! supervisor starts ends with it, however it ends.
//!
//! ```text
//!  face         in the shell's job: terminal, Ctrl-C, Ctrl-Z, exit code; a subreaper
//!   └─ guard         own session; a subreaper; blocks all signals; no heap, no thread
//!       └─ supervisor    own session; makes all groups; a subreaper
//!           └─ units
//! ```
//!
//! | who ends, however | who sees it | what it does |
//! |---|---|---|
//! | supervisor | guard, by pidfd | kills by cgroup and by ancestry until no child is left, removes the cgroups |
//! | guard | supervisor, by pidfd | stops in order, and kills by ancestry what is left |
//! | face | supervisor, whoever composes them gives it a sign; guard, by a pipe | stops in order; sets the terminal back |
//! | guard, then supervisor | face | as the guard |
//!
//! A descendant that loses its parent becomes a child of the nearest of the three, so the
//! tree of the supervisor stays below whoever is left. `waitpid` says `ECHILD` when, and only
//! when, nothing of it is.
//!
//! # Why fork, and no exec
//!
//! [`launch`] forks twice at a moment when this process has one thread, which is when a
//! forked process may go on as a full program. It costs about a millisecond less than an
//! exec of the same program, the supervisor needs to read no file again that the face has
//! read, so they cannot differ, and the guard shares nearly all of its memory with the other
//! two: an exec would give it relocated tables of its own. It gives the heap back, and so
//! must not use one: its life is system calls and memory on its stack.
//!
//! # What this cannot do
//!
//! Where all three are killed in one instant, cgroups and their members stay until the next
//! [`Containment::choose`](super::Containment::choose) there; without cgroups, those that
//! have left every process group stay for good.

mod call;
mod leaf;
mod screen;
mod slim;
mod sweep;
mod terminal;
mod watch;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, getppid, pidfd_open, set_child_subreaper,
    setsid, waitid,
};

use super::{census, sys};
use crate::domain::signal::Signal;
pub use screen::ScreenGuard;
use terminal::Terminal;
use watch::Watch;

/// The exit code of a guard that could not make a supervisor.
const NO_SUPERVISOR: i32 = 71;

/// What a face says to the guard before it ends in order.
const BYE: &[u8] = b"b";

/// Why there is no guard.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// A process with threads cannot go on after a fork.
    #[error("this process has {0} threads already")]
    Threads(usize),
    #[error("cannot make a pipe: {0}")]
    Pipe(io::Error),
    #[error("cannot make a process: {0}")]
    Fork(io::Error),
    #[error("SIGCHLD cannot be set back to its default: {0}")]
    Signals(io::Error),
}

/// Which of the processes this is, after [`launch`].
#[derive(Debug)]
pub enum Role {
    /// The one that was there before.
    Face(Guarded),
    /// Its grandchild, in a session of its own, with nothing to read from or write to.
    Supervisor(Supervised),
}

/// Makes a guard and, below it, a supervisor. Returns twice: in this process and in the
/// supervisor, which goes on with a copy of all that this process has.
///
/// # Errors
/// There is no guard, and this process is as it was.
pub fn launch() -> Result<Role, LaunchError> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        return Err(LaunchError::Threads(threads));
    }
    sys::keep_zombies().map_err(LaunchError::Signals)?;
    let terminal = Terminal::of_this_job();
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|error| LaunchError::Pipe(error.into()));
    let (bye, say_bye) = pipe()?;
    let (told, tell) = pipe()?;
    // Refused by no kernel that pk runs on; without it the face is no last resort.
    let _ = set_child_subreaper(Some(getpid()));
    match call::fork().map_err(LaunchError::Fork)? {
        Some(guard) => Ok(Role::Face(Guarded {
            guard,
            bye: say_bye,
        })),
        None => {
            let _ = setsid();
            let _ = set_child_subreaper(Some(getpid()));
            match call::fork() {
                Ok(Some(supervisor)) => watch::live(Watch {
                    supervisor,
                    bye,
                    told,
                    terminal,
                }),
                Ok(None) => {
                    let _ = setsid();
                    call::null_stdio();
                    Ok(Role::Supervisor(Supervised {
                        guard: getppid(),
                        tell,
                    }))
                }
                Err(_) => call::exit(NO_SUPERVISOR),
            }
        }
    }
}

/// What a face holds of its guard. Dropping it without [`Guarded::part`] counts as a face that
/// ended without a word.
#[derive(Debug)]
pub struct Guarded {
    guard: Pid,
    bye: OwnedFd,
}

/// What became of guard and supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Parting {
    /// The supervisor ended in order, and nothing of it is left.
    Done,
    /// The supervisor ended with this code, 128 + n for a signal. What it had left was ended.
    SupervisorDied(i32),
    /// The guard was killed. What was left was ended by this process.
    GuardDied,
    /// No process could be made for the supervisor.
    NoSupervisor,
    /// It takes longer: something could not be killed.
    Late,
}

impl Guarded {
    /// The number of the guard.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.guard.as_raw_nonzero().get().unsigned_abs()
    }

    /// SIGKILL to the supervisor. Its guard ends what it ran, and then itself.
    pub fn kill_supervisor(&self) {
        let guard = self.guard.as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{guard}/task/{guard}/children"));
        let children = children.unwrap_or_default();
        let pids = children.split_ascii_whitespace();
        for pid in pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)) {
            let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
                continue;
            };
            // The number may have been given anew before the pidfd was opened.
            let parent = census::row(pid).map(|row| row.parent);
            if parent == Some(guard.get()) {
                let _ = sys::signal_pidfd(pidfd.as_fd(), Signal::KILL);
            }
        }
    }

    /// Lets guard and supervisor go on by themselves: they outlive this process.
    pub fn detach(self) {
        let _ = rustix::io::write(&self.bye, BYE);
        let _ = set_child_subreaper(None);
    }

    /// Waits until guard and supervisor have ended, for so long at most. To be called when the
    /// supervisor is ending. Where the guard was killed this process takes its place: `stand`
    /// is the cgroup that the supervisor made, if it did.
    pub fn part(self, stand: Option<&Path>, limit: Duration) -> Parting {
        let _ = rustix::io::write(&self.bye, BYE);
        let deadline = Instant::now() + limit;
        if let Ok(pidfd) = pidfd_open(self.guard, PidfdFlags::empty()) {
            let mut polled = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                match poll(&mut polled, Some(&timespec(left))) {
                    Ok(0) => return Parting::Late,
                    Err(Errno::INTR) => {}
                    Ok(_) | Err(_) => break,
                }
            }
        }
        let ended = waitid(WaitId::Pid(self.guard), WaitIdOptions::EXITED);
        let code = ended.ok().flatten().and_then(|status| status.exit_status());
        match code {
            Some(0) => Parting::Done,
            Some(NO_SUPERVISOR) => Parting::NoSupervisor,
            Some(code) => Parting::SupervisorDied(code),
            None => {
                let left = deadline.saturating_duration_since(Instant::now());
                if self.take_its_place(stand, left) {
                    Parting::GuardDied
                } else {
                    Parting::Late
                }
            }
        }
    }

    /// The supervisor, if it lives, has become a child of this process, as has all that lost
    /// its parent.
    fn take_its_place(&self, stand: Option<&Path>, limit: Duration) -> bool {
        let stand = stand.and_then(|path| CString::new(path.as_os_str().as_bytes()).ok());
        if let Some(stand) = &stand {
            sweep::kill_cgroup(stand);
        }
        let empty = sweep::children(Some(limit));
        if let Some(stand) = &stand {
            sweep::remove_cgroup(stand);
            leaf::leave(stand);
        }
        empty
    }
}

/// What a supervisor holds of its guard.
#[derive(Debug)]
pub struct Supervised {
    guard: Option<Pid>,
    tell: OwnedFd,
}

impl Supervised {
    /// Tells the guard below which cgroup all groups will be. To be called before there is
    /// one.
    pub fn tell_stand(&self, stand: &Path) {
        let mut line = stand.as_os_str().as_bytes().to_vec();
        line.push(b'\n');
        // A guard that is gone is noticed elsewhere.
        let _ = rustix::io::write(&self.tell, &line);
    }

    /// Whether the guard lives: when this process ends, it clears up behind it.
    #[must_use]
    pub fn is_guarded(&self) -> bool {
        self.guard.is_some() && getppid() == self.guard
    }

    /// Resolves once the guard has ended.
    pub async fn guard_gone(&self) {
        let Some(guard) = self.guard.filter(|_| self.is_guarded()) else {
            return;
        };
        let Ok(pidfd) = sys::watch(guard) else {
            // Its end is not noticed: then only the face is.
            return std::future::pending().await;
        };
        // The number may have been somebody else's before the pidfd was opened.
        if self.is_guarded() {
            let _ = pidfd.readable().await;
        }
    }
}

/// Kills every child of this process, and what becomes one by that, until there is none.
/// `false`: after `limit` there is.
///
/// Only for a process that needs none of its children any more.
#[must_use]
pub fn kill_children(limit: Duration) -> bool {
    sweep::children(Some(limit))
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
