//! Makes a process by `clone3(2)`, where the kernel and the machine allow it.
//!
//! The child shares this process's memory until it executes its program, and this thread
//! waits that long (`CLONE_VM | CLONE_VFORK`): no page is copied, so the cost does not grow
//! with the memory of this process. It is born in its cgroup (`CLONE_INTO_CGROUP`), so that
//! there is no moment in which a descendant of it could be outside, and with a pidfd
//! (`CLONE_PIDFD`), so that its number need never be trusted.
//!
//! What goes wrong in the child is written where this process finds it: the step and the
//! errno, without a pipe.
#![expect(
    unsafe_code,
    reason = "clone3 has no wrapper, and its child runs on a stack of its own"
)]

use std::arch::asm;
use std::ffi::{CString, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;

use rustix::process::Pid;

use super::sys::NewProcess;

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum ChildStep {
    None = 0,
    Cgroup,
    Session,
    Descriptors,
    Directory,
    Execute,
}

/// Why there is no process.
#[derive(Debug)]
pub(super) struct CloneError {
    pub step: ChildStep,
    pub cause: io::Error,
}

/// How the child gets into its cgroup.
#[derive(Clone, Copy, Debug)]
pub(super) enum Join<'a> {
    None,
    /// The directory: it is born there.
    Born(BorrowedFd<'a>),
    /// `cgroup.procs`, opened for writing: it writes itself before anything else. The kernel
    /// judges by who opened it (`cgroups(7)`), so this works whatever user the child becomes.
    Write(BorrowedFd<'a>),
}

/// `struct clone_args` of `clone3(2)`, as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Bytes; the child calls only the thin wrappers of system calls.
const STACK: usize = 64 * 1024;

/// Everything that the child needs, made before it is: it must not allocate.
struct Task {
    path: *const libc::c_char,
    argv: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    dir: *const libc::c_char,
    /// `None`: it leads a new group.
    group: libc::pid_t,
    stdio: [RawFd; 3],
    procs: RawFd,
    ignored: u64,
    step: u32,
    errno: c_int,
}

/// Starts a process and returns once it executes its program.
pub(super) fn spawn(
    process: &NewProcess<'_>,
    join: Join<'_>,
) -> Result<(Pid, OwnedFd), CloneError> {
    let argv = pointers(process.argv);
    let environment = pointers(process.environment);
    let null = open_null().map_err(before)?;
    let mut task = Task {
        path: process.path.as_ptr(),
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        dir: process.dir.as_ptr(),
        group: process.group.map_or(0, |pid| pid.as_raw_nonzero().get()),
        stdio: [
            process.stdin.map_or(null.as_raw_fd(), |fd| fd.as_raw_fd()),
            process.stdout.as_raw_fd(),
            process.stderr.as_raw_fd(),
        ],
        procs: match join {
            Join::Write(fd) => fd.as_raw_fd(),
            Join::None | Join::Born(_) => -1,
        },
        ignored: ignored_signals(),
        step: ChildStep::None as u32,
        errno: 0,
    };
    let stack = Stack::new().map_err(before)?;
    let mut pidfd: c_int = -1;
    let mut args = CloneArgs {
        flags: (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64
            | CLONE_CLEAR_SIGHAND,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.base as u64,
        stack_size: STACK as u64,
        ..CloneArgs::default()
    };
    if let Join::Born(dir) = join {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = dir.as_raw_fd() as u64;
    }
    // No handler of this process may run in a child that shares its memory.
    let blocked = BlockedSignals::new();
    // SAFETY: `args` is a whole `clone_args`; the stack is mapped, ours alone, and outlives
    // the child's use of it, since this thread is suspended until exec or exit; `task` is
    // valid for all that time and nobody else reads or writes it.
    let pid = unsafe { clone3(&args, child, &raw mut task) };
    drop(blocked);
    if pid < 0 {
        let errno = i32::try_from(-pid).unwrap_or(libc::EIO);
        return Err(before(io::Error::from_raw_os_error(errno)));
    }
    // SAFETY: on success the kernel has put a new descriptor there, which nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if task.errno != 0 {
        // It has exited, and its number stays its own until it is reaped here.
        let id = rustix::process::WaitId::PidFd(std::os::fd::AsFd::as_fd(&pidfd));
        let _ = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
        return Err(CloneError {
            step: step(task.step),
            cause: io::Error::from_raw_os_error(task.errno),
        });
    }
    match pid {
        Some(pid) => Ok((pid, pidfd)),
        None => Err(before(io::Error::other("clone3 gave no process number"))),
    }
}

fn before(cause: io::Error) -> CloneError {
    CloneError {
        step: ChildStep::None,
        cause,
    }
}

fn step(number: u32) -> ChildStep {
    [
        ChildStep::Cgroup,
        ChildStep::Session,
        ChildStep::Descriptors,
        ChildStep::Directory,
        ChildStep::Execute,
    ]
    .into_iter()
    .find(|step| *step as u32 == number)
    .unwrap_or(ChildStep::None)
}

fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ptr())
        .chain([ptr::null()])
        .collect()
}

