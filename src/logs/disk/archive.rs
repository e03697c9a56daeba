//! The logs of a run as another process reads them: no server is asked.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::bell::Bell;
use super::catalog::{self, Catalog, UnitFiles};
use super::record::{self, SIZE_U64};
use super::runs::{self, FoundRun};
use super::segment::{Segment, UnitShelf};
use crate::domain::id::{InstanceId, UnitName};
use crate::logs::capture::lock;
use crate::logs::cursor::{Cursor, Start};
use crate::logs::line::{Extent, OpenLine, Page};
use crate::logs::search::{Found, Search};
use crate::logs::shelf::{Record, Shelf as _};
use crate::logs::{LogSource, Selection};

/// How often a reader of a run that goes on looks for more.
const LOOK: Duration = Duration::from_millis(40);

/// How often once nothing has come for [`QUIET`] looks and no [`Bell`] is to be had: whoever
/// watches an idle stack pays for each of them.
const REST: Duration = Duration::from_millis(100);
const QUIET: u32 = 25;

/// So many looks at the length come to one at whether the run goes on, which costs more.
const LOOKS: u32 = 4;

/// A run on disk, which may go on meanwhile.
#[derive(Debug)]
pub struct Archive {
    run: PathBuf,
    head: Option<File>,
    state: Mutex<State>,
    live: AtomicBool,
    wake: watch::Sender<u64>,
    open: Mutex<Vec<OpenLine>>,
}

#[derive(Debug, Default)]
struct State {
    catalog: Catalog,
    /// By the folder of the instance: the number of its next segment.
    folders: BTreeMap<PathBuf, (InstanceId, u64)>,
    /// Where the segment begins in which the last line stands that readers may see: it and
    /// those behind it may have more than is seen now.
    unread: BTreeMap<InstanceId, u64>,
    seen: Option<u64>,
}

impl Archive {
    /// Opens what is there. What a pk that was killed has left half done is mended.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(run: &FoundRun) -> io::Result<Self> {
        Self::at(&run.path)
    }

    /// The same, by the folder of the run.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn at(run: &Path) -> io::Result<Self> {
        std::fs::read_dir(run)?;
        let live = runs::is_live(run);
        let archive = Self {
            run: run.to_owned(),
            head: File::open(run.join("head")).ok(),
            state: Mutex::default(),
            live: AtomicBool::new(live),
            wake: watch::Sender::new(0),
            open: Mutex::default(),
        };
        archive.refresh();
        Ok(archive)
    }

    /// Whether the run goes on.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// The instances that have written, by name.
    #[must_use]
    pub fn names(&self) -> Vec<(InstanceId, UnitName)> {
        let state = lock(&self.state);
        let units = state.catalog.units.iter();
        units.map(|(id, unit)| (*id, unit.name.clone())).collect()
    }

    /// Takes what streams have open now, from who runs the stack.
    pub fn copy_open(&self, open: Vec<OpenLine>) {
        *lock(&self.open) = open;
        self.wake.send_modify(|_| ());
    }

    /// Wakes readers as the run goes on. Ends with the run, when all of it can be read.
    pub async fn watch(self: Arc<Self>) {
        let mut quiet = 0;
        let mut bell = Bell::new(&self.run.join("head")).ok();
        while self.is_live() {
            let seen = lock(&self.state).seen;
            let grew = seen != Some(self.published());
            if grew || quiet % LOOKS == 0 {
                self.refresh();
            }
            quiet = if grew { 0 } else { quiet + 1 };
            if quiet <= QUIET {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let seen = lock(&self.state).seen;
            let changed = || seen != Some(self.published());
            if let Some(hung) = &bell
                && hung.rung(changed).await.is_ok()
            {
                // Whoever was told looks also whether the run goes on.
                quiet = quiet.next_multiple_of(LOOKS);
            } else {
                bell = None;
                tokio::time::sleep(REST).await;
            }
        }
    }

    /// Looks what has been added.
    pub fn refresh(&self) {
        if !self.is_live() && lock(&self.state).seen.is_some() {
            return;
        }
        // Looked at first: what is written before its end is there after it.
        let live = runs::is_live(&self.run);
        let limit = live.then(|| self.published());
        let mut state = lock(&self.state);
        if limit.is_some() && state.seen == limit {
            return;
        }
        let _mending = (!live).then(|| runs::lock_ended(&self.run)).flatten();
        state.find(&self.run);
        state.bound(limit);
        state.seen = Some(limit.unwrap_or(u64::MAX));
        let head = state.catalog.head;
        drop(state);
        self.live.store(live, Ordering::Release);
        self.wake.send_replace(head);
    }

    /// The number of the next line that readers may not read yet.
    fn published(&self) -> u64 {
        let mut bytes = [0; 8];
        let read = self
            .head
            .as_ref()
            .map(|head| head.read_exact_at(&mut bytes, 0));
        match read {
            Some(Ok(())) => u64::from_le_bytes(bytes),
            _ => 0,
        }
    }

    fn get(&self, with: &mut dyn FnMut(&Catalog)) {
        self.refresh();
        with(&lock(&self.state).catalog);
    }
}

