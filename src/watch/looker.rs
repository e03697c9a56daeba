//! Looks at the times of many files, on a thread of its own, while more of them are found.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use super::contents::Times;

/// A file, and its times; none if it was gone by then.
pub(super) type Seen = (PathBuf, Option<Times>);

/// So many are worth a thread, and are handed over at once.
const BATCH: usize = 128;

pub(super) struct Looker<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    pending: Vec<PathBuf>,
    thread: Option<Thread<'scope>>,
}

struct Thread<'scope> {
    files: Sender<Vec<PathBuf>>,
    seen: ScopedJoinHandle<'scope, Vec<Seen>>,
}

impl<'scope, 'env> Looker<'scope, 'env> {
    pub fn new(scope: &'scope Scope<'scope, 'env>) -> Self {
        Self {
            scope,
            pending: Vec::new(),
            thread: None,
        }
    }

    pub fn add(&mut self, file: PathBuf) {
        self.pending.push(file);
        if !self.pending.len().is_multiple_of(BATCH) {
            return;
        }
        if self.thread.is_none() {
            let (files, batches) = channel();
            let named = Builder::new().name("pk-look".into());
            let spawned = named.spawn_scoped(self.scope, move || look(&batches));
            self.thread = spawned.ok().map(|seen| Thread { files, seen });
        }
        // Without a thread they are looked at in the end.
        if let Some(thread) = &self.thread {
            // It takes them until it is told that there are no more.
            let _ = thread.files.send(std::mem::take(&mut self.pending));
        }
    }

    /// All of them, in the order in which they came.
    pub fn finish(self) -> Vec<Seen> {
        let mut all = match self.thread {
            Some(Thread { files, seen }) => {
                drop(files);
                seen.join().unwrap_or_default()
            }
            None => Vec::new(),
        };
        all.extend(self.pending.into_iter().map(seen));
        all
    }
}

fn look(batches: &Receiver<Vec<PathBuf>>) -> Vec<Seen> {
    batches.iter().flatten().map(seen).collect()
}

fn seen(path: PathBuf) -> Seen {
    let times = Times::of(&path);
    (path, times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_there_are_all_are_seen_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for count in [0, 1, BATCH, 3 * BATCH + 7] {
            let paths: Vec<PathBuf> = (0..count)
                .map(|n| folder.path().join(n.to_string()))
                .collect();
            for path in paths.iter().step_by(2) {
                std::fs::write(path, "").unwrap();
            }
            let all = std::thread::scope(|scope| {
                let mut looker = Looker::new(scope);
                paths.iter().for_each(|path| looker.add(path.clone()));
                looker.finish()
            });
            assert_eq!(all.len(), count);
            for (place, (path, times)) in all.iter().enumerate() {
                assert_eq!(*path, paths[place]);
                assert_eq!(times.is_some(), place % 2 == 0, "{path:?}");
            }
            paths
                .iter()
                .step_by(2)
                .for_each(|path| std::fs::remove_file(path).unwrap());
        }
    }
}
