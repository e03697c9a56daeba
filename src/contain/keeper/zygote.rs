//! The zygote as its owner sees it: made once, asked for keepers, made anew if it was ended.
#![expect(unsafe_code, reason = "it is a copy of this process")]

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

use super::fork;
use super::namespace;
use super::nursery::{self, Nursery};
use super::tree;
use super::wire::{self, Ask, Space, Told};
use crate::contain::census;
use crate::contain::clone::BlockedSignals;
use crate::contain::fault::{self, Call};
use crate::contain::registry;

/// Why there are no keepers to be had, in words that complete "because …".
#[derive(Debug, thiserror::Error)]
pub enum NoKeeper {
    #[error("/proc does not list the children of a process here: {0}")]
    NoChildren(io::Error),
    #[error("it cannot be made: {0}")]
    Process(io::Error),
}

/// How long its end is waited for, so that nobody takes it for a left-over.
const END_LIMIT: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// There is one to a process.
static CURRENT: Mutex<Weak<Zygote>> = Mutex::new(Weak::new());

/// From which the keepers are made. It ends, with all that they keep, when this is dropped,
/// and when this process is gone, however it went.
#[derive(Debug)]
pub(in crate::contain) struct Zygote {
    process: Mutex<Option<Process>>,
}

#[derive(Debug)]
struct Process {
    link: OwnedFd,
    pid: Pid,
    pidfd: OwnedFd,
}

impl Zygote {
    /// That of this process: the one that there is, or a new one.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn raise() -> Result<Arc<Self>, NoKeeper> {
        fault::check(Call::Zygote).map_err(NoKeeper::Process)?;
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zygote) = current.upgrade() {
            return Ok(zygote);
        }
        tree::children(getpid(), &mut |_| {})
            .map_err(|errno| NoKeeper::NoChildren(errno.into()))?;
        let zygote = Arc::new(Self {
            process: Mutex::new(Some(start().map_err(NoKeeper::Process)?)),
        });
        *current = Arc::downgrade(&zygote);
        Ok(zygote)
    }

    /// Asks something of it. One that was ended by somebody else is replaced.
    pub(super) fn ask(&self, ask: Ask, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut process = self.process();
        let send =
            |process: &Process| wire::send(&process.link, ask.bytes(), fds, SendFlags::empty());
        match process.as_ref().map_or(Err(Errno::PIPE), send) {
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => {
                if let Some(ended) = process.take() {
                    ended.end();
                }
                Ok(send(process.insert(start()?))?)
            }
            other => Ok(other?),
        }
    }

    /// Whether a keeper can be had in such namespaces.
    ///
    /// # Errors
    /// What the kernel answers, and whether it was while mapping the user.
    pub fn probe(&self, space: Space) -> Result<(), (bool, io::Error)> {
        let failed = |cause: io::Error| (false, cause);
        fault::check(Call::Namespace).map_err(failed)?;
        let (answer, remote) = pair().map_err(failed)?;
        self.ask(Ask::Probe { space }, &[remote.as_fd()])
            .map_err(failed)?;
        drop(remote);
        let received = wire::receive(&answer, RecvFlags::empty());
        match received.map_err(|errno| failed(errno.into()))? {
            Some(received) => match Told::of(&received.bytes) {
                Some(Told::Failed { step, errno }) => Err((
                    step == namespace::USER_MAP,
                    io::Error::from_raw_os_error(errno),
                )),
                Some(_) | None => Ok(()),
            },
            None => Err(failed(io::Error::other("its first process was ended"))),
        }
    }

    /// Whether anybody has come back to it who has lost his keeper.
    pub(super) fn has_orphans(&self) -> bool {
        let process = self.process();
        let Some(process) = process.as_ref() else {
            return false;
        };
        let mut orphans = false;
        let _ = tree::children(process.pid, &mut |pid| {
            orphans |= census::row(pid).is_some_and(|row| row.name != nursery::KEEPER);
        });
        orphans && tree::is_unreaped(process.pidfd.as_fd())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pair of connected sockets for messages.
pub(super) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

fn start() -> io::Result<Process> {
    fault::check(Call::Zygote)?;
    let (link, remote) = pair()?;
    let mut nursery = Nursery {
        link: remote.as_raw_fd(),
    };
    let _unknown_child = registry::spawning();
    // No handler of this process may run in the copy.
    let blocked = BlockedSignals::new();
    // SAFETY: the zygote does system calls only, whatever the other threads were about to do.
    let made = unsafe { fork::copy(0, nursery::live, &mut nursery) };
    drop(blocked);
    let (pid, pidfd) = made?;
    registry::remember(pid);
    Ok(Process { link, pid, pidfd })
}

impl Process {
    /// Lets it end, and reaps it if it does so soon.
    fn end(self) {
        let Self { link, pid, pidfd } = self;
        drop(link);
        let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
        let _ = poll(&mut polled, Some(&END_LIMIT));
        // Before its number is free. One that ends later is init's to reap, or an orphan.
        registry::forget(pid);
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), options);
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        // So that no new one is raised meanwhile.
        let _current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        let process = self
            .process
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = process.take() {
            process.end();
        }
    }
}
