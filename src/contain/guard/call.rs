//! The calls of a process that was just forked, none of which allocates.
#![expect(
    unsafe_code,
    reason = "fork, and what only the C library offers for descriptors and signals"
)]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd as _, IntoRawFd, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

/// `fork(2)`. `None`: this is the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the caller has seen that this process has one thread, so the child has all that
    // this one has, in no state that another thread was about to change.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// `fork(2)`, where this process may have threads: the child must make system calls alone, on
/// memory of its stack.
pub(super) fn fork_beside_threads() -> io::Result<Option<Pid>> {
    // SAFETY: the only caller's child takes no lock, uses no heap and runs nothing that
    // another thread of this process was about to change; it ends by `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// `_exit(2)`: runs nothing that this process shares with the one it was forked from.
pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Makes the three standard descriptors `/dev/null`.
pub(super) fn null_stdio() {
    // SAFETY: the path is a C string, the rest are numbers; descriptors 0 to 2 are owned by
    // nobody but by their numbers.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for standard in 0..3 {
            if null >= 0 {
                libc::dup2(null, standard);
            }
        }
        if null > 2 {
            libc::close(null);
        }
    }
}

/// Closes every descriptor above 2 but these, which get new numbers.
pub(super) fn keep_only<const N: usize>(kept: [OwnedFd; N]) -> [OwnedFd; N] {
    let old = kept.map(IntoRawFd::into_raw_fd);
    // Above all places first, so that none is overwritten before it has moved.
    let base = 3 + c_int::try_from(N).unwrap_or(c_int::MAX);
    let mut next = 3;
    // SAFETY: only numbers are handed over. Nothing in this process uses a descriptor that is
    // closed here: what owned it is never dropped, since the process ends by `_exit`.
    let new = unsafe {
        let above = old.map(|fd| libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, base));
        let new = above.map(|fd| {
            libc::dup3(fd, next, libc::O_CLOEXEC);
            next += 1;
            next - 1
        });
        close_from(next);
        new
    };
    // SAFETY: each is open and owned by nobody else.
    new.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

unsafe fn close_from(first: RawFd) {
    let from = libc::c_uint::try_from(first).unwrap_or(3);
    // SAFETY: takes numbers only.
    if unsafe { libc::syscall(libc::SYS_close_range, from, u32::MAX, 0) } == 0 {
        return;
    }
    // Linux before 5.9.
    for fd in first..4096 {
        // SAFETY: takes a number.
        unsafe { libc::close(fd) };
    }
}

/// Blocks every signal: only SIGKILL and SIGSTOP are left.
pub(super) fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is valid for writing and initialised by the first call; a null pointer
    // means that the former mask is not wanted.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
    }
}

/// Writes `title` where `/proc/PID/cmdline` is read from, which is from `start` to `end`. What
/// has no room is left out; a last byte other than zero would make the environment part of it
/// (`proc_pid_cmdline(5)`).
///
/// # Safety
/// That is this process's memory of its arguments, and nothing reads them any more.
pub(super) unsafe fn retitle(start: usize, end: usize, title: &[u8]) {
    let place = ptr::with_exposed_provenance_mut::<u8>(start);
    let room = end.saturating_sub(start);
    for index in 0..room {
        let byte = title.get(index).filter(|_| index + 1 < room);
        let byte = byte.copied().unwrap_or(0);
        // SAFETY: within the range that the caller vouches for.
        unsafe { place.add(index).write(byte) };
    }
}

/// An address in the memory that each thread has for itself.
pub(super) fn thread_memory() -> usize {
    // SAFETY: always valid, and not read here.
    unsafe { libc::__errno_location() }.expose_provenance()
}
