//! The descendants of a process, each proven to be one while it is looked at.
//!
//! ```text
//!  list of children ─► pidfd ─► its parent is still who was listed, and unreaped ─► visit
//! ```
//!
//! A number in a list may have been given to a stranger since it was read. Once a pidfd of it
//! is open, the number is its own for as long as that pidfd takes a signal; what `/proc` then
//! says of the number is said of it. So with the parent's pidfd held as well, that the one is
//! the other's child is a fact and not a guess. Nothing here allocates: keepers do it too.

use std::ffi::CStr;
use std::fmt;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How deep it goes: each level takes descriptors. What is deeper comes nearer as those
/// above it end.
const DEEPEST: usize = 200;

/// A proven descendant.
pub(super) struct Found<'a> {
    pub pid: Pid,
    pub pidfd: BorrowedFd<'a>,
    /// As `/proc/PID/stat` names it.
    state: u8,
    /// Its process group.
    pub group: i32,
    /// It is a child of the one at the root.
    pub is_child: bool,
}

impl Found<'_> {
    pub fn has_ended(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// Whether to look at those below it too.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Found<'_>) -> ControlFlow<()>;

/// Visits every descendant of `root`, each before those below it. The list of those below is
/// opened before the visit, which may end it. The root is this process where it has no pidfd.
///
/// # Errors
/// The list of the root's children cannot be read.
pub(super) fn each(
    root: Pid,
    root_pidfd: Option<BorrowedFd<'_>>,
    visit: Visit<'_>,
) -> Result<(), Errno> {
    let walk = Walk { root, root_pidfd };
    children(root, &mut |pid| {
        walk.descend(root, root_pidfd, pid, 0, visit);
    })
}

struct Walk<'a> {
    root: Pid,
    root_pidfd: Option<BorrowedFd<'a>>,
}

impl Walk<'_> {
    fn descend(
        &self,
        parent: Pid,
        parent_pidfd: Option<BorrowedFd<'_>>,
        pid: Pid,
        depth: usize,
        visit: Visit<'_>,
    ) {
        let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
            return;
        };
        let Some(brief) = brief(pid) else { return };
        // Its parent may have ended meanwhile: then it has come to the root.
        let of_root = brief.parent == self.root.as_raw_nonzero().get()
            && self.root_pidfd.is_none_or(is_unreaped);
        let of_parent =
            brief.parent == parent.as_raw_nonzero().get() && parent_pidfd.is_none_or(is_unreaped);
        if !(of_root || of_parent) || !is_unreaped(pidfd.as_fd()) {
            return;
        }
        let mut below = Below::default();
        if brief.threads == 1 && depth < DEEPEST {
            below.list = open(&path("children", pid, Some(pid))).ok();
        }
        let found = Found {
            pid,
            pidfd: pidfd.as_fd(),
            state: brief.state,
            group: brief.group,
            is_child: of_root,
        };
        if visit(found).is_break() || depth >= DEEPEST || matches!(brief.state, b'Z' | b'X') {
            return;
        }
        let mut next = |child| {
            self.descend(pid, Some(pidfd.as_fd()), child, depth + 1, visit);
        };
        let _ = match below.list {
            Some(list) => numbers(&list, &mut next),
            None => children(pid, &mut next),
        };
    }
}

/// Opened before a visit: its end does not close it, only empties it.
#[derive(Default)]
struct Below {
    list: Option<OwnedFd>,
}

/// A pidfd takes a signal, be it none, until its process is reaped.
pub(super) fn is_unreaped(pidfd: BorrowedFd<'_>) -> bool {
    !matches!(super::signal::test(pidfd), Err(Errno::SRCH))
}

