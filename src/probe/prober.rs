//! The schedule of one probe of one run.
//!
//! ```text
//!  initial delay ─► check ─► report ─► wait ─► check …
//!                                       └─ short and growing until the run is settled,
//!                                          `interval` from then on
//! ```

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connect::late;
use super::http::HttpProbe;
use super::notify::{self, Heard};
use super::{ProbeError, ProbeResult, exec, file, port, tcp};
use crate::contain::{Containment, Group, SpawnOptions, SpawnRequest, StageRequest};
use crate::domain::id::RunId;
use crate::domain::pace;
use crate::domain::spec::{Check, Probe};
use crate::logs::{Tap, TapSource};

/// What a probe needs to know of the run that it asks.
#[derive(Clone)]
pub struct Surroundings {
    pub run: RunId,
    pub containment: Containment,
    /// Of the unit, laid over the inherited one: `exec` checks get it.
    pub environment: Vec<(OsString, OsString)>,
    /// Of the unit: `exec` checks run there, and a relative `file` is looked for there.
    pub working_dir: PathBuf,
    /// `exec` checks get these.
    pub options: SpawnOptions,
    pub taps: Arc<dyn TapSource>,
    /// Of the run, once it is spawned: a `port` check looks among its members.
    pub group: Arc<OnceLock<Arc<Group>>>,
    /// The numbers of the instance's ports, by name.
    pub ports: BTreeMap<String, u16>,
    /// What the run says of itself, where a `notify` check wants to know.
    pub heard: Option<watch::Receiver<Heard>>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment may hold secrets.
        f.debug_struct("Surroundings")
            .field("run", &self.run)
            .field("working_dir", &self.working_dir)
            .finish_non_exhaustive()
    }
}

/// One probe of one run. Dropping it, or the future of [`Prober::run`], ends it.
#[derive(Debug)]
pub struct Prober {
    kind: Kind,
    floor: Duration,
    interval: Duration,
    timeout: Duration,
    initial_delay: Duration,
}

#[derive(Debug)]
enum Kind {
    Http(Box<HttpProbe>),
    Tcp {
        host: String,
        port: u16,
    },
    Exec {
        containment: Containment,
        command: SpawnRequest,
    },
    File(PathBuf),
    Log(Tap),
    Port {
        port: u16,
        group: Arc<OnceLock<Arc<Group>>>,
    },
    Ready(watch::Receiver<Heard>),
    Watchdog(watch::Receiver<Heard>),
}

impl Prober {
    /// Readies a probe. To be called before the run is spawned: from here on a `log` check
    /// sees each of its lines.
    ///
    /// # Errors
    /// The probe cannot be made, whatever the run does.
    pub fn new(probe: &Probe, surroundings: &Surroundings) -> Result<Self, ProbeError> {
        let kind = match &probe.check {
            Check::Http(check) => Kind::Http(Box::new(HttpProbe::new(check)?)),
            Check::Tcp { host, port } => Kind::Tcp {
                host: host.clone(),
                port: *port,
            },
            Check::Exec(command) => Kind::Exec {
                containment: surroundings.containment.clone(),
                command: SpawnRequest::command(StageRequest {
                    argv: command.argv().into_iter().map(OsString::from).collect(),
                    environment: surroundings.environment.clone(),
                    working_dir: surroundings.working_dir.clone(),
                })
                .with_options(surroundings.options.clone()),
            },
            Check::File(path) => Kind::File(surroundings.working_dir.join(path)),
            Check::Log(pattern) => {
                let pattern = regex::bytes::Regex::new(&pattern.0)?;
                Kind::Log(surroundings.taps.tap(surroundings.run, pattern))
            }
            Check::Port(name) => {
                let port = surroundings.ports.get(name).copied();
                Kind::Port {
                    port: port.ok_or_else(|| ProbeError::NoPort(name.clone()))?,
                    group: Arc::clone(&surroundings.group),
                }
            }
            Check::Notify => Kind::Ready(heard(surroundings)?),
        };
        Ok(Self::of(kind, probe))
    }

    /// The same for a liveness probe: `notify` is the watchdog there, which reports each
    /// interval of silence.
    ///
    /// # Errors
    /// As [`Prober::new`].
    pub fn liveness(probe: &Probe, surroundings: &Surroundings) -> Result<Self, ProbeError> {
        match probe.check {
            Check::Notify => Ok(Self::of(Kind::Watchdog(heard(surroundings)?), probe)),
            Check::Http(_)
            | Check::Tcp { .. }
            | Check::Exec(_)
            | Check::File(_)
            | Check::Port(_)
            | Check::Log(_) => Self::new(probe, surroundings),
        }
    }

    fn of(kind: Kind, probe: &Probe) -> Self {
        Self {
            kind,
            floor: pace::floor(&probe.check),
            interval: probe.interval,
            timeout: probe.timeout,
            initial_delay: probe.initial_delay,
        }
    }

    /// Checks until it is dropped and reports every result. A `log` check reports one
    /// success, however long that takes, and returns; so does `notify`.
    ///
    /// `settled` tells whether the probe has reached its success, by whoever counts; from
    /// then on it is paced by its interval, for good. `report` must not block.
    pub async fn run(
        mut self,
        mut settled: watch::Receiver<bool>,
        mut report: impl FnMut(ProbeResult) + Send,
    ) {
        sleep(self.initial_delay).await;
        match &mut self.kind {
            Kind::Log(tap) => {
                tap.matched().await;
                return report(ProbeResult::Success);
            }
            Kind::Ready(heard) => {
                notify::ready(heard).await;
                return report(ProbeResult::Success);
            }
            Kind::Watchdog(heard) => return notify::watchdog(heard, self.interval, report).await,
            Kind::Http(_) | Kind::Tcp { .. } | Kind::Exec { .. } | Kind::File(_) => {}
            Kind::Port { .. } => {}
        }
        let began = Instant::now();
        loop {
            let checked = Instant::now();
            report(self.check().await);
            self.pause(began, checked, &mut settled).await;
        }
    }

