//! Tells when it is time to start what is scheduled.
//!
//! A cron expression is about the clock on the wall, which may be set, and goes on while the
//! machine sleeps. So that clock is looked at anew every few seconds, and the next time is
//! looked for again when it went back.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use croner::Cron;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::event_loop::Incoming;
use super::inbox::Inbox;
use crate::domain;
use crate::domain::id::UnitName;
use crate::domain::schedule::{Alarm, Told};

/// How late a time may be noticed that came while the machine slept.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// A clock that is set back by less does not bring a time once more that has been.
const SET_BACK: SignedDuration = SignedDuration::from_hours(3);

/// The alarms that are set, one per unit.
#[derive(Debug)]
pub(super) struct Alarms {
    inbox: Inbox,
    /// Where the domain's time begins.
    started: Instant,
    set: HashMap<UnitName, AbortHandle>,
    went_off: WentOff,
}

/// For when the last alarm of a unit was, by the clock on the wall.
type WentOff = Arc<Mutex<HashMap<UnitName, Timestamp>>>;

impl Alarms {
    pub(super) fn new(inbox: Inbox, started: Instant) -> Self {
        Self {
            inbox,
            started,
            set: HashMap::new(),
            went_off: WentOff::default(),
        }
    }

    /// Sets the alarm of a unit; replaces the one that it has.
    pub(super) fn set(&mut self, unit: &UnitName, number: u64, alarm: Alarm) {
        self.cancel(unit);
        let (inbox, name) = (self.inbox.clone(), unit.clone());
        let tell = move |told| {
            // When the loop is gone nobody needs it.
            let _ = inbox.send(Incoming::Schedule(name.clone(), told));
        };
        let started = self.started;
        let task = match alarm {
            Alarm::At(at) => tokio::spawn(async move {
                sleep_until(started + at.since_start()).await;
                tell(Told::Due { number });
            }),
            Alarm::Cron {
                expression,
                timezone,
            } => {
                let (unit, went_off) = (unit.clone(), Arc::clone(&self.went_off));
                tokio::spawn(async move {
                    let last = lock(&went_off).get(&unit).copied();
                    let told = |left: Option<Duration>| {
                        let at = left.map(|left| Instant::now() + left);
                        let at = at.map(|at| {
                            domain::time::Instant::after_start(
                                at.saturating_duration_since(started),
                            )
                        });
                        tell(Told::Next { number, at });
                    };
                    let hour = Hour::new(&expression, timezone.as_deref());
                    let due = match hour {
                        Some(hour) => hour.comes(last, Timestamp::now, told).await,
                        None => {
                            told(None);
                            None
                        }
                    };
                    if let Some(due) = due {
                        lock(&went_off).insert(unit, due);
                        tell(Told::Due { number });
                    }
                })
            }
        };
        self.set.insert(unit.clone(), task.abort_handle());
    }

    pub(super) fn cancel(&mut self, unit: &UnitName) {
        if let Some(task) = self.set.remove(unit) {
            task.abort();
        }
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        for task in self.set.values() {
            task.abort();
        }
    }
}

fn lock(went_off: &WentOff) -> std::sync::MutexGuard<'_, HashMap<UnitName, Timestamp>> {
    went_off.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The times that an expression names.
#[derive(Debug)]
struct Hour {
    cron: Cron,
    zone: TimeZone,
}

impl Hour {
    /// `None`: it is none, or there is no such zone, which the file's check does not let
    /// through.
    fn new(expression: &str, timezone: Option<&str>) -> Option<Self> {
        let zone = match timezone {
            Some(name) => TimeZone::get(name).ok()?,
            None => TimeZone::system(),
        };
        Some(Self {
            cron: Cron::from_str(expression).ok()?,
            zone,
        })
    }

    /// The first that comes after that.
    fn after(&self, time: Timestamp) -> Option<Timestamp> {
        let time = time.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&time, false).ok()?;
        Some(next.timestamp())
    }

    /// Resolves when the next one has come; `None`: there is none. `told` gets how long that
    /// will take, each time that it is known better; `None`: for ever.
    async fn comes(
        &self,
        last: Option<Timestamp>,
        wall: impl Fn() -> Timestamp,
        told: impl Fn(Option<Duration>),
    ) -> Option<Timestamp> {
        let mut looked = wall();
        // The clock may have been set back a little since.
        let had = |last: &Timestamp| *last > looked && last.duration_since(looked) < SET_BACK;
        let mut from = last.filter(had).unwrap_or(looked);
        loop {
            let Some(next) = self.after(from) else {
                told(None);
                return None;
            };
            let mut said: Option<Instant> = None;
            loop {
                let now = wall();
                if now >= next {
                    return Some(next);
                }
                if looked.duration_since(now) > SignedDuration::from_secs(1) {
                    looked = now;
                    from = last.filter(had_at(now)).unwrap_or(now);
                    break;
                }
                looked = now;
                let left = next.duration_since(now).unsigned_abs();
                let at = Instant::now() + left;
                let drift = |before: Instant| {
                    let apart = at.max(before) - at.min(before);
                    apart > Duration::from_millis(500)
                };
                if said.is_none_or(drift) {
                    said = Some(at);
                    told(Some(left));
                }
                sleep(left.min(LOOK_AGAIN)).await;
            }
        }
    }
}

