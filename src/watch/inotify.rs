//! The kernel's events of folders (`inotify(7)`).

use std::ffi::OsString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::WatchError;

/// Enough for some hundred events at a time, in bytes.
const BUFFER: usize = 64 * 1024;

/// How much of a folder is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// That it goes away, or is moved.
    Itself,
    /// What happens to the files and folders in it.
    Entries,
}

/// One event of a folder.
#[derive(Debug)]
pub(super) struct Event {
    /// Which watch; none of an overflow.
    pub watch: i32,
    pub flags: ReadFlags,
    pub name: Option<OsString>,
}

#[derive(Debug)]
pub(super) struct Inotify {
    fd: OwnedFd,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Inotify {
    pub(super) fn new() -> Result<Self, WatchError> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| WatchError::Init(error.into()))?;
        Ok(Self {
            fd,
            buffer: vec![MaybeUninit::uninit(); BUFFER],
        })
    }

    /// Watches a folder; one that is watched already is from now on at least as deep.
    pub(super) fn add(&self, folder: &Path, depth: Depth) -> Result<i32, WatchError> {
        let itself = WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::MASK_ADD;
        // Not its metadata, and not who reads: neither changes what a file holds.
        let entries = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::EXCL_UNLINK;
        let flags = match depth {
            Depth::Itself => itself,
            Depth::Entries => itself | entries,
        };
        inotify::add_watch(&self.fd, folder, flags).map_err(|error| match error {
            Errno::NOSPC => WatchError::NoWatchLeft,
            other => WatchError::Add(other.into()),
        })
    }

    pub(super) fn remove(&self, watch: i32) {
        // It is gone already where its folder is.
        let _ = inotify::remove_watch(&self.fd, watch);
    }

    /// All events that are there.
    pub(super) fn read(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        let mut reader = Reader::new(&self.fd, &mut self.buffer);
        loop {
            match reader.next() {
                Ok(event) => events.push(Event {
                    watch: event.wd(),
                    flags: event.events(),
                    name: event
                        .file_name()
                        .map(|name| OsString::from_vec(name.to_bytes().to_vec())),
                }),
                Err(Errno::WOULDBLOCK) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
