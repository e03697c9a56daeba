//! How long the event loop leaves things waiting.
//!
//! Times are counted in classes that grow by a quarter of a power of two, so that it costs an
//! addition whatever comes, and says a percentile to within a fifth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::diagnostics::LoopLatency;

/// Classes within one power of two.
const FINE: usize = 4;

/// Up to 2^32 µs, more than an hour.
const CLASSES: usize = 33 * FINE;

/// Shared by the loop, which counts, and those who look.
#[derive(Clone, Debug)]
pub(super) struct Latency(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    classes: [AtomicU64; CLASSES],
    longest: AtomicU64,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Arc::new(Counts {
            classes: [const { AtomicU64::new(0) }; CLASSES],
            longest: AtomicU64::new(0),
        }))
    }
}

fn class_of(micros: u64) -> usize {
    if micros < FINE as u64 {
        return usize::try_from(micros).unwrap_or(0);
    }
    let power = micros.ilog2() as usize;
    // The two bits below the highest one.
    let fine = usize::try_from(micros >> (power - 2)).unwrap_or(0) & (FINE - 1);
    ((power - 1) * FINE + fine).min(CLASSES - 1)
}

/// The largest time of a class, in µs.
fn top_of(class: usize) -> u64 {
    if class < FINE {
        return class as u64;
    }
    let (power, fine) = (class / FINE + 1, class % FINE);
    ((FINE + fine + 1) as u64) << (power - 2)
}

impl Latency {
    pub(super) fn count(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.0.classes[class_of(micros)].fetch_add(1, Ordering::Relaxed);
        self.0.longest.fetch_max(micros, Ordering::Relaxed);
    }

    /// Since the stack began.
    pub(super) fn so_far(&self) -> LoopLatency {
        let counts: Vec<u64> = (self.0.classes.iter())
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        let events: u64 = counts.iter().sum();
        let longest_us = self.0.longest.load(Ordering::Relaxed);
        let percentile = |percent: u64| {
            let wanted = (events * percent).div_ceil(100);
            let mut seen = 0;
            let class = counts.iter().position(|count| {
                seen += count;
                seen >= wanted
            });
            class.map_or(0, |class| top_of(class).min(longest_us))
        };
        LoopLatency {
            events,
            p50_us: percentile(50),
            p99_us: percentile(99),
            longest_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_the_class_that_holds_it() {
        for micros in (0..5000).chain([1 << 20, (1 << 31) + 12345]) {
            let class = class_of(micros);
            assert!(micros <= top_of(class), "{micros}");
            assert!(
                class == 0 || micros > top_of(class - 1) || micros == top_of(class - 1),
                "{micros}"
            );
            // To within a quarter.
            assert!(
                top_of(class) <= micros + micros / 4 + 1,
                "{micros} {}",
                top_of(class)
            );
        }
        assert_eq!(class_of(u64::MAX), CLASSES - 1);
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let latency = Latency::default();
        assert_eq!(latency.so_far(), LoopLatency::default());
        for _ in 0..990 {
            latency.count(Duration::from_micros(10));
        }
        for _ in 0..10 {
            latency.count(Duration::from_millis(7));
        }
        let so_far = latency.so_far();
        assert_eq!(so_far.events, 1000);
        assert!((10..=12).contains(&so_far.p50_us), "{so_far:?}");
        assert!((10..=12).contains(&so_far.p99_us), "{so_far:?}");
        latency.count(Duration::from_millis(7));
        let so_far = latency.so_far();
        assert!((7000..=8750).contains(&so_far.p99_us), "{so_far:?}");
        assert_eq!(so_far.longest_us, 7000);
    }
}
