//! Waits for children in one bare system call: who has ended, and how.
#![expect(
    unsafe_code,
    reason = "no safe wrapper of waitid says whose status it is"
)]

use std::mem::MaybeUninit;

use rustix::io::Errno;
use rustix::process::Pid;

/// The end of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub pid: Pid,
    /// Its exit code, or the number of the signal that ended it.
    pub how: i32,
    pub by_signal: bool,
}

/// Whose end is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Any,
    Of(Pid),
}

/// A child that has ended, which stays as it is.
///
/// # Errors
/// `ECHILD`: there is no such child at all.
pub(super) fn look(whose: Whose) -> Result<Option<Ended>, Errno> {
    wait(whose, libc::WNOWAIT)
}

/// The same, and reaps it: its number is free.
///
/// # Errors
/// As [`look`].
pub(super) fn reap(whose: Whose) -> Result<Option<Ended>, Errno> {
    wait(whose, 0)
}

fn wait(whose: Whose, flags: i32) -> Result<Option<Ended>, Errno> {
    let (kind, id) = match whose {
        Whose::Any => (libc::P_ALL, 0),
        Whose::Of(pid) => (libc::P_PID, pid.as_raw_nonzero().get().cast_unsigned()),
    };
    let flags = flags | libc::WEXITED | libc::WNOHANG | libc::__WALL;
    let mut found = MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the kernel fills in `found`, which is valid for writing, or leaves it zeroed.
    let found = unsafe {
        if libc::waitid(kind, id, found.as_mut_ptr(), flags) != 0 {
            return Err(Errno::from_raw_os_error(*libc::__errno_location()));
        }
        found.assume_init()
    };
    // SAFETY: what waitid fills in has these two; zeroed, the number is 0.
    let (pid, how) = unsafe { (found.si_pid(), found.si_status()) };
    Ok(Pid::from_raw(pid).map(|pid| Ended {
        pid,
        how,
        by_signal: found.si_code != libc::CLD_EXITED,
    }))
}
