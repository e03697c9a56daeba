//! The thread that holds all that is watched.
//!
//! ```text
//!  sleep until: an event · somebody asks · a burst is over · a look is due · files to hash
//! ```

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Report;
use super::arm::Before;
use super::contents::Contents;
use super::glance::Glances;
use super::handle::{Ask, Asked, Wake};
use super::ignoring::{Ignoring, Own};
use super::inotify::{Event, Inotify};
use super::places::{Places, Who};
use super::scope::Pattern;
use crate::domain::id::UnitName;
use crate::domain::spec::Watch;
use crate::domain::time::Instant;
use crate::domain::watch::{ChangedFiles, Debounce, Settled};

/// How long files are hashed before events are looked for again.
const SLICE: Duration = Duration::from_millis(2);

/// How often is looked at what sends no events, unless a look takes long.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A look may take this part of the time.
const LOOK_SHARE: u32 = 20;

/// What one unit watches.
#[derive(Debug)]
pub(super) struct Unit {
    pub name: UnitName,
    pub patterns: Vec<Pattern>,
    pub own: Own,
    /// The patterns that send no events, and why.
    pub polled: BTreeMap<usize, String>,
    debounce: Debounce,
    /// What may have changed, the first seen first.
    dirty: Vec<PathBuf>,
    is_dirty: HashSet<PathBuf>,
    /// What has, and was not reported yet, and since when each is known to hold what it
    /// holds.
    changed: Vec<(PathBuf, Instant)>,
}

/// What sees it all.
pub(super) struct Eye {
    pub base: PathBuf,
    pub ignoring: Ignoring,
    /// `None`: no events are to be had.
    pub places: Option<Places>,
    pub contents: Contents,
    pub glances: Glances,
    pub units: BTreeMap<u32, Unit>,
    pub events: Vec<Event>,
    /// Events are not wanted.
    pub forced: bool,
    next_unit: u32,
    said: HashSet<String>,
    report: Box<dyn Fn(Report) + Send>,
    pub started: std::time::Instant,
    look_at: Option<Instant>,
    pub look_every: Duration,
}

impl Unit {
    /// What may have changed, and what has, and was not told.
    fn take_burst(&mut self) -> (Vec<PathBuf>, Vec<(PathBuf, Instant)>) {
        self.is_dirty.clear();
        (
            std::mem::take(&mut self.dirty),
            std::mem::take(&mut self.changed),
        )
    }
}

/// The time of the watch: since its thread began.
pub(super) fn since(started: std::time::Instant) -> Instant {
    Instant::after_start(started.elapsed())
}

impl Eye {
    pub(super) fn new(base: PathBuf, report: Box<dyn Fn(Report) + Send>) -> Self {
        let mut eye = Self {
            ignoring: Ignoring::new(&base),
            base,
            places: None,
            contents: Contents::default(),
            glances: Glances::default(),
            units: BTreeMap::new(),
            events: Vec::new(),
            forced: std::env::var_os("PK_WATCH").is_some_and(|value| value == "poll"),
            next_unit: 0,
            said: HashSet::new(),
            report,
            started: std::time::Instant::now(),
            look_at: None,
            look_every: LOOK_EVERY,
        };
        match Inotify::new() {
            Ok(inotify) => eye.places = Some(Places::new(inotify)),
            Err(error) => eye.notify_once(
                "init",
                format!(
                    "{error}: files are looked at every now and then instead; \
                     `sudo sysctl fs.inotify.max_user_instances=1024` may help"
                ),
            ),
        }
        eye
    }

    /// Watches until nobody can ask for anything any more.
    pub(super) fn run(mut self, wake: &Wake, asked: &Asked) {
        loop {
            let more = self.contents.hash_some(SLICE);
            self.sleep(wake, more);
            loop {
                match asked.try_recv() {
                    Ok(ask) => self.answer(ask),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.take_events();
            self.look_if_due();
            self.tell_what_is_due();
        }
    }

    fn sleep(&self, wake: &Wake, work_is_left: bool) {
        let bursts = self.units.values().filter_map(|unit| unit.debounce.due());
        let next = bursts.chain(self.look_at).min();
        let timeout = if work_is_left {
            Some(Duration::ZERO)
        } else {
            next.map(|at| at.since(self.now()))
        };
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(timeout.subsec_nanos()),
        });
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        if let Some(places) = &self.places {
            fds.push(PollFd::new(places.inotify(), PollFlags::IN));
        }
        // Interrupted is as good as woken: everything is looked at.
        let _ = poll(&mut fds, timeout.as_ref());
        wake.clear();
    }

