//! A random stack and a random history: all that a seed decides.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::domain::event::{ProbeRole, Shutdown};
use crate::domain::id::UnitName;
use crate::domain::notice::Notice;
use crate::domain::outcome::RunStatus;
use crate::domain::plan::{Plan, Selection};
use crate::domain::set::Options;
use crate::domain::signal::Signal;
use crate::domain::spec::UnitSpec;

use super::stack;

/// Everything that a simulated run depends on.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub units: Vec<UnitSpec>,
    pub options: Options,
    pub history: Vec<Step>,
    /// When the final shutdown comes, and how.
    pub end: (u64, Shutdown),
}

/// One entry of the history: what happens, and when (in milliseconds).
#[derive(Clone, Debug)]
pub struct Step {
    pub at: u64,
    pub act: Act,
}

/// What can happen from outside.
#[derive(Clone, Debug)]
pub enum Act {
    Start(Vec<UnitName>),
    Stop(Vec<UnitName>),
    Restart(Vec<UnitName>),
    Kill(Vec<UnitName>),
    Signal(Vec<UnitName>, Signal),
    Enable(Vec<UnitName>),
    Disable(Vec<UnitName>),
    Scale(UnitName, u32),
    Reload(Vec<UnitSpec>),
    Shutdown(Shutdown),
    /// That file of a unit's changes.
    Save(UnitName, u8),
    PauseWatch(Vec<UnitName>),
    ResumeWatch(Vec<UnitName>),
    Attend(bool),
    /// The leader of that instance's run exits.
    Crash(UnitName, RunStatus),
    /// The runner of that instance's run vanishes, and its group with it.
    Lose(UnitName),
    /// A check reports, whether its probe was started or not.
    Probed(UnitName, ProbeRole, bool),
    /// The run of that instance says that of itself.
    Says(UnitName, Notice),
    /// A fact that was delivered before comes again.
    RepeatFact(usize),
    /// A deadline that was armed before comes (again).
    RepeatDeadline(usize),
    /// The clock jumps by so many milliseconds.
    Jump(i64),
}

impl Scenario {
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        // Most bugs show in small stacks, some only in large ones.
        let size = match rng.u32(..20) {
            0 => rng.usize(10..=30),
            1..=5 => rng.usize(5..=10),
            _ => rng.usize(1..=5),
        };
        let units = stack::random(&mut rng, size);
        let options = random_options(&mut rng, &units);
        let mut history = Vec::new();
        let steps = if rng.u8(..5) == 0 { 0 } else { rng.usize(..12) };
        let mut current = units.clone();
        let mut last = 0;
        for _ in 0..steps {
            let act = random_act(&mut rng, &units, &mut current);
            // What comes at once after something else is what surprises.
            last = if rng.bool() {
                last + rng.u64(..150)
            } else {
                rng.u64(..8000)
            };
            let at = last;
            history.push(Step { at, act });
        }
        history.sort_by_key(|step| step.at);
        let how = if rng.u8(..4) == 0 {
            Shutdown::Now
        } else {
            Shutdown::Graceful
        };
        Self {
            seed,
            units,
            options,
            history,
            end: (8000 + rng.u64(..8000), how),
        }
    }

    /// The plan, unless shrinking has made one that is none.
    pub fn plan(&self) -> Option<Arc<Plan>> {
        plan_of(&self.units)
    }
}

pub fn plan_of(units: &[UnitSpec]) -> Option<Arc<Plan>> {
    let units = units.iter().cloned().map(Arc::new).collect();
    Plan::new("simulated", units).ok().map(Arc::new)
}

