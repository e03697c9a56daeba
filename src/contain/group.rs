//! A set of processes that are signalled, observed and ended together.
//!
//! ```text
//!  new ──spawn──► populated ──(all members end)──► empty ──release──► released
//!                     └──────────────drop: SIGKILL──────────────────────┘
//! ```
//!
//! Its children stay unreaped until it is released, which keeps its number its own (see the
//! [module](super)). It must not decide when to signal, nor wait on behalf of its owner.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Pid;
use tokio::time::{sleep, timeout};

use super::census::{self, Row};
use super::cgroup::{self, Cgroup, Stand};
use super::child::Child;
use super::error::{ContainError, SpawnCause, SpawnError, Step};
use super::mechanism::Mechanism;
use super::registry;
use super::request::SpawnRequest;
use super::spawn::{self, Output, Spawned};
use super::sys;
use crate::domain::exit::ExitStatus;
use crate::domain::signal::Signal;

/// To whom a signal goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every member.
    Group,
    /// The first process alone.
    Leader,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Delivery {
    Sent,
    /// Nobody was left to receive it.
    Gone,
}

/// A living process of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub pid: u32,
    pub parent: u32,
    /// As `comm` shows it: at most 15 bytes.
    pub name: String,
}

/// Processes that end together. Dropping it kills what is left of it.
#[derive(Debug)]
pub struct Group {
    /// Where to make its cgroup; without one it is a process group alone.
    stand: Option<Arc<Stand>>,
    name: String,
    /// Made with the first process.
    cgroup: OnceLock<Arc<Cgroup>>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Unreaped; the first is the leader.
    children: Vec<Arc<Child>>,
    /// It was seen empty, and nothing was spawned since: nobody is left to make a member.
    proven_empty: bool,
    released: bool,
}

impl Inner {
    fn all_exited(&self) -> bool {
        let ended = |child: &Arc<Child>| matches!(child.status(), Ok(Some(_)) | Err(_));
        self.children.iter().all(ended)
    }

    /// The group's number, as long as it is ours.
    fn number(&self) -> Option<Pid> {
        if self.released {
            return None;
        }
        self.children.first().map(|leader| leader.pid())
    }
}

impl Group {
    pub(super) fn new(stand: Option<Arc<Stand>>, name: &str) -> Self {
        Self {
            stand,
            name: name.to_owned(),
            cgroup: OnceLock::new(),
            inner: Mutex::default(),
        }
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.stand {
            Some(_) => Mechanism::Cgroup,
            None => Mechanism::ProcessGroup,
        }
    }

    /// Starts every stage of `request` in this group. Returns once each executes its program.
    ///
    /// Must be called within a tokio runtime with IO enabled. The calling thread is held up
    /// for as long as the kernel takes to make the processes.
    ///
    /// # Errors
    /// The stage that was not started and why. Those before it were killed.
    pub fn spawn(&self, request: &SpawnRequest) -> Result<Running, SpawnError> {
        let mut inner = self.lock();
        let cgroup = self.cgroup_for(request)?;
        let Spawned { children, outputs } =
            spawn::spawn(request, inner.number(), cgroup, inner.released)?;
        inner.children.extend(children.iter().cloned());
        inner.proven_empty = false;
        Ok(Running { children, outputs })
    }