impl State {
    /// Opens the segments that are new.
    fn find(&mut self, run: &Path) {
        let folders = std::fs::read_dir(run).into_iter().flatten().flatten();
        let folders = folders.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        for folder in folders.map(|entry| entry.path()) {
            match self.folders.get(&folder) {
                Some((instance, next)) => {
                    let (instance, mut next) = (*instance, *next);
                    while let Ok(Some(segment)) =
                        Segment::open(&folder.join(format!("{next:06}.idx")))
                    {
                        self.add(&folder, segment, next);
                        next += 1;
                    }
                    // After their successors are known: nothing is added to them any more.
                    self.refresh(instance);
                }
                None => {
                    for (number, path) in indexes(&folder) {
                        if let Ok(Some(segment)) = Segment::open(&path) {
                            self.add(&folder, segment, number);
                        }
                    }
                }
            }
        }
        for unit in self.catalog.units.values_mut() {
            let all = unit.segments.len();
            let gone = unit.segments.iter().take(all.saturating_sub(1));
            let gone = gone.take_while(|segment| segment.is_deleted()).count();
            close_aside(unit.segments.drain(..gone).collect());
        }
    }

    fn refresh(&self, instance: InstanceId) {
        let Some(unit) = self.catalog.units.get(&instance) else {
            return;
        };
        let unread = self.unread.get(&instance).copied().unwrap_or(0);
        for segment in unit.segments.iter().rev() {
            let _ = segment.refresh();
            if segment.head.base <= unread {
                return;
            }
        }
    }

    fn add(&mut self, folder: &Path, segment: Segment, number: u64) {
        let instance = segment.head.instance;
        self.folders
            .insert(folder.to_owned(), (instance, number + 1));
        let unit = self.catalog.units.entry(instance);
        let unit = unit.or_insert_with(|| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            // What a reload has made anew has its number behind its name.
            let name = name.split('~').next().unwrap_or_default();
            UnitFiles {
                name: UnitName::new(name),
                segments: Vec::new(),
                end: 0,
            }
        });
        unit.segments.push(Arc::new(segment));
    }

    /// Lets readers see what is published, or all of a run that has ended.
    fn bound(&mut self, limit: Option<u64>) {
        let mut head = 0;
        for (instance, unit) in &mut self.catalog.units {
            let Some(last) = unit.segments.last() else {
                continue;
            };
            if limit.is_none() {
                mend(last, *instance);
            }
            let below = unit.segments.iter().rev().find_map(|segment| {
                let base = segment.head.base;
                let mut records = segment.records();
                let shelf = UnitShelf::new(*instance, vec![(Arc::clone(segment), records)], 0);
                while records > 0 {
                    let record = shelf.record(base + records - 1);
                    let after = record.map(|record| record.seq + u64::from(record.lines));
                    if after.is_some_and(|after| limit.is_none_or(|limit| after <= limit)) {
                        break;
                    }
                    records -= 1;
                }
                segment.publish(records);
                let last = shelf.record((base + records).checked_sub(1)?)?;
                Some((base, last.end(), last.seq + u64::from(last.lines)))
            });
            if let Some((base, end, seq)) = below {
                self.unread.insert(*instance, base);
                unit.end = unit.end.max(end);
                head = head.max(seq);
            }
        }
        self.catalog.head = limit.unwrap_or(head);
    }
}

