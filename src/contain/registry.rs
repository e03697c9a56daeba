//! Which children of this process belong to a group, and those whose group was given up.
//!
//! A group that is dropped has killed its members but cannot wait for them: it buries its
//! children here, and whoever passes by next reaps those that have ended.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::process::Pid;

use super::child::Child;

static KNOWN: Mutex<Option<HashSet<Pid>>> = Mutex::new(None);
static BURIED: Mutex<Vec<Arc<Child>>> = Mutex::new(Vec::new());
static MADE: AtomicU64 = AtomicU64::new(0);
/// Held for reading from before a process is made until it is known.
static SPAWNING: RwLock<()> = RwLock::new(());

/// While this is held, a child may exist that is not known yet.
pub(super) fn spawning() -> RwLockReadGuard<'static, ()> {
    SPAWNING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Held: every child of a group is known. `None`: one is being made right now.
pub(super) fn all_known() -> Option<RwLockWriteGuard<'static, ()>> {
    SPAWNING.try_write().ok()
}

/// How many have been made so far.
pub(super) fn made() -> u64 {
    MADE.load(Ordering::Relaxed)
}

pub(super) fn remember(pid: Pid) {
    MADE.fetch_add(1, Ordering::Relaxed);
    known().get_or_insert_default().insert(pid);
}

pub(super) fn forget(pid: Pid) {
    known().get_or_insert_default().remove(&pid);
}

pub(super) fn is_known(pid: Pid) -> bool {
    known().as_ref().is_some_and(|known| known.contains(&pid))
}

fn known() -> MutexGuard<'static, Option<HashSet<Pid>>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes over children that were killed and whose numbers nobody signals any more.
pub(super) fn bury(children: Vec<Arc<Child>>) {
    let living: Vec<_> = (children.into_iter())
        .filter(|child| !child.reap())
        .collect();
    if living.is_empty() {
        return;
    }
    buried().extend(living.iter().cloned());
    // Without a runtime the next sweep finds them.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move {
            for child in living {
                let _ = child.exited().await;
            }
            sweep();
        });
    }
}

/// Reaps the buried children that have ended.
pub(super) fn sweep() {
    buried().retain(|child| !child.reap());
}

fn buried() -> MutexGuard<'static, Vec<Arc<Child>>> {
    BURIED.lock().unwrap_or_else(PoisonError::into_inner)
}
