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
use crate::contain::Stats;
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
        started: Instant,
        mut over: watch::Receiver<Arc<crate::domain::snapshot::Snapshot>>,
    ) {
        loop {
            tokio::select! {
                () = self.somebody.notified() => {}
                _ = over.wait_for(|last| last.verdict.is_some()) => return,
            }
            let mut before = HashMap::new();
            let mut pause = SOON;
            while self.latest.receiver_count() > 0 {
                let stats = take(&groups, &mut before, started).await;
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

async fn take(
    groups: &LiveGroups,
    before: &mut HashMap<RunId, Stats>,
    started: Instant,
) -> StackStats {
    let at = time::Instant::after_start(started.elapsed());
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
        runs.push(of_run(run, name, &stats, before.get(&run)));
        sampled.insert(run, stats);
    }
    *before = sampled;
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
