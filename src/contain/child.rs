//! One direct child: observed by pidfd, signalled by pidfd, left unreaped until told.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::fault::{self, Call};
use super::registry;
use super::sys;
use crate::domain::exit::ExitStatus;
use crate::domain::signal::Signal;

/// A process that this one made and has not reaped.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
    status: OnceLock<ExitStatus>,
}

impl Child {
    /// Watches a child that was just made and that nothing else reaps.
    pub fn observe(pid: Pid, pidfd: OwnedFd) -> io::Result<Self> {
        fault::check(Call::Watch)?;
        Ok(Self {
            pid,
            pidfd: sys::watch_fd(pidfd, Interest::READABLE)?,
            status: OnceLock::new(),
        })
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// How it ended, if it has. It stays a zombie.
    pub fn status(&self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.status.get() {
            return Ok(Some(*status));
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let found = retry(|| waitid(id.clone(), options))?;
        Ok(found.map(|found| *self.status.get_or_init(|| exit_status(&found))))
    }

    /// Resolves once it has ended, by the kernel's word and without polling.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            let mut guard = self.pidfd.readable().await?;
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            guard.clear_ready();
        }
    }

    /// Fails with `ESRCH` once it has been reaped; a zombie takes a signal without effect.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        sys::signal_pidfd(self.pidfd.get_ref().as_fd(), signal)
    }

    /// Reaps it if it has ended, which frees its number. `true`: it is reaped.
    pub fn reap(&self) -> bool {
        // This also keeps the status, since nobody can ask the kernel after this.
        match self.status() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            // `ECHILD`: somebody else reaped it.
            Err(_) => {
                registry::forget(self.pid);
                return true;
            }
        }
        // Before the number is free: a process made in between may be given it.
        registry::forget(self.pid);
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        // An error is `ECHILD`: it was reaped before.
        let _ = retry(|| waitid(id.clone(), options));
        true
    }
}

fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn exit_status(found: &WaitIdStatus) -> ExitStatus {
    if let Some(code) = found.exit_status() {
        return ExitStatus::Code(code);
    }
    found
        .terminating_signal()
        .and_then(Signal::from_number)
        .map_or(ExitStatus::Signal(Signal::KILL), ExitStatus::Signal)
}