    fn cgroup_for(&self, request: &SpawnRequest) -> Result<Option<&Cgroup>, SpawnError> {
        let Some(stand) = &self.stand else {
            return Ok(None);
        };
        if self.cgroup.get().is_none() {
            let made = stand.create(&self.name).map_err(|cause| SpawnError {
                stage: 0,
                stages: request.stages().len(),
                cause: SpawnCause::Other {
                    step: Step::Process,
                    action: "cannot make its cgroup",
                    cause,
                },
            })?;
            // Spawning holds the lock, so nobody has been here meanwhile.
            let _ = self.cgroup.set(Arc::new(made));
        }
        Ok(self.cgroup.get().map(|cgroup| &**cgroup))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// [`ContainError::NotPermitted`]: someone is there but runs as another user.
    pub fn signal(&self, signal: Signal, scope: Scope) -> Result<Delivery, ContainError> {
        // Held while signalling, so that no release frees the number in between.
        let inner = self.lock();
        let Some(number) = inner.number() else {
            return Ok(Delivery::Gone);
        };
        let sent = match scope {
            Scope::Group => match self.cgroup.get() {
                Some(cgroup) => cgroup.signal(signal),
                None => sys::signal_group(number, signal),
            },
            Scope::Leader => match inner.children[0].status() {
                Ok(Some(_)) => return Ok(Delivery::Gone),
                Ok(None) | Err(_) => inner.children[0].signal(signal),
            },
        };
        match sent.map_err(|cause| (cause.raw_os_error().map(Errno::from_raw_os_error), cause)) {
            Ok(()) => Ok(Delivery::Sent),
            Err((Some(Errno::SRCH), _)) => Ok(Delivery::Gone),
            Err((Some(Errno::PERM), _)) => Err(ContainError::NotPermitted(signal)),
            Err((_, cause)) => Err(ContainError::Signal { signal, cause }),
        }
    }

    /// SIGKILL to every member. The kernel sends it to all at once, also to those that are
    /// just being made: a group cannot outgrow it.
    ///
    /// # Errors
    /// As [`Group::signal`].
    pub fn kill(&self) -> Result<Delivery, ContainError> {
        if let Some(cgroup) = self.cgroup.get() {
            let signal = Signal::KILL;
            let killed = cgroup.kill();
            // And whoever has moved itself out of the cgroup, but not out of the group.
            let inner = self.lock();
            let others = inner
                .number()
                .map(|number| sys::signal_group(number, signal));
            killed.map_err(|cause| ContainError::Signal { signal, cause })?;
            return Ok(match others {
                Some(Ok(())) => Delivery::Sent,
                Some(Err(_)) | None => Delivery::Gone,
            });
        }
        self.signal(Signal::KILL, Scope::Group)
    }

    /// The living members now.
    ///
    /// # Errors
    /// [`ContainError::ProcessTable`].
    pub async fn members(&self) -> Result<Vec<Member>, ContainError> {
        Ok(self.rows().await?.iter().map(member).collect())
    }

    /// Whether no member lives.
    ///
    /// # Errors
    /// [`ContainError::ProcessTable`].
    pub async fn is_empty(&self) -> Result<bool, ContainError> {
        if let Some(cgroup) = self.cgroup.get() {
            let populated = cgroup.is_populated().map_err(ContainError::ProcessTable)?;
            return Ok(!populated);
        }
        Ok(self.rows().await?.is_empty())
    }

    /// Resolves once no member lives; at once if nothing was spawned.
    ///
    /// # Errors
    /// [`ContainError::ProcessTable`], [`ContainError::Wait`].
    pub async fn emptied(&self) -> Result<(), ContainError> {
        if let Some(cgroup) = self.cgroup.get() {
            return cgroup.emptied().await.map_err(ContainError::Wait);
        }
        loop {
            let children = self.lock().children.clone();
            for child in children {
                child.exited().await.map_err(ContainError::Wait)?;
            }
            let rows = self.rows().await?;
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                left(&row).await;
            }
        }
    }

    /// Reaps the group's children, which gives its number back. Nothing is signalled after.
    ///
    /// # Errors
    /// [`ContainError::NotEmpty`]: it has members still, and stays as it was.
    pub async fn release(&self) -> Result<(), ContainError> {
        let rows = self.rows().await?;
        let mut inner = self.lock();
        let removed = match self.cgroup.get() {
            Some(cgroup) if rows.is_empty() => {
                cgroup.remove().map_err(ContainError::ProcessTable)?
            }
            Some(_) | None => true,
        };
        if !rows.is_empty() || !removed || !inner.all_exited() {
            return Err(ContainError::NotEmpty(rows.iter().map(member).collect()));
        }
        // Whatever no census can see (made and gone between two looks) ends here at the
        // latest, while the number is still ours.
        if let Some(number) = inner.number() {
            let _ = sys::signal_group(number, Signal::KILL);
        }
        inner.released = true;
        registry::bury(std::mem::take(&mut inner.children));
        Ok(())
    }

