//! Signals as the zygote and the keepers take and send them: in bare system calls.
#![expect(unsafe_code, reason = "signal masks and signalfd have no safe wrapper")]

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::io::Errno;

/// `pidfd_send_signal(2)`.
pub(super) fn send(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers, and a null pointer for what `kill(2)` would fill in.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    result(sent)
}

/// Sends nothing, and says whether something could be sent.
pub(super) fn test(pidfd: BorrowedFd<'_>) -> Result<(), Errno> {
    send(pidfd, 0)
}

/// To the process group of that number.
pub(super) fn send_group(group: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: takes two numbers.
    result(unsafe { libc::kill(-group, signal) }.into())
}

fn result(returned: libc::c_long) -> Result<(), Errno> {
    if returned == 0 {
        return Ok(());
    }
    // SAFETY: reads this thread's errno.
    Err(Errno::from_raw_os_error(unsafe {
        *libc::__errno_location()
    }))
}

/// Sets every signal to its default: what a zygote inherited is not for those it makes.
pub(super) fn default_all() {
    for signal in 1..=64 {
        // SAFETY: sets no handler; what the kernel does not let be set is refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Blocks every signal, and gives a descriptor from which SIGCHLD is read instead.
pub(super) fn block_all() -> Result<OwnedFd, Errno> {
    let mut all = MaybeUninit::<libc::sigset_t>::zeroed();
    let mut child = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the sets are valid for writing and filled before they are read; a null pointer
    // means that the former mask is not wanted.
    let fd = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), ptr::null_mut());
        libc::sigemptyset(child.as_mut_ptr());
        libc::sigaddset(child.as_mut_ptr(), libc::SIGCHLD);
        libc::signalfd(-1, child.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        result(-1)?;
    }
    // SAFETY: on success it is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Takes what has come.
pub(super) fn drain(signals: &OwnedFd) {
    let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
    while rustix::io::read(signals, &mut buffer).is_ok_and(|read| read > 0) {}
}
