//! What the child does between its making and its program.
//!
//! It shares all memory with a suspended parent: it may do system calls and nothing else. It
//! allocates nothing, takes no lock, and calls of the C library only what is a thin wrapper.

use std::ffi::{c_int, c_void};
use std::os::fd::RawFd;
use std::ptr;

use super::Place;

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(in crate::contain) enum ChildStep {
    /// There is no child.
    None = 0,
    Cgroup,
    /// Its process group or session.
    Group,
    Descriptors,
    /// The limit on open files.
    Nofile,
    Nice,
    User,
    Directory,
    Execute,
}

impl ChildStep {
    const ALL: [Self; 9] = [
        Self::None,
        Self::Cgroup,
        Self::Group,
        Self::Descriptors,
        Self::Nofile,
        Self::Nice,
        Self::User,
        Self::Directory,
        Self::Execute,
    ];

    /// By which it is told to another process.
    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn of_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.number() == number)
    }
}

/// Everything that the child needs, made before it is: it must not allocate.
pub(in crate::contain) struct Task<'a> {
    pub path: *const libc::c_char,
    pub argv: *const *const libc::c_char,
    pub environment: *const *const libc::c_char,
    pub dir: *const libc::c_char,
    pub place: Place,
    pub stdio: [RawFd; 3],
    /// `cgroup.procs` of the cgroup to join, or -1.
    pub procs: RawFd,
    pub close: Close,
    /// The signals to be set to their default, as bits from 0 for signal 1.
    pub defaults: u64,
    pub umask: Option<u32>,
    pub nice: Option<i32>,
    /// Soft and hard; `None` for the hard one leaves it.
    pub nofile: Option<(u64, Option<u64>)>,
    /// Its number, group and further groups.
    pub user: Option<(u32, u32, &'a [u32])>,
    pub step: ChildStep,
    pub errno: c_int,
}

/// How it gets rid of the descriptors that are not its own.
#[derive(Clone, Copy)]
pub(in crate::contain) enum Close {
    /// Each that it should not keep is closed on exec.
    None,
    /// It shares the parent's table, and takes what is up to this one for itself.
    Unshare(RawFd),
    /// It has a copy, in which this is the highest.
    UpTo(RawFd),
}

impl Task<'_> {
    /// Executes the program in this process. Returns only on failure: what failed, and errno.
    pub fn attempt(&self) -> (ChildStep, c_int) {
        let step = prepare(self);
        // SAFETY: errno is that of the call that failed.
        (step, unsafe { *libc::__errno_location() })
    }
}

/// The life of the child up to exec.
pub(super) fn run(task: &mut Task<'_>) -> ! {
    (task.step, task.errno) = task.attempt();
    // SAFETY: `_exit` runs no handler.
    unsafe { libc::_exit(127) }
}

/// Returns only on failure, with the step that failed; errno says why.
fn prepare(task: &Task<'_>) -> ChildStep {
    // SAFETY: each call takes numbers and pointers that the parent keeps valid, and touches
    // no memory of this program but errno.
    unsafe {
        // Before anything else: whatever it does from here on is counted there.
        if task.procs >= 0 && libc::write(task.procs, c"0".as_ptr().cast::<c_void>(), 1) != 1 {
            return ChildStep::Cgroup;
        }
        // From here on the table of descriptors is its own.
        if let Close::Unshare(highest) = task.close
            && !close_from(highest + 1, libc::CLOSE_RANGE_UNSHARE)
        {
            return ChildStep::Descriptors;
        }
        let placed = match task.place {
            Place::Lead => libc::setpgid(0, 0),
            Place::Join(group) => libc::setpgid(0, group.as_raw_nonzero().get()),
            Place::Session => libc::setsid(),
        };
        if placed < 0 {
            return ChildStep::Group;
        }
        reset_signals(task.defaults);
        if !set_descriptors(task.stdio, task.close) {
            return ChildStep::Descriptors;
        }
        if let Some((soft, hard)) = task.nofile {
            let mut limit = libc::rlimit {
                rlim_cur: soft,
                rlim_max: soft,
            };
            if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
                return ChildStep::Nofile;
            }
            limit.rlim_cur = soft;
            if let Some(hard) = hard {
                limit.rlim_max = hard;
            }
            if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) != 0 {
                return ChildStep::Nofile;
            }
        }
        if let Some(nice) = task.nice
            && libc::setpriority(libc::PRIO_PROCESS, 0, nice) != 0
        {
            return ChildStep::Nice;
        }
        if let Some(umask) = task.umask {
            libc::umask(umask as libc::mode_t);
        }
        // After what only a privileged user may, before what the new user must be able to.
        if let Some(user) = task.user
            && !become_user(user)
        {
            return ChildStep::User;
        }
        if libc::chdir(task.dir) != 0 {
            return ChildStep::Directory;
        }
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::execve(task.path, task.argv, task.environment);
    }
    ChildStep::Execute
}

/// All signals are blocked still.
unsafe fn reset_signals(defaults: u64) {
    let mut signal = 1;
    while signal <= 64 {
        if defaults & (1 << (signal - 1)) != 0 {
            // SAFETY: sets no handler; a number that the kernel does not know is refused.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        signal += 1;
    }
    // What was sent to the group of this process before the child had left it (Ctrl-Z in a
    // terminal, for one, which would stop the child here and with it the parent for good).
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
    let now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the set is filled before it is read; a null `info` is not written.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        while libc::sigtimedwait(all.as_ptr(), ptr::null_mut(), &raw const now) > 0 {}
    }
}

/// Makes the three its 0 to 2, and closes all else. All three are above 2.
unsafe fn set_descriptors(stdio: [RawFd; 3], close: Close) -> bool {
    let mut place = 0;
    // SAFETY: only numbers are handed over; the table of descriptors is the child's own.
    unsafe {
        while place < 3 {
            if libc::dup2(stdio[place], place as c_int) < 0 {
                return false;
            }
            place += 1;
        }
        match close {
            Close::None => true,
            Close::Unshare(_) => close_from(3, 0),
            Close::UpTo(highest) => {
                let mut fd = 3;
                while fd <= highest {
                    libc::close(fd);
                    fd += 1;
                }
                true
            }
        }
    }
}

unsafe fn close_from(first: RawFd, flags: u32) -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, flags) == 0 }
}

/// By the bare system calls: the C library's would change every thread of the parent.
unsafe fn become_user((uid, gid, groups): (u32, u32, &[u32])) -> bool {
    // SAFETY: the list is valid for reading; the others are numbers.
    unsafe {
        libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, gid, gid, gid) == 0
            && libc::syscall(libc::SYS_setresuid, uid, uid, uid) == 0
    }
}
