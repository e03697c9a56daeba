//! A trial by fire: the example `visits` under load, while everything around it goes on.
//!
//! `PK_TRIAL_SECONDS=180` makes minutes of it; `-- --nocapture` shows what was measured.

mod disturb;
mod load;
mod ready;
mod tally;
mod visitor;

use std::time::{Duration, Instant};

use crate::harness::poll;
use crate::harness::visits::{Place, SERVERS, missing};

use disturb::{ACTS, Stack};
use load::Load;
use tally::Tally;
use visitor::Visitor;

/// How long one run of the programs that make the load is.
const SLICE: u64 = 10;

fn seconds() -> u64 {
    let told = std::env::var("PK_TRIAL_SECONDS").ok();
    told.map_or(5, |text| text.parse().unwrap())
}

#[test]
fn what_was_acknowledged_is_stored_and_what_was_written_is_logged() {
    let needed = [SERVERS, &["pgbench", "redis-benchmark", "wrk", "script"]].concat();
    if missing("the trial", &needed) {
        return;
    }
    let stack = Stack::up(Place::new());
    let place = &stack.place;
    load::prepare(place);
    let reader = stack.steady_reader();
    let visitor = Visitor::enter(place.http);

    let mut wrk = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(seconds());
    let mut acts = 0;
    // Each thing is done at least once, however slow the machine.
    while Instant::now() < deadline || acts < ACTS.len() {
        let left = deadline.saturating_duration_since(Instant::now());
        let load = Load::start(place, wrk.len(), left.as_secs().clamp(2, SLICE));
        while !load.is_over() {
            let passers_by = stack.passers_by();
            ACTS[acts % ACTS.len()](&stack);
            acts += 1;
            stack.wait_until_ready();
            passers_by.leave();
        }
        let figures = load.figures();
        println!("{figures}");
        wrk.push(figures.wrk.acknowledged);
        // The programs that make the load take the loss of their server for a failure; the
        // application does not.
        stack.restart_servers();
        let before = visitor.acknowledged();
        poll("a visit after the servers' restart", || {
            (visitor.acknowledged() > before).then_some(())
        });
    }

    let visits = visitor.leave();
    let stored = tally::stored(place);
    let counted = tally::counted(place);
    println!("{visits}");
    println!("{}\n{}", stack.did(), stack.price());
    stack.down();
    let logged = stack.logged(reader);
    stack.assert_nothing_left();
    let tally = Tally::new(&stored, &logged);
    println!("{tally}");
    visits.assert_stored(&stored, counted);
    tally.assert_whole();
    for (slice, acknowledged) in wrk.iter().enumerate() {
        let rows = stored.values().filter(|name| **name == load::name(slice));
        assert!(rows.count() as u64 >= *acknowledged, "wrk in slice {slice}");
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    if missing("the trial by SIGKILL", SERVERS) {
        return;
    }
    let stack = Stack::up(Place::new());
    let visitor = Visitor::enter(stack.place.http);
    poll("a hundred visits", || {
        (visitor.acknowledged() > 100).then_some(())
    });
    stack.kill();
    let visits = visitor.leave();
    stack.up_again();
    let stored = tally::stored(&stack.place);
    visits.assert_stored(&stored, tally::counted(&stack.place));
    stack.down();
    stack.assert_nothing_left();
}