fn random_options(rng: &mut Rng, units: &[UnitSpec]) -> Options {
    let some_unit = |rng: &mut Rng| units[rng.usize(..units.len())].name.clone();
    let mut selection = Selection::default();
    if rng.u8(..6) == 0 {
        for _ in 0..rng.usize(1..=2) {
            selection.units.push(some_unit(rng).to_string());
        }
        selection.no_deps = rng.u8(..3) == 0;
    }
    if rng.u8(..6) == 0 && units.iter().any(|unit| !unit.profiles.is_empty()) {
        selection.profiles.push("dev".into());
    }
    let one_in = |rng: &mut Rng, n: u8| rng.u8(..n) == 0;
    Options {
        selection,
        abort_on_failure: one_in(rng, 12),
        keep: false,
        ends_when_done: one_in(rng, 12),
        ends_with: one_in(rng, 15).then(|| some_unit(rng)),
        code_from: one_in(rng, 15).then(|| some_unit(rng)),
        no_watch: one_in(rng, 15),
        kept_by_watch: one_in(rng, 10),
    }
}

fn random_names(rng: &mut Rng, units: &[UnitSpec]) -> Vec<UnitName> {
    let count = if rng.u8(..4) == 0 { 2 } else { 1 };
    (0..count).map(|_| random_name(rng, units)).collect()
}

/// A unit, an instance of one, or now and then nothing that there is.
fn random_name(rng: &mut Rng, units: &[UnitSpec]) -> UnitName {
    if units.is_empty() || rng.u8(..30) == 0 {
        return "nobody".into();
    }
    let unit = &units[rng.usize(..units.len())];
    let instances: Vec<UnitName> = unit.instance_names().collect();
    match rng.choice(&instances) {
        Some(instance) if rng.bool() => instance.clone(),
        Some(_) | None => unit.name.clone(),
    }
}

fn random_act(rng: &mut Rng, first: &[UnitSpec], units: &mut Vec<UnitSpec>) -> Act {
    match rng.u32(..54) {
        40..=48 => Act::Save(random_name(rng, units), rng.u8(..3)),
        49 => Act::PauseWatch(random_names(rng, units)),
        50 => Act::ResumeWatch(random_names(rng, units)),
        51 => Act::Attend(rng.bool()),
        52 | 53 => Act::Says(random_name(rng, units), random_notice(rng)),
        0..=4 => Act::Start(random_names(rng, units)),
        5..=8 => Act::Stop(random_names(rng, units)),
        9..=12 => Act::Restart(random_names(rng, units)),
        13 => Act::Kill(random_names(rng, units)),
        14 => Act::Signal(random_names(rng, units), Signal::INT),
        15 | 16 => Act::Enable(random_names(rng, units)),
        17 | 18 => Act::Disable(random_names(rng, units)),
        19 | 20 => Act::Scale(random_name(rng, units), rng.u32(..=4)),
        21..=23 => {
            if rng.u8(..3) == 0 {
                // What was taken out comes back.
                *units = first.to_vec();
            } else {
                stack::mutate(rng, units);
            }
            Act::Reload(units.clone())
        }
        24 => Act::Shutdown(if rng.bool() {
            Shutdown::Graceful
        } else {
            Shutdown::Now
        }),
        25..=28 => Act::Crash(random_name(rng, units), stack::random_status(rng)),
        29 => Act::Lose(random_name(rng, units)),
        30..=32 => {
            let role = ProbeRole::ALL[rng.usize(..3)];
            Act::Probed(random_name(rng, units), role, rng.bool())
        }
        33..=35 => Act::RepeatFact(rng.usize(..1000)),
        36..=38 => Act::RepeatDeadline(rng.usize(..1000)),
        _ => Act::Jump(match rng.u8(..3) {
            0 => -rng.i64(0..5000),
            1 => rng.i64(0..2000),
            _ => rng.i64(0..100_000),
        }),
    }
}

fn random_notice(rng: &mut Rng) -> Notice {
    match rng.u8(..8) {
        0 => Notice::Ready,
        1 => Notice::Reloading,
        2 => Notice::Stopping,
        3 => Notice::Status(rng.bool().then(|| "busy".to_owned())),
        4 => Notice::Alive,
        5 => Notice::Unwell,
        _ => Notice::Extend(millis(rng, 0..3000)),
    }
}

/// Milliseconds as the specs want them.
pub fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}