/// Hands over the numbers of the children of a process, whichever of its threads made them.
///
/// # Errors
/// There is no such process, or this kernel does not list children.
pub(super) fn children(of: Pid, each: &mut dyn FnMut(Pid)) -> Result<(), Errno> {
    let tasks = open(&path("task", of, None))?;
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&tasks, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry?;
        let Some(thread) = number(name.file_name().to_bytes()).and_then(Pid::from_raw) else {
            continue;
        };
        match open(&path("children", of, Some(thread))) {
            Ok(list) => numbers(&list, each)?,
            // A process that has ended lists none.
            Err(Errno::NOENT) if thread != of => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the numbers of a list to its end.
fn numbers(list: &OwnedFd, each: &mut dyn FnMut(Pid)) -> Result<(), Errno> {
    let mut buffer = [0u8; 512];
    let mut held = 0;
    loop {
        let read = match rustix::io::read(list, &mut buffer[held..]) {
            Ok(read) => read,
            // It has ended.
            Err(Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error),
        };
        let end = held + read;
        let whole = match buffer[..end].iter().rposition(|&byte| byte == b' ') {
            _ if read == 0 => end,
            Some(last) => last + 1,
            None => 0,
        };
        for word in buffer[..whole].split(|&byte| byte == b' ') {
            if let Some(pid) = number(word).and_then(Pid::from_raw) {
                each(pid);
            }
        }
        if read == 0 {
            return Ok(());
        }
        buffer.copy_within(whole..end, 0);
        held = end - whole;
    }
}

/// What is needed of `/proc/PID/stat`.
struct Brief {
    state: u8,
    parent: i32,
    group: i32,
    threads: i32,
}

fn brief(pid: Pid) -> Option<Brief> {
    let stat = open(&path("stat", pid, None)).ok()?;
    let mut buffer = [0; 512];
    let read = rustix::io::read(&stat, &mut buffer).ok()?;
    let text = buffer.get(..read)?;
    // The name before it may hold anything.
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let mut words = text.get(close + 2..)?.split(|&byte| byte == b' ');
    Some(Brief {
        state: *words.next()?.first()?,
        parent: number(words.next()?)?,
        group: number(words.next()?)?,
        threads: number(words.nth(14)?)?,
    })
}

fn number(text: &[u8]) -> Option<i32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0i32, |sum, byte| match byte {
        b'0'..=b'9' => sum.checked_mul(10)?.checked_add(i32::from(byte - b'0')),
        _ => None,
    })
}

/// A path below `/proc`, without allocating.
struct Path([u8; 64]);

fn path(what: &str, pid: Pid, thread: Option<Pid>) -> Path {
    let mut bytes = [0; 64];
    let pid = pid.as_raw_nonzero();
    let mut rest = &mut bytes[..63];
    let _ = match thread {
        Some(thread) => {
            let thread = thread.as_raw_nonzero();
            write(&mut rest, format_args!("/proc/{pid}/task/{thread}/{what}"))
        }
        None => write(&mut rest, format_args!("/proc/{pid}/{what}")),
    };
    Path(bytes)
}

fn write(into: &mut &mut [u8], what: fmt::Arguments<'_>) -> std::io::Result<()> {
    into.write_fmt(what)
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let path = CStr::from_bytes_until_nul(&path.0).map_err(|_| Errno::INVAL)?;
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_numbers() {
        assert_eq!(number(b"120"), Some(120));
        assert_eq!(number(b""), None);
        assert_eq!(number(b"12a"), None);
        assert_eq!(number(b"99999999999"), None);
    }

    #[test]
    fn those_below_are_found_each_after_its_parent() {
        let script = "sleep 1000 & sh -c 'sleep 1000 & sleep 1000 & wait' & wait";
        let mut shell = std::process::Command::new("sh")
            .args(["-c", script])
            .spawn()
            .unwrap();
        let root = Pid::from_raw(shell.id().cast_signed()).unwrap();
        let mut found = Vec::new();
        for _ in 0..10_000 {
            found.clear();
            each(root, None, &mut |one| {
                found.push((one.pid, one.is_child));
                ControlFlow::Continue(())
            })
            .unwrap();
            if found.len() == 4 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(found.len(), 4, "{found:?}");
        assert_eq!(found.iter().filter(|(_, child)| *child).count(), 2);
        let mut left = 0;
        each(root, None, &mut |one| {
            super::super::signal::send(one.pidfd, libc::SIGKILL).unwrap();
            left += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(left >= 2);
        let _ = shell.kill();
        shell.wait().unwrap();
    }
}
