//! Makes a process that is a copy of this one, and nothing more.
//!
//! Not `fork(3)`: what other code has hung onto that would run in a copy in which locks may
//! be held for ever. Whoever runs in the copy does system calls and nothing else.
#![expect(unsafe_code, reason = "clone has no safe wrapper")]

use std::ffi::{c_int, c_void};
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::contain::clone::{CloneArgs, Way, clone3};

/// What the copy does: it is handed `&mut T` of its own copy, and never returns.
pub(super) type Life<T> = fn(&mut T) -> !;

struct Start<'a, T> {
    life: Life<T>,
    with: &'a mut T,
}

extern "C" fn entry<T>(start: *mut c_void) -> ! {
    // SAFETY: it is what `copy` handed over, on the copy of its stack.
    let start = unsafe { &mut *start.cast::<Start<'_, T>>() };
    (start.life)(start.with)
}

/// Makes a copy that lives `life`. `flags` are those of `clone(2)`, for namespaces.
///
/// # Errors
/// What the kernel answers. Where `clone3(2)` is not to be had, `clone(2)` does.
///
/// # Safety
/// `life` allocates nothing, takes no lock, and unwinds not: other threads of this process
/// are not in the copy, nor what they were about to do.
pub(super) unsafe fn copy<T>(
    flags: c_int,
    life: Life<T>,
    with: &mut T,
) -> Result<(Pid, OwnedFd), Errno> {
    // SAFETY: as the caller promises.
    let made = unsafe { by(Way::Clone3, flags, life, with) };
    match made {
        // As a filter that knows nothing of it answers.
        Err(Errno::NOSYS | Errno::PERM) => {
            // SAFETY: as the caller promises.
            unsafe { by(Way::Clone, flags, life, with) }
        }
        made => made,
    }
}

/// # Safety
/// As [`copy`].
unsafe fn by<T>(
    way: Way,
    flags: c_int,
    life: Life<T>,
    with: &mut T,
) -> Result<(Pid, OwnedFd), Errno> {
    let mut pidfd: c_int = -1;
    let flags = flags | libc::CLONE_PIDFD;
    let mut start = Start { life, with };
    let made = match way {
        Way::Clone3 => {
            let args = CloneArgs {
                flags: flags as u64,
                pidfd: &raw mut pidfd as u64,
                exit_signal: libc::SIGCHLD as u64,
                ..CloneArgs::default()
            };
            // SAFETY: without CLONE_VM the copy goes on with a copy of this stack, so none is
            // named; `start` is there in it; `entry` never returns.
            unsafe { clone3(&args, entry::<T>, ptr::from_mut(&mut start).cast()) }
        }
        Way::Clone => {
            let none = ptr::null_mut::<c_void>();
            let flags = flags | libc::SIGCHLD;
            // SAFETY: as above, but the copy returns here, with 0. The third argument is where
            // the kernel puts the pidfd.
            let made =
                unsafe { libc::syscall(libc::SYS_clone, flags, none, &raw mut pidfd, none, none) };
            match made {
                0 => (start.life)(start.with),
                // SAFETY: reads this thread's errno.
                -1 => unsafe { -(*libc::__errno_location()) as isize },
                made => made as isize,
            }
        }
    };
    if made <= 0 {
        return Err(errno_of(made));
    }
    let pid = i32::try_from(made).ok().and_then(Pid::from_raw);
    // SAFETY: on success the kernel has put a new descriptor there that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    pid.map(|pid| (pid, pidfd)).ok_or(Errno::IO)
}

fn errno_of(made: isize) -> Errno {
    let errno = i32::try_from(made.unsigned_abs()).unwrap_or(libc::EIO);
    Errno::from_raw_os_error(errno)
}

/// Ends this process at once.
pub(super) fn exit(code: c_int) -> ! {
    // SAFETY: runs no handler and does not return.
    unsafe { libc::_exit(code) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    #[test]
    fn a_copy_lives_what_it_is_handed_by_either_call() {
        fn end(code: &mut c_int) -> ! {
            exit(*code + 1)
        }
        for way in [Way::Clone3, Way::Clone] {
            let mut code = 6;
            // SAFETY: it exits at once.
            let (_, pidfd) = unsafe { by(way, 0, end, &mut code) }.unwrap();
            let id = WaitId::PidFd(pidfd.as_fd());
            let ended = waitid(id, WaitIdOptions::EXITED).unwrap().unwrap();
            assert_eq!(ended.exit_status(), Some(7), "{way:?}");
        }
    }
}
