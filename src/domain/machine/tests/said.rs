//! What a run says of itself.

use super::*;

/// One that asks for more time has it, and not less than it had.
#[test]
fn a_run_can_put_off_its_being_ready() {
    let up = [
        Input::Wait { renew: false },
        Input::Go,
        Input::Fact(Fact::Spawned { pid: 7 }),
    ];
    let mut bench = Bench::new(|_| {}).after(&up);
    let due = |bench: &Bench| {
        let mut all = bench.machine.deadlines();
        all.find(|&(kind, _)| kind == DeadlineKind::Ready)
            .map(|(_, at)| at.since_start())
    };
    // It was started after four seconds.
    assert_eq!(due(&bench), Some(Duration::from_secs(24)));
    bench.on(true, notified(Notice::Extend(Duration::from_secs(1))));
    assert_eq!(due(&bench), Some(Duration::from_secs(24)));
    bench.on(true, notified(Notice::Extend(Duration::from_secs(60))));
    assert_eq!(due(&bench), Some(Duration::from_secs(70)));
    bench.on(true, probed(ProbeRole::Readiness, true));
    bench.on(true, notified(Notice::Extend(Duration::from_secs(60))));
    assert_eq!(due(&bench), None, "it is ready");
}

#[test]
fn a_run_that_says_that_it_is_not_well_is_stopped_if_it_has_a_watchdog() {
    let up = [
        Input::Wait { renew: false },
        Input::Go,
        Input::Fact(Fact::Spawned { pid: 7 }),
    ];
    let unwell = notified(Notice::Unwell);
    let mut other = Bench::new(|_| {}).after(&up);
    assert!(other.on(true, unwell.clone()).is_empty());
    let mut bench = Bench::new(|spec| spec.liveness = Some(Probe::new(Check::Notify))).after(&up);
    bench.on(true, unwell);
    let failed = Stop::Failed(Failure::Unhealthy("it sent WATCHDOG=trigger".into()));
    assert!(
        matches!(bench.machine.phase(), Phase::Stopping { stop, .. } if *stop == failed),
        "{:?}",
        bench.machine.phase()
    );
    let said = notified(Notice::Status(Some("shutting down".into())));
    bench.on(true, said);
    assert_eq!(bench.machine.said().as_deref(), Some("shutting down"));
}
