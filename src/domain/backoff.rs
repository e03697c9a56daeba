//! How long to wait before an automatic restart.

use std::time::Duration;

use super::spec::Backoff;

impl Backoff {
    /// The wait before the restart that follows `streak` others without health between.
    ///
    /// `initial × factorⁿ` up to `max`, spread by `jitter` times `spread`, which is in
    /// -1..=1; never more than `max`.
    #[must_use]
    pub fn delay(&self, streak: u32, spread: f64) -> Duration {
        let exponent = i32::try_from(streak).unwrap_or(i32::MAX);
        let raw = self.initial.as_secs_f64() * self.factor.max(1.0).powi(exponent);
        let max = self.max.max(self.initial).as_secs_f64();
        let spread = 1.0 + self.jitter.clamp(0.0, 1.0) * spread.clamp(-1.0, 1.0);
        Duration::try_from_secs_f64((raw.min(max) * spread).min(max)).unwrap_or(self.max)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn doubles_up_to_its_cap() {
        let backoff = Backoff::default();
        let delays: Vec<u128> = (0..10).map(|n| backoff.delay(n, 0.0).as_millis()).collect();
        assert_eq!(
            delays,
            [
                200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000
            ]
        );
        assert_eq!(backoff.delay(u32::MAX, 0.0), backoff.max);
    }

    proptest! {
        #[test]
        fn never_falls_and_never_passes_its_cap(
            initial in 0u64..100_000, max in 0u64..1_000_000, factor in 0.0f64..100.0,
            jitter in 0.0f64..2.0, streak in 0u32..2000, spread in -2.0f64..2.0,
        ) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                max: Duration::from_millis(max),
                factor,
                jitter,
            };
            let cap = backoff.max.max(backoff.initial);
            prop_assert!(backoff.delay(streak, spread) <= cap);
            prop_assert!(backoff.delay(streak, 0.0) <= backoff.delay(streak + 1, 0.0));
        }
    }
}
