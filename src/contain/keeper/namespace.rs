//! The pid namespace of a run: its keeper is the first process in it.
//!
//! When that ends, by whatever hand, the kernel kills everybody in the namespace before
//! anything else (`pid_namespaces(7)`). Who is not root makes one in a user namespace of its
//! own, in which it is the only user there is.
#![expect(unsafe_code, reason = "mount has no safe wrapper that is enabled here")]

use std::ffi::{CStr, c_int};
use std::io::Write as _;
use std::os::fd::{BorrowedFd, RawFd};
use std::ptr;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::fork::{self, exit};
use super::wire::{self, Space, Told};

/// What of it failed, beside the [steps](crate::contain::clone::ChildStep) of a process.
pub(super) const NAMESPACES: u8 = 100;
pub(super) const USER_MAP: u8 = 101;

/// Who makes it. To be asked before it is made: in it nobody is known yet.
#[derive(Clone, Copy)]
pub(super) struct Maker {
    uid: u32,
    gid: u32,
}

impl Maker {
    pub fn own() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
        }
    }
}

/// For `clone(2)`.
pub(super) fn flags(space: Space) -> c_int {
    match space {
        Space::Same => 0,
        Space::Pids => libc::CLONE_NEWPID | libc::CLONE_NEWNS,
        Space::PidsOfUser => libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUSER,
    }
}

/// What fails when such a keeper cannot be made.
pub(super) fn step(space: Space) -> u8 {
    match space {
        Space::Same => 0,
        Space::Pids | Space::PidsOfUser => NAMESPACES,
    }
}

/// Makes itself at home, as the first process of it.
pub(super) fn settle(space: Space, maker: Maker) -> Result<(), (u8, Errno)> {
    if space == Space::PidsOfUser {
        // Without that no group may be mapped: `user_namespaces(7)`.
        let _ = write_to(c"/proc/self/setgroups", format_args!("deny"));
        let Maker { uid, gid } = maker;
        write_to(c"/proc/self/uid_map", format_args!("{uid} {uid} 1"))
            .and_then(|()| write_to(c"/proc/self/gid_map", format_args!("{gid} {gid} 1")))
            .map_err(|errno| (USER_MAP, errno))?;
    }
    if space != Space::Same {
        own_proc();
    }
    Ok(())
}

/// Lets `/proc` show this namespace, where that is granted: `/proc/PID` of a process then is
/// itself. Nothing that pk promises hangs on it.
fn own_proc() {
    let none = ptr::null();
    // SAFETY: the strings end with 0, and null means that nothing is given.
    unsafe {
        // What is mounted from here on is seen here alone.
        let private = libc::MS_REC | libc::MS_SLAVE;
        if libc::mount(none, c"/".as_ptr(), none, private, none.cast()) != 0 {
            return;
        }
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let (kind, at) = (c"proc".as_ptr(), c"/proc".as_ptr());
        libc::mount(kind, at, kind, flags, none.cast());
    }
}

fn write_to(path: &CStr, what: std::fmt::Arguments<'_>) -> Result<(), Errno> {
    let mut text = [0u8; 64];
    let mut rest = &mut text[..];
    if rest.write_fmt(what).is_err() {
        return Err(Errno::TOOBIG);
    }
    let length = 64 - rest.len();
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, &text[..length]).map(|_| ())
}

struct Probe {
    space: Space,
    maker: Maker,
    answer: RawFd,
}

/// Makes one for a moment, which answers whether it could be.
pub(super) fn probe(space: Space, answer: RawFd) -> Result<(), Errno> {
    let mut probe = Probe {
        space,
        maker: Maker::own(),
        answer,
    };
    // SAFETY: the zygote has one thread, and `tell` does system calls only.
    unsafe { fork::copy(flags(space), tell, &mut probe) }.map(|_| ())
}

fn tell(probe: &mut Probe) -> ! {
    let told = match settle(probe.space, probe.maker) {
        Ok(()) => Told::Empty { spawns: 0 },
        Err((step, errno)) => Told::Failed {
            step,
            errno: errno.raw_os_error(),
        },
    };
    // SAFETY: copied with the process, and open.
    let answer = unsafe { BorrowedFd::borrow_raw(probe.answer) };
    let _ = wire::send(answer, told.bytes(), &[], SendFlags::empty());
    exit(0)
}
