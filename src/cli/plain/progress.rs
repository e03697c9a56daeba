//! How far the printing is: seen by the one who may have to leave before its end.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts only; shared by the face, its printers and who waits for them.
#[derive(Debug, Default)]
pub struct Progress {
    /// Lines of the log that were taken up, or are known to be missed.
    taken: AtomicU64,
    /// Lines that were given to a printer, and those of them that were written.
    queued: AtomicU64,
    written: AtomicU64,
    bytes: AtomicU64,
}

impl Progress {
    pub(super) fn took(&self, lines: u64) {
        self.taken.fetch_add(lines, Ordering::Relaxed);
    }

    pub(super) fn queued(&self, piece: &[u8]) {
        self.queued.fetch_add(lines(piece), Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, bytes: &[u8]) {
        self.written.fetch_add(lines(bytes), Ordering::Relaxed);
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes.fetch_add(length, Ordering::Relaxed);
    }

    /// How many lines nobody was shown, of a log that has come to `head`.
    #[must_use]
    pub fn unshown(&self, head: u64) -> u64 {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let queued = count(&self.queued).saturating_sub(count(&self.written));
        head.saturating_sub(count(&self.taken)) + queued
    }

    /// Waits until nothing has been written for so long.
    pub async fn stalled(&self, limit: Duration) {
        loop {
            let before = self.bytes.load(Ordering::Relaxed);
            tokio::time::sleep(limit).await;
            if self.bytes.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }
}

fn lines(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_is_counted() {
        let progress = Progress::default();
        progress.took(3);
        progress.queued(b"a\nb\nc\n");
        progress.wrote(b"a\nb");
        assert_eq!(progress.unshown(10), 7 + 2);
        progress.wrote(b"\nc\n");
        assert_eq!(progress.unshown(3), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_that_writes_is_waited_for() {
        let progress = Progress::default();
        let limit = Duration::from_secs(2);
        let writing = async {
            for _ in 0..5 {
                tokio::time::sleep(limit / 2).await;
                progress.wrote(b"x");
            }
        };
        let began = tokio::time::Instant::now();
        tokio::join!(writing, progress.stalled(limit));
        assert!(began.elapsed() >= limit * 3);
    }
}
