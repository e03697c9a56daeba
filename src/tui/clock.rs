//! When the picture changes by time alone. Pure.

use std::time::Duration;

use super::log::Times;
use super::model::Model;
use super::words;

/// A young unit's age is told by the second, an old one's by the minute; what counts down is
/// told by tenths.
#[must_use]
pub fn next_tick(model: &Model) -> Duration {
    const TENTHS: Duration = Duration::from_millis(200);
    const YOUNG: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);
    const CALM: Duration = Duration::from_secs(10);
    let mut next = CALM;
    for unit in &model.snapshot.units {
        if words::is_counting(unit) {
            return TENTHS;
        }
        let age = model.now.since(unit.since);
        let event = model
            .history
            .get(unit.id)
            .and_then(|history| history.last());
        let event = event.map_or(YOUNG, |event| model.now.since(event.at));
        if unit.pid.is_some() && age < YOUNG || event < YOUNG {
            next = next.min(words::next_age(age).min(SECOND));
        }
    }
    if model.now.since_start() < YOUNG || model.log.times == Times::Relative {
        next = next.min(SECOND);
    }
    if let Some(notice) = &model.notice {
        next = next.min(notice.until.since(model.now));
    }
    next.max(Duration::from_millis(50))
}
