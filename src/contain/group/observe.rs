//! Who is in a group, when nobody is any more, and what it uses.

use std::sync::PoisonError;

use super::adopted::Adopted;
use super::{ContainError, Group, Member, leave};
use crate::contain::census::{self, Row};
use crate::contain::orphans;
use crate::contain::registry;
use crate::contain::stats::{self, Stats};
use crate::contain::sys;
use crate::domain::signal::Signal;

impl Group {
    /// The living members now.
    ///
    /// # Errors
    /// [`ContainError::ProcessTable`].
    pub async fn members(&self) -> Result<Vec<Member>, ContainError> {
        Ok(self.rows().await?.iter().map(Member::from).collect())
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
        if let Some(keeper) = self.keeper()
            && !keeper.is_empty()
        {
            return Ok(false);
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
            let keeper = self.keeper();
            if let Some(keeper) = keeper {
                keeper.emptied().await.map_err(ContainError::Wait)?;
            }
            // The kernel says that a cgroup is empty just before its last process has ended;
            // and a child that has moved itself out of it is a member all the same.
            let children = self.lock().children.clone();
            for child in children.iter().filter(|child| child.is_own()) {
                child.exited().await.map_err(ContainError::Wait)?;
            }
            let rows = self.rows().await?;
            if rows.is_empty() {
                orphans::group_ended();
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
            let kept = self.keeper().is_some_and(|keeper| !keeper.is_empty());
            let ended = rows.is_empty() && !kept && inner.all_exited();
            let removed = || match self.cgroup.get() {
                // What cannot be removed for another reason than its members is left to the
                // stand: nobody lives in it.
                Some(cgroup) => cgroup.remove().unwrap_or(true),
                None => true,
            };
            if !ended || !removed() {
                return Err(ContainError::NotEmpty(
                    rows.iter().map(Member::from).collect(),
                ));
            }
            // Whatever no census can see (made and gone between two looks) ends here at the
            // latest, while the number is still ours.
            if let Some(number) = inner.number() {
                let _ = sys::signal_group(number, Signal::KILL);
            }
            inner.released = true;
            if let Some(keeper) = self.keeper() {
                keeper.close();
            }
            inner.adopted.clear();
            registry::bury(std::mem::take(&mut inner.children));
        }
        orphans::group_ended();
        Ok(())
    }

    /// How many of its members the kernel has killed for want of memory; `None` where nobody
    /// counts that: without a limit on memory, and without cgroups.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        self.cgroup.get()?.oom_kills()
    }

    /// What the group has used and uses: one sample.
    ///
    /// With cgroups it is read from files that are kept open, with a keeper from those of its
    /// members: it costs the same however many other processes there are. Without either the
    /// whole process table is looked at.
    ///
    /// # Errors
    /// [`ContainError::Stats`].
    pub async fn stats(&self) -> Result<Stats, ContainError> {
        if let Some(keeper) = self.keeper() {
            let (rows, own) = (keeper.rows(), keeper.row());
            let mut sampler = self.sampler.lock().unwrap_or_else(PoisonError::into_inner);
            return Ok(sampler.of_kept(&rows, own.as_ref()));
        }
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
        if let Some(keeper) = self.keeper() {
            // A spawn that hangs holds the lock; nobody is adopted meanwhile.
            let inner = self.try_lock();
            let adopted = inner.iter().flat_map(|inner| &inner.adopted);
            let adopted = adopted.filter_map(Adopted::row);
            return Ok(keeper.rows().into_iter().chain(adopted).collect());
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
}

impl From<&Row> for Member {
    fn from(row: &Row) -> Self {
        Self {
            pid: row.pid.as_raw_nonzero().get().unsigned_abs(),
            parent: row.parent.unsigned_abs(),
            name: row.name.clone(),
            cpu: stats::time(row.ticks[0] + row.ticks[1]),
            memory: row.pages * stats::page_size(),
        }
    }
}