    async fn rows(&self) -> Result<Vec<Row>, ContainError> {
        if let Some(cgroup) = self.cgroup.get() {
            if !cgroup.is_populated().map_err(ContainError::ProcessTable)? {
                return Ok(Vec::new());
            }
            let pids = cgroup.processes().map_err(ContainError::ProcessTable)?;
            let rows = pids.into_iter().filter_map(census::row);
            return Ok(rows.filter(|row| !row.zombie).collect());
        }
        let (number, children) = {
            let inner = self.lock();
            match inner.number() {
                Some(number) if !inner.proven_empty => (number, inner.children.len()),
                Some(_) | None => return Ok(Vec::new()),
            }
        };
        let census = census::fresh().await.map_err(ContainError::ProcessTable)?;
        let rows: Vec<Row> = census.members(number).cloned().collect();
        if rows.is_empty() {
            let mut inner = self.lock();
            inner.proven_empty = inner.children.len() == children && inner.all_exited();
        }
        Ok(rows)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere must not void the kill on drop.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !inner.released
            && let Some(cgroup) = self.cgroup.get()
        {
            cgroup::abandon(cgroup);
        }
        if let Some(number) = inner.number() {
            let _ = sys::signal_group(number, Signal::KILL);
        }
        inner.released = true;
        registry::bury(std::mem::take(&mut inner.children));
    }
}

fn member(row: &Row) -> Member {
    Member {
        pid: row.pid.as_raw_nonzero().get().unsigned_abs(),
        parent: row.parent.unsigned_abs(),
        name: row.name.clone(),
    }
}

/// The longest wait between two looks at whether a process has changed its group.
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// Resolves once the process of `row` has ended or left its group.
async fn left(row: &Row) {
    let still_there = || {
        census::row(row.pid)
            .is_some_and(|now| now.start == row.start && now.group == row.group && !now.zombie)
    };
    let watched = sys::watch(row.pid);
    let mut pause = Duration::from_millis(1);
    while still_there() {
        match &watched {
            // Its end comes as an event; that it changes its group has to be looked for.
            Ok(pidfd) => {
                if timeout(pause, pidfd.readable()).await.is_ok() {
                    return;
                }
            }
            Err(_) => sleep(pause.min(Duration::from_millis(20))).await,
        }
        pause = (pause * 2).min(SLOWEST_LOOK);
    }
}

/// The processes of one request and where their output comes out.
#[derive(Debug)]
pub struct Running {
    children: Vec<Arc<Child>>,
    outputs: Vec<Output>,
}

impl Running {
    /// The number of the first stage's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.children
            .first()
            .map_or(0, |child| child.pid().as_raw_nonzero().get().unsigned_abs())
    }

    /// The read ends of the captured pipes, non-blocking: stderr of each stage and stdout of
    /// the last. Empty after the first call.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Resolves once every stage has ended, with their statuses in order. Descendants may
    /// still live. May be asked again at any time, also after the group's release.
    ///
    /// # Errors
    /// [`ContainError::Wait`].
    pub async fn exited(&self) -> Result<Vec<ExitStatus>, ContainError> {
        let mut statuses = Vec::with_capacity(self.children.len());
        for child in &self.children {
            statuses.push(child.exited().await.map_err(ContainError::Wait)?);
        }
        Ok(statuses)
    }

    /// The status of each stage; `None`: it runs.
    #[must_use]
    pub fn statuses(&self) -> Vec<Option<ExitStatus>> {
        (self.children.iter())
            .map(|child| child.status().ok().flatten())
            .collect()
    }
}