/// Whether a time has been, though the clock does not yet show it.
fn had_at(now: Timestamp) -> impl Fn(&Timestamp) -> bool {
    move |last| *last > now && last.duration_since(now) < SET_BACK
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn hour(expression: &str, zone: &str) -> Hour {
        Hour::new(expression, Some(zone)).unwrap()
    }

    #[test]
    fn a_zone_has_its_own_hours_and_its_nights_of_another_length() {
        let berlin = hour("30 2 * * *", "Europe/Berlin");
        let next = berlin.after(time("2026-01-10T12:00:00Z")).unwrap();
        assert_eq!(next, time("2026-01-11T01:30:00Z"));
        // There is no half past two that night, and no two runs the night it comes twice.
        let spring = berlin.after(time("2026-03-28T12:00:00Z")).unwrap();
        assert!(spring <= time("2026-03-29T01:30:00Z"), "{spring}");
        let autumn = berlin.after(time("2026-10-24T12:00:00Z")).unwrap();
        let after = berlin.after(autumn).unwrap();
        assert!(after >= time("2026-10-26T00:00:00Z"), "{autumn}, {after}");
        assert_eq!(hour("0 0 30 2 *", "UTC").after(Timestamp::UNIX_EPOCH), None);
        assert!(Hour::new("* * * * *", Some("Nowhere/Atall")).is_none());
    }

    /// A clock on the wall that goes as tokio's does, and can be set.
    struct Wall {
        from: Timestamp,
        began: Instant,
        set_by: AtomicI64,
    }

    impl Wall {
        fn new(from: &str) -> Self {
            Self {
                from: time(from),
                began: Instant::now(),
                set_by: AtomicI64::new(0),
            }
        }

        fn now(&self) -> Timestamp {
            let passed = SignedDuration::try_from(self.began.elapsed()).unwrap();
            let set = SignedDuration::from_secs(self.set_by.load(Ordering::Relaxed));
            self.from + passed + set
        }

        /// Sets it by so many seconds after so many.
        async fn set_after(&self, seconds: u64, by: i64) {
            sleep(Duration::from_secs(seconds)).await;
            self.set_by.fetch_add(by, Ordering::Relaxed);
        }
    }

    async fn comes(hour: &Hour, last: Option<Timestamp>, wall: &Wall) -> (Timestamp, Vec<u64>) {
        let told = Mutex::new(Vec::new());
        let tell = |left: Option<Duration>| told.lock().unwrap().push(left.unwrap().as_secs());
        let due = hour.comes(last, || wall.now(), tell).await.unwrap();
        (due, told.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn it_comes_on_the_minute() {
        let (hour, wall) = (
            hour("*/5 * * * *", "UTC"),
            Wall::new("2026-01-10T12:01:00Z"),
        );
        let (due, told) = comes(&hour, None, &wall).await;
        assert_eq!((due, told), (time("2026-01-10T12:05:00Z"), vec![240]));
        assert!(wall.now() < due + SignedDuration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_night_that_was_slept_through_brings_one() {
        let (hour, wall) = (
            hour("*/5 * * * *", "UTC"),
            Wall::new("2026-01-10T12:01:00Z"),
        );
        let began = Instant::now();
        let ((due, _), ()) =
            tokio::join!(comes(&hour, None, &wall), wall.set_after(25, 8 * 60 * 60));
        assert_eq!(due, time("2026-01-10T12:05:00Z"));
        assert!(began.elapsed() <= Duration::from_secs(25) + LOOK_AGAIN);
        let (next, _) = comes(&hour, Some(due), &wall).await;
        assert_eq!(next, time("2026-01-10T20:05:00Z"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_brings_no_time_twice() {
        let hour = hour("0 * * * *", "UTC");
        // It was noon, and is said to be half past eleven again.
        let wall = Wall::new("2026-01-10T11:30:00Z");
        let noon = time("2026-01-10T12:00:00Z");
        let (due, _) = comes(&hour, Some(noon), &wall).await;
        assert_eq!(due, time("2026-01-10T13:00:00Z"));
        // Set back by more it is another day.
        let wall = Wall::new("2026-01-10T11:30:00Z");
        let (set, ()) = tokio::join!(comes(&hour, None, &wall), wall.set_after(60, -24 * 60 * 60));
        assert_eq!(set.0, time("2026-01-09T12:00:00Z"));
        assert!(set.1.len() >= 2, "{:?}", set.1);
    }
}