/// Who closes a deleted file last waits until its blocks are freed, which takes long while the
/// disk is busy: no reader should.
fn close_aside(gone: Vec<Arc<Segment>>) {
    if gone.is_empty() {
        return;
    }
    let closer = std::thread::Builder::new().name("log-closer".to_owned());
    // Where no thread is to be had, they are closed here.
    let _ = closer.spawn(move || drop(gone));
}

fn indexes(folder: &Path) -> Vec<(u64, PathBuf)> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "idx"))
        .filter_map(|path| Some((path.file_stem()?.to_str()?.parse().ok()?, path)))
        .collect();
    found.sort_unstable();
    found
}

/// Turns the records whose text a killed pk could not finish into what is there of it, and a
/// gap of what is not.
fn mend(segment: &Arc<Segment>, instance: InstanceId) {
    let Ok(len) = segment.text.metadata().map(|meta| meta.len()) else {
        return;
    };
    let all = segment.records();
    let shelf = UnitShelf::new(instance, vec![(Arc::clone(segment), all)], 0);
    let base = segment.head.base;
    let torn: Vec<Record> = (0..all)
        .rev()
        .map_while(|number| shelf.record(base + number))
        .take_while(|record| record.offset + u64::from(record.bytes) > len)
        .collect();
    let Some(first) = torn.last().copied() else {
        return;
    };
    let end = torn.first().map_or(0, Record::end);
    let mut text = vec![0; usize::try_from(len.saturating_sub(first.offset)).unwrap_or(0)];
    if segment.text.read_exact_at(&mut text, first.offset).is_err() {
        return;
    }
    let whole = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
    let lines = memchr::memchr_iter(b'\n', &text[..whole]).count();
    let kept = Record {
        lines: u32::try_from(lines).unwrap_or(0),
        bytes: u32::try_from(whole).unwrap_or(0),
        last: crate::logs::Cut::Newline,
        ..first
    };
    let lost = Record {
        seq: first.seq + u64::from(kept.lines),
        ordinal: kept.end(),
        lines: u32::try_from(end - kept.end()).unwrap_or(u32::MAX),
        bytes: 0,
        offset: first.offset + whole as u64,
        gap: true,
        ..kept
    };
    let mut records: Vec<u8> = Vec::new();
    if kept.lines > 0 {
        records.extend_from_slice(&record::write(&kept));
    }
    records.extend_from_slice(&record::write(&lost));
    let Ok(index) = OpenOptions::new().write(true).open(&segment.path) else {
        return;
    };
    let at = SIZE_U64 * (all - torn.len() as u64 + 1);
    if index.write_all_at(&records, at).is_ok() {
        let _ = index.set_len(at + records.len() as u64);
        let _ = segment.refresh();
    }
}

impl LogSource for Archive {
    fn cursor(&self, selection: Selection, start: Start) -> Cursor {
        catalog::cursor(&|with| self.get(with), selection, start)
    }

    fn read(&self, cursor: &mut Cursor, max: usize) -> Page {
        catalog::read(&|with| self.get(with), cursor, max)
    }

    fn read_back(&self, cursor: &mut Cursor, max: usize) -> Page {
        catalog::read_back(&|with| self.get(with), cursor, max)
    }

    /// Those that somebody has brought: they are not on disk.
    fn open_lines(&self, selection: &Selection) -> Vec<OpenLine> {
        selection.of_open(&lock(&self.open)).collect()
    }

    fn extent(&self, selection: &Selection) -> Extent {
        catalog::extent(&|with| self.get(with), selection)
    }

    fn search(&self, search: &mut Search, keep: usize) -> Found {
        catalog::search(&|with| self.get(with), search, keep)
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }
}
