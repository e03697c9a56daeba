//! What the runs use, sampled for as long as somebody asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::control::port::ControlPort;
use crate::domain::stats::StackStats;

/// How long sampling goes on after the last question.
const KEPT: Duration = Duration::from_secs(5);

/// How long the first sample is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

/// Looks on while there are questions.
#[derive(Debug, Default)]
pub(super) struct Usage {
    looking: Arc<Mutex<Option<Looking>>>,
}

#[derive(Debug)]
struct Looking {
    stats: watch::Receiver<Arc<StackStats>>,
    until: Instant,
}

impl Usage {
    /// The latest sample; the first question waits for one.
    pub(super) async fn sample(&self, port: &dyn ControlPort) -> Arc<StackStats> {
        let until = Instant::now() + KEPT;
        let lock = || self.looking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(looking) = &mut *lock() {
            looking.until = until;
            return Arc::clone(&looking.stats.borrow());
        }
        let mut stats = port.stats();
        stats.mark_unchanged();
        let mut own = stats.clone();
        *lock() = Some(Looking { stats, until });
        let shared = Arc::clone(&self.looking);
        tokio::spawn(async move {
            loop {
                let until = match &*shared.lock().unwrap_or_else(PoisonError::into_inner) {
                    Some(looking) => looking.until,
                    None => return,
                };
                if Instant::now() >= until {
                    *shared.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return;
                }
                tokio::time::sleep_until(until).await;
            }
        });
        // Without one, nothing is known to be used.
        let _ = tokio::time::timeout(PATIENCE, own.changed()).await;
        Arc::clone(&own.borrow())
    }
}
