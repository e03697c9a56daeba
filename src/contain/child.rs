//! One spawned process: signalled by pidfd, and observed by its parent.
//!
//! Its parent is this process, which observes it by pidfd and leaves it unreaped until told,
//! or the keeper of its run, which tells how it ended.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitIdStatus, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::fault::{self, Call};
use super::keeper::{Keeper, Made};
use super::registry;
use super::sys;
use crate::domain::exit::ExitStatus;
use crate::domain::signal::Signal;

/// A process of a run that was spawned into it.
#[derive(Debug)]
pub(super) struct Child {
    pid: Pid,
    parent: Parent,
    status: OnceLock<ExitStatus>,
}

/// Who hears how it ends.
#[derive(Debug)]
enum Parent {
    /// This process, which has not reaped it. Readable once it has ended.
    Own(AsyncFd<OwnedFd>),
    Keeper {
        keeper: Arc<Keeper>,
        index: u32,
        pidfd: OwnedFd,
    },
}

impl Child {
    /// Watches a child that was just made and that nothing else reaps.
    pub fn observe(pid: Pid, pidfd: OwnedFd) -> io::Result<Self> {
        fault::check(Call::Watch)?;
        Ok(Self {
            pid,
            parent: Parent::Own(sys::watch_fd(pidfd, Interest::READABLE)?),
            status: OnceLock::new(),
        })
    }

    /// One that its keeper has made.
    pub fn kept(keeper: &Arc<Keeper>, made: Made) -> Self {
        let Made { pid, pidfd, index } = made;
        let keeper = Arc::clone(keeper);
        Self {
            pid,
            parent: Parent::Keeper {
                keeper,
                index,
                pidfd,
            },
            status: OnceLock::new(),
        }
    }

    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether this process reaps it, so that its number is its own until then.
    pub fn is_own(&self) -> bool {
        matches!(self.parent, Parent::Own(_))
    }

    fn pidfd(&self) -> BorrowedFd<'_> {
        match &self.parent {
            Parent::Own(pidfd) => pidfd.get_ref().as_fd(),
            Parent::Keeper { pidfd, .. } => pidfd.as_fd(),
        }
    }

    /// How it ended, if it has. One of this process stays a zombie.
    pub fn status(&self) -> io::Result<Option<ExitStatus>> {
        if let Some(status) = self.status.get() {
            return Ok(Some(*status));
        }
        if let Parent::Keeper { keeper, index, .. } = &self.parent {
            let found = keeper.status(*index)?;
            return Ok(found.map(|found| *self.status.get_or_init(|| found)));
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let id = WaitId::PidFd(self.pidfd());
        let found = retry(|| waitid(id.clone(), options))?;
        Ok(found.map(|found| *self.status.get_or_init(|| exit_status(&found))))
    }

    /// Resolves once it has ended, by the kernel's word and without polling.
    pub async fn exited(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            let pidfd = match &self.parent {
                Parent::Own(pidfd) => pidfd,
                Parent::Keeper { keeper, index, .. } => return keeper.exited(*index).await,
            };
            let mut guard = pidfd.readable().await?;
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            guard.clear_ready();
        }
    }

    /// Fails with `ESRCH` once it has been reaped; a zombie takes a signal without effect.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        sys::signal_pidfd(self.pidfd(), signal)
    }

    /// Reaps it if it has ended, which frees its number. `true`: it is reaped.
    pub fn reap(&self) -> bool {
        if let Parent::Keeper { .. } = self.parent {
            // Its keeper does.
            return true;
        }
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
        let id = WaitId::PidFd(self.pidfd());
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
