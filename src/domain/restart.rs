//! What follows a run that ended by itself or by failure.

use std::collections::VecDeque;
use std::time::Duration;

use super::spec::{Restart, RestartPolicy};
use super::time::Instant;

/// The automatic restarts of one instance, as far as its budget remembers them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// When each was spawned, oldest first, within the window.
    spawned: VecDeque<Instant>,
    /// Restarts since the last time that it was healthy for long enough.
    streak: u32,
}

/// What the restart policy says of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// It is not for restarting.
    Stay,
    Restart {
        delay: Duration,
        /// Of this restart within the window, from 1.
        number: u32,
    },
    /// The budget is used up by this many restarts.
    GiveUp { restarts: u32 },
}

impl History {
    /// Decides what follows an end, and takes a step of backoff if that is a restart.
    pub fn decide(
        &mut self,
        now: Instant,
        restart: &Restart,
        failed: bool,
        spread: f64,
    ) -> Decision {
        let wanted = match restart.policy {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure => failed,
            RestartPolicy::Always => true,
        };
        if !wanted {
            return Decision::Stay;
        }
        let restarts = self.within_window(now, restart.window);
        if restart.max_restarts.is_some_and(|max| restarts >= max) {
            return Decision::GiveUp { restarts };
        }
        let delay = restart.backoff.delay(self.streak, spread);
        self.streak = self.streak.saturating_add(1);
        Decision::Restart {
            delay,
            number: restarts.saturating_add(1),
        }
    }

    /// An automatic restart was spawned: that is what the budget counts.
    pub fn restarted(&mut self, now: Instant, restart: &Restart) {
        // Without a budget nobody asks how many there were.
        if restart.max_restarts.is_some() {
            self.spawned.push_back(now);
        }
    }

    /// Whether [`healthy`](Self::healthy) would change anything.
    #[must_use]
    pub fn has_streak(&self) -> bool {
        self.streak > 0
    }

    /// It was healthy for long enough.
    pub fn healthy(&mut self) {
        self.streak = 0;
    }

    /// Somebody asked for a new start.
    pub fn renew(&mut self) {
        *self = Self::default();
    }

    fn within_window(&mut self, now: Instant, window: Option<Duration>) -> u32 {
        if let Some(window) = window {
            while self
                .spawned
                .front()
                .is_some_and(|&first| now.since(first) >= window)
            {
                self.spawned.pop_front();
            }
        }
        u32::try_from(self.spawned.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restart(policy: RestartPolicy) -> Restart {
        Restart {
            policy,
            max_restarts: Some(2),
            window: Some(Duration::from_secs(10)),
            ..Restart::default()
        }
    }

    #[test]
    fn policies() {
        let decide = |policy, failed| {
            History::default().decide(Instant::START, &restart(policy), failed, 0.0)
        };
        let again = Decision::Restart {
            delay: Duration::from_millis(200),
            number: 1,
        };
        assert_eq!(decide(RestartPolicy::No, true), Decision::Stay);
        assert_eq!(decide(RestartPolicy::OnFailure, false), Decision::Stay);
        assert_eq!(decide(RestartPolicy::OnFailure, true), again);
        assert_eq!(decide(RestartPolicy::Always, false), again);
    }

    #[test]
    fn a_budget_ends_a_crash_loop_and_comes_back_with_time() {
        let restart = restart(RestartPolicy::OnFailure);
        let mut history = History::default();
        let mut at = Instant::START;
        for number in 1..=2 {
            assert!(
                matches!(history.decide(at, &restart, true, 0.0), Decision::Restart { number: n, .. } if n == number)
            );
            history.restarted(at, &restart);
            at = at + Duration::from_secs(1);
        }
        assert_eq!(
            history.decide(at, &restart, true, 0.0),
            Decision::GiveUp { restarts: 2 }
        );
        at = at + Duration::from_secs(9);
        assert!(matches!(
            history.decide(at, &restart, true, 0.0),
            Decision::Restart { number: 1, .. }
        ));
    }

    #[test]
    fn health_resets_the_backoff_but_not_the_budget() {
        let restart = restart(RestartPolicy::OnFailure);
        let mut history = History::default();
        let _ = history.decide(Instant::START, &restart, true, 0.0);
        history.restarted(Instant::START, &restart);
        history.healthy();
        assert_eq!(
            history.decide(Instant::START, &restart, true, 0.0),
            Decision::Restart {
                delay: restart.backoff.initial,
                number: 2
            }
        );
    }
}
