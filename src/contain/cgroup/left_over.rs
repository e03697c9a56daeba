//! What dead owners left behind: found, emptied, removed, and reported.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::discover::own_cgroup;
use super::stand::{LEAF, PREFIX, lock};
use super::{scope, subtree};
use crate::contain::census;

/// What a dead pk had left behind, and was cleaned up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOver {
    /// Processes that were alive.
    pub processes: usize,
    /// Owners whose cgroups were removed.
    pub stands: usize,
    /// Cgroups that could not be emptied or removed.
    pub stuck: Vec<PathBuf>,
}

impl LeftOver {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn add(&mut self, other: Self) {
        self.processes += other.processes;
        self.stands += other.stands;
        self.stuck.extend(other.stuck);
    }
}

/// How long left-overs may take to die.
const CLEAR_LIMIT: Duration = Duration::from_millis(500);

/// Ends and removes what dead owners left where this process is. Raising a stand does the
/// same; this is for who raises none. Where there are no cgroups nothing is left by design.
#[must_use]
pub fn clear_left_overs() -> LeftOver {
    own_cgroup().map_or_else(|_| LeftOver::default(), |own| near(&own))
}

/// Below `own` and in the scopes beside it.
pub(super) fn near(own: &Path) -> LeftOver {
    let mut left_over = clear_below(own);
    for scope in scope::beside(own) {
        left_over.add(clear_below(&scope));
    }
    left_over
}

fn clear_below(own: &Path) -> LeftOver {
    let Ok(entries) = fs::read_dir(own) else {
        return LeftOver::default();
    };
    // Held until they are removed, so that two that clear at once do not get in each other's
    // way, and none is raised anew meanwhile.
    let dead: Vec<(PathBuf, OwnedFd)> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(may_be_left_over))
        .filter_map(|entry| Some((entry.path(), lock(&entry.path()).ok()??)))
        .collect();
    let paths: Vec<PathBuf> = dead.iter().map(|(path, _)| path.clone()).collect();
    let counts: Vec<usize> = paths.iter().map(|path| count(path)).collect();
    let stuck = clear(&paths);
    let removed = || {
        let all = paths.iter().zip(&counts);
        all.filter(|(path, _)| !stuck.contains(path))
    };
    LeftOver {
        processes: removed().map(|(_, count)| count).sum(),
        stands: removed()
            .filter(|(path, _)| !path.to_string_lossy().ends_with(LEAF))
            .count(),
        stuck,
    }
}

/// Whether it bears the name of a stand, and the process that made it is not here. It may be
/// in another pid namespace: the lock knows.
fn may_be_left_over(name: &str) -> bool {
    let Some((pid, start)) = name
        .strip_prefix(PREFIX)
        .map(|rest| rest.strip_suffix(LEAF).unwrap_or(rest))
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

/// Empties and removes, and says which could not be. All are killed first and waited for
/// afterwards.
pub(super) fn clear(paths: &[PathBuf]) -> Vec<PathBuf> {
    for path in paths {
        let _ = fs::write(path.join("cgroup.kill"), "1");
    }
    let deadline = Instant::now() + CLEAR_LIMIT;
    let gone = |path: &Path| loop {
        match remove(path) {
            Ok(()) => return true,
            Err(error) if error.kind() != io::ErrorKind::ResourceBusy => return false,
            Err(_) if Instant::now() >= deadline => return false,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    paths.iter().filter(|path| !gone(path)).cloned().collect()
}

fn count(path: &Path) -> usize {
    let paths = subtree(path).unwrap_or_default();
    paths
        .iter()
        .filter_map(|path| fs::read_to_string(path.join("cgroup.procs")).ok())
        .map(|text| text.lines().count())
        .sum()
}

fn remove(path: &Path) -> io::Result<()> {
    let mut paths = subtree(path)?;
    paths.reverse();
    for path in paths {
        match fs::remove_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::process::getpid;

    use super::super::stand::name_of;
    use super::*;

    #[test]
    fn a_living_process_has_no_left_overs() {
        let own = name_of(getpid());
        assert!(!may_be_left_over(&own));
        assert!(!may_be_left_over(&format!("{own}{LEAF}")));
        let other = format!("{PREFIX}{}.1", getpid().as_raw_nonzero());
        assert!(may_be_left_over(&other));
        assert!(may_be_left_over(&format!("{other}{LEAF}")));
        assert!(!may_be_left_over("pk.x.y"));
        assert!(!may_be_left_over("system.slice"));
    }
}
