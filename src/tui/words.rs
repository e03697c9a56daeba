//! A unit's state in a few words that change with the time.

use std::time::Duration;

use super::history::{State, UnitHistory};
use super::theme::Tone;
use crate::domain::outcome::Outcome;
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::{UnitView, Wait};
use crate::domain::time::Instant;

/// A glyph whose shape tells the state without colour, and what colour is to add.
#[must_use]
pub fn glyph(state: State) -> (&'static str, Tone) {
    match state {
        State::Idle => ("·", Tone::Dim),
        State::Waiting => ("○", Tone::Busy),
        State::Starting => ("◐", Tone::Busy),
        State::Ready => ("●", Tone::Good),
        State::Unwell => ("◑", Tone::Warning),
        State::Stopping => ("◌", Tone::Warning),
        State::Backoff => ("↻", Tone::Warning),
        State::Completed => ("✓", Tone::Good),
        State::Failed => ("✗", Tone::Bad),
        State::Skipped => ("⊘", Tone::Warning),
        State::Stopped => ("□", Tone::Dim),
    }
}

/// The status of a unit now: what it is, what it waits for, how long that may take.
#[must_use]
pub fn status(view: &UnitView, history: Option<&UnitHistory>, now: Instant) -> String {
    match (view.phase, &view.wait) {
        (PhaseName::Waiting, Some(Wait::Dependencies(waits))) if !waits.is_empty() => {
            let first = &waits[0];
            let more = match waits.len() {
                1 => String::new(),
                n => format!(", {} more", n - 1),
            };
            format!("waiting for {}: {}{more}", first.name, first.state)
        }
        (
            PhaseName::Running,
            Some(Wait::Ready {
                progress,
                last_failure,
                until,
            }),
        ) => {
            let mut text = match progress {
                Some((done, needed)) if *needed > 1 => format!("not ready {done}/{needed}"),
                Some(_) | None => "not ready".to_owned(),
            };
            if let Some(last) = last_failure {
                text.push_str(&format!(": {last}"));
            }
            if let Some(said) = &view.said {
                text.push_str(&format!("; says: {said}"));
            }
            if let Some(left) = until.map(|until| until.since(now)) {
                text.push_str(&format!(", {} left", countdown(left)));
            }
            text
        }
        (
            PhaseName::Stopping | PhaseName::Reaping,
            Some(Wait::Grace {
                until: Some(until), ..
            }),
        ) => {
            format!("stopping, killed in {}", countdown(until.since(now)))
        }
        (PhaseName::Stopping | PhaseName::Reaping, Some(Wait::Kill { .. })) => {
            "killed, waiting for its end".to_owned()
        }
        (PhaseName::Backoff, Some(Wait::Backoff { until, failure })) => {
            let attempt = history.and_then(|history| history.budget);
            let attempt = match attempt {
                Some((number, Some(budget))) => format!(", restart {number}/{budget}"),
                Some((number, None)) => format!(", restart {number}"),
                None => String::new(),
            };
            let why = failure
                .as_ref()
                .map_or_else(String::new, |failure| format!(": {}", failure.brief()));
            format!("backoff {}{attempt}{why}", countdown(until.since(now)))
        }
        (PhaseName::Exited, _) => match &view.outcome {
            Some(Outcome::Skipped(skip)) => format!("skipped: {skip}"),
            Some(outcome) => outcome.to_string(),
            None => "ended".to_owned(),
        },
        _ => view.status.clone(),
    }
}

/// Time left, to the tenth where that is felt.
#[must_use]
pub fn countdown(left: Duration) -> String {
    if left < Duration::from_secs(10) {
        format!("{:.1}s", left.as_secs_f64())
    } else {
        age(left)
    }
}

/// How long something has been so: coarse, so that it does not draw the eye.
#[must_use]
pub fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// When [`age`] will say something else.
#[must_use]
pub fn next_age(time: Duration) -> Duration {
    let step = if time < Duration::from_secs(60) {
        1
    } else {
        60
    };
    let next = (time.as_secs() / step + 1) * step;
    Duration::from_secs(next).saturating_sub(time)
}

/// Whether the status counts down by tenths.
#[must_use]
pub fn is_counting(view: &UnitView) -> bool {
    match (&view.wait, view.phase) {
        (Some(Wait::Backoff { .. }), _) => true,
        (Some(Wait::Grace { until: Some(_), .. }), _) => true,
        (Some(Wait::Ready { until: Some(_), .. }), PhaseName::Running) => true,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let age = |seconds| age(Duration::from_secs(seconds));
        assert_eq!(age(5), "5s");
        assert_eq!(age(61), "1m");
        assert_eq!(age(3_725), "1h02m");
        assert_eq!(age(90_000), "1d01h");
        assert_eq!(countdown(Duration::from_millis(3_240)), "3.2s");
        let next = |millis| next_age(Duration::from_millis(millis)).as_millis();
        assert_eq!((next(4_300), next(61_000)), (700, 59_000));
    }

    #[test]
    fn each_state_has_a_shape_of_its_own() {
        let all = [
            State::Idle,
            State::Waiting,
            State::Starting,
            State::Ready,
            State::Unwell,
            State::Stopping,
            State::Backoff,
            State::Completed,
            State::Failed,
            State::Skipped,
            State::Stopped,
        ];
        let shapes: std::collections::BTreeSet<&str> =
            all.iter().map(|state| glyph(*state).0).collect();
        assert_eq!(shapes.len(), all.len());
    }
}
