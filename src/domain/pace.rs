//! How soon a probe checks again.
//!
//! A unit that takes 30 ms to listen should not wait a second to be found ready, and one that
//! takes minutes should not be asked a thousand times a second. So while nothing has succeeded
//! the wait is a share of the time that has passed: whoever waited `t` is seen ready at most
//! `t / 8` late.

use std::time::Duration;

use super::spec::Check;

/// The share of the time since probing began that a wait may take.
const SHARE: u32 = 8;

/// The shortest wait, by what a check of that kind costs the machine and the unit.
#[must_use]
pub fn floor(check: &Check) -> Duration {
    Duration::from_millis(match check {
        Check::Tcp { .. } | Check::File(_) | Check::Port(_) => 2,
        Check::Http(_) => 5,
        Check::Exec(_) => 20,
        // They tell by themselves and are not asked.
        Check::Log(_) | Check::Notify => 2,
    })
}

/// The wait from one check to the next while none has succeeded, `elapsed` after the first.
/// Once one has, the pace is `interval`, which is also the longest wait here.
#[must_use]
pub fn delay(floor: Duration, elapsed: Duration, interval: Duration) -> Duration {
    floor.max(elapsed / SHARE).min(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_starts_at_the_floor_and_ends_at_the_interval() {
        let at = |elapsed| delay(2 * MS, elapsed, 1000 * MS);
        assert_eq!(at(Duration::ZERO), 2 * MS);
        assert_eq!(at(16 * MS), 2 * MS);
        assert_eq!(at(80 * MS), 10 * MS);
        assert_eq!(at(60_000 * MS), 1000 * MS);
        assert_eq!(delay(20 * MS, Duration::ZERO, 5 * MS), 5 * MS);
    }

    #[test]
    fn a_minute_takes_few_checks_and_none_is_late() {
        let (mut elapsed, mut checks) = (Duration::ZERO, 0);
        while elapsed < 60_000 * MS {
            let wait = delay(2 * MS, elapsed, 10_000 * MS);
            assert!(wait <= (elapsed / 8).max(2 * MS));
            elapsed += wait;
            checks += 1;
        }
        assert!(checks < 100, "{checks}");
    }
}
