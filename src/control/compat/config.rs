//! What the file says of a process, as process-compose writes it.
//!
//! Conditions and policies are numbers there. Values that are secrets are masked, as
//! wherever configuration is shown.

use std::time::Duration;

use super::Look;
use super::shapes::{
    DependencyConfig, ExecConfig, HttpConfig, LoggerConfig, ProbeConfig, ProcessConfig,
    RestartConfig, RotationConfig, ScheduleConfig, ShutdownConfig, WatchConfig, WatchPathConfig,
};
use crate::domain::keys;
use crate::domain::secret;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::{
    Check, Command, Condition, Essential, Lifetime, Probe, Program, RestartPolicy, Tty, UnitSpec,
    When,
};

/// Whole seconds, at least one where there is any time at all.
fn seconds(time: Duration) -> u64 {
    let rest = u64::from(time.subsec_nanos() > 0);
    time.as_secs() + rest
}

/// The instance as its file has it.
pub(super) fn process_config(view: &UnitView, spec: &UnitSpec, look: &Look<'_>) -> ProcessConfig {
    let replica_name = look.name(view).to_owned();
    let (name, number) = process_name(view, spec, &replica_name, look);
    let views = look.snapshot.units.iter();
    let replicas = match replica_name.strip_prefix(&*name) {
        _ if spec.replicas.is_some() => views.filter(|other| other.unit == view.unit).count(),
        Some("") | None => 1,
        Some(_) => views
            .filter(|other| is_one_of(look.name(other), &name))
            .count(),
    };
    let command = match &spec.program {
        Program::Command(command) => command.clone(),
        Program::Pipeline(stages) => Command::Exec(stages.first().map_or_else(Vec::new, |stage| {
            stage
                .command
                .argv()
                .into_iter()
                .map(str::to_owned)
                .collect()
        })),
    };
    let mut argv = shown(&command).into_iter();
    let executable = argv.next().unwrap_or_default();
    let args: Vec<String> = argv.collect();
    let (script, entrypoint) = match &command {
        Command::Shell { script, .. } => (secret::masked_text(script).into_owned(), Vec::new()),
        Command::Exec(_) => {
            let words = std::iter::once(executable.clone()).chain(args.iter().cloned());
            (String::new(), words.collect())
        }
    };
    ProcessConfig {
        disabled: spec.disabled,
        is_daemon: spec.lifetime == Lifetime::Launched,
        command: script,
        entrypoint,
        log_location: spec
            .logs
            .file
            .as_ref()
            .map(|file| file.display().to_string()),
        logger_config: logger(spec),
        environment: (spec.environment.unit.iter())
            .filter(|(name, _)| !name.starts_with("PC_"))
            .map(|(name, value)| format!("{name}={}", secret::masked(name, value)))
            .collect(),
        restart_policy: restart(spec),
        depends_on: (spec.depends_on.iter())
            .map(|edge| (edge.unit.as_str().to_owned(), edge.condition.into()))
            .collect(),
        liveness_probe: spec.liveness.as_ref().map(probe),
        readiness_probe: (spec.readiness.as_ref().or(spec.startup.as_ref()))
            .filter(|probe| !matches!(probe.check, Check::Log(_)))
            .map(probe),
        ready_log_line: [&spec.readiness, &spec.startup]
            .into_iter()
            .flatten()
            .find_map(log_line),
        shut_down_params: ShutdownConfig {
            shut_down_command: spec.shutdown.command.as_ref().map(text),
            shut_down_timeout: seconds(spec.shutdown.timeout),
            signal: spec.shutdown.signal.number(),
            parent_only: spec.shutdown.leader_only,
            send_keys: (!spec.shutdown.send_keys.is_empty()).then(|| {
                String::from_utf8_lossy(&keys::bytes(&spec.shutdown.send_keys)).into_owned()
            }),
        },
        working_dir: spec.working_dir.display().to_string(),
        namespace: look.namespaces(view).into(),
        replicas,
        description: spec.description.clone(),
        is_foreground: spec.foreground,
        is_tty: spec.tty == Tty::Output || (spec.tty == Tty::Full && !spec.stdin),
        is_interactive: spec.tty == Tty::Full && spec.stdin,
        launch_timeout: (spec.timeouts.ready)
            .filter(|_| spec.lifetime == Lifetime::Launched)
            .map_or(0, seconds),
        replica_num: number,
        replica_name,
        executable,
        args,
        schedule: spec.schedule.as_ref().map(|schedule| match &schedule.when {
            When::Every(every) => ScheduleConfig {
                cron: None,
                timezone: None,
                interval: Some(format!("{}s", every.as_secs_f64())),
                run_on_start: schedule.at_start,
            },
            When::Cron {
                expression,
                timezone,
            } => ScheduleConfig {
                cron: Some(expression.clone()),
                timezone: timezone.clone(),
                interval: None,
                run_on_start: schedule.at_start,
            },
        }),
        watch: spec.watch.as_ref().map(|watch| WatchConfig {
            paths: (watch.paths.iter())
                .map(|path| WatchPathConfig {
                    path: path.clone(),
                    exclude: watch.ignore.clone(),
                })
                .collect(),
            cascade: watch.cascade,
            debounce: format!("{}ms", watch.debounce.as_millis()),
        }),
        success_exit_codes: spec.success_exit_codes.codes.clone(),
        name,
    }
}

