//! The cgroup under which one pk makes all its others.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};

use super::discover::{Refusal, own_cgroup};
use super::{Cgroup, subtree};
use crate::contain::census;

/// What the name of every stand begins with.
const PREFIX: &str = "pk.";

/// A stand. Removed when it is dropped, if nothing is left in it.
#[derive(Debug)]
pub(in crate::contain) struct Stand {
    path: PathBuf,
    next: AtomicU64,
}

/// There is one stand to a process.
static CURRENT: Mutex<Weak<Stand>> = Mutex::new(Weak::new());

/// What a dead pk had left behind, and was cleaned up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOver {
    /// Processes that were alive.
    pub processes: usize,
}

impl Stand {
    /// The stand of this process: the one that there is, or one made below its own cgroup,
    /// after emptying and removing those that dead ones left there.
    ///
    /// # Errors
    /// Why no cgroup can be had.
    pub fn raise() -> Result<(Arc<Self>, LeftOver), Refusal> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stand) = current.upgrade() {
            return Ok((stand, LeftOver::default()));
        }
        let (stand, left_over) = Self::make()?;
        let stand = Arc::new(stand);
        *current = Arc::downgrade(&stand);
        Ok((stand, left_over))
    }

    fn make() -> Result<(Self, LeftOver), Refusal> {
        let own = own_cgroup()?;
        let left_over = clear_left_overs(&own);
        let path = own.join(name_of(getpid()));
        let refused = |cause| Refusal::NotWritable {
            path: own.clone(),
            cause,
        };
        match fs::create_dir(&path) {
            Ok(()) => {}
            // The one before is just being taken down.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(error)),
        }
        let stand = Self {
            path,
            next: AtomicU64::new(0),
        };
        Ok((stand, left_over))
    }

    /// A cgroup of its own for a group; the name is for people who look there.
    pub fn create(&self, name: &str) -> io::Result<Cgroup> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Cgroup::create(self.path.join(format!("{name}.{number}")))
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        // So that no new one of the same name is raised meanwhile.
        let current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if current.strong_count() > 0 {
            return;
        }
        // What a group could not remove for want of time.
        clear(std::slice::from_ref(&self.path));
    }
}

/// The name of the stand of a process: start times tell apart those that had one number.
fn name_of(pid: Pid) -> String {
    let start = census::row(pid).map_or(0, |row| row.start);
    format!("{PREFIX}{}.{start}", pid.as_raw_nonzero())
}

/// Whether the process that made a stand of this name is gone.
fn is_left_over(name: &str) -> bool {
    let Some((pid, start)) = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('.'))
    else {
        return false;
    };
    let (Ok(pid), Ok(start)) = (pid.parse::<i32>(), start.parse::<u64>()) else {
        return false;
    };
    let Some(pid) = Pid::from_raw(pid) else {
        return false;
    };
    census::row(pid).is_none_or(|row| row.start != start || row.zombie)
}

/// How long left-overs may take to die.
const CLEAR_LIMIT: Duration = Duration::from_millis(500);

fn clear_left_overs(own: &Path) -> LeftOver {
    let mut left_over = LeftOver::default();
    let Ok(entries) = fs::read_dir(own) else {
        return left_over;
    };
    let dead: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_left_over))
        .map(|entry| entry.path())
        .collect();
    left_over.processes = dead.iter().map(|path| count(path)).sum();
    clear(&dead);
    left_over
}

/// Empties and removes. All are killed first and waited for afterwards.
fn clear(paths: &[PathBuf]) {
    for path in paths {
        let _ = fs::write(path.join("cgroup.kill"), "1");
    }
    let deadline = Instant::now() + CLEAR_LIMIT;
    for path in paths {
        while !remove(path) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn count(path: &Path) -> usize {
    let paths = subtree(path).unwrap_or_default();
    paths
        .iter()
        .filter_map(|path| fs::read_to_string(path.join("cgroup.procs")).ok())
        .map(|text| text.lines().count())
        .sum()
}

fn remove(path: &Path) -> bool {
    let mut paths = subtree(path).unwrap_or_default();
    paths.reverse();
    paths.iter().all(|path| match fs::remove_dir(path) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_process_has_no_left_overs() {
        assert!(!is_left_over(&name_of(getpid())));
        assert!(is_left_over(&format!(
            "{PREFIX}{}.1",
            getpid().as_raw_nonzero()
        )));
        assert!(!is_left_over("pk.x.y"));
        assert!(!is_left_over("system.slice"));
    }
}
