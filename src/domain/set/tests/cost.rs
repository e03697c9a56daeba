//! What a step costs grows with what it affects.

use std::time::{Duration, Instant};

use super::driver::{Shape as _, plan, service};
use crate::domain::effect::Effect;
use crate::domain::event::{Event, Fact};
use crate::domain::set::{Options, UnitSet};
use crate::domain::spec::{Condition, UnitSpec};

/// Starts a stack and confirms every spawn, with a snapshot now and then; how many
/// effects that took, and how long.
fn start(units: impl IntoIterator<Item = UnitSpec>) -> (usize, Duration) {
    let plan = plan(units);
    let mut set = UnitSet::new(&plan, Options::default(), 1);
    let begin = Instant::now();
    let mut effects = Vec::new();
    set.begin(crate::domain::time::Instant::START, &mut effects);
    let (mut count, mut steps) = (0, 0);
    while !effects.is_empty() {
        count += effects.len();
        let spawned: Vec<_> = (effects.drain(..))
            .filter_map(|effect| match effect {
                Effect::Spawn { run, .. } => Some(run),
                Effect::StartProbe { .. }
                | Effect::SlowProbe { .. }
                | Effect::StopProbe { .. }
                | Effect::Signal { .. }
                | Effect::StopCommand { .. }
                | Effect::TypeKeys { .. }
                | Effect::Kill { .. }
                | Effect::Arm(_)
                | Effect::Watch { .. }
                | Effect::Unwatch { .. }
                | Effect::Build { .. }
                | Effect::CancelBuild { .. }
                | Effect::HoldWatch { .. }
                | Effect::Schedule { .. }
                | Effect::Unschedule { .. }
                | Effect::Reply { .. }
                | Effect::Publish(_)
                | Effect::Finish(_) => None,
            })
            .collect();
        for run in spawned {
            let fact = Fact::Spawned { pid: 7 };
            set.step(
                crate::domain::time::Instant::START,
                Event::Fact { run, fact },
                &mut effects,
            );
            steps += 1;
            if steps % 1000 == 0 {
                let _ = set.snapshot();
            }
        }
    }
    assert_eq!(steps, plan.units().len(), "all have started");
    (count, begin.elapsed())
}

fn named(number: usize) -> UnitSpec {
    service(&format!("u{number}"))
}

#[test]
fn starting_costs_by_the_unit() {
    let (few, _) = start((0..1000).map(named));
    let (many, _) = start((0..10_000).map(named));
    assert_eq!(many, few * 10);
}

/// Quadratic work would take minutes here, and what there is takes far below a second.
#[test]
fn neither_fan_out_nor_fan_in_is_quadratic() {
    let fan_out = (0..10_000).map(|number| match number {
        0 => named(0),
        _ => named(number).on("u0", Condition::Started),
    });
    let (_, took) = start(fan_out);
    assert!(took < Duration::from_secs(10), "fan-out: {took:?}");
    let last = (1..10_000).fold(named(0), |unit, number| {
        unit.on(&format!("u{number}"), Condition::Started)
    });
    let (_, took) = start(std::iter::once(last).chain((1..10_000).map(named)));
    assert!(took < Duration::from_secs(10), "fan-in: {took:?}");
}
