//! What a run that has failed says of why.

use super::Input;
use super::tests::{Bench, exits};
use crate::domain::event::Fact;
use crate::domain::phase::Phase;
use crate::domain::spec::RestartPolicy;

#[test]
fn a_run_that_fails_for_want_of_memory_says_so() {
    let wait = Input::Wait { renew: false };
    let spawned = Input::Fact(Fact::Spawned { pid: 7 });
    let starved = Input::Fact(Fact::OutOfMemory);
    let reaped = Input::Fact(Fact::Reaped);
    let up = [wait, Input::Go, spawned];
    let bench = || {
        Bench::new(|spec| {
            spec.limits = Some(crate::domain::spec::Limits {
                memory: Some(64 << 20),
                ..Default::default()
            });
            spec.restart = Default::default();
        })
        .after(&up)
        .after(std::slice::from_ref(&starved))
    };
    let outcome = |bench: Bench| match bench.machine.phase() {
        Phase::Exited(outcome) => outcome.to_string(),
        Phase::Idle
        | Phase::Waiting
        | Phase::Starting { .. }
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Reaping { .. }
        | Phase::Backoff { .. } => panic!("it is not over"),
    };
    let failed = bench().after(&[exits(137, true), reaped.clone()]);
    assert_eq!(
        outcome(failed),
        "failed: out of memory (limit 64MiB): exit code 137"
    );
    // One that got over it has not failed.
    let fine = bench().after(&[exits(0, true), reaped.clone()]);
    assert_eq!(outcome(fine), "completed");
    // What befell one run is not held against the next.
    let next = bench()
        .after(&[exits(0, true), reaped.clone()])
        .after(&up)
        .after(&[exits(1, true), reaped]);
    assert_eq!(outcome(next), "failed: exit code 1");
}

#[test]
fn a_run_that_fails_as_its_port_is_taken_says_so_and_is_not_tried_again() {
    let up = [
        Input::Wait { renew: false },
        Input::Go,
        Input::Fact(Fact::Spawned { pid: 7 }),
    ];
    let why = "port 5432 is taken";
    let taken = || Input::Fact(Fact::PortTaken { why: why.into() });
    let bench = || {
        Bench::new(|spec| {
            spec.restart.policy = RestartPolicy::OnFailure;
            spec.restart.max_restarts = Some(5);
        })
    };
    let phase = |bench: Bench| {
        let phase = bench.machine.phase();
        if let Phase::Exited(outcome) = phase {
            return outcome.to_string();
        }
        phase.name().as_str().to_owned()
    };
    let reaped = Input::Fact(Fact::Reaped);
    let blocked = bench()
        .after(&up)
        .after(&[exits(1, true), taken(), reaped.clone()]);
    assert_eq!(phase(blocked), format!("failed: {why}"));
    let unstarted = Input::Fact(Fact::SpawnFailed { error: why.into() });
    let blocked = bench().after(&up[..2]).after(&[taken(), unstarted]);
    assert_eq!(phase(blocked), format!("failed: {why}"));
    // It has got by without, or has failed for another reason.
    let fine = bench()
        .after(&up)
        .after(&[taken(), exits(0, true), reaped.clone()]);
    assert_eq!(phase(fine), "completed");
    let other = bench().after(&up).after(&[exits(1, true), reaped]);
    assert_eq!(phase(other), "backoff");
}
