//! Kills children until there is none, and cgroups until they are gone, without a heap.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, openat, unlinkat};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use rustix::thread::{NanosleepRelativeResult, nanosleep};

use super::super::sys;
use super::timespec;

/// Between two looks while nothing ends: at first, and at last.
const PAUSES: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(20));

/// How long cgroups may take to be empty once their members are killed.
const REMOVE_LIMIT: Duration = Duration::from_millis(500);

/// Deeper cgroups are left, as is what they hold.
const DEPTH: usize = 16;

/// Kills and reaps the children of this process, and those that become its children by that,
/// until `waitid` says that there is none. `false`: after `limit` there is.
pub(super) fn children(limit: Option<Duration>) -> bool {
    let began = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let reaped = reap();
        match reaped {
            Reaped::NoneLeft => return true,
            Reaped::Some => pause = PAUSES.0,
            Reaped::NoneYet if limit.is_some_and(|limit| began.elapsed() > limit) => return false,
            Reaped::NoneYet => {}
        }
        for_each_child(kill);
        if reaped == Reaped::NoneYet {
            rest(pause);
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaped {
    /// Whose children may be ours now.
    Some,
    NoneYet,
    NoneLeft,
}

fn reap() -> Reaped {
    let mut some = false;
    loop {
        match waitid(WaitId::All, WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(_)) => some = true,
            Err(Errno::INTR) => {}
            Ok(None) if some => return Reaped::Some,
            Ok(None) => return Reaped::NoneYet,
            Err(_) => return Reaped::NoneLeft,
        }
    }
}

/// A child that is not reaped: its number is its own, and that of its process group as long
/// as it is in it. The whole group at once, so that one that forks without end cannot win; a
/// group of this process's own session is not one that a descendant has made.
fn kill(pid: Pid) {
    if sys::session_of(Some(pid)) != sys::session_of(None)
        && let Some(group) = sys::group_of(pid)
    {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = kill_process(pid, Signal::KILL);
}

/// Each hangs on one of the threads of this process.
fn for_each_child(mut found: impl FnMut(Pid)) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(threads) = openat(CWD, c"/proc/self/task", flags, Mode::empty()) else {
        return;
    };
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&threads, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        if entry.file_name().to_bytes().starts_with(b".") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let children = openat(&threads, entry.file_name(), flags, Mode::empty())
            .and_then(|thread| openat(thread, c"children", flags, Mode::empty()));
        if let Ok(children) = children {
            for_each_number(&children, &mut found);
        }
    }
}

pub(super) fn for_each_number(file: &OwnedFd, found: &mut impl FnMut(Pid)) {
    let mut number = 0i32;
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = rustix::io::read(file, &mut buffer) {
        for byte in &buffer[..read] {
            if byte.is_ascii_digit() {
                let digit = i32::from(byte - b'0');
                number = number.saturating_mul(10).saturating_add(digit);
            } else if let Some(pid) = Pid::from_raw(std::mem::take(&mut number)) {
                found(pid);
            }
        }
    }
    if let Some(pid) = Pid::from_raw(number) {
        found(pid);
    }
}

/// Each line of at most 512 bytes, without its end.
pub(super) fn for_each_line(file: &OwnedFd, mut line: impl FnMut(&[u8])) {
    let (mut kept, mut length) = ([0; 512], 0);
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = rustix::io::read(file, &mut buffer) {
        for byte in &buffer[..read] {
            if *byte == b'\n' {
                line(&kept[..length]);
                length = 0;
            } else if length < kept.len() {
                kept[length] = *byte;
                length += 1;
            }
        }
    }
}

/// SIGKILL to all in the cgroup and below it. On Linux before 5.14 only ancestry finds them.
pub(super) fn kill_cgroup(path: &CStr) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = openat(CWD, path, flags, Mode::empty()) else {
        return;
    };
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(kill) = openat(&folder, c"cgroup.kill", flags, Mode::empty()) {
        let _ = rustix::io::write(&kill, b"1");
    }
}

/// Removes the cgroup and all below it, as soon as they are empty.
pub(super) fn remove_cgroup(path: &CStr) {
    let began = Instant::now();
    loop {
        match remove(CWD, path, 0) {
            Ok(()) | Err(Errno::NOENT) => return,
            Err(_) if began.elapsed() > REMOVE_LIMIT => return,
            Err(_) => {
                kill_cgroup(path);
                rest(Duration::from_millis(1));
            }
        }
    }
}

fn remove(parent: impl AsFd + Copy, name: &CStr, depth: usize) -> Result<(), Errno> {
    if unlinkat(parent, name, AtFlags::REMOVEDIR).is_ok() {
        return Ok(());
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let folder = openat(parent, name, flags, Mode::empty())?;
    if depth < DEPTH {
        let mut buffer = [MaybeUninit::uninit(); 1024];
        let mut entries = RawDir::new(folder.as_fd(), &mut buffer);
        while let Some(Ok(entry)) = entries.next() {
            let is_inner = !entry.file_name().to_bytes().starts_with(b".");
            if is_inner && entry.file_type() == FileType::Directory {
                remove(folder.as_fd(), entry.file_name(), depth + 1)?;
            }
        }
    }
    unlinkat(parent, name, AtFlags::REMOVEDIR)
}

fn rest(duration: Duration) {
    match nanosleep(&timespec(duration)) {
        NanosleepRelativeResult::Ok
        | NanosleepRelativeResult::Interrupted(_)
        | NanosleepRelativeResult::Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_numbers_are_read_across_the_ends_of_buffers() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        let text: String = (1..900).map(|n| format!("{n} ")).collect();
        rustix::io::write(&write, text.as_bytes()).unwrap();
        drop(write);
        let mut sum = 0;
        for_each_number(&read, &mut |pid| {
            sum += pid.as_raw_nonzero().get();
        });
        assert_eq!(sum, (1..900).sum::<i32>());

        let (read, write) = rustix::pipe::pipe().unwrap();
        let text: String = (1..300).map(|n| format!("line {n}\n")).collect();
        rustix::io::write(&write, text.as_bytes()).unwrap();
        drop(write);
        let mut lines = 0;
        for_each_line(&read, |line| {
            lines += 1;
            assert_eq!(line, format!("line {lines}").as_bytes());
        });
        assert_eq!(lines, 299);
    }
}
