//! `cgroup.events`: whether a cgroup is populated, and the kernel's word when that changes.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::PoisonError;

use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use crate::contain::sys;

/// The longest that the file ever is, in bytes, with room to grow.
const LENGTH: usize = 64;

/// The file, kept open and watched.
///
/// The kernel wakes who polls a file that has not been read since it changed: who reads a change
/// may keep the kernel from telling it to those who wait. So whoever reads one wakes them.
#[derive(Debug)]
pub(super) struct Events {
    file: AsyncFd<OwnedFd>,
    /// As it was last read.
    last: Mutex<[u8; LENGTH]>,
    changed: Notify,
}

impl Events {
    pub fn open(dir: &OwnedFd) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, "cgroup.events", flags, Mode::empty())?;
        Ok(Self {
            file: sys::watch_fd(file, Interest::PRIORITY)?,
            last: Mutex::new([0; LENGTH]),
            changed: Notify::new(),
        })
    }

    /// A cgroup that is gone has nobody in it.
    pub fn is_populated(&self) -> io::Result<bool> {
        self.says(b"populated 1", false)
    }

    /// Resolves once nobody is in it.
    pub async fn emptied(&self) -> io::Result<()> {
        self.until(|| Ok(!self.is_populated()?)).await
    }

    /// Resolves once all in it are held still.
    pub async fn frozen(&self) -> io::Result<()> {
        self.until(|| self.says(b"frozen 1", true)).await
    }

    /// Reads it. `gone`: the answer if it was removed.
    fn says(&self, line: &[u8], gone: bool) -> io::Result<bool> {
        let mut text = [0; LENGTH];
        let read = match rustix::io::pread(self.file.get_ref(), &mut text, 0) {
            Ok(read) => read,
            Err(rustix::io::Errno::NODEV) => return Ok(gone),
            Err(error) => return Err(error.into()),
        };
        let last = std::mem::replace(
            &mut *self.last.lock().unwrap_or_else(PoisonError::into_inner),
            text,
        );
        if last != text {
            self.changed.notify_waiters();
        }
        Ok(text[..read].split(|&byte| byte == b'\n').any(|l| l == line))
    }

    async fn until(&self, holds: impl Fn() -> io::Result<bool>) -> io::Result<()> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Before the reading: what others read after it is told.
            changed.as_mut().enable();
            if holds()? {
                return Ok(());
            }
            tokio::select! {
                guard = self.file.ready(Interest::PRIORITY) => {
                    // A change that comes between this and the next reading wakes again, and
                    // one that came before it is read.
                    guard?.clear_ready();
                }
                () = changed => {}
            }
        }
    }
}
