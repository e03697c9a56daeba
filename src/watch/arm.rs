//! Arms patterns: watches their folders, and takes note of their files.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::WatchError;
use super::contents::{Contents, Times};
use super::ignoring::Rule;
use super::looker::{Looker, Seen};
use super::places::{Interest, Places, Who};
use super::silent::silent;
use super::walk::{Visitor, walk};
use super::watching_thread::Eye;
use crate::domain::watch::Settled;

/// What is taken for what was there before.
#[derive(Clone, Copy, Debug)]
pub(super) enum Before {
    /// All that is there now, but for what changed since then: the unit is new.
    Now(SystemTime),
    /// What was known, and what is there now but for what changed since then: rules have
    /// hidden it.
    Hidden(SystemTime),
    /// What was known: the rest has changed.
    Known,
}

/// Notes what a walk comes by.
struct Arming<'a, 'scope, 'env> {
    who: Who,
    /// `None`: it is looked at every now and then.
    places: Option<&'a mut Places>,
    looker: Looker<'scope, 'env>,
    unreadable: Vec<(PathBuf, String)>,
    no_watch_left: bool,
    /// Where the walk began, and whether that was gone.
    start: &'a Path,
    gone: bool,
}

impl Visitor for Arming<'_, '_, '_> {
    fn folder(&mut self, path: &Path) -> bool {
        let Some(places) = &mut self.places else {
            return true;
        };
        match places.add(path, Interest::Walked(self.who)) {
            Ok(()) => true,
            Err(WatchError::NoWatchLeft) => {
                self.no_watch_left = true;
                false
            }
            // It cannot be read either: the walk says so.
            Err(WatchError::Add(error) | WatchError::Init(error)) => {
                self.gone |= path == self.start && error.kind() == io::ErrorKind::NotFound;
                true
            }
        }
    }

    fn file(&mut self, path: &Path, is_link: bool) {
        // Before it is looked at: what changes in between is told.
        if is_link && let Some(places) = &mut self.places {
            follow_file(places, self.who, path);
        }
        self.looker.add(path.to_owned());
    }

    fn ignored(&mut self, _path: &Path, _rule: Rule) {}

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.unreadable.push((path.to_owned(), error.to_string()));
    }
}

/// What may have changed.
#[derive(Debug, Default)]
struct Found {
    /// What it holds now tells.
    touched: Vec<PathBuf>,
    /// What it holds is known, but not to the unit.
    changed: Vec<PathBuf>,
}

impl Found {
    fn look(&mut self, contents: &mut Contents, (path, seen): Seen, before: Before) {
        let touched = match before {
            Before::Now(since) => {
                if contents.is_known_since(&path, since) {
                    self.changed.push(path.clone());
                }
                contents.arm(&path, seen, since)
            }
            Before::Hidden(since) => contents.arm(&path, seen, since),
            Before::Known => contents.seems_other(&path, seen),
        };
        if touched {
            self.touched.push(path);
        }
    }
}

/// What is at a path: which file or folder, if any.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// A file that is a link changes with what it leads to.
fn follow_file(places: &mut Places, who: Who, path: &Path) {
    if let Ok(target) = path.canonicalize()
        && let (Some(folder), Some(name)) = (target.parent(), target.file_name())
    {
        let interest = Interest::File {
            who,
            name: name.to_owned(),
            path: path.to_owned(),
        };
        // Without it the link itself is still watched.
        let _ = places.add(folder, interest);
    }
}

impl Eye {
    /// Arms all patterns of a unit.
    pub(super) fn arm_unit(&mut self, unit: u32, before: Before) {
        let patterns = self.units.get(&unit).map_or(0, |unit| unit.patterns.len());
        for pattern in 0..patterns {
            self.arm(Who { unit, pattern }, before);
        }
    }

    /// Arms one pattern from its root on, in place of what was armed for it.
    pub(super) fn arm(&mut self, who: Who, before: Before) {
        let Some(pattern) = self.pattern(who) else {
            return;
        };
        let root = pattern.root.clone();
        let known: Vec<PathBuf> = (self.contents.below(&root).map(Path::to_owned)).collect();
        // A root that goes, or gives way to another, between the looks at it may be watched
        // by nothing that tells of its return.
        loop {
            let was = identity(&root);
            let gone = self.arm_once(who, &root, before);
            if !gone && identity(&root) == was {
                break;
            }
        }
        self.miss(who, known);
    }

