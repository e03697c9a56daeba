//! Takes in processes that lost their parent, and reaps them when they end.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{WaitId, WaitIdOptions, getpid, set_child_subreaper, waitid};

use super::census::Census;
use super::registry;

static ADOPTING: AtomicBool = AtomicBool::new(false);

/// From now on descendants that lose their parent become children of this process
/// (`PR_SET_CHILD_SUBREAPER(2const)`) instead of init's, and are reaped here when they end.
///
/// Only for a process in which this module alone makes children: one made by other means is
/// taken for an orphan once it has ended, and its status is lost.
///
/// # Errors
/// The kernel's refusal (older than Linux 3.4).
pub fn adopt_orphans() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    ADOPTING.store(true, Ordering::Relaxed);
    Ok(())
}

/// Reaps the orphans among the zombies of `census`.
pub(super) fn reap(census: &Census) {
    if !ADOPTING.load(Ordering::Relaxed) {
        return;
    }
    let mut zombies = census.own_zombies(getpid()).peekable();
    if zombies.peek().is_none() {
        return;
    }
    // While a child is being made it cannot be told from an orphan: the next census can.
    let Some(_guard) = registry::all_known() else {
        return;
    };
    for pid in zombies {
        if !registry::is_known(pid) {
            let _ = waitid(
                WaitId::Pid(pid),
                WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
            );
        }
    }
}
