//! Running processes that were taken into a group.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::PoisonError;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use super::{ContainError, Group};
use crate::contain::census::{self, Row};
use crate::contain::sys;
use crate::domain::signal::Signal;

/// A process that no process group of ours can hold.
#[derive(Debug)]
pub(super) struct Adopted {
    pid: Pid,
    start: u64,
    pidfd: OwnedFd,
}

impl Adopted {
    fn open(pid: Pid) -> io::Result<Self> {
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        let row = census::row(pid).ok_or(Errno::SRCH)?;
        Ok(Self {
            pid,
            start: row.start,
            pidfd,
        })
    }

    /// What is known of it, while it lives.
    pub fn row(&self) -> Option<Row> {
        // The pidfd knows for certain whose number it is now; start times have a grain.
        census::row(self.pid)
            .filter(|row| row.start == self.start && !row.zombie && !self.has_ended())
    }

    fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.pidfd, PollFlags::IN)];
        let now = rustix::event::Timespec::default();
        poll(&mut polled, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

/// To all of them; `ESRCH` if there is none.
pub(super) fn signal(adopted: &[Adopted], signal: Signal) -> io::Result<()> {
    let mut sent = Err(Errno::SRCH.into());
    for one in adopted {
        sent = sent.or(sys::signal_pidfd(one.pidfd.as_fd(), signal));
    }
    sent
}

impl Group {
    /// Takes in a process that runs already: from now on it is signalled, suspended and ended
    /// with the group. With cgroups so is all that it starts from now on; without, it alone.
    /// What it had started before stays where it is.
    ///
    /// # Errors
    /// [`ContainError::Adopt`]: there is no such process, it may not be moved, or it is this
    /// one. [`ContainError::Spawn`]: the group has no cgroup yet and none can be made.
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut stray = std::process::Command::new("sleep").arg("1000").spawn()?;
    /// let group = pk::contain::Containment::detect()?.group();
    /// group.adopt(stray.id())?;
    /// assert_eq!(group.members().await?[0].pid, stray.id());
    /// let _ = group.kill()?;
    /// stray.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn adopt(&self, pid: u32) -> Result<(), ContainError> {
        let refused = |cause| ContainError::Adopt { pid, cause };
        let number = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .filter(|&number| number != getpid() && number != Pid::INIT)
            .ok_or_else(|| refused(Errno::INVAL.into()))?;
        let mut inner = self.lock();
        if inner.released {
            return Err(refused(io::Error::other("the group was released")));
        }
        let process = Adopted::open(number).map_err(refused)?;
        let cgroup = self.make_cgroup().map_err(|cause| {
            let (stage, stages) = (0, 1);
            ContainError::Spawn(super::SpawnError {
                stage,
                stages,
                cause,
            })
        })?;
        match cgroup {
            Some(cgroup) => {
                cgroup.adopt(number).map_err(refused)?;
                // Its number was its own until now, or else a stranger was moved.
                if process.has_ended() {
                    return Err(refused(Errno::SRCH.into()));
                }
            }
            None => inner.adopted.push(process),
        }
        inner.proven_empty = false;
        inner.spared = false;
        drop(inner);
        *self.sampler.lock().unwrap_or_else(PoisonError::into_inner) = super::Sampler::default();
        Ok(())
    }
}