impl Look<'_> {
    /// The name of a process, whichever of its replicas this is.
    pub(super) fn process(&self, view: &UnitView, spec: &UnitSpec) -> String {
        process_name(view, spec, self.name(view), self).0
    }
}

/// The name that all replicas of a process have in common, and which of them this is.
fn process_name(view: &UnitView, spec: &UnitSpec, replica: &str, look: &Look<'_>) -> (String, u64) {
    if spec.replicas.is_some() {
        let number = view
            .name
            .as_str()
            .rsplit_once('-')
            .map(|(_, number)| number.parse::<u64>());
        let number = number.and_then(Result::ok).unwrap_or(1);
        return (view.unit.as_str().to_owned(), number.saturating_sub(1));
    }
    let number = spec.environment.unit.get("PC_REPLICA_NUM");
    let number: u64 = number.and_then(|number| number.parse().ok()).unwrap_or(0);
    (
        common(replica, number, |other| look.find(other).is_some()).to_owned(),
        number,
    )
}

/// What stands before the number of a replica. The first one is one of several if there is a
/// second one.
fn common(replica: &str, number: u64, exists: impl Fn(&str) -> bool) -> &str {
    let Some((name, digits)) = replica.rsplit_once('-') else {
        return replica;
    };
    let width = digits.len();
    let is_replica =
        digits.parse() == Ok(number) && (number > 0 || exists(&format!("{name}-{:0width$}", 1)));
    if is_replica { name } else { replica }
}