    pub(super) fn now(&self) -> Instant {
        since(self.started)
    }

    fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Watch {
                unit,
                watch,
                log,
                since,
            } => self.watch(unit, &watch, log.as_deref(), since),
            Ask::Unwatch(unit) => self.unwatch(&unit),
            // Who asked may have gone.
            Ask::Status(units, reply) => drop(reply.send(self.status(&units))),
            Ask::Why(path, reply) => drop(reply.send(self.why(&path))),
        }
    }

    fn watch(&mut self, name: UnitName, watch: &Watch, log: Option<&Path>, since: SystemTime) {
        let former = (self.units.iter()).find_map(|(&id, unit)| (unit.name == name).then_some(id));
        let former_burst = former
            .and_then(|id| self.units.get_mut(&id))
            .map(Unit::take_burst);
        let id = self.next_unit;
        self.next_unit += 1;
        let unit = Unit {
            name,
            patterns: watch.paths.iter().map(|text| Pattern::new(text)).collect(),
            own: Own::new(&self.base, &watch.ignore, watch.gitignore, log),
            polled: BTreeMap::new(),
            debounce: Debounce::new(watch.debounce),
            dirty: Vec::new(),
            is_dirty: HashSet::new(),
            changed: Vec::new(),
        };
        self.units.insert(id, unit);
        self.arm_unit(id, Before::Now(since));
        // Only now: what is known of its files stays known, and what was to be told is told.
        let (dirty, changed) = former_burst.unwrap_or_default();
        for path in dirty {
            self.touch(id, &path, Settled::Soon);
        }
        for (path, known_since) in changed {
            self.tell_later(id, &path, known_since);
        }
        if let Some(former) = former {
            self.let_go(former);
        }
    }

    fn unwatch(&mut self, name: &UnitName) {
        let id = (self.units.iter()).find_map(|(id, unit)| (unit.name == *name).then_some(*id));
        if let Some(id) = id {
            self.let_go(id);
        }
    }

    fn let_go(&mut self, id: u32) {
        self.units.remove(&id);
        if let Some(places) = &mut self.places {
            places.let_go(|who| who.unit == id);
        }
        let patterns: Vec<&Pattern> = self.units.values().flat_map(|u| &u.patterns).collect();
        (self.contents).retain(|path| patterns.iter().any(|pattern| pattern.takes_file(path)));
    }

    pub(super) fn pattern(&self, who: Who) -> Option<&Pattern> {
        self.units.get(&who.unit)?.patterns.get(who.pattern)
    }

    /// Why a pattern is looked at every now and then, if it is.
    pub(super) fn polls(&self, who: Who) -> Option<&str> {
        let polled = &self.units.get(&who.unit)?.polled;
        polled.get(&who.pattern).map(String::as_str)
    }

    pub(super) fn begin_to_poll(&mut self, who: Who, why: String) {
        let text = format!(
            "{} is looked at every {} instead of being watched: {why}",
            self.pattern(who)
                .map_or_else(String::new, |pattern| self.shown(&pattern.root)),
            crate::domain::text::format_duration(self.look_every),
        );
        // That the limit is reached was said, with what helps.
        if why != "the limit of watches is reached" {
            self.notify_once(&why, text);
        }
        if let Some(unit) = self.units.get_mut(&who.unit) {
            unit.polled.insert(who.pattern, why);
        }
        let now = self.now();
        self.look_at.get_or_insert(now + self.look_every);
    }

    fn look_if_due(&mut self) {
        let now = self.now();
        if self.look_at.is_none_or(|at| at > now) {
            return;
        }
        let polled: Vec<Who> = (self.units.iter())
            .flat_map(|(&unit, of)| of.polled.keys().map(move |&pattern| Who { unit, pattern }))
            .collect();
        for &who in &polled {
            self.arm(who, Before::Known);
        }
        let took = self.now().since(now);
        self.look_every = LOOK_EVERY.max(took * LOOK_SHARE);
        let next = self.now() + self.look_every;
        self.look_at = (!polled.is_empty()).then_some(next);
    }

    /// A file may have changed.
    pub(super) fn touch(&mut self, unit: u32, path: &Path, settled: Settled) {
        let now = self.now();
        if let Some(unit) = self.units.get_mut(&unit) {
            if unit.is_dirty.insert(path.to_owned()) {
                unit.dirty.push(path.to_owned());
            }
            unit.debounce.touch(now, path, settled);
            self.glances.want(path);
        }
    }

    /// A file has changed, as far as this unit is concerned.
    pub(super) fn tell_later(&mut self, unit: u32, path: &Path, known_since: Instant) {
        let now = self.now();
        if let Some(unit) = self.units.get_mut(&unit) {
            unit.changed.push((path.to_owned(), known_since));
            if !unit.debounce.is_pending() {
                unit.debounce.touch(now, path, Settled::Yes);
            }
        }
    }

    /// Ends the bursts that are over, and says what changed.
    fn tell_what_is_due(&mut self) {
        let ids: Vec<u32> = self.units.keys().copied().collect();
        for id in ids {
            let now = self.now();
            let Some(unit) = self.units.get_mut(&id) else {
                continue;
            };
            let Some(first) = unit.debounce.take(now) else {
                continue;
            };
            let dirty = std::mem::take(&mut unit.dirty);
            unit.is_dirty.clear();
            for path in dirty {
                let (changed, held) = self.contents.changed(&path);
                let known_since = self.glances.since(&path, held, self.now());
                if changed {
                    self.tell_takers(&path, known_since, id);
                }
            }
            let Some(unit) = self.units.get_mut(&id) else {
                continue;
            };
            let changed = std::mem::take(&mut unit.changed);
            if !changed.is_empty() {
                let name = unit.name.clone();
                let changed = self.summary(&changed, first);
                (self.report)(Report::Changed(name, changed));
            }
        }
    }

    /// A file that changed concerns each unit that means it, whoever was told of it first:
    /// `asking`, whose burst is over.
    fn tell_takers(&mut self, path: &Path, known_since: Instant, asking: u32) {
        let ids: Vec<u32> = self.units.keys().copied().collect();
        for id in ids {
            if !self.counts(id, path) {
                continue;
            }
            if id != asking {
                self.tell_later(id, path, known_since);
            } else if let Some(unit) = self.units.get_mut(&id) {
                // It is told at once: no burst begins with that.
                unit.changed.push((path.to_owned(), known_since));
            }
        }
    }

    fn counts(&mut self, id: u32, path: &Path) -> bool {
        let Some(unit) = self.units.get(&id) else {
            return false;
        };
        unit.patterns.iter().any(|pattern| {
            let root = &pattern.root;
            let named = !pattern.is_glob() && root == path;
            named
                || (pattern.takes_file(path)
                    && (self.ignoring)
                        .rule_on_the_way(&unit.own, root, path, false)
                        .is_none())
        })
    }

    /// `first`: when the burst began.
    fn summary(&self, changed: &[(PathBuf, Instant)], first: Instant) -> ChangedFiles {
        let now = self.now();
        let mut once = HashSet::new();
        let paths: Vec<&PathBuf> = (changed.iter())
            .filter_map(|(path, _)| once.insert(path).then_some(path))
            .collect();
        let known_since = changed.iter().map(|(_, since)| *since).max().unwrap_or(now);
        let named = paths.iter().take(ChangedFiles::NAMED);
        ChangedFiles {
            paths: named.map(|path| self.shown(path)).collect(),
            more: u32::try_from(paths.len().saturating_sub(ChangedFiles::NAMED))
                .unwrap_or(u32::MAX),
            age: now.since(first),
            quiet: now.since(known_since),
        }
    }

    /// As people know it: relative to the stack's folder where it is below that.
    pub(super) fn shown(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.base).ok();
        let below = below.filter(|below| !below.as_os_str().is_empty());
        let text = below.unwrap_or(path).to_string_lossy();
        // A name may hold anything, also what would steer a terminal.
        let safe = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        text.chars().map(safe).collect()
    }

    /// Says something, unless it was said.
    pub(super) fn notify_once(&mut self, what: &str, text: String) {
        if self.said.insert(what.to_owned()) {
            (self.report)(Report::Notice(text));
        }
    }
}
