//! Control groups, version 2 (`cgroups(7)`): what holds every descendant whatever it does.
//!
//! ```text
//!  <mount>/<own cgroup>/pk.PID.START/      one per pk: the stand
//!                          └── NAME.N/     one per group, removed when it is empty
//! ```
//!
//! A stand is named by the process that made it: number and start time. So whoever comes
//! later can tell the stand of a living pk from what a dead one left behind.

mod discover;
mod events;
mod left_over;
mod scope;
mod stand;

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::fault::{self, Call};
use super::limits::Limits;
use super::sys;
use crate::domain::signal::Signal;
pub use discover::Refusal;
use events::Events;
pub use left_over::{LeftOver, clear_left_overs};
pub use scope::NoScope;
pub(super) use stand::{LEAF, Stand};

/// One cgroup, made for one group.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    dir: OwnedFd,
    events: Events,
    removed: AtomicBool,
}

/// What failed when a cgroup was made. It is not there.
#[derive(Debug)]
pub(super) enum CreateError {
    Make(io::Error),
    Limit(io::Error),
    Open(io::Error),
    Watch(io::Error),
}

impl Cgroup {
    fn create(path: &Path, limits: &Limits) -> Result<Self, CreateError> {
        fault::check(Call::MakeCgroup)
            .and_then(|()| fs::create_dir(path))
            .map_err(CreateError::Make)?;
        Self::open_made(path, limits).inspect_err(|_| {
            let _ = fs::remove_dir(path);
        })
    }

    fn open_made(path: &Path, limits: &Limits) -> Result<Self, CreateError> {
        let dir = fault::check(Call::OpenCgroup)
            .and_then(|()| open_dir(path))
            .map_err(CreateError::Open)?;
        limits.write(&dir).map_err(CreateError::Limit)?;
        let events = fault::check(Call::WatchCgroup)
            .and_then(|()| Events::open(&dir))
            .map_err(CreateError::Watch)?;
        Ok(Self {
            path: path.to_owned(),
            dir,
            events,
            removed: AtomicBool::new(false),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// For `CLONE_INTO_CGROUP`.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// `cgroup.procs`, for a child that joins by itself.
    pub fn open_procs(&self) -> io::Result<OwnedFd> {
        fault::check(Call::OpenProcs)?;
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(
            &self.dir,
            "cgroup.procs",
            flags,
            Mode::empty(),
        )?)
    }

    /// Every process in it and in what was made below it, zombies included.
    pub fn processes(&self) -> io::Result<Vec<Pid>> {
        match self.list()? {
            Some(list) => self.listed(&list),
            None => Ok(Vec::new()),
        }
    }

    /// Its `cgroup.procs`, for reading. `None`: it was removed, so nobody is in it.
    fn list(&self) -> io::Result<Option<OwnedFd>> {
        match self.open("cgroup.procs") {
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NODEV) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// The same, with its `cgroup.procs` open: to list is most of what a signal costs.
    fn listed(&self, procs: &OwnedFd) -> io::Result<Vec<Pid>> {
        let mut found = Vec::new();
        read_pids(procs, &mut found)?;
        if self.has_children()? {
            for path in self.subtree()?.iter().skip(1) {
                // Not readable: removed since it was listed, or of a kind that holds threads
                // only.
                if let Ok(procs) = fs::File::open(path.join("cgroup.procs")) {
                    let _ = read_pids(&procs.into(), &mut found);
                }
            }
        }
        Ok(found)
    }

    /// Whether any process is in it or below it that is no zombie.
    pub fn is_populated(&self) -> io::Result<bool> {
        if self.removed.load(Ordering::Acquire) {
            return Ok(false);
        }
        self.events.is_populated()
    }

    /// Resolves once none is.
    pub async fn emptied(&self) -> io::Result<()> {
        self.events.emptied().await
    }

    /// A signal to everything in it, each by pidfd. What is made while it is sent is looked
    /// for again.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let mut done = HashSet::new();
        let mut refused = None;
        let Some(procs) = self.list()? else {
            return Err(Errno::SRCH.into());
        };
        for _ in 0..ROUNDS {
            let opened: Vec<_> = (self.listed(&procs)?.into_iter())
                .filter(|pid| !done.contains(pid))
                .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
                .collect();
            if opened.is_empty() {
                break;
            }
            // Who is still listed after its pidfd was opened is who was meant.
            let still: HashSet<Pid> = self.listed(&procs)?.into_iter().collect();
            for (pid, pidfd) in opened {
                if !still.contains(&pid) || !done.insert(pid) {
                    continue;
                }
                match sys::signal_pidfd(pidfd.as_fd(), signal) {
                    Err(error) if !is(&error, Errno::SRCH) => refused = Some(error),
                    Ok(()) | Err(_) => {}
                }
            }
        }
        match refused {
            Some(error) => Err(error),
            None if done.is_empty() => Err(Errno::SRCH.into()),
            None => Ok(()),
        }
    }

    /// SIGKILL to everything in it, frozen or just being made.
    pub fn kill(&self) -> io::Result<()> {
        match self.write("cgroup.kill", "1") {
            Err(error) if is(&error, Errno::NOENT) || is(&error, Errno::NODEV) => {
                if self.path.exists() {
                    // Linux before 5.14.
                    self.sweep()
                } else {
                    Ok(())
                }
            }
            other => other,
        }
    }

    /// Freezes, kills one by one, thaws: nothing can be made meanwhile.
    fn sweep(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "1")?;
        for pid in self.processes()? {
            if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
                let _ = sys::signal_pidfd(pidfd.as_fd(), Signal::KILL);
            }
        }
        self.write("cgroup.freeze", "0")
    }

