//! From the kernel's events to files that may have changed.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::ReadFlags;

use super::arm::Before;
use super::contents::file_time;
use super::ignoring::RULE_FILES;
use super::inotify::Event;
use super::places::{Interest, Who};
use super::watching_thread::{Eye, since};
use crate::domain::watch::Settled;

/// What is left to do once all events of a batch are known.
#[derive(Debug, Default)]
pub(super) struct Aftermath {
    /// What led to their roots has changed.
    rearm: BTreeSet<Who>,
    rules_changed: bool,
    overflowed: bool,
}

/// Whether an event says that a file is whole. `new`: of a file that has come and is there.
fn settled(flags: ReadFlags, new: Option<&Metadata>) -> Settled {
    if flags.intersects(ReadFlags::CLOSE_WRITE | ReadFlags::MOVED_TO) {
        return Settled::Yes;
    }
    if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
        return Settled::Away;
    }
    // One that has another name as well is made without being opened.
    let is_opened = new.is_none_or(|new| new.is_file() && new.nlink() == 1);
    if is_opened && flags.intersects(ReadFlags::CREATE | ReadFlags::MODIFY) {
        Settled::BeingWritten
    } else {
        Settled::Soon
    }
}

impl Eye {
    /// Takes all events that are there.
    pub(super) fn take_events(&mut self) {
        let Some(places) = &mut self.places else {
            return;
        };
        // What is not among the events that are read now changes later than this.
        let before_these = file_time();
        let mut events = std::mem::take(&mut self.events);
        if let Err(error) = places.inotify_mut().read(&mut events) {
            // What was lost is not known, so everything is looked at.
            self.notify_once("read", format!("cannot read the events of files: {error}"));
        }
        let mut aftermath = Aftermath::default();
        for event in &events {
            self.take(event, &mut aftermath);
        }
        events.clear();
        self.events = events;
        if aftermath.overflowed {
            self.notify_once(
                "overflow",
                "so many files changed at once that the kernel dropped some events: \
                 all that is watched was looked at again"
                    .to_owned(),
            );
        }
        if aftermath.overflowed || aftermath.rules_changed {
            // What a rule has hidden until now is no change by that alone.
            let before = if aftermath.overflowed {
                Before::Known
            } else {
                Before::Hidden(before_these)
            };
            if aftermath.overflowed
                && let Some(places) = &mut self.places
            {
                // That a folder has given way to another may be among what was lost: the
                // watch of the old one would be taken for that of the new.
                places.let_go(|_| true);
            }
            let units: Vec<u32> = self.units.keys().copied().collect();
            for unit in units {
                self.arm_unit(unit, before);
            }
        }
        if !aftermath.overflowed {
            for who in aftermath.rearm {
                self.arm(who, Before::Known);
            }
        }
        let started = self.started;
        self.glances.take(|| since(started));
    }

    fn take(&mut self, event: &Event, aftermath: &mut Aftermath) {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            aftermath.overflowed = true;
            return;
        }
        let folders = self
            .places
            .as_ref()
            .map_or_else(Vec::new, |places| places.of(event.watch));
        let gone =
            ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::IGNORED | ReadFlags::UNMOUNT;
        for folder in folders {
            match &event.name {
                None if event.flags.intersects(gone) => self.folder_gone(&folder, aftermath),
                None => {}
                Some(name) => {
                    let path = folder.join(name);
                    self.entry(&folder, &path, event.flags, aftermath);
                }
            }
        }
    }

    fn entry(&mut self, folder: &Path, path: &Path, flags: ReadFlags, aftermath: &mut Aftermath) {
        let came = flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
        let went = flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM);
        let is_folder = flags.contains(ReadFlags::ISDIR);
        let interests = match &self.places {
            Some(places) => places.interests(folder),
            None => return,
        };
        if is_folder && (went || came) {
            // One that comes in the place of another brings other watches.
            self.folder_gone(path, aftermath);
        }
        let new = if came && !is_folder {
            path.symlink_metadata().ok()
        } else {
            None
        };
        let is_link = new.as_ref().is_some_and(Metadata::is_symlink);
        let settled = settled(flags, new.as_ref());
        let name = path.file_name();
        for interest in interests {
            match interest {
                Interest::Above(_) => {}
                Interest::Way { who, name: on_it } => {
                    if (came || went) && name == Some(&*on_it) {
                        aftermath.rearm.insert(who);
                    }
                }
                Interest::File {
                    who,
                    name: meant,
                    path: known_as,
                } => {
                    if !is_folder && name == Some(&*meant) {
                        self.touch(who.unit, &known_as, settled);
                    }
                }
                Interest::Walked(who) if is_folder => {
                    if came && self.walks_into(who, path) {
                        self.scan(who, path, Before::Known);
                    }
                }
                Interest::Walked(who) => {
                    let holds_rules =
                        name.is_some_and(|name| RULE_FILES.iter().any(|rules| name == *rules));
                    if holds_rules && !flags.contains(ReadFlags::MODIFY) {
                        self.ignoring.forget();
                        aftermath.rules_changed = true;
                    }
                    if is_link {
                        // It may lead to a folder, or be what other links lead through.
                        aftermath.rearm.insert(who);
                    }
                    if self.takes(who, path) {
                        self.touch(who.unit, path, settled);
                    }
                }
            }
        }
    }

    /// A folder is not there any more under that path, with all that was in it.
    fn folder_gone(&mut self, folder: &Path, aftermath: &mut Aftermath) {
        let whos = match &mut self.places {
            Some(places) => places.remove_below(folder),
            None => return,
        };
        let files: Vec<PathBuf> = (self.contents.below(folder).map(Path::to_owned)).collect();
        for who in whos {
            let Some(pattern) = self.pattern(who) else {
                continue;
            };
            if pattern.root.starts_with(folder) {
                aftermath.rearm.insert(who);
            }
            let lost: Vec<&PathBuf> = (files.iter())
                .filter(|path| pattern.takes_file(path))
                .collect();
            for path in lost {
                self.touch(who.unit, path, Settled::Away);
            }
        }
    }

    /// Whether a folder that came is one that the pattern means.
    fn walks_into(&mut self, who: Who, folder: &Path) -> bool {
        let Some(unit) = self.units.get(&who.unit) else {
            return false;
        };
        let Some(pattern) = unit.patterns.get(who.pattern) else {
            return false;
        };
        pattern.takes_folder(folder)
            && (self.ignoring)
                .rule(&unit.own, &pattern.root, folder, true)
                .is_none()
    }

    /// Whether a file in a folder that is walked is one that the pattern means.
    fn takes(&mut self, who: Who, path: &Path) -> bool {
        let Some(unit) = self.units.get(&who.unit) else {
            return false;
        };
        let Some(pattern) = unit.patterns.get(who.pattern) else {
            return false;
        };
        pattern.takes_file(path)
            && (self.ignoring)
                .rule(&unit.own, &pattern.root, path, false)
                .is_none()
    }
}
