//! Readiness and liveness of one run, from the results of its probes.
//!
//! ```text
//!  startup ──success──► readiness ──success──► ready ◄──► unready
//!     │                 liveness  ──failures after the first success──► failed
//!     └──failures──► failed
//! ```
//!
//! Probing starts much faster than its interval, so failures count towards a threshold
//! at most once an interval: `interval × failure_threshold` is how long a probe may fail,
//! whatever the pace.

use serde::{Deserialize, Serialize};

use super::event::{ProbeResult, ProbeRole};
use super::outcome::Failure;
use super::spec::{Check, OnFailure, Probe, UnitSpec};
use super::time::Instant;

/// Whether a run can serve.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Nothing asks for it.
    #[default]
    Unprobed,
    Unready,
    Ready,
    /// Its liveness probe has failed.
    Unhealthy,
}

/// What a probe's result means for the run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum HealthChange {
    Nothing,
    /// The startup probe is done; the others begin.
    StartedUp,
    Ready,
    Unready(String),
    Failed(Failure),
    /// The first success of a liveness probe.
    Alive,
}

/// Successes and failures in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    successes: u32,
    failures: u32,
    /// When a failure last counted, or probing began.
    counted: Option<Instant>,
    passed: bool,
}

impl Tally {
    fn begin(now: Instant) -> Self {
        Self {
            successes: 0,
            failures: 0,
            counted: Some(now),
            passed: false,
        }
    }

    /// Whether a threshold was crossed, and to which side.
    fn record(&mut self, now: Instant, probe: &Probe, success: bool) -> Option<bool> {
        if success {
            self.failures = 0;
            self.counted = None;
            self.successes = self.successes.saturating_add(1);
            let enough = probe.check.latches() || self.successes >= probe.success_threshold;
            (!self.passed && enough).then(|| {
                self.passed = true;
                true
            })
        } else {
            self.successes = 0;
            // A timer may fire a little early against the wall.
            let spacing = probe.interval.mul_f64(0.9);
            if self.counted.is_some_and(|last| now.since(last) < spacing) {
                return None;
            }
            self.counted = Some(now);
            self.failures = self.failures.saturating_add(1);
            (self.failures >= probe.failure_threshold).then(|| {
                self.failures = 0;
                self.passed = false;
                false
            })
        }
    }
}

/// What is known of the health of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    startup: Option<Tally>,
    readiness: Option<Tally>,
    liveness: Option<Tally>,
    state: Readiness,
    ever_ready: bool,
    log_matched: bool,
    /// A latching readiness check succeeded before startup was over.
    latched: bool,
    last_failure: Option<String>,
}

impl Health {
    /// The run is started: which probes begin?
    #[must_use]
    pub fn begin(&mut self, now: Instant, spec: &UnitSpec) -> Vec<ProbeRole> {
        if spec.can_be_ready() {
            self.state = Readiness::Unready;
        }
        if spec.startup.is_some() {
            self.startup = Some(Tally::begin(now));
            return vec![ProbeRole::Startup];
        }
        self.begin_steady(now, spec)
    }

    fn begin_steady(&mut self, now: Instant, spec: &UnitSpec) -> Vec<ProbeRole> {
        let mut roles = Vec::new();
        if spec.readiness.is_some() {
            self.readiness = Some(Tally::begin(now));
            roles.push(ProbeRole::Readiness);
        }
        if spec.liveness.is_some() {
            self.liveness = Some(Tally::begin(now));
            roles.push(ProbeRole::Liveness);
        }
        roles
    }

    #[must_use]
    pub fn state(&self) -> Readiness {
        self.state
    }

    /// Whether the line that a `log` probe looks for has come.
    #[must_use]
    pub fn log_matched(&self) -> bool {
        self.log_matched
    }

    /// Whether it was ready at any time.
    #[must_use]
    pub fn ever_ready(&self) -> bool {
        self.ever_ready
    }

