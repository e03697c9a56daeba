//! Somebody who visits again and again, and keeps what was acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::visits::ask;

/// The application's answer to a visit.
#[derive(Debug, serde::Deserialize)]
struct Answer {
    id: u64,
    name: String,
    count: Option<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    leaves: AtomicBool,
    acknowledged: AtomicU64,
}

pub struct Visitor {
    shared: Arc<Shared>,
    thread: JoinHandle<Visits>,
}

impl Visitor {
    pub fn enter(port: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || visit(port, &seen));
        Self { shared, thread }
    }

    /// How many visits were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    pub fn leave(self) -> Visits {
        self.shared.leaves.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// Each name is sent once: what became of one that was not acknowledged is not known.
fn visit(port: u16, shared: &Shared) -> Visits {
    let mut visits = Visits::default();
    for number in 0.. {
        if shared.leaves.load(Ordering::SeqCst) {
            break;
        }
        let name = format!("visitor {number}");
        let start = Instant::now();
        match ask(port, "POST", "/visits", &name) {
            Some((201, body)) => {
                visits.took.push(start.elapsed());
                let answer: Answer = serde_json::from_str(&body).unwrap();
                assert_eq!(answer.name, name);
                visits.acknowledged.push(answer);
                shared.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Some((status, _)) => visits.refused(&status.to_string()),
            None => visits.refused("no answer"),
        }
    }
    visits.took.sort_unstable();
    visits
}

#[derive(Debug, Default)]
pub struct Visits {
    acknowledged: Vec<Answer>,
    refused: BTreeMap<String, usize>,
    /// How long those that were acknowledged took, the shortest first.
    took: Vec<Duration>,
}

impl Visits {
    fn refused(&mut self, how: &str) {
        *self.refused.entry(how.to_owned()).or_default() += 1;
        // Nobody listens for the moment; the next one need not come at once.
        std::thread::sleep(Duration::from_millis(2));
    }

    /// Each is in the table once, in the row that the answer told, and none was counted twice.
    pub fn assert_stored(&self, stored: &BTreeMap<u64, String>, counted: u64) {
        let mut rows: HashMap<&str, usize> = HashMap::new();
        for name in stored.values() {
            *rows.entry(name).or_default() += 1;
        }
        assert!(!self.acknowledged.is_empty());
        for answer in &self.acknowledged {
            assert_eq!(stored.get(&answer.id), Some(&answer.name), "{answer:?}");
            assert_eq!(rows[answer.name.as_str()], 1, "{answer:?}");
        }
        let counts: Vec<u64> = self.acknowledged.iter().filter_map(|a| a.count).collect();
        assert!(counts.is_sorted_by(|a, b| a < b), "a count came twice");
        assert!(counts.last().is_some_and(|last| *last <= counted));
    }

    pub fn longest(&self) -> Duration {
        self.took.last().copied().unwrap_or_default()
    }

    fn part(&self, percent: usize) -> Duration {
        let at = self.took.len().saturating_sub(1) * percent / 100;
        self.took.get(at).copied().unwrap_or_default()
    }
}

impl fmt::Display for Visits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "visitor: {} acknowledged, p50 {:.1?}, p99 {:.1?}, longest {:.1?}; not acknowledged: {:?}",
            self.acknowledged.len(),
            self.part(50),
            self.part(99),
            self.longest(),
            self.refused
        )
    }
}
