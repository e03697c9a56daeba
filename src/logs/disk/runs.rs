//! Where the logs of a stack are, and of which of its runs.
//!
//! ```text
//!  $XDG_STATE_HOME/pk/STACK/CHECKOUT/000001/   one run of the stack
//!                                    ├─ lock       held as long as it runs
//!                                    ├─ run.json   what it is
//!                                    ├─ head       how far readers may read
//!                                    └─ api/000001.log, 000001.idx, …
//! ```
//!
//! `CHECKOUT` is made from the path of the folder, so that two checkouts of one stack have
//! logs of their own.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// How many runs are kept, at most.
const MAX_RUNS: usize = 50;

/// Where the logs of a stack are kept: by the XDG folders of the user, the name of the stack
/// and its folder. `None`: the user has no folder.
#[must_use]
pub fn state_folder(
    state_home: Option<OsString>,
    home: Option<OsString>,
    stack: &str,
    folder: &Path,
) -> Option<PathBuf> {
    // The XDG base directory specification: a path that is not absolute is ignored.
    let absolute = |path: &PathBuf| path.is_absolute();
    let state = (state_home.map(PathBuf::from))
        .filter(absolute)
        .or_else(|| Some(PathBuf::from(home?).join(".local/state")).filter(absolute))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = stack
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let name = name.trim_start_matches('.');
    let name = if name.is_empty() { "_" } else { name };
    // FNV-1a, written down so that it stays the same.
    let path = folder.as_os_str().as_encoded_bytes();
    let hash = (stack.bytes().chain([0])).chain(path.iter().copied());
    let hash = hash.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Some(state.join("pk").join(name).join(format!("{hash:016x}")))
}

/// What a run of a stack is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    pub stack: String,
    /// The folder of the stack.
    pub folder: PathBuf,
    pub started: Timestamp,
    pub pid: u32,
    /// The task that it was for, if it was for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The main file of the stack.
    pub file: PathBuf,
    /// All instances, also those that never wrote.
    pub units: Vec<RunUnit>,
}

/// An instance of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunUnit {
    pub name: String,
    /// The unit that it is an instance of.
    pub unit: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
}

/// The folders of all stacks, to be looked for by what their runs say.
#[must_use]
pub fn stacks(state_home: Option<OsString>, home: Option<OsString>) -> Vec<PathBuf> {
    let below = |folder: PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path())
    };
    let any = state_folder(state_home, home, "any", Path::new("/"));
    let top = any.and_then(|any| Some(any.parent()?.parent()?.to_owned()));
    top.into_iter().flat_map(below).flat_map(below).collect()
}

/// A run whose logs are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRun {
    /// From 1 on, as they began.
    pub number: u64,
    pub path: PathBuf,
}

impl FoundRun {
    /// Whether it still goes on.
    #[must_use]
    pub fn is_live(&self) -> bool {
        is_live(&self.path)
    }

    /// What it is; none if it was ended before it could say.
    #[must_use]
    pub fn record(&self) -> Option<RunRecord> {
        let text = std::fs::read(self.path.join("run.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// All runs below the folder of a stack, the oldest first.
#[must_use]
pub fn runs(folder: &Path) -> Vec<FoundRun> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<FoundRun> = entries
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some(FoundRun {
                number,
                path: entry.path(),
            })
        })
        .collect();
    found.sort_by_key(|run| run.number);
    found
}

pub(super) fn is_live(run: &Path) -> bool {
    let Ok(file) = File::open(run.join("lock")) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// The lock of a run that has ended, for who changes something in it.
pub(super) fn lock_ended(run: &Path) -> Option<File> {
    let file = File::open(run.join("lock")).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// A run that begins.
#[derive(Debug)]
pub(super) struct NewRun {
    pub number: u64,
    pub path: PathBuf,
    /// Held as long as the run goes on.
    pub lock: File,
    pub head: File,
}

/// Makes the folder of the next run of a stack.
pub(super) fn begin(folder: &Path, record: &RunRecord) -> io::Result<NewRun> {
    let private = |recursive: bool| {
        let mut builder = DirBuilder::new();
        builder.recursive(recursive).mode(0o700);
        builder
    };
    private(true).create(folder)?;
    let mut number = runs(folder).last().map_or(1, |run| run.number + 1);
    let path = loop {
        let path = folder.join(format!("{number:06}"));
        match private(false).create(&path) {
            Ok(()) => break path,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    };
    let create = |name: &str| {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path.join(name))
    };
    let lock = create("lock")?;
    take(&lock)?;
    let head = create("head")?;
    let text = serde_json::to_vec(record).map_err(io::Error::other)?;
    io::Write::write_all(&mut create("run.json")?, &text)?;
    Ok(NewRun {
        number,
        path,
        lock,
        head,
    })
}

/// A reader that looks whether the run goes on holds its lock for a moment.
fn take(lock: &File) -> io::Result<()> {
    let mut tries = 0;
    loop {
        match flock(lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) if tries < 100 => {
                tries += 1;
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
            result => return Ok(result?),
        }
    }
}

/// The runs before the one that is written, for the budget.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// Each with its size, in bytes; the oldest first.
    earlier: VecDeque<(PathBuf, u64)>,
}

impl Runs {
    /// Those below `folder` before the run `own`.
    pub fn before(folder: &Path, own: u64) -> Self {
        let mut runs = Self {
            earlier: (runs(folder).into_iter())
                .filter(|run| run.number < own)
                .map(|run| {
                    let size = size(&run.path);
                    (run.path, size)
                })
                .collect(),
        };
        while runs.earlier.len() >= MAX_RUNS && runs.delete_oldest() {}
        runs
    }

    pub fn size(&self) -> u64 {
        self.earlier.iter().map(|(_, size)| size).sum()
    }

    /// `false`: there is none that has ended.
    pub fn delete_oldest(&mut self) -> bool {
        while let Some((path, _)) = self.earlier.pop_front() {
            if let Some(_lock) = lock_ended(&path)
                && std::fs::remove_dir_all(&path).is_ok()
            {
                return true;
            }
        }
        false
    }
}

fn size(run: &Path) -> u64 {
    let folders = std::fs::read_dir(run).into_iter().flatten().flatten();
    folders
        .flat_map(|folder| {
            std::fs::read_dir(folder.path())
                .into_iter()
                .flatten()
                .flatten()
        })
        .filter_map(|file| Some(file.metadata().ok()?.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkouts_of_one_stack_have_logs_of_their_own() {
        let place = |state: Option<&str>, stack: &str, folder: &str| {
            let home = Some("/home/me".into());
            state_folder(state.map(Into::into), home, stack, Path::new(folder)).unwrap()
        };
        let one = place(None, "shop", "/a");
        assert!(one.starts_with("/home/me/.local/state/pk/shop"));
        assert_ne!(one, place(None, "shop", "/b"));
        assert_eq!(one, place(Some("relative"), "shop", "/a"));
        assert!(place(Some("/state"), "../ü", "/a").starts_with("/state/pk/__"));
        assert_eq!(state_folder(None, None, "shop", Path::new("/a")), None);
    }
}
