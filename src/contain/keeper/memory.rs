//! How the zygote gets small, and where it and the keepers keep what they must remember.
//!
//! A copy of a process maps all that the process had mapped, and making a further copy takes
//! time and page tables for all of it. So the zygote, which came from a process of any size,
//! unmaps what it never touches again: the heap and the stacks of threads that are not in it.
//! Its own stack, its program and the libraries stay, and nothing here allocates.
#![expect(
    unsafe_code,
    reason = "it maps, unmaps and renames by bare system calls"
)]

use std::os::fd::{BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};
use std::ptr;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

/// Closes every descriptor but these two, which get new numbers, and makes 0 to 2 `/dev/null`.
pub(super) fn close_all_but(link: RawFd, signals: OwnedFd) -> Result<[OwnedFd; 2], Errno> {
    const FIRST: RawFd = 3;
    let null = openat(
        CWD,
        c"/dev/null",
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    // SAFETY: the caller's, and open.
    let link = unsafe { BorrowedFd::borrow_raw(link) };
    // Out of the way of the numbers that they will have.
    let link = fcntl_dupfd_cloexec(link, FIRST + 2)?.into_raw_fd();
    let signals = fcntl_dupfd_cloexec(signals, FIRST + 2)?.into_raw_fd();
    let null = fcntl_dupfd_cloexec(null, FIRST + 2)?.into_raw_fd();
    for (number, fd) in (0..).zip([null, null, null, link, signals]) {
        let flags = if number < FIRST { 0 } else { libc::O_CLOEXEC };
        // SAFETY: takes numbers; whoever had the number before is not in this process.
        if unsafe { libc::dup3(fd, number, flags) } < 0 {
            // SAFETY: reads this thread's errno.
            return Err(Errno::from_raw_os_error(unsafe {
                *libc::__errno_location()
            }));
        }
    }
    // SAFETY: takes numbers only; nobody in this process uses what is closed.
    unsafe {
        let first = (FIRST + 2).cast_unsigned();
        if libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) != 0 {
            // Before Linux 5.9.
            for number in FIRST + 2..65_536 {
                libc::close(number);
            }
        }
        Ok([OwnedFd::from_raw_fd(FIRST), OwnedFd::from_raw_fd(FIRST + 1)])
    }
}

/// A line of `/proc/self/maps`, as far as it matters here.
struct Mapping {
    start: usize,
    end: usize,
    /// Private, writable, of no file.
    is_plain: bool,
    of_file: bool,
}