    /// What the last failed check said.
    #[must_use]
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// The probe that stands between the run and ready.
    #[must_use]
    pub fn awaited<'a>(&self, spec: &'a UnitSpec) -> Option<&'a Probe> {
        match (&self.readiness, &self.startup) {
            (None, Some(_)) => spec.startup.as_ref(),
            (Some(_) | None, _) => spec.readiness.as_ref(),
        }
    }

    /// Successes so far and needed, of the probe that stands between the run and ready.
    #[must_use]
    pub fn progress(&self, spec: &UnitSpec) -> Option<(u32, u32)> {
        let (tally, probe) = match (&self.readiness, &self.startup) {
            (Some(tally), _) => (tally, spec.readiness.as_ref()?),
            (None, Some(tally)) => (tally, spec.startup.as_ref()?),
            (None, None) => return None,
        };
        Some((
            tally.successes.min(probe.success_threshold),
            probe.success_threshold,
        ))
    }

    /// The probe's check succeeded before exec was confirmed: only what latches counts.
    pub fn record_early(&mut self, spec: &UnitSpec, role: ProbeRole, result: &ProbeResult) {
        if *result == ProbeResult::Success
            && probe_of(spec, role).is_some_and(|p| p.check.latches())
        {
            self.latched |= role == ProbeRole::Readiness;
            self.note_log(spec, role);
        }
    }

    /// Takes one result of one probe.
    pub fn record(
        &mut self,
        now: Instant,
        spec: &UnitSpec,
        role: ProbeRole,
        result: ProbeResult,
    ) -> HealthChange {
        let Some(probe) = probe_of(spec, role) else {
            return HealthChange::Nothing;
        };
        let (success, reason) = match result {
            ProbeResult::Success => (true, String::new()),
            ProbeResult::Failure(reason) => (false, reason),
        };
        if success {
            self.note_log(spec, role);
        } else {
            self.last_failure = Some(reason.clone());
        }
        match role {
            ProbeRole::Startup => self.startup_result(now, spec, probe, success, reason),
            ProbeRole::Readiness => self.readiness_result(now, probe, success, reason),
            ProbeRole::Liveness => self.liveness_result(now, spec, probe, success, reason),
        }
    }

    fn note_log(&mut self, spec: &UnitSpec, role: ProbeRole) {
        self.log_matched |=
            probe_of(spec, role).is_some_and(|probe| matches!(probe.check, Check::Log(_)));
    }

    fn startup_result(
        &mut self,
        now: Instant,
        spec: &UnitSpec,
        probe: &Probe,
        success: bool,
        reason: String,
    ) -> HealthChange {
        // Once it has succeeded it is over, whatever a late check says.
        let Some(tally) = self.startup.as_mut().filter(|tally| !tally.passed) else {
            return HealthChange::Nothing;
        };
        match tally.record(now, probe, success) {
            None => HealthChange::Nothing,
            Some(false) => HealthChange::Failed(Failure::Startup(reason)),
            Some(true) => {
                let _ = self.begin_steady(now, spec);
                if spec.readiness.is_none() {
                    self.state = Readiness::Ready;
                    self.ever_ready = true;
                }
                HealthChange::StartedUp
            }
        }
    }

    fn readiness_result(
        &mut self,
        now: Instant,
        probe: &Probe,
        success: bool,
        reason: String,
    ) -> HealthChange {
        let Some(tally) = &mut self.readiness else {
            self.latched |= success && probe.check.latches();
            return HealthChange::Nothing;
        };
        match tally.record(now, probe, success) {
            None => HealthChange::Nothing,
            Some(true) => {
                self.state = Readiness::Ready;
                self.ever_ready = true;
                HealthChange::Ready
            }
            Some(false) if !self.ever_ready => HealthChange::Nothing,
            Some(false) => {
                self.state = Readiness::Unready;
                match probe.on_failure {
                    OnFailure::Wait => HealthChange::Unready(reason),
                    OnFailure::Restart => HealthChange::Failed(Failure::Unready(reason)),
                }
            }
        }
    }

    fn liveness_result(
        &mut self,
        now: Instant,
        spec: &UnitSpec,
        probe: &Probe,
        success: bool,
        reason: String,
    ) -> HealthChange {
        let Some(tally) = &mut self.liveness else {
            return HealthChange::Nothing;
        };
        let was_alive = tally.passed;
        // Until the first success only `timeouts.ready` and the startup probe act.
        let armed = if spec.can_be_ready() {
            self.ever_ready
        } else {
            was_alive
        };
        match tally.record(now, probe, success) {
            Some(true) => HealthChange::Alive,
            Some(false) if armed => {
                self.state = Readiness::Unhealthy;
                HealthChange::Failed(Failure::Unhealthy(reason))
            }
            Some(false) | None => HealthChange::Nothing,
        }
    }

    /// The run itself says that it is not well.
    pub fn fell_ill(&mut self) {
        self.state = Readiness::Unhealthy;
    }

    /// Takes a readiness that latched early, once its probe has begun.
    #[must_use]
    pub fn take_latched(&mut self) -> bool {
        self.readiness.is_some() && std::mem::take(&mut self.latched)
    }
}

