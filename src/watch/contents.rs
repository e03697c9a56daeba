//! What files hold, as far as it takes to tell whether they changed.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustc_hash::FxHashMap;
use rustix::time::{ClockId, clock_gettime};

/// A larger file is told by its size and times alone, in bytes.
const HASHED_UP_TO: u64 = 32 << 20;

/// The clock of a filesystem is coarse: two writes within so short a time may bear one time.
const COARSE: Duration = Duration::from_millis(100);

/// Now, by the clock that files get their times from. It goes on in steps, of up to 10 ms,
/// and lags behind the precise clock: by that one, a file may have been written before it
/// was.
pub(super) fn file_time() -> SystemTime {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    time_of((now.tv_sec, now.tv_nsec))
}

fn time_of((seconds, nanos): (i64, i64)) -> SystemTime {
    let nanos = u32::try_from(nanos).unwrap_or(0);
    let seconds = u64::try_from(seconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

/// What a path holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// No file.
    Nothing,
    /// So many bytes, of this hash.
    Bytes(u64, u64),
}

/// `None`: it is larger than `limit`, in bytes, or cannot be read.
pub(super) fn held(path: &Path, limit: u64) -> Option<Held> {
    let Some(stamp) = stamp(path) else {
        return Some(Held::Nothing);
    };
    let hash = (stamp.size <= limit).then(|| hash(path, stamp))??;
    Some(Held::Bytes(stamp.size, hash))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    size: u64,
    inode: u64,
    device: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            inode: metadata.ino(),
            device: metadata.dev(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn changed_at(&self) -> SystemTime {
        time_of(self.changed)
    }

    /// Whether a write that follows at once might leave no trace in it.
    fn is_fresh(&self) -> bool {
        SystemTime::now() < self.changed_at() + COARSE
    }
}

#[derive(Clone, Copy, Debug)]
struct Known {
    stamp: Stamp,
    hash: Option<u64>,
    /// The stamp was taken so soon that it may be that of a later content as well.
    fresh: bool,
}

/// The times of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    stamp: Stamp,
    fresh: bool,
}

impl Times {
    /// As they are now. `None`: there is no file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stamp = stamp(path)?;
        let fresh = stamp.is_fresh();
        Some(Self { stamp, fresh })
    }
}

/// What was seen of a file.
#[derive(Debug)]
pub(super) struct Look {
    pub changed: bool,
    /// What it holds, if that is told by more than its times.
    pub held: Option<Held>,
    known: Option<Known>,
}

/// All files that are watched.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// By the bytes of their paths: to compare paths part by part takes longer than to look
    /// at a file.
    files: FxHashMap<OsString, Known>,
    /// Still to be hashed.
    unhashed: Vec<PathBuf>,
}

impl Contents {
    /// Takes a file as it was just seen for what was there before, unless that is known. `true`:
    /// it may have been written after `since`, by [`file_time`], or since it was known.
    pub(super) fn arm(&mut self, path: &Path, seen: Option<Times>, since: SystemTime) -> bool {
        if self.files.contains_key(path.as_os_str()) {
            return self.seems_other(path, seen);
        }
        let Some(Times { stamp, fresh }) = seen else {
            return false;
        };
        if stamp.changed_at() >= since {
            return true;
        }
        self.files.insert(
            path.into(),
            Known {
                stamp,
                hash: None,
                fresh,
            },
        );
        self.unhashed.push(path.to_owned());
        false
    }

    /// Whether a file that is known may have been written after `since`, by [`file_time`]:
    /// what is known of it may be news to who asks.
    pub(super) fn is_known_since(&self, path: &Path, since: SystemTime) -> bool {
        let known = self.files.get(path.as_os_str());
        known.is_some_and(|known| known.stamp.changed_at() >= since)
    }

    /// Whether a look at its times says that it may have changed. A look alone changes
    /// nothing of what is known.
    pub(super) fn seems_changed(&self, path: &Path) -> bool {
        self.seems_other(path, Times::of(path))
    }

    /// The same, by the times that were just seen.
    pub(super) fn seems_other(&self, path: &Path, seen: Option<Times>) -> bool {
        match (self.files.get(path.as_os_str()), seen) {
            (None, None) => false,
            (Some(known), Some(seen)) => known.stamp != seen.stamp || known.fresh,
            (None, Some(_)) | (Some(_), None) => true,
        }
    }

    /// Whether the file holds something else than what is known, or is new or gone. Changes
    /// nothing of what is known: see [`Contents::learn`].
    pub(super) fn look(&self, path: &Path) -> Look {
        let known = self.files.get(path.as_os_str()).copied();
        let Some(stamp) = stamp(path) else {
            return Look {
                changed: known.is_some(),
                held: Some(Held::Nothing),
                known: None,
            };
        };
        if let Some(known) = known
            && known.stamp == stamp
            && !known.fresh
        {
            return Look {
                changed: false,
                held: None,
                known: Some(known),
            };
        }
        let hash = hash(path, stamp);
        let fresh = stamp.is_fresh();
        let changed = match known {
            None => true,
            Some(known) => match (known.hash, hash) {
                (Some(before), Some(now)) => before != now || known.stamp.size != stamp.size,
                // What it held before nobody knows; its times must do.
                (None, _) | (_, None) => known.stamp != stamp,
            },
        };
        Look {
            changed,
            held: hash.map(|hash| Held::Bytes(stamp.size, hash)),
            known: Some(Known { stamp, hash, fresh }),
        }
    }

