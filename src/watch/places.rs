//! Which folders are watched, and for whom.
//!
//! A folder has one watch however many units care for it, and one place for each path that
//! leads to it: a symbolic link is another path to the same watch.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::WatchError;
use super::inotify::{Depth, Inotify};

/// A pattern of a unit, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Who {
    pub unit: u32,
    pub pattern: usize,
}

/// Why a folder is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// Whatever in it is meant.
    Walked(Who),
    /// The file of that name in it, which is known under `path`.
    File {
        who: Who,
        name: OsString,
        path: PathBuf,
    },
    /// What has that name leads to what is meant, or will.
    Way { who: Who, name: OsString },
    /// What is meant is below it.
    Above(Who),
}

impl Interest {
    pub(super) fn who(&self) -> Who {
        match self {
            Self::Walked(who) | Self::Above(who) => *who,
            Self::File { who, .. } | Self::Way { who, .. } => *who,
        }
    }

    fn depth(&self) -> Depth {
        match self {
            Self::Above(_) => Depth::Itself,
            Self::Walked(_) | Self::File { .. } | Self::Way { .. } => Depth::Entries,
        }
    }
}

#[derive(Debug)]
struct Place {
    watch: i32,
    depth: Depth,
    interests: Vec<Interest>,
}

#[derive(Debug)]
pub(super) struct Places {
    inotify: Inotify,
    by_path: HashMap<PathBuf, Place>,
    by_watch: HashMap<i32, Vec<PathBuf>>,
}

impl Places {
    pub(super) fn new(inotify: Inotify) -> Self {
        Self {
            inotify,
            by_path: HashMap::new(),
            by_watch: HashMap::new(),
        }
    }

    pub(super) fn inotify(&self) -> &Inotify {
        &self.inotify
    }

    pub(super) fn inotify_mut(&mut self) -> &mut Inotify {
        &mut self.inotify
    }

    /// Watches a folder for that reason.
    pub(super) fn add(&mut self, folder: &Path, interest: Interest) -> Result<(), WatchError> {
        let depth = interest.depth();
        if let Some(place) = self.by_path.get_mut(folder) {
            if place.depth < depth {
                self.inotify.add(folder, depth)?;
                place.depth = depth;
            }
            if !place.interests.contains(&interest) {
                place.interests.push(interest);
            }
            return Ok(());
        }
        let watch = self.inotify.add(folder, depth)?;
        self.by_watch
            .entry(watch)
            .or_default()
            .push(folder.to_owned());
        let place = Place {
            watch,
            depth,
            interests: vec![interest],
        };
        self.by_path.insert(folder.to_owned(), place);
        Ok(())
    }

    /// Where a watch stands.
    pub(super) fn of(&self, watch: i32) -> Vec<PathBuf> {
        self.by_watch.get(&watch).cloned().unwrap_or_default()
    }

    pub(super) fn interests(&self, folder: &Path) -> Vec<Interest> {
        let place = self.by_path.get(folder);
        place.map_or_else(Vec::new, |place| place.interests.clone())
    }

    /// A folder is gone from there, with all in it; who cared for any of it.
    pub(super) fn remove_below(&mut self, folder: &Path) -> Vec<Who> {
        let gone: Vec<PathBuf> = (self.by_path.keys())
            .filter(|path| path.starts_with(folder))
            .cloned()
            .collect();
        let mut whos = Vec::new();
        for path in gone {
            if let Some(place) = self.by_path.remove(&path) {
                whos.extend(place.interests.iter().map(Interest::who));
                self.leave(place.watch, &path);
            }
        }
        whos.sort_unstable();
        whos.dedup();
        whos
    }

    /// Nobody cares any more on behalf of those.
    pub(super) fn let_go(&mut self, is_gone: impl Fn(Who) -> bool) {
        let mut empty = Vec::new();
        for (path, place) in &mut self.by_path {
            place.interests.retain(|interest| !is_gone(interest.who()));
            if place.interests.is_empty() {
                empty.push(path.clone());
            }
        }
        for path in empty {
            if let Some(place) = self.by_path.remove(&path) {
                self.leave(place.watch, &path);
            }
        }
    }

    fn leave(&mut self, watch: i32, path: &Path) {
        let Some(paths) = self.by_watch.get_mut(&watch) else {
            return;
        };
        paths.retain(|other| other != path);
        if paths.is_empty() {
            self.by_watch.remove(&watch);
            self.inotify.remove(watch);
        }
    }

    /// How many folders are watched for that unit.
    pub(super) fn count(&self, unit: u32) -> usize {
        let cares = |place: &&Place| place.interests.iter().any(|i| i.who().unit == unit);
        self.by_path.values().filter(cares).count()
    }
}
