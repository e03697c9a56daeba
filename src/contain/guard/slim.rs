//! Makes a guard small, and nameless: no heap, another name, other arguments.
//!
//! A forked process shares its memory until somebody writes to it. The face and the
//! supervisor go on to write to their heaps, by and by to all of what they shared: then the
//! former pages would be the guard's alone. It needs none of them.
#![expect(unsafe_code, reason = "gives memory back, and rewrites its arguments")]

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::call;
use super::sweep::for_each_line;

/// As `ps` shows it, in at most 15 bytes; not the name of the program.
const NAME: &std::ffi::CStr = c"stack-guard";

/// As `ps` shows its arguments.
const TITLE: &[u8] = b"stack-guard: ends what a supervisor leaves behind";

/// Room for the frames of a call that gives memory back.
const BELOW_THIS_FRAME: usize = 16 * 1024;

/// From here on this process must not use the heap.
pub(super) fn slim() {
    let _ = rustix::thread::set_name(NAME);
    rename_arguments();
    give_memory_back();
}

/// Who looks for processes by their command line means the others.
fn rename_arguments() {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(stat) = openat(CWD, c"/proc/self/stat", flags, Mode::empty()) else {
        return;
    };
    let mut buffer = [0; 1024];
    let Ok(read) = rustix::io::read(&stat, &mut buffer) else {
        return;
    };
    let text = &buffer[..read];
    let Some(name_end) = text.iter().rposition(|byte| *byte == b')') else {
        return;
    };
    // Fields 48 and 49 (`proc_pid_stat(5)`); the third follows the name.
    let mut fields = text[name_end + 1..]
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty())
        .skip(48 - 3);
    let mut number = || {
        std::str::from_utf8(fields.next()?)
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    let (Some(start), Some(end)) = (number(), number()) else {
        return;
    };
    if start > 0 && start < end {
        // SAFETY: the kernel says that the arguments are there, and this process has read
        // them: what it made of them is elsewhere.
        unsafe { call::retitle(start, end, TITLE) };
    }
}

/// The heap, what was mapped for large pieces of it, what the stack was used for before, and
/// the code that has run: what runs on is read again.
fn give_memory_back() {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(maps) = openat(CWD, c"/proc/self/maps", flags, Mode::empty()) else {
        return;
    };
    let own = call::thread_memory();
    // Asked for the first time it may need the heap.
    let page = rustix::param::page_size();
    let mut behind_file = 0;
    for_each_line(&maps, |line| {
        let Some(mapping) = Mapping::parse(line) else {
            return;
        };
        if mapping.is_stack {
            let used = (&raw const mapping).addr().saturating_sub(BELOW_THIS_FRAME);
            let unused = used - used % page;
            if (mapping.start..mapping.end).contains(&unused) {
                // SAFETY: what lies below all frames is read by nobody before it is written.
                unsafe { call::give_back(mapping.start, unused) };
            }
            return;
        }
        if mapping.is_code {
            // SAFETY: nobody may write there, so it is what the file says, and is read again.
            unsafe { call::give_back(mapping.start, mapping.end) };
        }
        // Directly behind the data of a file stands what that data leaves out: zeroed
        // variables, which the C library needs.
        let of_file = !mapping.is_anonymous || mapping.start == behind_file;
        if of_file {
            behind_file = mapping.end;
        }
        if mapping.is_private_data
            && (mapping.is_heap || (mapping.is_anonymous && !of_file))
            && !(mapping.start..mapping.end).contains(&own)
        {
            // SAFETY: nothing from here on allocates or reads what was allocated. The stack
            // has a name in the list, and the memory of the thread is left out.
            unsafe { call::give_back(mapping.start, mapping.end) };
        }
    });
}

/// A line of `/proc/PID/maps` (`proc_pid_maps(5)`).
#[derive(Debug, PartialEq, Eq)]
struct Mapping {
    start: usize,
    end: usize,
    /// Readable, writable, and nobody else's.
    is_private_data: bool,
    /// Of no file, and without a name.
    is_anonymous: bool,
    is_heap: bool,
    is_stack: bool,
    /// Of a file, and executed; never written.
    is_code: bool,
}

impl Mapping {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?;
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let name = fields.nth(3);
        Some(Self {
            start: usize::from_str_radix(start, 16).ok()?,
            end: usize::from_str_radix(end, 16).ok()?,
            is_private_data: rights.starts_with("rw") && rights.ends_with('p'),
            is_anonymous: name.is_none(),
            is_heap: name == Some("[heap]"),
            is_stack: name == Some("[stack]"),
            is_code: rights == "r-xp" && name.is_some_and(|name| name.starts_with('/')),
        })
    }
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
}
