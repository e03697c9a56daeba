//! What deciding costs, as ratios within one run: `cargo bench --bench step`.
//!
//! Exits with 1 if a bound is not kept; see `bounds`.
#![expect(clippy::print_stdout, reason = "a benchmark tells its figures")]

mod bounds;

use std::collections::VecDeque;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pk::domain::effect::Effect;
use pk::domain::event::{Event, Fact};
use pk::domain::plan::Plan;
use pk::domain::set::{Options, UnitSet};
use pk::domain::spec::{Command, Condition, Dependency, Program, UnitKind, UnitSpec};
use pk::domain::time::Instant as Moment;

/// Of the start of ten times as many units.
const RATIO: f64 = 12.0;
const ROUNDS: usize = 25;
const NANOS_PER_NODE: f64 = 340.0;

fn main() -> ExitCode {
    let mut bounds = bounds::Bounds::new();
    // Ten small starts take about as long as one large one, and both take turns, so that what
    // disturbs a machine disturbs both alike.
    let mut few = Duration::MAX;
    let mut many = Duration::MAX;
    for _ in 0..ROUNDS {
        few = few.min((0..10).map(|_| start(1000)).sum::<Duration>() / 10);
        many = many.min(start(10_000));
    }
    let ratio = many.as_secs_f64() / few.as_secs_f64();
    println!("start of  1,000 units: {few:>10.2?}");
    let text = format!("start of 10,000 units: {many:>10.2?}, {ratio:.1} times");
    bounds.hold(&text, ratio, RATIO);
    let node = best(|| plan_layered(10_000, 4)).as_secs_f64() * 1e9 / 10_000.0;
    let text = format!("plan of 10,000 units, degree 4: {node:.0} ns per node");
    bounds.hold(&text, node, NANOS_PER_NODE);
    let (out, into) = (
        best(|| start_fan_out(10_000)),
        best(|| start_fan_in(10_000)),
    );
    println!("start of 10,000 on one: {out:.2?}, of one on 10,000: {into:.2?}");
    bounds.end()
}

/// The time that this thread has had a processor: others on the machine do not count.
fn on_cpu() -> Duration {
    // The kernel brings its account up to date when a thread gives way.
    std::thread::yield_now();
    let nanos = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = nanos.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(
        || {
            static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
            START.get_or_init(std::time::Instant::now).elapsed()
        },
        Duration::from_nanos,
    )
}

/// The shortest of some: what disturbs a run only makes it longer.
fn best(measure: impl Fn() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| measure()).min().unwrap_or_default()
}

fn unit(name: &str) -> UnitSpec {
    let program = Program::Command(Command::Exec(vec!["true".into()]));
    UnitSpec::new(name.into(), UnitKind::Service, program, "/".into())
}

fn depend(unit: &mut UnitSpec, on: usize) {
    unit.depends_on.push(Dependency {
        unit: format!("u{on}").as_str().into(),
        condition: Condition::Started,
        restart: false,
        required: true,
    });
}

fn units(count: usize, shape: impl Fn(usize, &mut UnitSpec)) -> Vec<Arc<UnitSpec>> {
    let unit = |number| {
        let mut unit = unit(&format!("u{number}"));
        shape(number, &mut unit);
        Arc::new(unit)
    };
    (0..count).map(unit).collect()
}

fn start(count: usize) -> Duration {
    start_all(units(count, |_, _| {}))
}

fn start_fan_out(count: usize) -> Duration {
    start_all(units(count, |number, unit| {
        if number > 0 {
            depend(unit, 0);
        }
    }))
}

fn start_fan_in(count: usize) -> Duration {
    start_all(units(count, |number, unit| {
        if number == 0 {
            (1..count).for_each(|on| depend(unit, on));
        }
    }))
}

/// From the first step to the last unit's running.
fn start_all(units: Vec<Arc<UnitSpec>>) -> Duration {
    let count = units.len();
    let Ok(plan) = Plan::new("bench", units) else {
        return Duration::MAX;
    };
    let mut set = UnitSet::new(&Arc::new(plan), Options::default(), 1);
    // A supervisor keeps its buffers, too: no fresh pages within what is measured.
    let mut effects = Vec::with_capacity(count * 8);
    effects.resize_with(count * 8, || Effect::Kill {
        run: pk::domain::id::RunId {
            instance: pk::domain::id::InstanceId(0),
            attempt: pk::domain::id::Attempt(0),
        },
    });
    effects.clear();
    let mut spawned = VecDeque::with_capacity(count);
    let begin = on_cpu();
    set.begin(Moment::START, &mut effects);
    // A supervisor carries out what a step asks for before it takes the next event.
    loop {
        spawned.extend(effects.drain(..).filter_map(|effect| {
            if let Effect::Spawn { run, .. } = effect {
                Some(run)
            } else {
                None
            }
        }));
        let Some(run) = spawned.pop_front() else {
            break;
        };
        let fact = Fact::Spawned { pid: 7 };
        set.step(Moment::START, Event::Fact { run, fact }, &mut effects);
    }
    black_box(&set);
    on_cpu() - begin
}

/// A random graph in layers of a hundred, each unit on `degree` units of the layer before.
fn plan_layered(count: usize, degree: usize) -> Duration {
    let units = units(count, |number, unit| {
        let mut rng = fastrand::Rng::with_seed(number as u64);
        let layer = number / 100;
        for _ in 0..degree * usize::from(layer > 0) {
            depend(unit, (layer - 1) * 100 + rng.usize(..100));
        }
    });
    let begin = on_cpu();
    let plan = Plan::new("bench", units);
    let took = on_cpu() - begin;
    drop(black_box(plan));
    took
}
