//! Monotonic time as a value.

use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::duration;

/// Monotonic time since the supervisor started.
///
/// `std::time::Instant` cannot be made up by a test; this can.
// As nanoseconds, which last for 584 years: thousands of machines and their effects are to
// fit a processor's cache.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema,
)]
#[schemars(transparent)]
pub struct Instant(#[schemars(with = "String")] u64);

impl Instant {
    /// The supervisor's start.
    pub const START: Self = Self(0);

    /// That long after the start.
    #[must_use]
    pub const fn after_start(elapsed: Duration) -> Self {
        let nanos = elapsed.as_nanos();
        Self(if nanos > u64::MAX as u128 {
            u64::MAX
        } else {
            nanos as u64
        })
    }

    /// How long after the start.
    #[must_use]
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self::after_start(Duration::from_millis(millis))
    }

    /// The time since `earlier`, zero if that lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Saturates: a wait of centuries is a wait without end.
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(Self::after_start(rhs).0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(Self::after_start(rhs).0))
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        duration::serialize(&self.since_start(), serializer)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        duration::deserialize(deserializer).map(Self::after_start)
    }
}
