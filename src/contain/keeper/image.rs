//! A process to make, laid out in memory that is handed over.
//!
//! ```text
//!  words: where each part is, and the plain numbers
//!  tables of arguments and environment: where each string is, 0 at the end
//!  groups, strings
//! ```
//!
//! Written once into a memory file. The new process maps it privately, turns places into
//! addresses, and executes from it: nothing of it is ever in the keeper's memory.
#![expect(
    unsafe_code,
    reason = "the new process reads what was laid out for it in mapped memory"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;

use crate::contain::clone::{ChildStep, Close, NewProcess, Place, Task};
use crate::contain::file_limit;

/// The words at the beginning, by name.
#[derive(Clone, Copy)]
enum Word {
    Path,
    Dir,
    Argv,
    Environment,
    Session,
    TakesTerminal,
    HasUmask,
    Umask,
    HasNice,
    Nice,
    HasNofile,
    Nofile,
    HasHardNofile,
    HardNofile,
    HasUser,
    User,
    Group,
    Groups,
    GroupsLength,
    Count,
}

const WORD: usize = size_of::<u64>();

/// Where the table of groups of one that has none is.
const HEADER: usize = Word::Count as usize * WORD;

/// The image of a process, and its length in bytes.
pub(super) fn write(process: &NewProcess<'_>) -> io::Result<(OwnedFd, u32)> {
    let bytes = lay_out(process);
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("it is too long"))?;
    let file = memfd_create(c"pk-image", MemfdFlags::CLOEXEC)?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest)?;
        rest = &rest[written..];
    }
    Ok((file, length))
}

fn lay_out(process: &NewProcess<'_>) -> Vec<u8> {
    let options = process.options;
    let mut bytes = vec![0; HEADER];
    let mut words = [0u64; Word::Count as usize];
    let mut set = |word: Word, value: u64| words[word as usize] = value;
    let optional = |value: Option<u64>| (u64::from(value.is_some()), value.unwrap_or(0));
    set(Word::Session, u64::from(process.place == Place::Session));
    set(Word::TakesTerminal, u64::from(process.takes_terminal));
    let (has, umask) = optional(options.umask.map(u64::from));
    set(Word::HasUmask, has);
    set(Word::Umask, umask);
    let (has, nice) = optional(options.nice.map(|nice| i64::from(nice).cast_unsigned()));
    set(Word::HasNice, has);
    set(Word::Nice, nice);
    let (has, soft) = optional(options.nofile.or_else(file_limit::inherited));
    set(Word::HasNofile, has);
    set(Word::Nofile, soft);
    let (has, hard) = optional(options.nofile);
    set(Word::HasHardNofile, has);
    set(Word::HardNofile, hard);
    if let Some(user) = &options.user {
        set(Word::HasUser, 1);
        set(Word::User, u64::from(user.uid));
        set(Word::Group, u64::from(user.gid));
        set(Word::Groups, bytes.len() as u64);
        set(Word::GroupsLength, user.groups.len() as u64);
        for group in &user.groups {
            bytes.extend(group.to_ne_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
    }
    let tables = bytes.len();
    let arguments = (process.argv.len() + 1) * WORD;
    let environment = (process.environment.len() + 1) * WORD;
    bytes.resize(tables + arguments + environment, 0);
    set(Word::Argv, tables as u64);
    set(Word::Environment, (tables + arguments) as u64);
    table(&mut bytes, tables, process.argv);
    table(&mut bytes, tables + arguments, process.environment);
    set(Word::Path, bytes.len() as u64);
    bytes.extend(process.path.to_bytes_with_nul());
    set(Word::Dir, bytes.len() as u64);
    bytes.extend(process.dir.to_bytes_with_nul());
    for (index, word) in words.iter().enumerate() {
        bytes[index * WORD..(index + 1) * WORD].copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// Puts the strings at the end, and where each is at `at`.
fn table(bytes: &mut Vec<u8>, at: usize, strings: &[impl AsRef<CStr>]) {
    for (index, string) in strings.iter().enumerate() {
        let place = bytes.len() as u64;
        bytes.extend(string.as_ref().to_bytes_with_nul());
        let entry = at + index * WORD;
        bytes[entry..entry + WORD].copy_from_slice(&place.to_ne_bytes());
    }
}

/// Becomes the process of an image. Returns only on failure: the step and the errno.
///
/// `leader` is the number of the process group to join, unless the image wants a session.
pub(super) fn execute(
    image: BorrowedFd<'_>,
    length: u32,
    stdio: [RawFd; 3],
    leader: Option<Pid>,
) -> (ChildStep, i32) {
    // SAFETY: a fresh private mapping at an address of the kernel's choice.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length as usize,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE,
            image.as_raw_fd(),
            0,
        )
    };
    if base == libc::MAP_FAILED {
        // SAFETY: reads this thread's errno.
        return (ChildStep::None, unsafe { *libc::__errno_location() });
    }
    let base = base.cast::<u8>();
    // SAFETY: `lay_out` has written every word, and every place lies within the image; the
    // mapping is page aligned, and words and tables are aligned within it. It is never
    // unmapped, and this process alone sees it.
    unsafe {
        let word = |word: Word| *base.cast::<u64>().add(word as usize);
        let at = |place: Word| base.add(word(place) as usize);
        relocate(base, at(Word::Argv).cast());
        relocate(base, at(Word::Environment).cast());
        let given = |has: Word, value: Word| (word(has) != 0).then(|| word(value));
        let groups = std::slice::from_raw_parts(
            at(Word::Groups).cast::<u32>(),
            word(Word::GroupsLength) as usize,
        );
        let mut task = Task {
            path: at(Word::Path).cast(),
            argv: at(Word::Argv).cast(),
            environment: at(Word::Environment).cast(),
            dir: at(Word::Dir).cast(),
            place: match leader {
                _ if word(Word::Session) != 0 => Place::Session,
                Some(leader) => Place::Join(leader),
                None => Place::Lead,
            },
            stdio,
            takes_terminal: word(Word::TakesTerminal) != 0,
            procs: -1,
            // Each is closed on exec.
            close: Close::None,
            // The zygote has set all to their defaults.
            defaults: 0,
            umask: given(Word::HasUmask, Word::Umask).map(|umask| umask as u32),
            nice: given(Word::HasNice, Word::Nice).map(|nice| nice.cast_signed() as i32),
            nofile: given(Word::HasNofile, Word::Nofile)
                .map(|soft| (soft, given(Word::HasHardNofile, Word::HardNofile))),
            user: given(Word::HasUser, Word::User)
                .map(|user| (user as u32, word(Word::Group) as u32, groups)),
            step: ChildStep::None,
            errno: 0,
        };
        let mut failed = task.attempt();
        if failed.0 == ChildStep::Group && task.place != Place::Lead {
            // The one who led the group has ended. Its keeper holds this one all the same.
            task.place = Place::Lead;
            failed = task.attempt();
        }
        failed
    }
}

/// Turns the places of a table into addresses.
///
/// # Safety
/// `table` is one of the image at `base`, and ends with a 0.
unsafe fn relocate(base: *mut u8, mut table: *mut u64) {
    // SAFETY: within the table up to its end, as the caller promises.
    unsafe {
        while *table != 0 {
            *table = base.add(*table as usize) as u64;
            table = table.add(1);
        }
    }
}
