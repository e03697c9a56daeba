//! Takes in processes that lost their parent: reaps them when they end, and kills at once
//! those that have moved themselves out of every cgroup of this process.
//!
//! An orphan that ends is told by `SIGCHLD`, as is the end of any group. That one has come and
//! lives is told by nobody: the kernel gives it to the first thread of this process that lives,
//! which is the main one, so that one short list is read now and then. A look at all costs as
//! much as this process has threads and children, so that many ends at once share one, and the
//! more it costs the longer the next one waits.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, set_child_subreaper, waitid,
};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::census;
use super::cgroup::Stand;
use super::group::Member;
use super::registry;
use super::sys;
use crate::domain::signal::Signal;

static ADOPTING: AtomicBool = AtomicBool::new(false);
static STRAYS: Mutex<Vec<Member>> = Mutex::new(Vec::new());

/// How long it may go unnoticed that an orphan has come, at the least and at the most.
const SOON: Duration = Duration::from_millis(200);
const LATE: Duration = Duration::from_secs(10);

/// The shortest time between two looks, however many groups end.
const PAUSE: Duration = Duration::from_millis(10);

/// Between two looks at least this many times what the last one took.
const SHARE: u32 = 50;

/// A group has ended since the last look.
static DUE: Notify = Notify::const_new();
/// There are strays to be taken.
static FOUND: Notify = Notify::const_new();
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
            let mut ends = signal(SignalKind::child()).ok();
            let (mut given, timer) = (Given::open(), Timer::open());
            let (mut after, mut news, mut made) = (After::Look, Instant::now(), 0);
            loop {
                let due = async {
                    match &mut ends {
                        Some(ends) => {
                            tokio::select! {
                                _ = ends.recv() => (),
                                () = DUE.notified() => (),
                            }
                        }
                        None => DUE.notified().await,
                    }
                };
                let told = tokio::select! {
                    () = due => true,
                    () = timer.sleep(pause(news.elapsed())) => false,
                };
                let came = given.as_mut().is_none_or(Given::more);
                if told || came || made != registry::made() {
                    (made, news) = (registry::made(), Instant::now());
                }
                if !told && !came && after == After::Rest && ends.is_some() {
                    continue;
                }
                let next = next().unwrap_or_else(|| Instant::now() + PAUSE);
                tokio::time::sleep_until(next.into()).await;
                if let Some(given) = &mut given {
                    given.anew();
                }
                after = look();
            }
        });
    }
    Ok(())
}

/// How long until the next look of its own accord. The longer nothing was started or found, the
/// rarer: each costs the processor a rest.
fn pause(since_news: Duration) -> Duration {
    (since_news / 4).clamp(SOON, LATE)
}

/// Those that had moved themselves out of their cgroup and were killed for it, since the last
/// call.
#[must_use]
pub fn take_strays() -> Vec<Member> {
    std::mem::take(&mut *strays())
}

/// Waits until [`take_strays`] has something to give.
pub async fn strayed() {
    while strays().is_empty() {
        FOUND.notified().await;
    }
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

/// What is to be done after a look while nothing new has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// Nothing.
    Rest,
    /// To look again: it could not be looked, or one lives that may still stray.
    Look,
}

/// Reaps the orphans that have ended, and kills those that strayed.
pub(super) fn collect() {
    let _ = look();
}

fn look() -> After {
    if !ADOPTING.load(Ordering::Relaxed) {
        return After::Look;
    }
    // While a child is being made it cannot be told from an orphan: the next look can.
    let Some(_guard) = registry::all_known() else {
        return After::Look;
    };
    let began = Instant::now();
    let stand = Stand::current();
    let mut seen = HashSet::new();
    let mut after = After::Rest;
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
            after = After::Look;
        }
    }
    let pause = PAUSE.max(began.elapsed() * SHARE).min(SOON);
    *NEXT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + pause);
    after
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
        FOUND.notify_one();
    }
}

/// Wakes this process once a pause (`timerfd_create(2)`), where tokio's own timer does so again
/// at each step that a deadline comes nearer on its wheel.
struct Timer(Option<AsyncFd<OwnedFd>>);

impl Timer {
    #[expect(
        deprecated,
        reason = "an `OwnedFd` is the same descriptor as long as it lives; the other way is unsafe"
    )]
    fn open() -> Self {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).ok();
        Self(timer.and_then(|timer| AsyncFd::new(timer).ok()))
    }

    async fn sleep(&self, pause: Duration) {
        if self.wait(pause).await.is_none() {
            tokio::time::sleep(pause).await;
        }
    }

    /// `None`: there is none, as where files cannot be opened any more.
    async fn wait(&self, pause: Duration) -> Option<()> {
        let timer = self.0.as_ref()?;
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: pause.try_into().ok()?,
        };
        timerfd_settime(timer, TimerfdTimerFlags::empty(), &once).ok()?;
        let mut times = [0; 8];
        let rung = timer.async_io(Interest::READABLE, |timer| {
            Ok(rustix::io::read(timer, &mut times)?)
        });
        rung.await.ok().map(drop)
    }
}

/// The children of the main thread, as far as they have been looked at. Those that come stand
/// behind the others, so that a look costs little however many there are.
struct Given {
    list: File,
    read: u64,
}

impl Given {
    /// `None`: a kernel without `CONFIG_PROC_CHILDREN`, or no `/proc`.
    fn open() -> Option<Self> {
        let own = std::process::id();
        Some(Self {
            list: File::open(format!("/proc/self/task/{own}/children")).ok()?,
            read: 0,
        })
    }

    /// Some have come since the last call. One that is gone makes room in the list: whoever
    /// knows of one begins [`anew`](Self::anew).
    fn more(&mut self) -> bool {
        let before = self.read;
        let mut page = [0; 4096];
        while let Ok(length @ 1..) = self.list.read_at(&mut page, self.read) {
            self.read += length as u64;
        }
        self.read > before
    }

    fn anew(&mut self) {
        self.read = 0;
        self.more();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nothing_happens_to_is_looked_at_rarely() {
        let looks = |from: u64, to: u64| {
            let (mut at, mut looks) = (Duration::from_secs(from), 0);
            while at < Duration::from_secs(to) {
                at += pause(at);
                looks += 1;
            }
            looks
        };
        assert_eq!(pause(Duration::ZERO), SOON);
        assert_eq!(pause(Duration::from_secs(3600)), LATE);
        assert_eq!((looks(8, 28), looks(60, 120)), (6, 6));
    }

    #[tokio::test]
    async fn a_timer_rings_once_for_each_pause_that_is_waited_out() {
        let timer = Timer::open();
        let pause = Duration::from_millis(2);
        for _ in 0..3 {
            let began = Instant::now();
            assert_eq!(timer.wait(pause).await, Some(()));
            assert!(began.elapsed() >= pause);
            // One that rings after nobody waits any more is not taken for the next.
            let gave_up = tokio::time::timeout(Duration::ZERO, timer.wait(pause));
            assert!(gave_up.await.is_err());
        }
    }
}
