//! Waits for one member of a process group to leave it.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::contain::census::{self, Row};
use crate::contain::sys;

/// The longest wait between two looks at whether a process has changed its group.
const SLOWEST_LOOK: Duration = Duration::from_millis(250);

/// Resolves once the process of `row` has ended or left its group.
pub(super) async fn left(row: &Row) {
    let still_there = || {
        census::row(row.pid)
            .is_some_and(|now| now.start == row.start && now.group == row.group && !now.zombie)
    };
    let watched = sys::watch(row.pid);
    let mut pause = Duration::from_millis(1);
    while still_there() {
        match &watched {
            // Its end comes as an event; that it changes its group has to be looked for.
            Ok(pidfd) => {
                if timeout(pause, pidfd.readable()).await.is_ok() {
                    return;
                }
            }
            Err(_) => sleep(pause.min(Duration::from_millis(20))).await,
        }
        pause = (pause * 2).min(SLOWEST_LOOK);
    }
}