/// The probe of that role, if the unit has one.
#[must_use]
pub fn probe_of(spec: &UnitSpec, role: ProbeRole) -> Option<&Probe> {
    match role {
        ProbeRole::Startup => spec.startup.as_ref(),
        ProbeRole::Readiness => spec.readiness.as_ref(),
        ProbeRole::Liveness => spec.liveness.as_ref(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::spec::{Command, Pattern, Program, UnitKind};

    fn tcp(failure_threshold: u32) -> Probe {
        Probe {
            interval: Duration::from_secs(1),
            failure_threshold,
            ..Probe::new(Check::Tcp {
                host: "127.0.0.1".into(),
                port: 1,
            })
        }
    }

    fn spec(change: impl FnOnce(&mut UnitSpec)) -> UnitSpec {
        let program = Program::Command(Command::Exec(vec!["true".into()]));
        let mut spec = UnitSpec::new("u".into(), UnitKind::Service, program, "/".into());
        change(&mut spec);
        spec
    }

    fn bad() -> ProbeResult {
        ProbeResult::Failure("refused".into())
    }

    const GOOD: ProbeResult = ProbeResult::Success;

    #[test]
    fn fast_failures_count_once_an_interval() {
        let spec = spec(|spec| spec.startup = Some(tcp(2)));
        let mut health = Health::default();
        assert_eq!(health.begin(Instant::START, &spec), [ProbeRole::Startup]);
        for at in (0..1990).step_by(10) {
            let change = health.record(Instant::from_millis(at), &spec, ProbeRole::Startup, bad());
            if at < 1800 {
                assert_eq!(change, HealthChange::Nothing, "at {at}");
            } else if change != HealthChange::Nothing {
                assert_eq!(
                    change,
                    HealthChange::Failed(Failure::Startup("refused".into()))
                );
                return;
            }
        }
        panic!("never failed");
    }

    #[test]
    fn startup_holds_the_others_back() {
        let spec = spec(|spec| {
            spec.startup = Some(tcp(3));
            spec.readiness = Some(tcp(3));
        });
        let mut health = Health::default();
        let now = Instant::START;
        assert_eq!(health.begin(now, &spec), [ProbeRole::Startup]);
        assert_eq!(
            health.record(now, &spec, ProbeRole::Readiness, GOOD),
            HealthChange::Nothing
        );
        assert_eq!(health.state(), Readiness::Unready);
        assert_eq!(
            health.record(now, &spec, ProbeRole::Startup, GOOD),
            HealthChange::StartedUp
        );
        assert_eq!(
            health.record(now, &spec, ProbeRole::Readiness, GOOD),
            HealthChange::Ready
        );
    }

    #[test]
    fn liveness_acts_only_after_the_first_success() {
        let spec = spec(|spec| spec.liveness = Some(tcp(1)));
        let mut health = Health::default();
        assert_eq!(health.begin(Instant::START, &spec), [ProbeRole::Liveness]);
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        assert_eq!(
            health.record(at(5), &spec, ProbeRole::Liveness, bad()),
            HealthChange::Nothing
        );
        assert_eq!(
            health.record(at(6), &spec, ProbeRole::Liveness, GOOD),
            HealthChange::Alive
        );
        assert_eq!(
            health.record(at(7), &spec, ProbeRole::Liveness, bad()),
            HealthChange::Failed(Failure::Unhealthy("refused".into()))
        );
    }

    #[test]
    fn readiness_comes_and_goes_by_its_thresholds() {
        let spec = spec(|spec| {
            spec.readiness = Some(Probe {
                success_threshold: 2,
                ..tcp(2)
            });
        });
        let mut health = Health::default();
        let _ = health.begin(Instant::START, &spec);
        let mut record = |seconds: u64, result| {
            health.record(
                Instant::from_millis(seconds * 1000),
                &spec,
                ProbeRole::Readiness,
                result,
            )
        };
        assert_eq!(record(1, GOOD), HealthChange::Nothing);
        assert_eq!(record(2, GOOD), HealthChange::Ready);
        assert_eq!(record(3, bad()), HealthChange::Nothing);
        assert_eq!(record(4, bad()), HealthChange::Unready("refused".into()));
        assert_eq!(record(5, GOOD), HealthChange::Nothing);
        assert_eq!(record(6, GOOD), HealthChange::Ready);
    }

    #[test]
    fn a_line_that_comes_early_is_kept() {
        let spec = spec(|spec| spec.readiness = Some(Probe::new(Check::Log(Pattern("up".into())))));
        let mut health = Health::default();
        health.record_early(&spec, ProbeRole::Readiness, &GOOD);
        assert!(!health.take_latched());
        let _ = health.begin(Instant::START, &spec);
        assert!(health.take_latched());
        assert!(health.log_matched());
    }
}
