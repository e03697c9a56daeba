//! Makes a process by `clone3(2)`, and by `clone(2)` where that is refused.
//!
//! ```text
//!  spawn ─► clone3 ──child::run──► join, prepare, execve
//!              │                        │ failed: step and errno into the task, _exit
//!  (this thread waits) ◄────────────────┘
//! ```
//!
//! The child shares this process's memory until it executes its program, and this thread
//! waits that long (`CLONE_VM | CLONE_VFORK`): no page is copied, so the cost does not grow
//! with the memory of this process. It is born in its cgroup (`CLONE_INTO_CGROUP`), so that
//! there is no moment in which a descendant of it could be outside, and with a pidfd
//! (`CLONE_PIDFD`), so that its number need never be trusted.
//!
//! What goes wrong in the child is written where this process finds it: the step and the
//! errno, without a pipe. This module decides nothing: which way to try is told.
#![expect(
    unsafe_code,
    reason = "clone3 has no wrapper, and its child runs on a stack of its own"
)]

mod call;
mod child;
mod slots;
mod stack;

use std::borrow::Cow;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::process::Pid;

use super::fault::{self, Call};
use super::file_limit;
use super::request::SpawnOptions;
use super::user::User;
pub(super) use call::{CloneArgs, clone3};
pub(super) use child::{ChildStep, Close, Task};
use slots::Slots;
pub(super) use stack::BlockedSignals;
use stack::Stack;

/// A process to make.
#[derive(Debug)]
pub(super) struct NewProcess<'a> {
    pub path: &'a std::ffi::CStr,
    pub argv: &'a [CString],
    pub environment: &'a [Cow<'static, CStr>],
    pub dir: &'a std::ffi::CStr,
    pub place: Place,
    /// `None`: `/dev/null`.
    pub stdin: Option<BorrowedFd<'a>>,
    pub stdout: BorrowedFd<'a>,
    pub stderr: BorrowedFd<'a>,
    /// Its stderr is a terminal, which is to be that of its session.
    pub takes_terminal: bool,
    pub options: &'a SpawnOptions,
}

/// The process group in which the child executes its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It leads a new one.
    Lead,
    Join(Pid),
    /// It leads a new session, and a new group in it.
    Session,
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

/// By which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Clone3,
    /// `clone(2)`: older, and allowed by filters that know nothing of `clone3`.
    Clone,
}

