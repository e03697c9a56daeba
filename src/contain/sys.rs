//! The system calls that no safe wrapper offers in the form needed here.
//!
//! Each function is a thin, safe face of one call; nothing here keeps state or decides.
#![expect(
    unsafe_code,
    reason = "posix_spawn, kill by group number, sigaction and AsyncFd have no safe wrapper"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::domain::signal::Signal;

/// A process to make.
#[derive(Debug)]
pub(super) struct NewProcess<'a> {
    pub path: &'a CStr,
    pub argv: &'a [CString],
    pub environment: &'a [CString],
    pub dir: &'a CStr,
    /// `None`: it leads a new group.
    pub group: Option<Pid>,
    /// `None`: `/dev/null`.
    pub stdin: Option<BorrowedFd<'a>>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
}

/// Starts a process by `posix_spawn(3)` and returns once it executes its program.
///
/// glibc and musl make it by `clone(CLONE_VM | CLONE_VFORK)`: no page of this process is
/// copied, so the cost does not grow with its memory. The child begins with no signal
/// ignored and none blocked, whatever this process inherited (from `nohup`, or as a
/// background job of a shell without job control), and with no descriptor but its three.
///
/// # Errors
/// The errno of whichever step failed in the child; it does not say which.
pub(super) fn spawn(process: &NewProcess<'_>) -> io::Result<Pid> {
    let argv = pointers(process.argv);
    let environment = pointers(process.environment);
    let actions = FileActions::new(process)?;
    let attributes = Attributes::new(process.group)?;
    let mut pid: libc::pid_t = 0;
    // SAFETY: every pointer is valid for the call: the strings are NUL-terminated and
    // outlive it, the two arrays end in a null pointer, and `actions` and `attributes` were
    // initialised. posix_spawn changes none of them.
    let errno = unsafe {
        libc::posix_spawn(
            &raw mut pid,
            process.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.as_ptr(),
            environment.as_ptr(),
        )
    };
    check(errno)?;
    Pid::from_raw(pid).ok_or_else(|| io::Error::other("posix_spawn gave no process number"))
}

/// `kill(2)` on a whole group.
pub(super) fn signal_group(group: Pid, signal: Signal) -> io::Result<()> {
    // SAFETY: kill takes two numbers and touches no memory of ours.
    let result = unsafe { libc::kill(-group.as_raw_nonzero().get(), signal.number()) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `pidfd_send_signal(2)`.
pub(super) fn signal_pidfd(pidfd: BorrowedFd<'_>, signal: Signal) -> io::Result<()> {
    // SAFETY: the number of a `Signal` is from 1 to 64, the range that the kernel knows, and
    // the value is only handed to the kernel.
    let signal = unsafe { rustix::process::Signal::from_raw_unchecked(signal.number()) };
    Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
}

/// Opens a pidfd and registers it with the current runtime; it gets readable when the process
/// has ended (`pidfd_open(2)`).
pub(super) fn watch(pid: Pid) -> io::Result<AsyncFd<OwnedFd>> {
    let pidfd = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
    // SAFETY: an `OwnedFd` is open for as long as it lives, gives the same descriptor on every
    // call, and is owned by the `AsyncFd` from here on.
    unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }.map_err(io::Error::from)
}

/// Sets SIGCHLD to its default if it is ignored.
///
/// A process inherits ignored signals, and the kernel reaps the children of one that ignores
/// SIGCHLD by itself (`wait(2)`, notes): their exit statuses would be lost, and their
/// numbers free to be given to strangers.
pub(super) fn keep_zombies() -> io::Result<()> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null `act` only reads; `current` is valid for writing.
    if unsafe { libc::sigaction(libc::SIGCHLD, ptr::null(), current.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed is a valid sigaction, and the call above has filled it.
    let mut action = unsafe { current.assume_init() };
    if action.sa_sigaction != libc::SIG_IGN && action.sa_flags & libc::SA_NOCLDWAIT == 0 {
        return Ok(());
    }
    action.sa_flags &= !libc::SA_NOCLDWAIT;
    if action.sa_sigaction == libc::SIG_IGN {
        action.sa_sigaction = libc::SIG_DFL;
    }
    // SAFETY: `action` is what the kernel gave, with a default or an existing disposition.
    if unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Whether the signal is ignored by this process.
pub(super) fn is_ignored(signal: Signal) -> io::Result<bool> {
    let mut current = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null `act` only reads; `current` is valid for writing.
    if unsafe { libc::sigaction(signal.number(), ptr::null(), current.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed is a valid sigaction, and the call above has filled it.
    Ok(unsafe { current.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

/// Empties the mask of blocked signals of this thread.
pub(super) fn unblock_signals() {
    let mut none = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is valid for writing and initialised by the first call; a null pointer
    // means that the former mask is not wanted. Neither can fail with these arguments.
    unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}

fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    (strings.iter().map(|s| s.as_ptr().cast_mut()))
        .chain([ptr::null_mut()])
        .collect()
}

fn check(errno: c_int) -> io::Result<()> {
    if errno == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(errno))
    }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new(process: &NewProcess<'_>) -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is valid for writing; the call initialises what it points to.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call above.
        let mut actions = Self(unsafe { raw.assume_init() });
        let this = &raw mut actions.0;
        match process.stdin {
            Some(fd) => actions.duplicate(fd, 0)?,
            None => {
                // SAFETY: `this` is initialised; the path is a NUL-terminated constant, and
                // the call copies it.
                check(unsafe {
                    libc::posix_spawn_file_actions_addopen(
                        this,
                        0,
                        c"/dev/null".as_ptr(),
                        libc::O_RDONLY,
                        0,
                    )
                })?;
            }
        }
        actions.duplicate(process.stdout, 1)?;
        actions.duplicate(process.stderr, 2)?;
        // SAFETY: initialised; the path is NUL-terminated, and the call copies it.
        check(unsafe {
            libc::posix_spawn_file_actions_addchdir_np(&raw mut actions.0, process.dir.as_ptr())
        })?;
        // What this process itself inherited is none of its children's: a pipe of whoever
        // started it would stay open for as long as they live.
        #[cfg(target_env = "gnu")]
        // SAFETY: initialised; the number is only noted.
        check(unsafe { libc::posix_spawn_file_actions_addclosefrom_np(&raw mut actions.0, 3) })?;
        Ok(actions)
    }

    fn duplicate(&mut self, fd: BorrowedFd<'_>, target: c_int) -> io::Result<()> {
        // SAFETY: initialised; the descriptors are only noted here, and `fd` is open for as
        // long as the request is borrowed.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, fd.as_raw_fd(), target)
        })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new` and not destroyed before.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new(group: Option<Pid>) -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the pointer is valid for writing; the call initialises what it points to.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: initialised by the successful call above.
        let mut attributes = Self(unsafe { raw.assume_init() });
        let this = &raw mut attributes.0;
        let group = group.map_or(0, |pid| pid.as_raw_nonzero().get());
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGDEF
            | libc::POSIX_SPAWN_SETSIGMASK;
        let (mut all, mut none) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: `this` is initialised, and both sets are by the calls here, before they are
        // read; every call copies what it is given.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::sigemptyset(none.as_mut_ptr());
            check(libc::posix_spawnattr_setpgroup(this, group))?;
            check(libc::posix_spawnattr_setsigdefault(this, all.as_ptr()))?;
            check(libc::posix_spawnattr_setsigmask(this, none.as_ptr()))?;
            check(libc::posix_spawnattr_setflags(this, flags as c_short))?;
        }
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised by `new` and not destroyed before.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}
