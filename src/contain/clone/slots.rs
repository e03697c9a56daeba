//! Low descriptors through which a child is handed its own.
//!
//! A child that got a copy of this process's table of descriptors would pay for each of them
//! twice, when it is copied and when it is closed: with 500 services running that is more
//! than all the rest. So it shares the table (`CLONE_FILES`) and takes for itself only its
//! lowest part (`CLOSE_RANGE_UNSHARE`), in which what it needs must therefore lie.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::{DupFlags, dup3, fcntl_dupfd_cloexec};

/// stdin, stdout, stderr, and the file by which it joins its cgroup.
pub(super) const COUNT: usize = 4;

/// The sets that no child uses now: one per thread that ever spawned at the same time.
static FREE: Mutex<Vec<[OwnedFd; COUNT]>> = Mutex::new(Vec::new());

/// A set for one child. Emptied and given back when it is dropped.
pub(super) struct Slots {
    fds: Option<[OwnedFd; COUNT]>,
    null: BorrowedFd<'static>,
}

impl Slots {
    /// Fills a set with these; `null` is `/dev/null`.
    pub fn fill(
        null: BorrowedFd<'static>,
        contents: [Option<BorrowedFd<'_>>; COUNT],
    ) -> io::Result<Self> {
        let free = FREE.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let fds = match free {
            Some(fds) => fds,
            None => {
                // Above the three that every program has.
                let open = || fcntl_dupfd_cloexec(null, 3);
                [open()?, open()?, open()?, open()?]
            }
        };
        let mut slots = Self {
            fds: Some(fds),
            null,
        };
        for (fd, content) in slots.fds.iter_mut().flatten().zip(contents) {
            if let Some(content) = content {
                dup3(content, fd, DupFlags::CLOEXEC)?;
            }
        }
        Ok(slots)
    }

    pub fn numbers(&self) -> [RawFd; COUNT] {
        let number = |at: usize| {
            let fds = self.fds.as_ref();
            fds.map_or(-1, |fds| fds[at].as_fd().as_raw_fd())
        };
        [number(0), number(1), number(2), number(3)]
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        let Some(mut fds) = self.fds.take() else {
            return;
        };
        // A pipe that stayed open here would never be at its end.
        if fds
            .iter_mut()
            .all(|fd| dup3(self.null, fd, DupFlags::CLOEXEC).is_ok())
        {
            FREE.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(fds);
        }
    }
}
