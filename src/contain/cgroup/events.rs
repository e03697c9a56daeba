//! `cgroup.events`: whether a cgroup is populated, and the kernel's word when that changes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::contain::sys;

/// The file, kept open twice: to read it, and to be woken.
///
/// The kernel wakes who polls a file that has not been read since it changed. If somebody else
/// read the same open file between the change and the poll, nobody would be woken, ever; so the
/// one that is polled is never read.
#[derive(Debug)]
pub(super) struct Events {
    read: OwnedFd,
    polled: AsyncFd<OwnedFd>,
}

impl Events {
    pub fn open(dir: &OwnedFd) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let open = || rustix::fs::openat(dir, "cgroup.events", flags, Mode::empty());
        Ok(Self {
            read: open()?,
            polled: sys::watch_fd(open()?, Interest::PRIORITY)?,
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
        let mut text = [0; 64];
        match rustix::io::pread(&self.read, &mut text, 0) {
            Ok(read) => Ok(text[..read].split(|&byte| byte == b'\n').any(|l| l == line)),
            Err(rustix::io::Errno::NODEV) => Ok(gone),
            Err(error) => Err(error.into()),
        }
    }

    async fn until(&self, holds: impl Fn() -> io::Result<bool>) -> io::Result<()> {
        loop {
            if holds()? {
                return Ok(());
            }
            let mut guard = self.polled.ready(Interest::PRIORITY).await?;
            // A change that comes between this and the next reading wakes again, and one that
            // came before it is read.
            guard.clear_ready();
        }
    }
}
