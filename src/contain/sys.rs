//! The system calls that no safe wrapper offers in the form needed here.
//!
//! Each function is a thin, safe face of one call; nothing here keeps state or decides.
#![expect(
    unsafe_code,
    reason = "kill by group number, sigaction and AsyncFd have no safe wrapper"
)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr;

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::domain::signal::Signal;

/// The session of a process, or of this one. `None`: it is gone, or its session began
/// outside this pid namespace, where the kernel gives it no number.
pub(super) fn session_of(pid: Option<Pid>) -> Option<Pid> {
    // SAFETY: getsid takes a number and touches no memory of ours.
    Pid::from_raw(unsafe { libc::getsid(pid.map_or(0, |pid| pid.as_raw_nonzero().get())) })
        .filter(is_number)
}

/// The process group of a process; `None` as for its session.
pub(super) fn group_of(pid: Pid) -> Option<Pid> {
    // SAFETY: getpgid takes a number and touches no memory of ours.
    Pid::from_raw(unsafe { libc::getpgid(pid.as_raw_nonzero().get()) }).filter(is_number)
}

/// The session that a terminal controls; `None` also if it is no terminal.
pub(super) fn session_of_terminal(terminal: BorrowedFd<'_>) -> Option<Pid> {
    // SAFETY: the descriptor is open for as long as it is borrowed.
    Pid::from_raw(unsafe { libc::tcgetsid(terminal.as_raw_fd()) }).filter(is_number)
}

/// An error is a negative number.
fn is_number(pid: &Pid) -> bool {
    pid.as_raw_nonzero().get() > 0
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
    watch_fd(pidfd_open(pid, PidfdFlags::NONBLOCK)?, Interest::READABLE)
}

/// Registers a descriptor with the current runtime.
pub(super) fn watch_fd(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open for as long as it lives, gives the same descriptor on every
    // call, and is owned by the `AsyncFd` from here on.
    unsafe { AsyncFd::register_with_interest(fd, interest) }.map_err(io::Error::from)
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
