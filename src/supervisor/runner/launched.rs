//! Waits of a runner: for the word to stop, for helpers, for a time.
//!
//! A run whose first process only launches what others hold lives on without a member.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Runner;
use crate::contain::Group;

impl Runner {
    /// Lets helpers end within the limit.
    pub(super) async fn last_words(&mut self, limit: Duration, group: &Group) {
        let late = tokio::time::sleep(limit);
        tokio::pin!(late);
        loop {
            tokio::select! {
                done = self.helpers.join_next() => if done.is_none() {
                    return;
                },
                ask = self.asked.recv() => match ask {
                    Some(ask) => self.answer(ask, group),
                    None => return,
                },
                () = &mut late => return,
            }
        }
    }

    /// Resolves once the run has been asked to stop, by whatever means.
    pub(super) async fn until_asked_to_stop(&mut self, group: &Arc<Group>) {
        while !self.asked_to_stop {
            match self.asked.recv().await {
                Some(ask) => self.answer(ask, group),
                None => {
                    let _ = group.kill();
                    return;
                }
            }
        }
    }
}

/// Resolves at that time; never without one.
pub(super) async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}