/// Unmaps what this process does not need.
pub(super) fn shrink() {
    let Ok(maps) = openat(
        CWD,
        c"/proc/self/maps",
        OFlags::RDONLY | OFlags::CLOEXEC,
        Mode::empty(),
    ) else {
        return;
    };
    let here = 0u8;
    let needed = [
        ptr::from_ref(&here) as usize,
        // Beside it is all that belongs to this thread.
        // SAFETY: only the address is looked at.
        unsafe { libc::__errno_location() } as usize,
    ];
    let mut before = 0;
    let mut buffer = [0u8; 2048];
    let mut held = 0;
    while let Ok(read) = rustix::io::read(&maps, &mut buffer[held..]) {
        if read == 0 {
            return;
        }
        let end = held + read;
        let mut from = 0;
        while let Some(length) = buffer[from..end].iter().position(|&byte| byte == b'\n') {
            let line = &buffer[from..from + length];
            from += length + 1;
            let Some(mapping) = parse(line) else { continue };
            // What a program has of zeroed memory follows what it has in its file.
            let follows_file = before == mapping.start;
            let is_needed = needed
                .iter()
                .any(|address| (mapping.start..mapping.end).contains(address));
            if mapping.of_file {
                before = mapping.end;
            } else if mapping.is_plain && !is_needed && !follows_file {
                let (start, length) = (mapping.start, mapping.end - mapping.start);
                // SAFETY: nothing in it is used again: this thread's stack and own memory
                // and the memory of programs and libraries are elsewhere, and there is no
                // heap without an allocation.
                unsafe { libc::munmap(start as *mut _, length) };
            }
        }
        buffer.copy_within(from..end, 0);
        held = end - from;
        if held == buffer.len() {
            return;
        }
    }
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE NAME`, `proc_pid_maps(5)`.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut words = line
        .split(|&byte| byte == b' ')
        .filter(|word| !word.is_empty());
    let mut range = words.next()?.split(|&byte| byte == b'-');
    let (start, end) = (hex(range.next()?)?, hex(range.next()?)?);
    let permissions = words.next()?;
    let inode = words.nth(2)?;
    let name = words.next().unwrap_or(b"");
    let of_file = inode != b"0";
    let is_special = name.starts_with(b"[") && name != b"[heap]" && !name.starts_with(b"[anon:");
    Some(Mapping {
        start,
        end,
        is_plain: permissions == b"rw-p" && !of_file && !is_special,
        of_file,
    })
}

fn hex(text: &[u8]) -> Option<usize> {
    text.iter().try_fold(0usize, |sum, &byte| {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        sum.checked_mul(16)?.checked_add(usize::from(digit))
    })
}

/// Shows this instead of the command line of the program that it was copied from.
pub(super) fn rename(name: &[u8]) {
    let Some((start, end)) = arguments() else {
        return;
    };
    let length = end.saturating_sub(start);
    let first = start as *mut u8;
    for index in 0..length {
        let byte = name.get(index).copied().unwrap_or(0);
        // The last one stays 0, which ends it.
        let byte = if index + 1 == length { 0 } else { byte };
        // SAFETY: the kernel says that the arguments are there: in this process's stack,
        // which is its own, writable, and read by nobody else in it.
        unsafe { first.add(index).write_volatile(byte) };
    }
}

/// Where the arguments are, from fields 48 and 49 of `/proc/self/stat`.
fn arguments() -> Option<(usize, usize)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let stat = openat(CWD, c"/proc/self/stat", flags, Mode::empty()).ok()?;
    let mut buffer = [0u8; 1024];
    let read = rustix::io::read(&stat, &mut buffer).ok()?;
    let text = buffer.get(..read)?;
    let close = text.iter().rposition(|&byte| byte == b')')?;
    let mut words = text.get(close + 2..)?.split(|&byte| byte == b' ');
    let decimal = |text: &[u8]| {
        text.iter().try_fold(0usize, |sum, &byte| {
            let digit = byte.checked_sub(b'0').filter(|&digit| digit < 10)?;
            sum.checked_mul(10)?.checked_add(usize::from(digit))
        })
    };
    let start = decimal(words.nth(45)?)?;
    let end = decimal(words.next()?)?;
    (start != 0 && start < end).then_some((start, end))
}

/// What is remembered of a child.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub pid: i32,
    pub index: u32,
}

/// Children, in memory that takes up none until it is used.
pub(super) struct Table {
    first: *mut Entry,
    length: usize,
    most: usize,
}

impl Table {
    pub fn new(most: usize) -> Result<Self, Errno> {
        // SAFETY: a fresh private mapping at an address of the kernel's choice.
        let first = unsafe {
            libc::mmap(
                ptr::null_mut(),
                most * size_of::<Entry>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if first == libc::MAP_FAILED {
            return Err(Errno::NOMEM);
        }
        Ok(Self {
            first: first.cast(),
            length: 0,
            most,
        })
    }

    fn entries(&self) -> &[Entry] {
        // SAFETY: so many were written, and the mapping is this value's own.
        unsafe { std::slice::from_raw_parts(self.first, self.length) }
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn is_full(&self) -> bool {
        self.length == self.most
    }

    /// There must be room.
    pub fn insert(&mut self, entry: Entry) {
        if self.is_full() {
            return;
        }
        // SAFETY: within the mapping, since it is not full.
        unsafe { self.first.add(self.length).write(entry) };
        self.length += 1;
    }

    pub fn get(&self, pid: i32) -> Option<Entry> {
        self.entries()
            .iter()
            .find(|entry| entry.pid == pid)
            .copied()
    }

    pub fn remove(&mut self, pid: i32) -> Option<Entry> {
        let at = self.entries().iter().position(|entry| entry.pid == pid)?;
        let entry = self.entries()[at];
        let last = self.entries()[self.length - 1];
        // SAFETY: within what was written.
        unsafe { self.first.add(at).write(last) };
        self.length -= 1;
        Some(entry)
    }

    pub fn each(&self, mut visit: impl FnMut(Entry)) {
        for entry in self.entries() {
            visit(*entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mappings() {
        let plain = parse(b"7f01-7fa0 rw-p 00000000 00:00 0 ").unwrap();
        assert_eq!((plain.start, plain.end), (0x7f01, 0x7fa0));
        assert!(plain.is_plain && !plain.of_file);
        let line = b"55d0-55e0 rw-p 00000000 00:00 0                          [heap]";
        assert!(parse(line).unwrap().is_plain);
        let line = b"55d0-55e0 rw-p 00000000 00:00 0                          [stack]";
        assert!(!parse(line).unwrap().is_plain);
        let line = b"55d0-55e0 rw-p 00001000 fe:01 123                        /bin/x";
        assert!(parse(line).unwrap().of_file);
    }

    #[test]
    fn a_table_keeps_what_is_put_in() {
        let mut table = Table::new(3).unwrap();
        for pid in 1..=4 {
            table.insert(Entry { pid, index: 9 });
        }
        assert!(table.is_full());
        assert!(table.remove(1).is_some());
        assert!(table.remove(1).is_none());
        assert!(table.get(3).is_some());
        let mut all = Vec::new();
        table.each(|entry| all.push(entry.pid));
        assert_eq!(all, [3, 2]);
        assert!(table.get(4).is_none() && !table.is_empty());
    }
}
