//! Takes in processes that lost their parent: reaps them when they end, and kills at once
//! those that have moved themselves out of every cgroup of this process.
//!
//! Whoever passes by collects: the end of any group, a census, and a slow timer. A look costs as
//! much as this process has threads and children, so that many ends at once share one, and the
//! more it costs the longer the next one waits.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, set_child_subreaper, waitid,
};

use tokio::sync::Notify;

use super::census;
use super::cgroup::Stand;
use super::group::Member;
use super::registry;
use super::sys;
use crate::domain::signal::Signal;

static ADOPTING: AtomicBool = AtomicBool::new(false);
static STRAYS: Mutex<Vec<Member>> = Mutex::new(Vec::new());

/// How long an orphan's end may go unnoticed while no group ends.
const SLOW_TIMER: Duration = Duration::from_millis(200);

/// The shortest time between two looks, however many groups end.
const PAUSE: Duration = Duration::from_millis(10);

/// Between two looks at least this many times what the last one took.
const SHARE: u32 = 50;

/// A group has ended since the last look.
static DUE: Notify = Notify::const_new();
/// Before this the end of a group is no reason for another look.
static NEXT: Mutex<Option<Instant>> = Mutex::new(None);

/// From now on descendants that lose their parent become children of this process
/// (`PR_SET_CHILD_SUBREAPER(2const)`) instead of init's, and are reaped here when they end.
/// With cgroups, one that is in no group's cgroup has moved itself: it is killed, and told by
/// [`take_strays`].
///
/// Only for a process in which this module alone makes children: one made by other means is
/// taken for an orphan, and its status is lost. Called within a tokio runtime, orphans are
/// also looked for while no group ends.
///
/// # Errors
/// The kernel's refusal (older than Linux 3.4).
pub fn adopt_orphans() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let first = !ADOPTING.swap(true, Ordering::Relaxed);
    if first && let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async {
            loop {
                // Due or not: it is looked either way.
                let _ = tokio::time::timeout(SLOW_TIMER, DUE.notified()).await;
                let next = next().unwrap_or_else(|| Instant::now() + PAUSE);
                tokio::time::sleep_until(next.into()).await;
                collect();
            }
        });
    }
    Ok(())
}

/// Those that had moved themselves out of their cgroup and were killed for it, since the last
/// call.
#[must_use]
pub fn take_strays() -> Vec<Member> {
    std::mem::take(&mut *strays())
}

fn strays() -> std::sync::MutexGuard<'static, Vec<Member>> {
    STRAYS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next() -> Option<Instant> {
    *NEXT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A group has ended: [`collect`]s, or sees to it that it is done soon.
pub(super) fn group_ended() {
    if next().is_some_and(|next| Instant::now() < next) {
        DUE.notify_one();
    } else {
        collect();
    }
}

/// Reaps the orphans that have ended, and kills those that strayed.
pub(super) fn collect() {
    if !ADOPTING.load(Ordering::Relaxed) {
        return;
    }
    // While a child is being made it cannot be told from an orphan: the next look can.
    let Some(_guard) = registry::all_known() else {
        return;
    };
    let began = Instant::now();
    let stand = Stand::current();
    let mut seen = HashSet::new();
    // One that is killed may leave children, which then are ours.
    for pid in children() {
        if !seen.insert(pid) || registry::is_known(pid) {
            continue;
        }
        // A child that is not reaped: the number is its own.
        let ended = waitid(
            WaitId::Pid(pid),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        );
        if matches!(ended, Ok(None))
            && let Some(stand) = &stand
        {
            kill_if_strayed(pid, stand);
        }
    }
    let pause = PAUSE.max(began.elapsed() * SHARE).min(SLOW_TIMER);
    *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
}

fn kill_if_strayed(pid: Pid, stand: &Stand) {
    let Ok(cgroups) = fs::read_to_string(format!("/proc/{}/cgroup", pid.as_raw_nonzero())) else {
        return;
    };
    let own = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    if own.is_none_or(|own| !stand.is_stray(own)) {
        return;
    }
    let row = census::row(pid);
    let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) else {
        return;
    };
    if sys::signal_pidfd(pidfd.as_fd(), Signal::KILL).is_ok() {
        strays().extend(row.as_ref().map(Member::from));
    }
}

/// The children of this process, zombies too: each hangs on one of its threads.
fn children() -> Vec<Pid> {
    let mut found = Vec::new();
    for task in fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten()
    {
        let list = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        let pids = list.split_ascii_whitespace();
        found.extend(pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)));
    }
    found
}
