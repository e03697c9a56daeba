//! When a task starts by the clock, and what that leads to.
//!
//! ```text
//!  needed ──► armed ──(its time has come)──► start, or what `overlap` says ──► armed …
//!    ▲           │
//!    └───────────┴── not wanted: paused
//! ```
//!
//! The set decides; whoever holds a clock only tells when an alarm goes off. Time that was
//! slept through or jumped over brings one start, however many it would have held.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spec::{Schedule, When};
use super::time::Instant;

/// When somebody who holds a clock is to tell that it is time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    At(Instant),
    /// At the next time that matches.
    Cron {
        /// Five fields, as `crontab(5)` has them.
        expression: String,
        /// An IANA name; `None`: the machine's own.
        timezone: Option<String>,
    },
}

/// What is told of an alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It will go off then, as far as can be said; `None`: never.
    Next { number: u64, at: Option<Instant> },
    /// It goes off.
    Due { number: u64 },
}

/// What comes of a time that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DueReaction {
    Start,
    /// Nothing: the run before still lives.
    Skip,
    /// It starts when that run has ended.
    Queue,
    /// That run is stopped first.
    Restart,
}

impl DueReaction {
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Start => "its time has come",
            Self::Skip => "its time has come, but its last run still lives: left out",
            Self::Queue => "its time has come: it runs again after this run",
            Self::Restart => "its time has come: this run is stopped for the next",
        }
    }
}

/// The schedule of one unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timetable {
    spec: Schedule,
    /// Of the alarm that counts; `None`: it is paused.
    alarm: Option<u64>,
    /// When it goes off, as far as known.
    next: Option<Instant>,
    /// It will never go off.
    never: bool,
}

impl Timetable {
    #[must_use]
    pub fn new(spec: Schedule) -> Self {
        Self {
            spec,
            alarm: None,
            next: None,
            never: false,
        }
    }

    #[must_use]
    pub fn spec(&self) -> &Schedule {
        &self.spec
    }

    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.alarm.is_some()
    }

    /// Whether a start may still come of it.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.is_armed() && !self.never
    }

    /// Whether it is known that no alarm will go off.
    #[must_use]
    pub fn never_comes(&self) -> bool {
        self.never
    }

    /// When the next start is due, as far as known.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.next.filter(|_| self.is_armed())
    }

    /// Sets the next alarm, under a number that none had before.
    pub fn arm(&mut self, number: u64, now: Instant) -> Alarm {
        self.alarm = Some(number);
        self.never = false;
        match &self.spec.when {
            When::Every(every) => {
                let next = following(self.next.unwrap_or(now), *every, now);
                self.next = Some(next);
                Alarm::At(next)
            }
            When::Cron {
                expression,
                timezone,
            } => {
                self.next = None;
                Alarm::Cron {
                    expression: expression.clone(),
                    timezone: timezone.clone(),
                }
            }
        }
    }

    /// Forgets the alarm; the next one counts from then on.
    pub fn pause(&mut self) {
        self.alarm = None;
        self.next = None;
    }

    /// Whether the alarm of that number is the one that counts.
    #[must_use]
    pub fn counts(&self, number: u64) -> bool {
        self.alarm == Some(number)
    }

    /// When it will go off.
    pub fn expect(&mut self, at: Option<Instant>) {
        self.next = at;
        self.never = at.is_none();
    }
}

/// The first of the times `after + n × every` that lies ahead: the beat is kept however late
/// somebody comes, and what was missed is left out.
#[must_use]
pub fn following(after: Instant, every: Duration, now: Instant) -> Instant {
    let passed = now.since(after).as_nanos();
    let missed = passed / every.as_nanos().max(1);
    let beats = u32::try_from(missed.saturating_add(1)).unwrap_or(u32::MAX);
    let next = after + every.saturating_mul(beats);
    // More beats than can be counted were missed.
    if next > now { next } else { now + every }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::Overlap;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    #[test]
    fn the_beat_is_kept_and_missed_beats_are_left_out() {
        assert_eq!(following(at(0), 10 * SECOND, at(0)), at(10));
        assert_eq!(following(at(10), 10 * SECOND, at(11)), at(20));
        assert_eq!(following(at(10), 10 * SECOND, at(20)), at(30));
        // A night's sleep.
        assert_eq!(following(at(10), 10 * SECOND, at(28_805)), at(28_810));
        let next = following(at(0), Duration::from_nanos(1), at(1_000_000));
        assert!(next > at(1_000_000), "{next:?}");
    }

    #[test]
    fn a_pause_forgets_the_beat() {
        let mut timetable = Timetable::new(Schedule {
            when: When::Every(10 * SECOND),
            overlap: Overlap::Skip,
            at_start: false,
        });
        assert_eq!(timetable.arm(1, at(3)), Alarm::At(at(13)));
        assert_eq!(timetable.arm(2, at(14)), Alarm::At(at(23)));
        assert!(timetable.counts(2) && !timetable.counts(1));
        timetable.pause();
        assert!(!timetable.counts(2));
        assert_eq!(timetable.next(), None);
        assert_eq!(timetable.arm(3, at(40)), Alarm::At(at(50)));
    }
}
