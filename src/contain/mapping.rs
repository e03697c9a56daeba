//! What a process has mapped, and giving back what it needs no more.
#![expect(unsafe_code, reason = "gives memory back to the kernel")]

use std::fs;
use std::ptr;

/// Gives back the memory that this process took to start and does not use now: free pieces of
/// the heap, and the program's code and constants, of which what runs on is read again from
/// the page cache. For once, when the start is over: a program that starts runs through ten
/// times the code that it needs afterwards.
pub fn give_start_back() {
    // SAFETY: it touches only what no piece of the heap in use covers.
    unsafe { libc::malloc_trim(0) };
    // Made whole before anything is given back, as it is on the heap.
    let text = fs::read("/proc/self/smaps").unwrap_or_default();
    for (start, end) in unchanged(&text) {
        // SAFETY: nobody may write there and nobody has, so it is what the file says, and is
        // read again.
        unsafe { give_back(start, end) };
    }
}

/// Gives back the code that has run; what runs on is read again from the page cache. For one who
/// waits for another and then ends: the kernel would take it back then, while somebody waits for
/// that end.
pub fn give_code_back() {
    // Made whole before anything is given back, as it is on the heap.
    let text = fs::read("/proc/self/maps").unwrap_or_default();
    for mapping in text
        .split(|byte| *byte == b'\n')
        .filter_map(Mapping::parse)
        .filter(|mapping| mapping.is_code)
    {
        // SAFETY: nobody may write there, so it is what the file says, and is read again.
        unsafe { give_back(mapping.start, mapping.end) };
    }
}

/// What of a file may not be written, and is as the file has it. (What the linker relocates is
/// writable until then, so that it is another's no more.)
fn unchanged(smaps: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut last = None;
    for line in smaps.split(|byte| *byte == b'\n') {
        if let Some(mapping) = Mapping::parse(line) {
            last = mapping
                .is_of_file_only_read
                .then_some((mapping.start, mapping.end));
        } else if let Some(size) = line.strip_prefix(b"Anonymous:")
            && size.trim_ascii() == b"0 kB"
        {
            found.extend(last.take());
        }
    }
    found
}

/// A line of `/proc/PID/maps` (`proc_pid_maps(5)`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Readable, writable, and nobody else's.
    pub(super) is_private_data: bool,
    /// Of no file, and without a name.
    pub(super) is_anonymous: bool,
    pub(super) is_heap: bool,
    pub(super) is_stack: bool,
    /// Of a file, and executed; never written.
    pub(super) is_code: bool,
    /// The same, executed or not.
    pub(super) is_of_file_only_read: bool,
}

impl Mapping {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let name = fields.nth(3);
        let of_file = name.is_some_and(|name| name.starts_with('/'));
        Some(Self {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            is_private_data: rights.starts_with("rw") && rights.ends_with('p'),
            is_anonymous: name.is_none(),
            is_heap: name == Some("[heap]"),
            is_stack: name == Some("[stack]"),
            is_code: rights == "r-xp" && of_file,
            is_of_file_only_read: matches!(rights, "r-xp" | "r--p") && of_file,
        })
    }
}

/// Gives the pages from `start` to `end` back: from here on they read as zeroes, or as the file
/// has them that they are of.
///
/// # Safety
/// Nothing in this process reads them any more, or they are the file's, unchanged.
pub(super) unsafe fn give_back(start: usize, end: usize) {
    let place = ptr::with_exposed_provenance_mut(start);
    // SAFETY: the range is mapped, by the word of the kernel.
    unsafe { libc::madvise(place, end - start, libc::MADV_DONTNEED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_mappings() {
        let heap = b"55d0c0a00000-55d0c0a21000 rw-p 00000000 00:00 0                 [heap]";
        let heap = Mapping::parse(heap).unwrap();
        assert_eq!(heap.end - heap.start, 0x21000);
        assert!(heap.is_heap && heap.is_private_data && !heap.is_anonymous);
        let plain = Mapping::parse(b"7f00-7f10 rw-p 00000000 00:00 0 ").unwrap();
        assert!(plain.is_anonymous && plain.is_private_data);
        let file = Mapping::parse(b"7f00-7f10 r--p 00000000 fe:01 7 /lib/x.so").unwrap();
        assert!(!file.is_anonymous && !file.is_private_data && !file.is_code);
        let code = Mapping::parse(b"7f00-7f10 r-xp 00000000 fe:01 7 /lib/x.so").unwrap();
        assert!(code.is_code);
        let stack = Mapping::parse(b"7ff0-7fff rw-p 00000000 00:00 0 [stack]").unwrap();
        assert!(stack.is_stack && !stack.is_anonymous);
        assert_eq!(Mapping::parse(b"nothing"), None);
    }

    #[test]
    fn what_the_linker_has_written_is_kept() {
        let smaps =
            b"1000-3000 r--p 00000000 fe:01 7 /bin/x\nSize: 8 kB\nAnonymous:             0 kB\n\
            VmFlags: rd\n3000-5000 r-xp 00002000 fe:01 7 /bin/x\nAnonymous:             0 kB\n\
            5000-6000 r--p 00004000 fe:01 7 /bin/x\nAnonymous:             4 kB\n\
            6000-7000 rw-p 00005000 fe:01 7 /bin/x\nAnonymous:             0 kB\n\
            7000-8000 r-xp 00000000 00:00 0 [vdso]\nAnonymous:             0 kB\n";
        assert_eq!(unchanged(smaps), [(0x1000, 0x3000), (0x3000, 0x5000)]);
    }
}
