//! A keeper as its owner sees it.
//!
//! Everything that it tells comes on one connection, whenever it comes: whoever asks takes in
//! what has come, for all that ask.

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvFlags, SendFlags, Shutdown, shutdown};
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::image;
use super::namespace;
use super::tree;
use super::wire::{self, Ask, Space, Told};
use super::zygote::{Zygote, pair};
use crate::contain::census::{self, Row};
use crate::contain::clone::{ChildStep, CloneError, NewProcess};
use crate::contain::fault::{self, Call};
use crate::contain::sys;
use crate::domain::exit::ExitStatus;
use crate::domain::signal::Signal;

/// How often members are listed again while they are signalled.
const ROUNDS: usize = 4;

/// The keeper of one run.
#[derive(Debug)]
pub(in crate::contain) struct Keeper {
    zygote: Arc<Zygote>,
    space: Space,
    control: AsyncFd<OwnedFd>,
    /// The keeper's end, until there is a keeper.
    remote: Mutex<Option<OwnedFd>>,
    /// Itself, once there is one.
    process: OnceLock<(Pid, OwnedFd)>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    spawns: u32,
    exits: Vec<Option<ExitStatus>>,
    /// Nobody was left after so many.
    empty_after: u32,
    gone: bool,
}

impl State {
    fn is_empty(&self) -> bool {
        self.empty_after == self.spawns
    }

    fn take(&mut self, told: Told) {
        match told {
            Told::Exited {
                index,
                how,
                by_signal,
            } => {
                let index = index as usize;
                if self.exits.len() <= index {
                    self.exits.resize(index + 1, None);
                }
                self.exits[index] = Some(if by_signal {
                    let signal = Signal::from_number(how).unwrap_or(Signal::KILL);
                    ExitStatus::Signal(signal)
                } else {
                    ExitStatus::Code(how)
                });
            }
            Told::Empty { spawns } => self.empty_after = spawns,
            Told::Started { .. } | Told::Failed { .. } => {}
        }
    }
}

/// A process that a keeper has made.
#[derive(Debug)]
pub(in crate::contain) struct Made {
    pub pid: Pid,
    pub pidfd: OwnedFd,
    /// How many were made before it.
    pub index: u32,
}

