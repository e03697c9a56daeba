//! Makes a guard small, and nameless: no heap, another name, other arguments.
//!
//! A forked process shares its memory until somebody writes to it. The face and the
//! supervisor go on to write to their heaps, by and by to all of what they shared: then the
//! former pages would be the guard's alone. It needs none of them.
#![expect(unsafe_code, reason = "gives memory back, and rewrites its arguments")]

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::call;
use super::sweep::for_each_line;
use crate::contain::mapping::{self, Mapping};

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
                unsafe { mapping::give_back(mapping.start, unused) };
            }
            return;
        }
        if mapping.is_code {
            // SAFETY: nobody may write there, so it is what the file says, and is read again.
            unsafe { mapping::give_back(mapping.start, mapping.end) };
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
            unsafe { mapping::give_back(mapping.start, mapping.end) };
        }
    });
}
