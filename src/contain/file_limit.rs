//! How many descriptors this process may have, and what its children get.
//!
//! One process that holds the pipes of hundreds needs more than the customary soft limit of
//! 1,024. Its children must not get more than was meant for them: a program that uses
//! `select(2)` fails above it.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The soft limit before it was raised.
static INHERITED: OnceLock<u64> = OnceLock::new();

/// Raises the soft limit on open files of this process to its hard one. Children are given
/// back the one that there was.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else {
        return;
    };
    if limit.maximum.is_some_and(|maximum| maximum <= current) {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Refused: then it stays as it was, and who needs more is told so.
    if setrlimit(Resource::Nofile, raised).is_ok() {
        INHERITED.get_or_init(|| current);
    }
}

/// Makes room for that many descriptors, within the limit. To be called before this process has
/// another thread.
///
/// The kernel makes the table larger by and by. While threads share it, each time everybody who
/// opens a file waits for a grace period of RCU, some ten milliseconds (`expand_fdtable` of
/// `fs/file.c`): a stack would start in fits.
pub fn reserve_descriptors(count: u64) {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = count.min(limit).saturating_sub(1);
    let (Ok(highest), Ok(null)) = (i32::try_from(highest), super::clone::null()) else {
        return;
    };
    // What cannot be had now is made room for when it is needed.
    let _ = rustix::io::fcntl_dupfd_cloexec(null, highest);
}

/// The most open files that a child may be allowed: this process's own hard limit, or, for
/// a privileged one, what the kernel allows anybody (`fs.nr_open`).
#[must_use]
pub fn most_open_files() -> u64 {
    let everybody = std::fs::read_to_string("/proc/sys/fs/nr_open");
    let everybody = everybody.ok().and_then(|text| text.trim().parse().ok());
    if may_exceed() {
        return everybody.unwrap_or(u64::MAX);
    }
    getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
}

/// Whether this process may raise its hard limits (`capabilities(7)`): not every root may.
fn may_exceed() -> bool {
    let effective = rustix::thread::capabilities(None).map(|sets| sets.effective);
    effective.is_ok_and(|set| set.contains(rustix::thread::CapabilitySet::SYS_RESOURCE))
}

/// What a child's soft limit is set back to.
pub(super) fn inherited() -> Option<u64> {
    INHERITED.get().copied()
}