    /// Waits for the time of the next check; waits longer if it is settled meanwhile.
    async fn pause(&self, began: Instant, checked: Instant, settled: &mut watch::Receiver<bool>) {
        let quick = pace::delay(self.floor, began.elapsed(), self.interval);
        let told = async { settled.wait_for(|&settled| settled).await.is_ok() };
        let is_settled = tokio::select! {
            biased;
            is_settled = told => {
                // Otherwise nobody will tell any more, and what was told last holds.
                if !is_settled {
                    sleep(quick).await;
                }
                is_settled
            }
            () = sleep(quick) => false,
        };
        if is_settled {
            // Counted from the start of the check, unless that took longer.
            let next = (checked + self.interval).max(Instant::now() + self.floor);
            sleep_until(next).await;
        }
    }

    async fn check(&self) -> ProbeResult {
        let check = async {
            match &self.kind {
                Kind::Http(probe) => probe.check().await,
                Kind::Tcp { host, port } => tcp::check(host, *port).await,
                Kind::Exec {
                    containment,
                    command,
                } => return exec::check(containment, command, self.timeout).await,
                Kind::File(path) => file::check(path).await,
                Kind::Port { port, group } => port::check(*port, group.get()).await,
                // Reported by `run` itself.
                Kind::Log(tap) if tap.has_matched() => ProbeResult::Success,
                Kind::Log(_) => ProbeResult::Failure("no line has matched".to_owned()),
                // The same.
                Kind::Ready(heard) | Kind::Watchdog(heard) if heard.borrow().ready => {
                    ProbeResult::Success
                }
                Kind::Ready(_) | Kind::Watchdog(_) => {
                    ProbeResult::Failure("it has not said so".to_owned())
                }
            }
        };
        // A command is given its own end first, so that it can be reported with its words.
        let limit = match self.kind {
            Kind::Exec { .. } => self.timeout.saturating_mul(2),
            Kind::Http(_) | Kind::Tcp { .. } | Kind::File(_) | Kind::Log(_) => self.timeout,
            Kind::Port { .. } | Kind::Ready(_) | Kind::Watchdog(_) => self.timeout,
        };
        timeout(limit, check)
            .await
            .unwrap_or_else(|_| ProbeResult::Failure(late(self.timeout)))
    }
}

fn heard(surroundings: &Surroundings) -> Result<watch::Receiver<Heard>, ProbeError> {
    surroundings.heard.clone().ok_or(ProbeError::NotHeard)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn missing_file(interval: Duration, initial_delay: Duration) -> Prober {
        Prober {
            kind: Kind::File("/no/such/file".into()),
            floor: 2 * MS,
            interval,
            timeout: 1000 * MS,
            initial_delay,
        }
    }

    /// When the checks of the first `length` were made, counted from the start.
    async fn checks(
        prober: Prober,
        settled: watch::Receiver<bool>,
        length: Duration,
    ) -> Vec<Duration> {
        let began = Instant::now();
        let times = Mutex::new(Vec::new());
        let report = |result: ProbeResult| {
            assert_eq!(
                result,
                ProbeResult::Failure("/no/such/file does not exist".into())
            );
            times.lock().unwrap().push(began.elapsed());
        };
        let _ = timeout(length, prober.run(settled, report)).await;
        times.into_inner().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_quick_at_first_and_slows_to_the_interval() {
        let (_tell, settled) = watch::channel(false);
        let times = checks(
            missing_file(200 * MS, 100 * MS),
            settled,
            Duration::from_secs(60),
        )
        .await;
        assert_eq!(times[0], 100 * MS, "at once after the initial delay");
        let mut longest = Duration::ZERO;
        for pair in times.windows(2) {
            let (elapsed, wait) = (pair[0] - times[0], pair[1] - pair[0]);
            let wanted = pace::delay(2 * MS, elapsed, 200 * MS);
            // The clock of tokio counts whole milliseconds.
            assert!(
                wait >= wanted && wait <= wanted + 2 * MS,
                "{wait:?} after {elapsed:?}"
            );
            longest = longest.max(wait);
        }
        assert!(longest >= 200 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn once_settled_it_is_paced_by_its_interval() {
        let (tell, settled) = watch::channel(false);
        let telling = async {
            sleep(50 * MS).await;
            tell.send_replace(true);
            // It was healthy once: the start is over, whatever comes.
            sleep(100 * MS).await;
            tell.send_replace(true);
            std::future::pending::<()>().await;
        };
        let times = tokio::select! {
            times = checks(
                missing_file(1000 * MS, Duration::ZERO),
                settled,
                Duration::from_secs(10),
            ) => times,
            () = telling => Vec::new(),
        };
        let quick = times.iter().filter(|time| **time <= 50 * MS).count();
        assert!(quick > 8, "{times:?}");
        let slow: Vec<_> = times[quick - 1..].windows(2).map(|p| p[1] - p[0]).collect();
        assert_eq!(slow.len(), 9, "{times:?}");
        assert!(
            slow.iter()
                .all(|wait| (1000 * MS..=1003 * MS).contains(wait)),
            "{slow:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn when_nobody_tells_any_more_it_goes_on() {
        let (tell, settled) = watch::channel(false);
        drop(tell);
        let times = checks(missing_file(100 * MS, Duration::ZERO), settled, 1000 * MS).await;
        assert!(times.len() > 20, "{times:?}");
    }
}