/// Whether a name is that of a process and a number behind it.
fn is_one_of(replica: &str, name: &str) -> bool {
    let number = replica
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn shown(command: &Command) -> Vec<String> {
    match command {
        Command::Shell { shell, script } => (shell.iter().cloned())
            .chain([secret::masked_text(script).into_owned()])
            .collect(),
        Command::Exec(argv) => (secret::masked_args(argv).into_iter())
            .map(std::borrow::Cow::into_owned)
            .collect(),
    }
}

fn text(command: &Command) -> String {
    match command {
        Command::Shell { script, .. } => secret::masked_text(script).into_owned(),
        Command::Exec(_) => shown(command).join(" "),
    }
}

fn logger(spec: &UnitSpec) -> Option<LoggerConfig> {
    let (size, files) = (spec.logs.max_size, spec.logs.max_files);
    (size.is_some() || files.is_some()).then(|| LoggerConfig {
        rotation: RotationConfig {
            max_size: size.map_or(0, |size| size.div_ceil(1 << 20)),
            max_backups: files.map_or(0, u64::from),
        },
    })
}

fn restart(spec: &UnitSpec) -> RestartConfig {
    let fails = matches!(
        spec.essential,
        Essential::Failure | Essential::FailureOrSkipped
    );
    let skips = matches!(
        spec.essential,
        Essential::Skipped | Essential::FailureOrSkipped
    );
    let policy = spec.restart.policy;
    RestartConfig {
        restart: match policy {
            RestartPolicy::No if fails => 3,
            RestartPolicy::No => 0,
            RestartPolicy::Always => 1,
            RestartPolicy::OnFailure => 2,
        },
        backoff_seconds: match policy {
            RestartPolicy::No => 0,
            RestartPolicy::Always | RestartPolicy::OnFailure => {
                seconds(spec.restart.backoff.initial)
            }
        },
        max_restarts: match policy {
            RestartPolicy::No => 0,
            RestartPolicy::Always | RestartPolicy::OnFailure => {
                spec.restart.max_restarts.map_or(0, u64::from)
            }
        },
        exit_on_end: spec.essential == Essential::Any,
        exit_on_skipped: skips,
    }
}

impl From<Condition> for DependencyConfig {
    fn from(condition: Condition) -> Self {
        Self {
            condition: match condition {
                Condition::Completed => 0,
                Condition::Succeeded => 1,
                Condition::Ready => 2,
                Condition::Started => 3,
                Condition::LogReady => 4,
            },
        }
    }
}

fn probe(probe: &Probe) -> ProbeConfig {
    let (mut exec, mut http_get) = (None, None);
    match &probe.check {
        Check::Exec(command) => {
            exec = Some(ExecConfig {
                command: text(command),
            });
        }
        Check::Http(check) => {
            let (scheme, rest) = check.url.split_once("://").unwrap_or(("http", &check.url));
            let at = rest.find('/').unwrap_or(rest.len());
            let (place, path) = rest.split_at(at);
            let (host, port) = match place.rsplit_once(':') {
                Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) => (host, port),
                Some(_) | None => (place, ""),
            };
            http_get = Some(HttpConfig {
                host: host.to_owned(),
                path: if path.is_empty() { "/" } else { path }.to_owned(),
                scheme: scheme.to_owned(),
                port: port.to_owned(),
                num_port: port.parse().unwrap_or(0),
                headers: (check.headers.iter())
                    .map(|(name, value)| (name.clone(), secret::masked(name, value).to_string()))
                    .collect(),
                status_code: check.status.first().map_or(200, |range| range.first),
            });
        }
        // Kinds that process-compose does not have: there is a probe, and nothing more to say.
        Check::Tcp { .. } | Check::File(_) | Check::Port(_) | Check::Log(_) | Check::Notify => {}
    }
    ProbeConfig {
        exec,
        http_get,
        initial_delay: seconds(probe.initial_delay),
        period_seconds: seconds(probe.interval),
        timeout_seconds: seconds(probe.timeout),
        success_threshold: probe.success_threshold,
        failure_threshold: probe.failure_threshold,
    }
}

/// The line of a `log` probe: its text, where it is one and no pattern.
fn log_line(probe: &Probe) -> Option<String> {
    let Check::Log(pattern) = &probe.check else {
        return None;
    };
    let mut plain = String::new();
    let mut chars = pattern.0.chars();
    while let Some(c) = chars.next() {
        plain.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    let is_text = regex::escape(&plain) == pattern.0;
    Some(if is_text { plain } else { pattern.0.clone() })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn replicas_share_a_name() {
        let two = |name: &str| ["web-1", "job-01"].contains(&name);
        assert_eq!(common("web-0", 0, two), "web");
        assert_eq!(common("job-00", 0, two), "job");
        assert_eq!(common("web-07", 7, two), "web");
        assert_eq!(common("a-0", 0, two), "a-0");
        assert_eq!(common("worker-1", 0, two), "worker-1");
        assert_eq!(common("web", 0, two), "web");
    }

    #[test]
    fn an_address_comes_apart() {
        let check = Check::Http(crate::domain::spec::HttpCheck {
            url: "https://localhost:4000/up?x=1".to_owned(),
            method: "GET".to_owned(),
            headers: BTreeMap::new(),
            status: Vec::new(),
            body: None,
        });
        let written = serde_json::to_value(probe(&Probe::new(check))).unwrap();
        assert_eq!(
            written["httpGet"],
            serde_json::json!({"host": "localhost", "path": "/up?x=1", "scheme": "https",
                "port": "4000", "numPort": 4000, "statusCode": 200})
        );
    }

    #[test]
    fn a_line_to_wait_for_is_text_again() {
        let of = |pattern: &str| {
            let pattern = crate::domain::spec::Pattern(pattern.to_owned());
            log_line(&Probe::new(Check::Log(pattern))).unwrap()
        };
        assert_eq!(of(r"is up \(8080\)"), "is up (8080)");
        assert_eq!(of("up|down"), "up|down");
    }
}