fn open_null() -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    Ok(rustix::fs::open(
        "/dev/null",
        flags,
        rustix::fs::Mode::empty(),
    )?)
}

/// The signals that this process ignores, as bits from 0 for signal 1: the child would
/// inherit that through exec (`signal(7)`).
fn ignored_signals() -> u64 {
    let mut ignored = 0;
    for signal in 1..=libc::SIGRTMAX() {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a null `act` only reads; `action` is valid for writing.
        let known = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } == 0;
        // SAFETY: zeroed is a valid sigaction, whether or not the call has filled it.
        let action = unsafe { action.assume_init() };
        if known && action.sa_sigaction == libc::SIG_IGN {
            ignored |= 1 << (signal - 1);
        }
    }
    ignored
}

/// The life of the child up to exec. Shares all memory with a suspended parent: it may do
/// system calls and nothing else.
extern "C" fn child(task: *mut Task) -> ! {
    // SAFETY: `task` is what `spawn` handed over, and nobody else touches it meanwhile.
    let task = unsafe { &mut *task };
    let failed = prepare(task);
    task.step = failed as u32;
    // SAFETY: errno is that of the call that failed; `_exit` runs no handler.
    unsafe {
        task.errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Returns only on failure, with the step that failed; errno says why.
fn prepare(task: &Task) -> ChildStep {
    // SAFETY: each call takes numbers and pointers that `spawn` keeps valid, and touches no
    // memory of this program but errno.
    unsafe {
        if task.procs >= 0 && libc::write(task.procs, c"0".as_ptr().cast::<c_void>(), 1) != 1 {
            return ChildStep::Cgroup;
        }
        if libc::setpgid(0, task.group) != 0 {
            return ChildStep::Session;
        }
        let mut signal = 1;
        while signal <= 64 {
            if task.ignored & (1 << (signal - 1)) != 0 {
                libc::signal(signal, libc::SIG_DFL);
            }
            signal += 1;
        }
        // Out of the way of 0 to 2 first, so that none is overwritten before it is used.
        let mut stdio = [-1; 3];
        let mut place = 0;
        while place < 3 {
            stdio[place] = libc::fcntl(task.stdio[place], libc::F_DUPFD, 3);
            if stdio[place] < 0 {
                return ChildStep::Descriptors;
            }
            place += 1;
        }
        let mut place = 0;
        while place < 3 {
            if libc::dup2(stdio[place], place as c_int) < 0 {
                return ChildStep::Descriptors;
            }
            place += 1;
        }
        if libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32) != 0 {
            return ChildStep::Descriptors;
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

/// All signals blocked for this thread, until it is dropped.
struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    fn new() -> Self {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        let mut former = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: both sets are valid for writing, and zeroed is a valid set.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), former.as_mut_ptr());
            Self(former.assume_init())
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was in force before.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut());
        }
    }
}

/// A stack for one child, with a page below it that faults instead of overflowing.
struct Stack {
    mapping: *mut c_void,
    base: *mut c_void,
}

const GUARD: usize = 4096 * 16;

impl Stack {
    fn new() -> io::Result<Self> {
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD + STACK,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: within the mapping, which is longer than the guard.
        let base = unsafe { mapping.byte_add(GUARD) };
        let stack = Self { mapping, base };
        // SAFETY: the upper part of the mapping, ours alone.
        if unsafe { libc::mprotect(base, STACK, libc::PROT_READ | libc::PROT_WRITE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped, and no child uses it any more.
        unsafe {
            libc::munmap(self.mapping, GUARD + STACK);
        }
    }
}

/// Calls `clone3`; in the child calls `entry(task)` on the new stack. Returns the child's
/// number or a negative errno, in the parent.
///
/// # Safety
/// `args` names a stack that is mapped and unused; `task` is valid until the child has
/// executed a program or exited; `entry` never returns.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, entry: extern "C" fn(*mut Task) -> !, task: *mut Task) -> isize {
    let result: isize;
    // SAFETY: the child never comes back past `call`, so it touches nothing of this frame;
    // in the parent only the registers named here have changed.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {task}",
            "call {entry}",
            "ud2",
            "2:",
            task = in(reg) task,
            entry = in(reg) entry,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(args),
            in("rsi") size_of::<CloneArgs>(),
            out("rcx") _,
            out("r11") _,
        );
    }
    result
}

/// As on x86-64.
///
/// # Safety
/// As on x86-64.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, entry: extern "C" fn(*mut Task) -> !, task: *mut Task) -> isize {
    let result: isize;
    // SAFETY: the child never comes back past `blr`, so it touches nothing of this frame; in
    // the parent only the registers named here have changed.
    unsafe {
        asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, {task}",
            "blr {entry}",
            "brk 1",
            "2:",
            task = in(reg) task,
            entry = in(reg) entry,
            inlateout("x0") ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
        );
    }
    result
}