/// Why there is no process.
#[derive(Debug)]
pub(super) struct CloneError {
    pub step: ChildStep,
    pub cause: io::Error,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

/// Starts a process and returns once it executes its program.
pub(super) fn spawn(
    process: &NewProcess<'_>,
    join: Join<'_>,
    way: Way,
) -> Result<(Pid, OwnedFd), CloneError> {
    let argv = pointers(process.argv);
    let environment = pointers(process.environment);
    let null = null().map_err(before)?;
    let stdin = process.stdin.unwrap_or(null);
    let procs = match join {
        Join::Write(fd) => Some(fd),
        Join::None | Join::Born(_) => None,
    };
    let contents = [
        Some(stdin),
        Some(process.stdout),
        Some(process.stderr),
        procs,
    ];
    let slots = Slots::fill(null, contents).map_err(before)?;
    let [stdin, stdout, stderr, joining] = slots.numbers();
    // Before Linux 5.9 the child gets a copy of the table and closes one after the other.
    let share = can_close_ranges();
    let user = process.options.user.as_ref();
    let mut task = Task {
        path: process.path.as_ptr(),
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        dir: process.dir.as_ptr(),
        place: process.place,
        stdio: [stdin, stdout, stderr],
        takes_terminal: process.takes_terminal,
        procs: procs.map_or(-1, |_| joining),
        close: match share {
            true => Close::Unshare(slots.numbers().into_iter().max().unwrap_or(-1)),
            false => Close::UpTo(highest_descriptor()),
        },
        defaults: match way {
            Way::Clone3 => ignored_signals(),
            // It inherits the handlers too.
            Way::Clone => u64::MAX,
        },
        umask: process.options.umask,
        nice: process.options.nice,
        nofile: match process.options.nofile {
            Some(limit) => Some((limit, Some(limit))),
            None => file_limit::inherited().map(|soft| (soft, None)),
        },
        user: user.map(|user| (user.uid, user.gid, user.groups.as_slice())),
        step: ChildStep::None,
        errno: 0,
    };
    let _dumpable = user.map(Dumpable::keep);
    let stack = Stack::take().map_err(before)?;
    // No handler of this process may run in a child that shares its memory.
    let blocked = BlockedSignals::new();
    let made = match way {
        Way::Clone3 => by_clone3(&stack, &mut task, join, share),
        Way::Clone => by_clone(&stack, &mut task, share),
    };
    drop(blocked);
    drop(slots);
    let (pid, pidfd) = made.map_err(before)?;
    if task.errno != 0 {
        // It has exited, and its number stays its own until it is reaped here.
        let id = rustix::process::WaitId::PidFd(pidfd.as_fd());
        let _ = rustix::process::waitid(id, rustix::process::WaitIdOptions::EXITED);
        return Err(CloneError {
            step: task.step,
            cause: io::Error::from_raw_os_error(task.errno),
        });
    }
    Ok((pid, pidfd))
}

fn flags(share: bool) -> c_int {
    let files = if share { libc::CLONE_FILES } else { 0 };
    libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | files
}

fn by_clone3(
    stack: &Stack,
    task: &mut Task<'_>,
    join: Join<'_>,
    share: bool,
) -> io::Result<(Pid, OwnedFd)> {
    fault::check(Call::Clone3)?;
    let mut pidfd: c_int = -1;
    let mut args = CloneArgs {
        flags: flags(share) as u64 | CLONE_CLEAR_SIGHAND,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.base() as u64,
        stack_size: stack::SIZE as u64,
        ..CloneArgs::default()
    };
    if let Join::Born(dir) = join {
        fault::check(Call::IntoCgroup)?;
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = dir.as_raw_fd() as u64;
    }
    // SAFETY: `args` is a whole `clone_args`; the stack is mapped, ours alone, and outlives
    // the child's use of it, since this thread is suspended until exec or exit; `task` is
    // valid for all that time and nobody else reads or writes it.
    let pid = unsafe { clone3(&args, entry, ptr::from_mut(task).cast()) };
    if pid < 0 {
        let errno = i32::try_from(-pid).unwrap_or(libc::EIO);
        return Err(io::Error::from_raw_os_error(errno));
    }
    made(i32::try_from(pid).unwrap_or(0), pidfd)
}

fn by_clone(stack: &Stack, task: &mut Task<'_>, share: bool) -> io::Result<(Pid, OwnedFd)> {
    fault::check(Call::Clone)?;
    let mut pidfd: c_int = -1;
    // SAFETY: as above; the C library puts the arguments for `entry` below the given top of
    // the stack, and the kernel the pidfd where the fifth argument says.
    let pid = unsafe {
        libc::clone(
            entry_of_clone,
            stack.base().byte_add(stack::SIZE),
            flags(share) | libc::SIGCHLD,
            ptr::from_mut(task).cast(),
            &raw mut pidfd,
        )
    };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    made(pid, pidfd)
}

fn made(pid: c_int, pidfd: c_int) -> io::Result<(Pid, OwnedFd)> {
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("no process number"))?;
    if pidfd < 0 {
        return Err(io::Error::other("the kernel gave no pidfd"));
    }
    // SAFETY: on success the kernel has put a new descriptor there, which nobody else owns.
    Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The child's first function.
extern "C" fn entry(task: *mut c_void) -> ! {
    // SAFETY: `task` is what `spawn` handed over, and nobody else touches it meanwhile.
    child::run(unsafe { &mut *task.cast::<Task<'_>>() })
}

extern "C" fn entry_of_clone(task: *mut c_void) -> c_int {
    entry(task)
}

fn before(cause: io::Error) -> CloneError {
    CloneError {
        step: ChildStep::None,
        cause,
    }
}

fn pointers(strings: &[impl AsRef<CStr>]) -> Vec<*const libc::c_char> {
    strings
        .iter()
        .map(|s| s.as_ref().as_ptr())
        .chain([ptr::null()])
        .collect()
}

/// `/dev/null`, open for good.
pub(super) fn null() -> io::Result<BorrowedFd<'static>> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(null) = NULL.get() {
        return Ok(null.as_fd());
    }
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let opened = rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty())?;
    Ok(NULL.get_or_init(|| opened).as_fd())
}

/// Whether there is `close_range(2)`.
fn can_close_ranges() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        if fault::check(Call::CloseRange).is_err() {
            return false;
        }
        // SAFETY: the range holds no descriptor that a process could have.
        unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, 0u32) == 0 }
    })
}

/// And some more, for those that are opened just now.
fn highest_descriptor() -> c_int {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    numbers.max().unwrap_or(1024) + 256
}

/// The signals that this process ignores, as bits from 0 for signal 1: the child would
/// inherit that through exec (`signal(7)`). Looked up once: it was inherited itself, and who
/// changes it later gets children that ignore it too.
fn ignored_signals() -> u64 {
    static IGNORED: OnceLock<u64> = OnceLock::new();
    *IGNORED.get_or_init(look_up_ignored_signals)
}

fn look_up_ignored_signals() -> u64 {
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

/// A child that changes its user makes the memory it shares undumpable (`prctl(2)`), and with
/// that this process's own files in `/proc` unreadable for others: set back when it is done.
struct Dumpable(c_int);

impl Dumpable {
    fn keep(_: &User) -> Self {
        // Asked once: another thread's child may just have changed it.
        static FIRST: std::sync::OnceLock<c_int> = std::sync::OnceLock::new();
        // SAFETY: takes and touches no memory.
        Self(*FIRST.get_or_init(|| unsafe { libc::prctl(libc::PR_GET_DUMPABLE) }))
    }
}

impl Drop for Dumpable {
    fn drop(&mut self) {
        if self.0 == 1 {
            // SAFETY: as above.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1) };
        }
    }
}