    /// Takes what was seen for what is known.
    pub(super) fn learn(&mut self, path: &Path, look: &Look) {
        match look.known {
            Some(known) => drop(self.files.insert(path.into(), known)),
            None => drop(self.files.remove(path.as_os_str())),
        }
    }

    /// Hashes what is still to be, until the time is up, but at least so many files. `false`:
    /// nothing is left.
    pub(super) fn hash_some(&mut self, limit: Duration, mut at_least: usize) -> bool {
        let until = std::time::Instant::now() + limit;
        while let Some(path) = self.unhashed.pop() {
            if let Some(known) = self.files.get_mut(path.as_os_str())
                && known.hash.is_none()
                && stamp(&path) == Some(known.stamp)
            {
                let hash = hash(&path, known.stamp);
                // It may have been written to meanwhile: then what was read is no one's.
                if stamp(&path) == Some(known.stamp) {
                    known.hash = hash;
                    known.fresh = known.stamp.is_fresh();
                }
            }
            at_least = at_least.saturating_sub(1);
            if at_least == 0 && std::time::Instant::now() >= until {
                break;
            }
        }
        !self.unhashed.is_empty()
    }

    /// The files that are known below a folder.
    pub(super) fn below<'a>(&'a self, folder: &'a Path) -> impl Iterator<Item = &'a Path> {
        let folder = folder.as_os_str();
        let below = self.files.keys().filter(move |path| is_below(path, folder));
        below.map(Path::new)
    }

    /// Keeps only these.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Path) -> bool) {
        self.files.retain(|path, _| keep(Path::new(path)));
    }
}

/// Whether it is the folder itself or something in it.
fn is_below(path: &OsStr, folder: &OsStr) -> bool {
    let rest = path.as_bytes().strip_prefix(folder.as_bytes());
    rest.is_some_and(|rest| {
        rest.is_empty() || rest.starts_with(b"/") || folder.as_bytes().ends_with(b"/")
    })
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = std::fs::metadata(path).ok()?;
    metadata.is_file().then(|| Stamp::of(&metadata))
}

/// `None`: it is too large, or cannot be read.
fn hash(path: &Path, stamp: Stamp) -> Option<u64> {
    if stamp.size > HASHED_UP_TO {
        return None;
    }
    let mut file = File::open(path).ok()?;
    let mut hasher = DefaultHasher::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Some(hasher.finish()),
            Ok(read) => hasher.write(&buffer[..read]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(contents: &mut Contents, path: &Path) -> bool {
        let look = contents.look(path);
        contents.learn(path, &look);
        look.changed
    }

    #[test]
    fn a_touch_and_the_same_bytes_are_no_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "one").unwrap();
        let mut contents = Contents::default();
        assert!(!contents.arm(&path, Times::of(&path), SystemTime::now()));
        while contents.hash_some(Duration::from_secs(1), 1) {}
        let later = SystemTime::now() + Duration::from_secs(5);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(later)
            .unwrap();
        assert!(!changed(&mut contents, &path));
        std::fs::write(&path, "one").unwrap();
        assert!(!changed(&mut contents, &path));
        std::fs::write(&path, "two").unwrap();
        assert!(changed(&mut contents, &path));
        assert!(!changed(&mut contents, &path));
        std::fs::remove_file(&path).unwrap();
        assert!(changed(&mut contents, &path));
        assert!(!changed(&mut contents, &path));
        std::fs::write(&path, "two").unwrap();
        assert!(changed(&mut contents, &path), "it was gone");
    }

    #[test]
    fn two_writes_within_one_tick_of_the_clock_are_two_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "0000").unwrap();
        let mut contents = Contents::default();
        contents.arm(&path, Times::of(&path), SystemTime::now());
        while contents.hash_some(Duration::from_secs(1), 1) {}
        for n in 1..200 {
            std::fs::write(&path, format!("{n:04}")).unwrap();
            assert!(changed(&mut contents, &path), "{n}");
        }
    }

    #[test]
    fn a_file_that_is_replaced_by_its_like_has_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, new) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&path, "one").unwrap();
        let mut contents = Contents::default();
        contents.arm(&path, Times::of(&path), SystemTime::now());
        while contents.hash_some(Duration::from_secs(1), 1) {}
        std::fs::write(&new, "one").unwrap();
        std::fs::rename(&new, &path).unwrap();
        assert!(!changed(&mut contents, &path));
    }
}
