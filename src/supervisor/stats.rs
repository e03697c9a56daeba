//! What the live runs use: sampled once a second, and only while somebody looks.
//!
//! ```text
//!  nobody looks ──subscribe──► now, soon after, then every second ──last one gone──► …
//! ```
//!
//! This module owns when samples are taken. How one is taken is [`Group::stats`](crate::contain::Group::stats)'s matter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::live_groups::LiveGroups;
use crate::contain::{Containment, Stats};
use crate::domain::id::{RunId, UnitName};
use crate::domain::stats::{DiskIo, RunStats, StackStats};
use crate::domain::time;

/// Between two samples.
const INTERVAL: Duration = Duration::from_secs(1);

/// Between the first two: who has just come need not wait long to see a rate.
const SOON: Duration = Duration::from_millis(250);

/// Groups that are sampled before others have their turn on this thread.
const BATCH: usize = 16;

/// Where those who look get the samples.
#[derive(Clone, Debug)]
pub(super) struct Looking {
    latest: Arc<watch::Sender<Arc<StackStats>>>,
    somebody: Arc<Notify>,
}

impl Default for Looking {
    fn default() -> Self {
        Self {
            latest: Arc::new(watch::Sender::default()),
            somebody: Arc::default(),
        }
    }
}

impl Looking {
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<StackStats>> {
        let mut receiver = self.latest.subscribe();
        // What was sampled for somebody else, perhaps long ago, is no news.
        receiver.mark_unchanged();
        self.somebody.notify_one();
        receiver
    }

    /// Samples for as long as the stack's event loop holds the other end of `over`.
    pub(super) async fn sample(
        self,
        groups: LiveGroups,
        containment: Containment,
        started: Instant,
        mut over: watch::Receiver<Arc<crate::domain::snapshot::Snapshot>>,
    ) {
        loop {
            tokio::select! {
                () = self.somebody.notified() => {}
                _ = over.wait_for(|last| last.verdict.is_some()) => return,
            }
            let mut before = Before::default();
            let mut pause = SOON;
            while self.latest.receiver_count() > 0 {
                let stats = take(&groups, &containment, &mut before, started).await;
                self.latest.send_replace(Arc::new(stats));
                tokio::select! {
                    () = sleep(pause) => pause = INTERVAL,
                    () = self.latest.closed() => {}
                    // Somebody else has come.
                    () = self.somebody.notified() => pause = SOON,
                    _ = over.wait_for(|last| last.verdict.is_some()) => return,
                }
            }
        }
    }
}

/// So many samples of a stack that rests are told without a look at each group.
const RESTS: u32 = 9;

/// What the last look at each group gave.
#[derive(Debug, Default)]
struct Before {
    stats: HashMap<RunId, Stats>,
    runs: Vec<RunStats>,
    /// The processor time of all groups just before it.
    used: Option<Duration>,
    /// Samples told by it since.
    told: u32,
}

impl Before {
    /// What it is now, if nobody has had a processor since: then nothing of it has changed.
    fn at_rest(&mut self, used: Option<Duration>, runs: &[RunId]) -> Option<Vec<RunStats>> {
        let rests = used.is_some() && used == self.used && self.told < RESTS;
        let same =
            runs.len() == self.runs.len() && runs.iter().all(|run| self.stats.contains_key(run));
        // A rate needs two looks.
        let known = self.runs.iter().all(|run| run.cpu_percent.is_some());
        if !(rests && same && known) {
            return None;
        }
        self.told += 1;
        let now = std::time::Instant::now();
        for stats in self.stats.values_mut() {
            stats.at = now;
        }
        for run in &mut self.runs {
            run.cpu_percent = Some(0.0);
        }
        Some(self.runs.clone())
    }
}

async fn take(
    groups: &LiveGroups,
    containment: &Containment,
    before: &mut Before,
    started: Instant,
) -> StackStats {
    let at = time::Instant::after_start(started.elapsed());
    let used = containment.cpu_used();
    let live: Vec<RunId> = groups.all().into_iter().map(|(run, ..)| run).collect();
    if let Some(runs) = before.at_rest(used, &live) {
        return StackStats { at, runs };
    }
    let mut runs = Vec::new();
    let mut sampled = HashMap::new();
    for (place, (run, name, group)) in groups.all().into_iter().enumerate() {
        if place % BATCH == BATCH - 1 {
            tokio::task::yield_now().await;
        }
        // One that cannot be sampled is most likely just ending.
        let Ok(stats) = group.stats().await else {
            continue;
        };
        runs.push(of_run(run, name, &stats, before.stats.get(&run)));
        sampled.insert(run, stats);
    }
    *before = Before {
        stats: sampled,
        runs: runs.clone(),
        used,
        told: 0,
    };
    StackStats { at, runs }
}

fn of_run(run: RunId, name: UnitName, stats: &Stats, before: Option<&Stats>) -> RunStats {
    RunStats {
        instance: run.instance,
        name,
        attempt: run.attempt,
        cpu_time: stats.cpu,
        cpu_percent: before.map(|before| stats.cpu_percent_since(before)),
        memory: stats.memory,
        memory_peak: stats.memory_peak,
        processes: stats.processes as u64,
        oom_kills: stats.oom_kills,
        io: stats.io.map(|io| DiskIo {
            read: io.read,
            written: io.written,
        }),
    }
}