impl Keeper {
    /// Its connection: the keeper itself is made with its first process.
    pub fn new(zygote: Arc<Zygote>, space: Space) -> io::Result<Self> {
        let (control, remote) = pair()?;
        fault::check(Call::Watch)?;
        Ok(Self {
            zygote,
            space,
            control: sys::watch_fd(control, Interest::READABLE)?,
            remote: Mutex::new(Some(remote)),
            process: OnceLock::new(),
            state: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Lets it make a process, and returns once that executes its program. Not to be called
    /// twice at a time.
    pub fn start(&self, process: &NewProcess<'_>) -> Result<Made, CloneError> {
        let failed = |cause: io::Error| CloneError {
            step: ChildStep::None,
            cause,
        };
        fault::check(Call::Clone3).map_err(failed)?;
        let (image, length) = image::write(process).map_err(failed)?;
        let (answer, remote_answer) = pair().map_err(failed)?;
        if self.space != Space::Same {
            set_socket_passcred(&answer, true).map_err(|errno| failed(errno.into()))?;
        }
        let null = crate::contain::clone::null().map_err(failed)?;
        let mut fds = vec![
            image.as_fd(),
            process.stdin.unwrap_or(null),
            process.stdout,
            process.stderr,
            remote_answer.as_fd(),
        ];
        let first = lock(&self.remote).take();
        let index = {
            let mut state = self.state();
            state.spawns += 1;
            state.spawns - 1
        };
        match &first {
            Some(remote) => {
                fds.insert(0, remote.as_fd());
                let space = self.space;
                let image = length;
                self.zygote.ask(Ask::Run { space, image }, &fds)
            }
            None => {
                let ask = Ask::Spawn { image: length };
                let sent = wire::send(self.control(), ask.bytes(), &fds, SendFlags::empty());
                sent.map_err(io::Error::from)
            }
        }
        .map_err(failed)?;
        drop(fds);
        drop((first, remote_answer, image));
        self.hear(&answer, index)
    }

    /// Takes the answer to a spawn: it ends when the new process has executed its program,
    /// or has failed to.
    fn hear(&self, answer: &OwnedFd, index: u32) -> Result<Made, CloneError> {
        let mut made = None;
        let mut refused = None;
        loop {
            let received =
                wire::receive(answer, RecvFlags::empty()).map_err(|errno| CloneError {
                    step: ChildStep::None,
                    cause: errno.into(),
                })?;
            let Some(received) = received else { break };
            match Told::of(&received.bytes) {
                Some(Told::Started { keeper, pid }) => {
                    let (own_number, number) = match self.space {
                        Space::Same => (Pid::from_raw(keeper), Pid::from_raw(pid)),
                        // In its namespace they have others.
                        Space::Pids | Space::PidsOfUser => {
                            let own = received.fds[1].as_ref();
                            (own.and_then(number_of), received.sender)
                        }
                    };
                    let [pidfd, own, ..] = received.fds;
                    made = number.zip(pidfd);
                    if let Some(process) = own_number.zip(own) {
                        let _ = self.process.set(process);
                    }
                }
                Some(Told::Failed { step, errno }) => refused = Some((step, errno)),
                Some(Told::Exited { .. } | Told::Empty { .. }) | None => {}
            }
        }
        match (refused, made) {
            (Some((step, errno)), _) => Err(CloneError {
                step: ChildStep::of_number(step).unwrap_or(ChildStep::None),
                cause: if step >= namespace::NAMESPACES {
                    io::Error::other(format!(
                        "its pid namespace cannot be made: {}",
                        io::Error::from_raw_os_error(errno)
                    ))
                } else {
                    io::Error::from_raw_os_error(errno)
                },
            }),
            (None, Some((pid, pidfd))) => Ok(Made { pid, pidfd, index }),
            (None, None) => Err(CloneError {
                step: ChildStep::None,
                cause: gone(),
            }),
        }
    }

    /// Whether it was ended. Not while it has yet to be made.
    pub fn is_gone(&self) -> bool {
        self.listen();
        self.state().gone
    }

    /// Whether it was ended before it had made anything.
    pub fn never_was(&self) -> bool {
        self.is_gone() && self.process.get().is_none()
    }

    /// How the process of that index ended, if it has.
    pub fn status(&self, index: u32) -> io::Result<Option<ExitStatus>> {
        self.listen();
        let state = self.state();
        match state.exits.get(index as usize).copied().flatten() {
            None if state.gone => Err(gone()),
            status => Ok(status),
        }
    }

    /// Resolves once the process of that index has ended.
    pub async fn exited(&self, index: u32) -> io::Result<ExitStatus> {
        let exit = |state: &State| state.exits.get(index as usize).copied().flatten();
        self.until(|state| {
            exit(state)
                .map(Ok)
                .or_else(|| state.gone.then(|| Err(gone())))
        })
        .await?
    }

    /// Whether nobody is left, by its word.
    pub fn is_empty(&self) -> bool {
        self.listen();
        let (empty, gone) = {
            let state = self.state();
            (state.is_empty(), state.gone)
        };
        // Then the zygote kills whoever it had.
        empty || gone && !self.zygote.has_orphans()
    }

    /// Resolves once nobody is left.
    pub async fn emptied(&self) -> io::Result<()> {
        self.until(|state| (state.is_empty() || state.gone).then_some(()))
            .await?;
        while !self.is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    }

    /// Lets it kill until nobody is left. `false`: nobody is.
    pub fn kill(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        let flags = SendFlags::DONTWAIT;
        let _ = wire::send(self.control(), Ask::Kill.bytes(), &[], flags);
        // A member may have stopped it.
        if let Some((_, pidfd)) = self.process.get() {
            let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::CONT);
        }
        true
    }

    /// Lets it leave alone whoever is left, from here on.
    pub fn spare(&self) {
        let flags = SendFlags::DONTWAIT;
        let _ = wire::send(self.control(), Ask::Spare.bytes(), &[], flags);
    }

    /// Nothing is asked of it any more: it kills whoever is left, and ends. What it tells
    /// meanwhile is heard.
    pub fn close(&self) {
        self.kill();
        lock(&self.remote).take();
        let _ = shutdown(self.control(), Shutdown::Write);
    }

    /// Sends a signal to every member, each by pidfd. `ESRCH` if there is none.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut done = HashSet::new();
        let mut refused = None;
        for _ in 0..ROUNDS {
            let before = done.len();
            self.each(&mut |one| {
                if !one.has_ended() && done.insert(one.pid) {
                    match sys::signal_pidfd(one.pidfd, signal) {
                        Err(error) if Errno::from_io_error(&error) != Some(Errno::SRCH) => {
                            refused = Some(error);
                        }
                        Ok(()) | Err(_) => {}
                    }
                }
            });
            if done.len() == before {
                break;
            }
        }
        match refused {
            Some(error) => Err(error),
            None if done.is_empty() => Err(Errno::SRCH.into()),
            None => Ok(()),
        }
    }

    /// Its members that live.
    pub fn rows(&self) -> Vec<Row> {
        let mut seen = HashSet::new();
        let mut rows = Vec::new();
        self.each(&mut |one| {
            if !one.has_ended() && seen.insert(one.pid) {
                rows.extend(census::row(one.pid).filter(|row| !row.zombie));
            }
        });
        rows
    }

    /// Itself: the time of all that has ended in the run is in its account.
    pub fn row(&self) -> Option<Row> {
        let (pid, pidfd) = self.process.get()?;
        census::row(*pid).filter(|_| tree::is_unreaped(pidfd.as_fd()))
    }

    fn each(&self, visit: &mut dyn FnMut(tree::Found<'_>)) {
        let Some((pid, pidfd)) = self.process.get() else {
            return;
        };
        // An error: it has ended, and with it the run.
        let _ = tree::each(*pid, Some(pidfd.as_fd()), &mut |one| {
            visit(one);
            ControlFlow::Continue(())
        });
    }

    async fn until<T>(&self, found: impl Fn(&State) -> Option<T>) -> io::Result<T> {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            self.listen();
            if let Some(found) = found(&self.state()) {
                return Ok(found);
            }
            tokio::select! {
                // Somebody else has taken in what had come.
                () = changed => {}
                ready = self.control.readable() => {
                    let mut ready = ready?;
                    self.listen();
                    ready.clear_ready();
                }
            }
        }
    }

    /// Takes in what it has told.
    fn listen(&self) {
        let mut state = self.state();
        let mut new = false;
        while !state.gone {
            match wire::receive(self.control(), RecvFlags::DONTWAIT) {
                Ok(Some(received)) => {
                    if let Some(told) = Told::of(&received.bytes) {
                        state.take(told);
                    }
                }
                Err(Errno::AGAIN) => break,
                Ok(None) | Err(_) => state.gone = true,
            }
            new = true;
        }
        drop(state);
        if new {
            self.changed.notify_waiters();
        }
    }

    fn control(&self) -> &OwnedFd {
        self.control.get_ref()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// The number by which this process knows the living process of a pidfd.
fn number_of(pidfd: &OwnedFd) -> Option<Pid> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd());
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    let number = line.trim().parse().ok().filter(|&number| number > 0)?;
    Pid::from_raw(number)
}

fn gone() -> io::Error {
    io::Error::other("its keeper was ended by somebody else")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
