//! The files of a stack, read again while it runs.
//!
//! This module owns what a reload reads: the same place, in the environment of the process
//! that runs the stack. It must not change anything of the stack itself.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;

use super::args::Place;
use super::inspect::plural;
use super::stack;
use crate::config::foreign::{Foreign, Format};
use crate::config::{self, Diagnostic, Loaded, Request, diagnostic};
use crate::control::{BadFiles, LocalPort, Read, Reload, ReloadAsk, Sources};
use crate::domain::id::UnitName;
use crate::supervisor::AutoPorts;

/// How long no file may have been written until they are read: an editor saves in steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long that is waited for at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a stack was started from.
#[derive(Debug)]
pub struct Files {
    request: Request,
    /// What was said of a file of another tool.
    foreign: Mutex<Foreign>,
    /// The main file.
    main: PathBuf,
    /// Of the stack.
    name: String,
    /// What was picked before stays.
    ports: Arc<AutoPorts>,
    /// All files that were read the last time, right or wrong.
    read: Mutex<BTreeSet<PathBuf>>,
    /// What they said when they were right.
    said: Mutex<Said>,
}

/// What files say beyond the plan.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// In the order in which they were read.
    files: Vec<PathBuf>,
    /// Of a process-compose file.
    namespaces: BTreeMap<UnitName, Vec<String>>,
}

impl Said {
    pub fn of(loaded: &Loaded) -> Self {
        let files = loaded.sources.iter();
        Self {
            files: files.map(|file| file.path().to_owned()).collect(),
            namespaces: loaded.namespaces.clone(),
        }
    }
}

impl Files {
    /// # Errors
    /// The folder cannot be told.
    pub fn new(
        place: &Place,
        foreign: Foreign,
        ports: Arc<AutoPorts>,
        main: PathBuf,
        name: &str,
        said: Said,
    ) -> Result<Self, String> {
        Ok(Self {
            request: stack::request(place)?,
            foreign: Mutex::new(foreign),
            said: Mutex::new(said),
            read: Mutex::new([main.clone()].into()),
            main,
            name: name.to_owned(),
            ports,
        })
    }

    fn watched(&self) -> BTreeSet<PathBuf> {
        self.read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember<'a>(&self, files: impl Iterator<Item = &'a config::source::SourceFile>) {
        let mut read: BTreeSet<PathBuf> = files.map(|file| file.path().to_owned()).collect();
        read.insert(self.main.clone());
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = read;
    }
}

impl Reload for Files {
    fn read(&self, ask: &ReloadAsk) -> Result<Read, BadFiles> {
        let mut foreign = lock(&self.foreign).clone();
        let counts = ask.counts.iter();
        foreign
            .replicas
            .extend(counts.map(|(name, count)| (name.clone(), *count)));
        let loaded = match stack::load_to_run(&self.request, &foreign, &self.ports) {
            Ok(loaded) => loaded,
            Err(report) => {
                self.remember(report.sources.iter());
                return Err(BadFiles {
                    summary: summary(&report),
                    report: report.render(false),
                });
            }
        };
        self.remember(loaded.sources.iter());
        let other = |summary: String| BadFiles {
            report: format!("error: {summary}\n"),
            summary,
        };
        let main = loaded.sources.iter().next();
        if main.is_some_and(|main| main.path() != self.main) {
            return Err(other(format!(
                "`{}` would be read now instead of `{}`: start the stack anew for that",
                stack::main_file(&loaded),
                self.main.display()
            )));
        }
        if loaded.plan.name() != self.name {
            return Err(other(format!(
                "the stack runs as `{}` and would be named `{}`: start it anew for that",
                self.name,
                loaded.plan.name()
            )));
        }
        let warnings = if loaded.warnings.is_empty() {
            String::new()
        } else {
            diagnostic::render(&loaded.warnings, &loaded.sources, false)
        };
        if loaded.format == Format::Native && !ask.counts.is_empty() {
            return Err(other(
                "in a file of pk, `replicas` say how many of a unit there are".to_owned(),
            ));
        }
        if !ask.dry_run {
            *lock(&self.said) = Said::of(&loaded);
            *lock(&self.foreign) = foreign;
        }
        Ok(Read {
            plan: Arc::new(loaded.plan),
            warnings,
        })
    }
}

impl Sources for Files {
    fn files(&self) -> Vec<PathBuf> {
        lock(&self.said).files.clone()
    }

    fn namespaces(&self, unit: &UnitName) -> Vec<String> {
        let said = lock(&self.said);
        said.namespaces.get(unit).cloned().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first mistake in one line, and how many more there are.
fn summary(report: &config::Report) -> String {
    let place = |diagnostic: &Diagnostic| {
        let place = diagnostic.span().map(|span| report.sources.place(span));
        place.map_or_else(String::new, |place| format!("{place}: "))
    };
    let mut errors = report.errors();
    let first = errors.next().map_or_else(String::new, |first| {
        format!("{}{}", place(first), first.message)
    });
    match errors.count() {
        0 => first,
        more => format!("{first}, and {} more", plural(more, "error")),
    }
}

/// Reloads the stack whenever one of its files is saved, until it is dropped.
///
/// # Errors
/// The files cannot be watched.
pub async fn follow(files: Arc<Files>, port: LocalPort) -> Result<(), notify::Error> {
    let (saved, mut saves) = watch::channel(());
    let shared = Arc::clone(&files);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error, such as too many events at once: something may have been saved.
        let is_save = event.map_or(true, |event| {
            let watched = shared.watched();
            !matches!(event.kind, EventKind::Access(_))
                && (event.need_rescan() || event.paths.iter().any(|path| watched.contains(path)))
        });
        if is_save {
            saved.send_replace(());
        }
    })?;
    let mut folders = BTreeSet::new();
    watch_folders(&mut watcher, &files, &mut folders)?;
    loop {
        // Also at first: it may have been saved since the stack was started from it.
        port.files_saved().await;
        if watch_folders(&mut watcher, &files, &mut folders)? {
            continue;
        }
        if saves.changed().await.is_err() {
            return Ok(());
        }
        let patience = tokio::time::Instant::now() + PATIENCE;
        while tokio::time::Instant::now() < patience
            && tokio::time::timeout(QUIET, saves.changed()).await.is_ok()
        {}
    }
}

/// An editor replaces a file: it is its folder that says so. Whether there are new ones, in
/// which something may have been saved before they were watched.
fn watch_folders(
    watcher: &mut RecommendedWatcher,
    files: &Files,
    folders: &mut BTreeSet<PathBuf>,
) -> Result<bool, notify::Error> {
    let before = folders.len();
    for folder in files.watched().iter().filter_map(|file| file.parent()) {
        if folder.is_dir() && folders.insert(folder.to_owned()) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
    }
    Ok(folders.len() > before)
}
