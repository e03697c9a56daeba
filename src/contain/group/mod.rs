//! A set of processes that are signalled, observed and ended together.
//!
//! ```text
//!  new ──spawn──► populated ──(all members end)──► empty ──release──► released
//!                  │     ▲
//!           suspend▼     │resume          drop: SIGKILL, unless spared
//!                 suspended
//! ```
//!
//! Its children stay unreaped until it is released, which keeps its number its own (see the
//! [module](super)). It must not decide when to signal, nor wait on behalf of its owner.

mod adopted;
mod leave;
mod running;
mod stop;
mod suspend;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::io::Errno;
use rustix::process::Pid;

use super::census::{self, Row};
use super::cgroup::{self, Cgroup, Stand};
use super::child::Child;
use super::error::{ContainError, SpawnCause, SpawnError};
use super::limits::Limits;
use super::make;
use super::mechanism::Mechanism;
use super::orphans;
use super::registry;
use super::request::SpawnRequest;
use super::spawn::{self, Spawned, failed};
use super::stats::{Sampler, Stats};
use super::sys;
use crate::domain::signal::Signal;
use adopted::Adopted;
pub use running::Running;
pub use stop::{StopReport, kill_all};

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
    /// Why it is held by that.
    reason: Arc<str>,
    name: String,
    limits: Limits,
    /// Made with the first process.
    cgroup: OnceLock<Arc<Cgroup>>,
    inner: Mutex<Inner>,
    sampler: Mutex<Sampler>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Unreaped; the first is the leader.
    children: Vec<Arc<Child>>,
    /// Without a cgroup: those taken in that no process group can hold.
    adopted: Vec<Adopted>,
    /// It was seen empty, and nothing was spawned since: nobody is left to make a member.
    proven_empty: bool,
    released: bool,
    suspended: bool,
    /// Its owner was told who is left, and left them: dropping it kills nobody.
    spared: bool,
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
    pub(super) fn new(
        stand: Option<Arc<Stand>>,
        reason: Arc<str>,
        name: &str,
        limits: Limits,
    ) -> Self {
        Self {
            stand,
            reason,
            name: name.to_owned(),
            limits,
            cgroup: OnceLock::new(),
            inner: Mutex::default(),
            sampler: Mutex::default(),
        }
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.stand {
            Some(_) => Mechanism::Cgroup,
            None => Mechanism::ProcessGroup,
        }
    }

    /// Why this mechanism and no other.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The folder of its cgroup, once it has one, for whoever wants to look there.
    #[must_use]
    pub fn cgroup_path(&self) -> Option<&Path> {
        self.cgroup.get().map(|cgroup| cgroup.path())
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
        if inner.released {
            return Err(failed(request, 0)(SpawnCause::Released));
        }
        if inner.suspended {
            return Err(failed(request, 0)(SpawnCause::Suspended));
        }
        let executables = spawn::resolve(request)?;
        let cgroup = self.make_cgroup().map_err(failed(request, 0))?;
        let spawned = spawn::spawn(request, &executables, inner.number(), cgroup);
        let Spawned { children, outputs } = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                // Stages that had been started may have made members of their own.
                if let Some(cgroup) = cgroup
                    && error.stage > 0
                    && inner.children.is_empty()
                {
                    let _ = cgroup.kill();
                }
                return Err(error);
            }
        };
        inner.children.extend(children.iter().cloned());
        inner.proven_empty = false;
        inner.spared = false;
        Ok(Running { children, outputs })
    }

    fn make_cgroup(&self) -> Result<Option<&Cgroup>, SpawnCause> {
        let Some(stand) = &self.stand else {
            return Ok(None);
        };
        if self.cgroup.get().is_none() {
            let made = stand
                .create(&self.name, &self.limits)
                .map_err(make::no_cgroup)?;
            // Only done with the lock held, so nobody has been here meanwhile.
            let _ = self.cgroup.set(Arc::new(made));
        }
        Ok(self.cgroup.get().map(|cgroup| &**cgroup))
    }

    /// Sends a signal. Each member gets it once; with cgroups also one that is made while it
    /// is sent, as far as a few looks find it.
    ///
    /// # Errors
    /// [`ContainError::NotPermitted`]: someone is there but runs as another user.
    pub fn signal(&self, signal: Signal, scope: Scope) -> Result<Delivery, ContainError> {
        // Held while signalling, so that no release frees the number in between.
        let inner = self.lock();
        let sent = match (scope, self.cgroup.get()) {
            _ if inner.released => return Ok(Delivery::Gone),
            (Scope::Group, Some(cgroup)) => cgroup.signal(signal),
            (Scope::Group, None) => {
                let adopted = adopted::signal(&inner.adopted, signal);
                match inner.number() {
                    Some(number) => sys::signal_group(number, signal).or(adopted),
                    None => adopted,
                }
            }
            (Scope::Leader, _) => match inner.children.first() {
                Some(leader) if !matches!(leader.status(), Ok(Some(_))) => leader.signal(signal),
                Some(_) | None => return Ok(Delivery::Gone),
            },
        };
        match sent.map_err(|cause| (Errno::from_io_error(&cause), cause)) {
            Ok(()) => Ok(Delivery::Sent),
            Err((Some(Errno::SRCH), _)) => Ok(Delivery::Gone),
            Err((Some(Errno::PERM), _)) => Err(ContainError::NotPermitted(signal)),
            Err((_, cause)) => Err(ContainError::Signal { signal, cause }),
        }
    }

    /// SIGKILL to every member, suspended or not. The kernel sends it to all at once, also to
    /// those that are just being made: a group cannot outgrow it.
    ///
    /// # Errors
    /// As [`Group::signal`].
    pub fn kill(&self) -> Result<Delivery, ContainError> {
        let Some(cgroup) = self.cgroup.get() else {
            return self.signal(Signal::KILL, Scope::Group);
        };
        // Without the lock: a spawn that hangs is ended by it.
        let populated = cgroup.is_populated().unwrap_or(true);
        let killed = cgroup.kill();
        let inner = self.lock();
        let others = kill_others(&inner);
        killed.map_err(|cause| ContainError::Signal {
            signal: Signal::KILL,
            cause,
        })?;
        Ok(if populated || others {
            Delivery::Sent
        } else {
            Delivery::Gone
        })
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
        loop {
            if let Some(cgroup) = self.cgroup.get() {
                cgroup.emptied().await.map_err(ContainError::Wait)?;
            }
            // The kernel says that a cgroup is empty just before its last process has ended;
            // and a child that has moved itself out of it is a member all the same.
            let children = self.lock().children.clone();
            for child in children {
                child.exited().await.map_err(ContainError::Wait)?;
            }
            let rows = self.rows().await?;
            if rows.is_empty() {
                orphans::collect();
                return Ok(());
            }
            if self.cgroup.get().is_none() {
                for row in rows {
                    leave::left(&row).await;
                }
            }
        }
    }

    /// Reaps the group's children, which gives its number back. Nothing is signalled after.
    ///
    /// # Errors
    /// [`ContainError::NotEmpty`]: it has members still, and stays as it was.
    pub async fn release(&self) -> Result<(), ContainError> {
        let rows = self.rows().await?;
        {
            let mut inner = self.lock();
            let ended = rows.is_empty() && inner.all_exited();
            let removed = || match self.cgroup.get() {
                // What cannot be removed for another reason than its members is left to the
                // stand: nobody lives in it.
                Some(cgroup) => cgroup.remove().unwrap_or(true),
                None => true,
            };
            if !ended || !removed() {
                return Err(ContainError::NotEmpty(rows.iter().map(member).collect()));
            }
            // Whatever no census can see (made and gone between two looks) ends here at the
            // latest, while the number is still ours.
            if let Some(number) = inner.number() {
                let _ = sys::signal_group(number, Signal::KILL);
            }
            inner.released = true;
            inner.adopted.clear();
            registry::bury(std::mem::take(&mut inner.children));
        }
        orphans::collect();
        Ok(())
    }

    /// What the group has used and uses: one sample.
    ///
    /// With cgroups it is read from files that are kept open, so it costs the same however
    /// many other processes there are; without, the whole process table is looked at.
    ///
    /// # Errors
    /// [`ContainError::Stats`].
    pub async fn stats(&self) -> Result<Stats, ContainError> {
        let Some(cgroup) = self.cgroup.get() else {
            let number = self.lock().number();
            let census = census::fresh().await.map_err(ContainError::ProcessTable)?;
            let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(sampler.of_census(&census, number));
        };
        let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
        sampler.of_cgroup(cgroup).map_err(ContainError::Stats)
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
        let (number, children, mut rows) = {
            let inner = self.lock();
            let adopted: Vec<Row> = inner.adopted.iter().filter_map(Adopted::row).collect();
            match inner.number() {
                Some(number) if !inner.proven_empty => (number, inner.children.len(), adopted),
                Some(_) | None => return Ok(adopted),
            }
        };
        let census = census::fresh().await.map_err(ContainError::ProcessTable)?;
        let of_group = rows.len();
        rows.extend(census.members(number).cloned());
        if rows.len() == of_group {
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

/// Who has moved itself out of the cgroup, but is in the process group or a child. `true`:
/// somebody was there.
fn kill_others(inner: &Inner) -> bool {
    if inner.released {
        return false;
    }
    let number = inner.number();
    let group = number.is_some_and(|number| sys::signal_group(number, Signal::KILL).is_ok());
    // A child that also left the process group.
    for child in &inner.children {
        let _ = child.signal(Signal::KILL);
    }
    group
}

impl Drop for Group {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let cgroup = self.cgroup.get().filter(|_| !inner.released);
        if inner.spared {
            if let (Some(cgroup), Some(stand)) = (cgroup, &self.stand) {
                stand.let_go(cgroup);
            }
        } else {
            if let Some(cgroup) = cgroup {
                cgroup::abandon(cgroup);
            }
            kill_others(inner);
            let _ = adopted::signal(&inner.adopted, Signal::KILL);
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