    /// `true`: the root was gone when it was to be walked.
    fn arm_once(&mut self, who: Who, root: &Path, before: Before) -> bool {
        if let Some(places) = &mut self.places {
            places.let_go(|other| other == who);
        }
        if self.polls(who).is_none() {
            let why = match (&self.places, silent(root)) {
                (None, _) => Some("no events of files can be had".to_owned()),
                (_, _) if self.forced => Some("PK_WATCH=poll".to_owned()),
                (_, Some(name)) => Some(format!("no events come from {name}")),
                (Some(_), None) => None,
            };
            if let Some(why) = why {
                self.begin_to_poll(who, why);
            }
        }
        if self.polls(who).is_none() && self.watch_way(who, root).is_err() {
            self.run_out(who);
        }
        match std::fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => self.scan(who, root, before),
            Ok(_) => {
                let mut found = Found::default();
                let seen = (root.to_owned(), Times::of(root));
                found.look(&mut self.contents, seen, before);
                self.take_found(who, found);
                false
            }
            Err(_) => false,
        }
    }

    fn take_found(&mut self, who: Who, found: Found) {
        for path in found.touched {
            // Who writes it may still be at it.
            self.touch(who.unit, &path, Settled::Soon);
        }
        for path in found.changed {
            self.tell_later(who.unit, &path, self.now());
        }
    }

    /// Goes through a folder of a pattern, and watches what it comes by before it reads it.
    /// `true`: the folder is gone.
    pub(super) fn scan(&mut self, who: Who, start: &Path, before: Before) -> bool {
        let Some(unit) = self.units.get(&who.unit) else {
            return false;
        };
        let Some(pattern) = unit.patterns.get(who.pattern) else {
            return false;
        };
        let polled = unit.polled.contains_key(&who.pattern);
        let (places, ignoring) = (&mut self.places, &mut self.ignoring);
        let (seen, unreadable, no_watch_left, gone) = std::thread::scope(|scope| {
            let mut arming = Arming {
                who,
                places: places.as_mut().filter(|_| !polled),
                looker: Looker::new(scope),
                unreadable: Vec::new(),
                no_watch_left: false,
                start,
                gone: false,
            };
            walk(ignoring, &unit.own, pattern, start, &mut arming);
            let Arming {
                looker,
                unreadable,
                no_watch_left,
                gone,
                ..
            } = arming;
            (looker.finish(), unreadable, no_watch_left, gone)
        });
        let mut found = Found::default();
        for seen in seen {
            found.look(&mut self.contents, seen, before);
        }
        self.take_found(who, found);
        self.tell_unreadable(who, &unreadable);
        if no_watch_left {
            self.run_out(who);
            return self.scan(who, start, before);
        }
        gone
    }

    /// Watches what leads to the root, so that it is noticed when that goes or comes.
    fn watch_way(&mut self, who: Who, root: &Path) -> Result<(), WatchError> {
        // What is missing may have come before the folder that it came into was watched:
        // nothing tells of that any more.
        while let Some(missing) = self.watch_way_once(who, root)? {
            let came = if missing == root {
                root.symlink_metadata().is_ok()
            } else {
                missing.is_dir()
            };
            if !came {
                break;
            }
        }
        Ok(())
    }

    /// The first part of the way that is not there.
    fn watch_way_once(&mut self, who: Who, root: &Path) -> Result<Option<PathBuf>, WatchError> {
        let mut missing = None;
        let Some(places) = &mut self.places else {
            return Ok(None);
        };
        let way = |name: &std::ffi::OsStr| Interest::Way {
            who,
            name: name.to_owned(),
        };
        let mut child = root;
        let mut is_missing = root.symlink_metadata().is_err();
        while let (Some(folder), Some(name)) = (child.parent(), child.file_name()) {
            let is_link = child
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_symlink());
            let exists = folder.is_dir();
            let interest = if (is_missing && exists) || is_link {
                way(name)
            } else {
                Interest::Above(who)
            };
            if exists {
                if std::mem::take(&mut is_missing) {
                    missing = Some(child.to_owned());
                }
                match places.add(folder, interest) {
                    // Folders above that may not be read do not change either.
                    Ok(()) | Err(WatchError::Add(_) | WatchError::Init(_)) => {}
                    Err(error @ WatchError::NoWatchLeft) => return Err(error),
                }
            }
            child = folder;
        }
        if let (Some(folder), Some(name)) = (root.parent(), root.file_name())
            && root.is_file()
        {
            let file = Interest::File {
                who,
                name: name.to_owned(),
                path: root.to_owned(),
            };
            match places.add(folder, file) {
                Ok(()) | Err(WatchError::Add(_) | WatchError::Init(_)) => {}
                Err(error @ WatchError::NoWatchLeft) => return Err(error),
            }
            if root.is_symlink() {
                follow_file(places, who, root);
            }
        }
        Ok(missing)
    }

    /// Files of the pattern that were known and are gone.
    fn miss(&mut self, who: Who, mut known: Vec<PathBuf>) {
        known.retain(|path| self.contents.seems_changed(path));
        for path in known {
            if self
                .pattern(who)
                .is_some_and(|pattern| pattern.takes_file(&path))
            {
                self.touch(who.unit, &path, Settled::Away);
            }
        }
    }

    /// There is no watch left for this pattern: those that it has go to others.
    fn run_out(&mut self, who: Who) {
        if let Some(places) = &mut self.places {
            places.let_go(|other| other == who);
        }
        let limit = std::fs::read_to_string("/proc/sys/fs/inotify/max_user_watches");
        let limit = limit.ok().and_then(|text| text.trim().parse::<u64>().ok());
        let limit = limit.unwrap_or(8192);
        let more = (limit * 4).max(524_288);
        self.notify_once(
            "no watch left",
            format!(
                "the limit of {limit} file watches is reached (or a lower one of this user): \
                 what is not watched is looked at every now and then instead; \
                 `sudo sysctl fs.inotify.max_user_watches={more}` raises it"
            ),
        );
        self.begin_to_poll(who, "the limit of watches is reached".to_owned());
    }

    fn tell_unreadable(&mut self, who: Who, unreadable: &[(PathBuf, String)]) {
        let paths: BTreeSet<&PathBuf> = unreadable.iter().map(|(path, _)| path).collect();
        let Some((path, error)) = unreadable.first() else {
            return;
        };
        let name = self.units.get(&who.unit).map(|unit| unit.name.to_string());
        let others = match paths.len() - 1 {
            0 => String::new(),
            others => format!(", nor {others} more folders"),
        };
        self.notify_once(
            &format!("unreadable {}", path.display()),
            format!(
                "cannot watch {} for `{}`: {error}{others}",
                self.shown(path),
                name.unwrap_or_default()
            ),
        );
    }
}
