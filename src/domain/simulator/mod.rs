//! A deterministic simulator: random stacks, random histories, every property after every
//! step.
//!
//! A seed decides all: the stack, the options, the commands and when they come, how each
//! run behaves, which facts come late, twice or never. What fails is shrunk and printed.
//!
//! ```text
//! scenario ──► drive: UnitSet::step ──effects──► world (processes, pipes, probes)
//!                       │    ▲                     │
//!                     check  └───facts, deadlines──┘
//! ```
//!
//! - `cargo test --lib simulator` runs some thousands.
//! - `PK_SIM_SCENARIOS=1000000 cargo test --release --lib simulator` runs a million.
//! - `PK_SIM_SEED=17 cargo test --lib simulator` replays one and prints it.

mod budget;
mod check;
mod clock;
mod drive;
mod order;
mod saves;
mod scenario;
mod shrink;
mod stack;
mod world;

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use scenario::Scenario;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// A panic within a scenario is a finding, told with the scenario and not by itself.
fn hush() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                loud(info);
            }
        }));
    });
}

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a scenario; what to say if it fails.
fn explore(scenario: &Scenario) -> Result<u64, String> {
    QUIET.set(true);
    let result = drive::live(scenario, false).map_err(|(violation, _)| {
        let smallest = shrink::shrink(scenario, violation.property);
        let (violation, trace) = drive::live(&smallest, true)
            .err()
            .unwrap_or((violation, Vec::new()));
        format!(
            "{}: {}\n\nreplay with PK_SIM_SEED={}; the smallest scenario found:\n{}\n\nits last steps:\n{}",
            violation.property,
            violation.text,
            scenario.seed,
            shrink::show(&smallest),
            trace.join("\n")
        )
    });
    QUIET.set(false);
    result
}

#[test]
fn no_history_of_any_stack_violates_a_property() {
    hush();
    let (first, count) = match number_from_env("PK_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            number_from_env("PK_SIM_FIRST").unwrap_or(0),
            number_from_env("PK_SIM_SCENARIOS").unwrap_or(3000),
        ),
    };
    let (next, facts) = (AtomicU64::new(first), AtomicU64::new(0));
    let failed = AtomicBool::new(false);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let findings: Vec<String> = std::thread::scope(|scope| {
        let work = || -> Option<String> {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count || failed.load(Ordering::Relaxed) {
                    return None;
                }
                match explore(&Scenario::random(seed)) {
                    Ok(seen) => facts.fetch_add(seen, Ordering::Relaxed),
                    Err(finding) => {
                        failed.store(true, Ordering::Relaxed);
                        return Some(finding);
                    }
                };
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        (threads.into_iter())
            .filter_map(|thread| thread.join().expect("a finding is no panic"))
            .collect()
    });
    assert!(findings.is_empty(), "{}", findings.join("\n\n"));
    // A world in which nothing happens would pass every check.
    assert!(facts.into_inner() >= count.saturating_mul(4) || count < 100);
}
