//! `cgroup.events`: whether a cgroup is populated, and the kernel's word when that changes.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::contain::sys;

/// The file, kept open and watched.
#[derive(Debug)]
pub(super) struct Events {
    file: AsyncFd<OwnedFd>,
}

impl Events {
    pub fn open(dir: &OwnedFd) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(dir, "cgroup.events", flags, Mode::empty())?;
        Ok(Self {
            file: sys::watch_fd(file, Interest::PRIORITY)?,
        })
    }

    /// Reads it. A cgroup that is gone has nobody in it.
    pub fn is_populated(&self) -> io::Result<bool> {
        let mut text = [0; 64];
        match rustix::io::pread(self.file.get_ref(), &mut text, 0) {
            Ok(read) => Ok(text[..read].starts_with(b"populated 1")
                || memchr::memmem::find(&text[..read], b"\npopulated 1").is_some()),
            Err(rustix::io::Errno::NODEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Resolves once nobody is in it.
    pub async fn emptied(&self) -> io::Result<()> {
        loop {
            // Cleared before it is read, so that a change after the reading wakes again.
            if !self.is_populated()? {
                return Ok(());
            }
            let mut guard = self.file.ready(Interest::PRIORITY).await?;
            guard.clear_ready();
        }
    }
}