    /// Holds all in it still. Resolves once they are.
    pub async fn freeze(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "1")?;
        self.events.frozen().await
    }

    pub fn thaw(&self) -> io::Result<()> {
        self.write("cgroup.freeze", "0")
    }

    /// Moves a running process into it.
    pub fn adopt(&self, pid: Pid) -> io::Result<()> {
        self.write("cgroup.procs", &pid.as_raw_nonzero().to_string())
    }

    /// Moves all in it to another cgroup and removes it. What is made meanwhile is looked for
    /// again.
    fn let_go(&self, to: &Path) -> io::Result<()> {
        let to = to.join("cgroup.procs");
        for _ in 0..ROUNDS {
            for pid in self.processes()? {
                let _ = fs::write(&to, pid.as_raw_nonzero().to_string());
            }
            if self.remove()? {
                break;
            }
        }
        Ok(())
    }

    /// Opens one of its files for reading.
    pub fn open(&self, file: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.dir, file, flags, Mode::empty())?)
    }

    /// From `memory.events`, which is there with the memory controller alone.
    pub fn oom_kills(&self) -> Option<u64> {
        let file = self.open("memory.events").ok()?;
        let text = io::read_to_string(fs::File::from(file)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        line?.trim().parse().ok()
    }

    /// Whether cgroups were made below it.
    pub fn has_children(&self) -> io::Result<bool> {
        // As for any folder: itself, its name, and one for each folder in it.
        Ok(rustix::fs::fstat(&self.dir)?.st_nlink > 2)
    }

    /// Removes it and what was made below it. `false`: something lives in it still.
    pub fn remove(&self) -> io::Result<bool> {
        // Hardly ever has anybody made one below it.
        if fs::remove_dir(&self.path).is_ok() {
            self.removed.store(true, Ordering::Release);
            return Ok(true);
        }
        let mut paths = self.subtree()?;
        paths.reverse();
        for path in paths {
            match fs::remove_dir(&path) {
                Ok(()) => {}
                Err(error) if is(&error, Errno::NOENT) => {}
                Err(error) if is(&error, Errno::BUSY) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.removed.store(true, Ordering::Release);
        Ok(true)
    }

    fn subtree(&self) -> io::Result<Vec<PathBuf>> {
        subtree(&self.path)
    }

    fn write(&self, file: &str, text: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.dir, file, flags, Mode::empty())?;
        fs::File::from(fd).write_all(text.as_bytes())
    }
}

/// How often members are listed again while they are signalled.
const ROUNDS: usize = 4;

/// Its owner is gone: kills what is in it, and removes it once it is empty.
pub(super) fn abandon(cgroup: &Arc<Cgroup>) {
    let _ = cgroup.kill();
    if matches!(cgroup.remove(), Ok(true)) {
        return;
    }
    // Without a runtime its stand removes it.
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let cgroup = Arc::clone(cgroup);
        runtime.spawn(async move {
            let _ = cgroup.emptied().await;
            let _ = cgroup.remove();
        });
    }
}

/// `path` and every cgroup below it, outer ones first.
fn subtree(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = vec![path.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// Reads a `cgroup.procs` from its beginning.
fn read_pids(procs: &OwnedFd, found: &mut Vec<Pid>) -> io::Result<()> {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = match rustix::io::pread(procs, &mut part, text.len() as u64) {
            Ok(read) => read,
            // It was removed since: nobody is in it.
            Err(Errno::NODEV) => 0,
            Err(error) => return Err(error.into()),
        };
        if read == 0 {
            break;
        }
        text.extend_from_slice(&part[..read]);
    }
    let lines = text.split(|&byte| byte == b'\n');
    found.extend(lines.filter_map(|line| {
        let number = std::str::from_utf8(line).ok()?.parse().ok()?;
        Pid::from_raw(number)
    }));
    Ok(())
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}
