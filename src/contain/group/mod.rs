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
mod observe;
mod running;
mod stop;
mod suspend;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use rustix::io::Errno;
use rustix::process::Pid;

use super::cgroup::{self, Cgroup};
use super::child::Child;
use super::error::{ContainError, SpawnCause, SpawnError, Step};
use super::keeper::Keeper;
use super::limits::Limits;
use super::make::{self, Holder};
use super::mechanism::{Means, Mechanism};
use super::registry;
use super::request::SpawnRequest;
use super::spawn::{self, Spawned, failed};
use super::stats::Sampler;
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
    /// Processor time so far, with that of children that it has waited for.
    pub cpu: std::time::Duration,
    /// Resident, in bytes.
    pub memory: u64,
}

/// Processes that end together. Dropping it kills what is left of it.
#[derive(Debug)]
pub struct Group {
    /// By what it is held.
    means: Means,
    /// Why it is held by that.
    reason: Arc<str>,
    name: String,
    limits: Limits,
    /// Made with the first process.
    cgroup: OnceLock<Arc<Cgroup>>,
    /// The same. A lock of its own: a kill must not wait for a spawn.
    keeper: Mutex<Option<Arc<Keeper>>>,
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
        let leader = self.children.first().filter(|leader| leader.is_own());
        leader.map(|leader| leader.pid())
    }
}

impl Group {
    pub(super) fn new(means: Means, reason: Arc<str>, name: &str, limits: Limits) -> Self {
        Self {
            means,
            reason,
            name: name.to_owned(),
            limits,
            cgroup: OnceLock::new(),
            keeper: Mutex::default(),
            inner: Mutex::default(),
            sampler: Mutex::default(),
        }
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.means.mechanism()
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
        let mut tries = 0;
        let spawned = loop {
            let keeper = self.make_keeper().map_err(failed(request, 0))?;
            let holder = match (cgroup, &keeper) {
                (Some(cgroup), _) => Holder::Cgroup(cgroup),
                (None, Some(keeper)) => Holder::Keeper(keeper),
                (None, None) => Holder::Nobody,
            };
            let spawned = spawn::spawn(request, &executables, inner.number(), holder);
            // The zygote was ended by somebody else while it was asked: there is a new one.
            let lost = keeper.is_some_and(|keeper| spawned.is_err() && keeper.never_was());
            if !lost || tries > 0 {
                break spawned;
            }
            tries += 1;
        };
        let Spawned {
            children,
            outputs,
            input,
            terminal,
        } = match spawned {
            Ok(spawned) => spawned,
            Err(error) => {
                // Stages that had been started may have made members of their own.
                if let Some(cgroup) = cgroup
                    && error.stage > 0
                    && inner.children.is_empty()
                {
                    let _ = cgroup.kill();
                }
                if inner.children.is_empty() {
                    // The next one gets a keeper that nothing has happened to.
                    self.dismiss_keeper();
                }
                return Err(error);
            }
        };
        inner.children.extend(children.iter().cloned());
        inner.proven_empty = false;
        inner.spared = false;
        Ok(Running {
            children,
            outputs,
            input,
            terminal,
        })
    }

    fn make_cgroup(&self) -> Result<Option<&Cgroup>, SpawnCause> {
        let Means::Cgroups(stand) = &self.means else {
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

    /// Its keeper, where it is to have one. One that was ended is replaced.
    fn make_keeper(&self) -> Result<Option<Arc<Keeper>>, SpawnCause> {
        let Means::Keepers(zygote, space) = &self.means else {
            return Ok(None);
        };
        if let Some(keeper) = self.keeper().filter(|keeper| !keeper.is_gone()) {
            return Ok(Some(keeper));
        }
        let made = Keeper::new(Arc::clone(zygote), *space)
            .map_err(make::limit(Step::Observe, "cannot watch the process"))?;
        let made = Arc::new(made);
        *self.keeper_slot() = Some(Arc::clone(&made));
        Ok(Some(made))
    }

    fn keeper(&self) -> Option<Arc<Keeper>> {
        self.keeper_slot().clone()
    }

    fn keeper_slot(&self) -> MutexGuard<'_, Option<Arc<Keeper>>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It ends whoever it keeps, and itself.
    fn dismiss_keeper(&self) {
        if let Some(keeper) = self.keeper_slot().take() {
            keeper.close();
        }
    }

    /// Sends a signal. Each member gets it once, also one that is made while it is sent, as
    /// far as a few looks find it. (In a process group without a keeper the kernel sends it.)
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
                match (self.keeper(), inner.number()) {
                    (Some(keeper), _) => keeper.signal(signal).or(adopted),
                    (None, Some(number)) => sys::signal_group(number, signal).or(adopted),
                    (None, None) => adopted,
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
        if let Some(keeper) = self.keeper() {
            // Without the lock, as below.
            let killed = keeper.kill();
            let others = self.try_lock().is_some_and(|inner| {
                !inner.released && adopted::signal(&inner.adopted, Signal::KILL).is_ok()
            });
            return Ok(delivery(killed || others));
        }
        let Some(cgroup) = self.cgroup.get() else {
            return self.signal(Signal::KILL, Scope::Group);
        };
        // Without the lock: a spawn that hangs is ended by it.
        let populated = cgroup.is_populated().unwrap_or(true);
        let killed = cgroup.kill();
        // Held by such a spawn there is nobody else yet, unless it is one of several: whoever
        // waits for the group to be empty finds those.
        let others = self.try_lock().is_some_and(|inner| kill_others(&inner));
        killed.map_err(|cause| ContainError::Signal {
            signal: Signal::KILL,
            cause,
        })?;
        Ok(delivery(populated || others))
    }

    /// The part of a kill that cannot wait: what one call ends. [`Group::kill`] does the rest.
    fn kill_members(&self) -> Result<(), ContainError> {
        match self.cgroup.get() {
            Some(cgroup) => cgroup.kill().map_err(|cause| ContainError::Signal {
                signal: Signal::KILL,
                cause,
            }),
            None => self.kill().map(|_| ()),
        }
    }

    /// Who is in none of what [`Group::kill_members`] ends, after it.
    fn kill_strays(&self) {
        if self.cgroup.get().is_some()
            && let Some(inner) = self.try_lock()
        {
            kill_others(&inner);
        }
    }

    fn try_lock(&self) -> Option<MutexGuard<'_, Inner>> {
        match self.inner.try_lock() {
            Ok(inner) => Some(inner),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere must not void the kill on drop.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn delivery(sent: bool) -> Delivery {
    if sent { Delivery::Sent } else { Delivery::Gone }
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
        if !matches!(child.status(), Ok(Some(_))) {
            let _ = child.signal(Signal::KILL);
        }
    }
    group
}

impl Drop for Group {
    fn drop(&mut self) {
        let inner = self.inner.get_mut().unwrap_or_else(PoisonError::into_inner);
        let cgroup = self.cgroup.get().filter(|_| !inner.released);
        let keeper = self
            .keeper
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if inner.spared {
            if let (Some(cgroup), Means::Cgroups(stand)) = (cgroup, &self.means) {
                stand.let_go(cgroup);
            }
            if let Some(keeper) = keeper {
                keeper.spare();
            }
        } else {
            if let Some(keeper) = keeper {
                keeper.close();
            }
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
