//! Specs in plain words.

use crate::contain::LeftOver;
use crate::domain::event::ProbeRole;
use crate::domain::id::UnitName;
use crate::domain::plan::PlanDifference;
use crate::domain::secret;
use crate::domain::spec::{
    Check, Command, Condition, Dependency, Essential, OnFailure, Probe, Program, Restart,
    RestartPolicy, Shutdown, UnitKind, UnitSpec,
};
use crate::domain::text::format_duration;

/// One line of a command; a longer one ends with an ellipsis.
#[must_use]
pub fn command(command: &Command) -> String {
    match command {
        Command::Shell { script, .. } => first_line(&secret::masked_text(script)),
        Command::Exec(argv) => first_line(&secret::masked_args(argv).join(" ")),
    }
}

fn first_line(text: &str) -> String {
    const WIDTH: usize = 60;
    let trimmed = text.trim();
    let line = trimmed.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(WIDTH).collect();
    if cut.len() < trimmed.len() {
        format!("{} …", cut.trim_end())
    } else {
        cut
    }
}

/// What a unit executes, one line for each stage.
#[must_use]
pub fn program(program: &Program) -> Vec<String> {
    match program {
        Program::Command(one) => vec![command(one)],
        Program::Pipeline(stages) => stages
            .iter()
            .enumerate()
            .map(|(place, stage)| {
                let pipe = if place > 0 { "| " } else { "" };
                let name = if stage.name == (place + 1).to_string() {
                    String::new()
                } else {
                    format!("{}: ", stage.name)
                };
                format!("{pipe}{name}{}", command(&stage.command))
            })
            .collect(),
    }
}

/// What was found of a pk that was killed, one line for each thing to say.
#[must_use]
pub fn left_over(found: &LeftOver) -> Vec<String> {
    let mut lines = Vec::new();
    if found.processes > 0 {
        let (ended, one) = (found.processes, found.processes == 1);
        let processes = if one { "process" } else { "processes" };
        lines.push(format!(
            "ended {ended} {processes} that a pk which was killed had left"
        ));
    }
    lines.extend(found.stuck.iter().map(|path| {
        format!(
            "could not end what a pk which was killed had left in {}",
            path.display()
        )
    }));
    lines
}

/// How two plans differ, in one line.
#[must_use]
pub fn difference(difference: &PlanDifference) -> String {
    let of = |names: &[UnitName], what: &str| -> Option<String> {
        const NAMED: usize = 5;
        let named: Vec<&str> = names.iter().take(NAMED).map(UnitName::as_str).collect();
        let more = names.len().saturating_sub(NAMED);
        let rest = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        (!names.is_empty()).then(|| format!("{}{rest} {what}", named.join(", ")))
    };
    let parts: Vec<String> = [
        of(&difference.added, "added"),
        of(&difference.removed, "removed"),
        of(&difference.changed, "changed"),
        of(&difference.scaled, "scaled"),
        of(&difference.updated, "updated without a restart"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        "nothing changes".to_owned()
    } else {
        parts.join("; ")
    }
}

/// Why that condition.
#[must_use]
pub fn why_condition(dependency: &Dependency, on: &UnitSpec) -> &'static str {
    let has_probe = on.readiness.is_some();
    match (dependency.condition, on.kind) {
        (Condition::Succeeded, UnitKind::Task) => "it is a task",
        (Condition::Ready, UnitKind::Service) if has_probe => "it has a readiness probe",
        (Condition::Started, UnitKind::Service) if !has_probe => "it has no readiness probe",
        _ => "the file says so",
    }
}

/// What makes a probe succeed: completes "ready when …".
#[must_use]
pub fn check(check: &Check) -> String {
    match check {
        Check::Http(http) => {
            let status: Vec<String> = http.status.iter().map(ToString::to_string).collect();
            let body = http.body.as_ref().map_or_else(String::new, |body| {
                format!(" with a body like /{}/", body.0)
            });
            let url = secret::masked_text(&http.url);
            format!(
                "{} {url} is answered by {}{body}",
                http.method,
                status.join(" or ")
            )
        }
        Check::Tcp { host, port } => format!("{host}:{port} accepts a connection"),
        Check::Exec(exec) => format!("`{}` exits with 0", command(exec)),
        Check::File(path) => format!("{} exists", path.display()),
        Check::Port(name) => format!("it listens on its port `{name}`"),
        Check::Log(pattern) => format!("it logs a line like /{}/", pattern.0),
        Check::Notify => "it says so itself (sd_notify)".to_owned(),
    }
}

/// How often a probe looks, and what its failure leads to.
#[must_use]
pub fn pace(probe: &Probe, role: ProbeRole) -> String {
    if probe.check.latches() {
        return "looked for in its output as it comes".to_owned();
    }
    let times = match probe.failure_threshold {
        1 => "one failure".to_owned(),
        n => format!("{n} failures in a row"),
    };
    let then = match (role, probe.on_failure) {
        (ProbeRole::Readiness, OnFailure::Wait) => format!("{times} make it unready"),
        _ => format!("{times} end the run"),
    };
    format!(
        "looked at often at first, then every {}, each time for up to {}; {then}",
        format_duration(probe.interval),
        format_duration(probe.timeout),
    )
}

#[must_use]
pub fn restart(restart: &Restart) -> String {
    let when = match restart.policy {
        RestartPolicy::No => return "never by itself".to_owned(),
        RestartPolicy::OnFailure => "when it fails",
        RestartPolicy::Always => "whenever it ends",
    };
    let budget = match (restart.max_restarts, restart.window) {
        (None, _) => "any number of times".to_owned(),
        (Some(max), None) => format!("at most {max} times"),
        (Some(max), Some(window)) => {
            format!("at most {max} times in {}", format_duration(window))
        }
    };
    let backoff = restart.backoff;
    format!(
        "{when}, {budget}, after a wait of {} that grows to {}",
        format_duration(backoff.initial),
        format_duration(backoff.max)
    )
}

#[must_use]
pub fn shutdown(shutdown: &Shutdown) -> String {
    if shutdown.timeout.is_zero() {
        return "by SIGKILL, at once".to_owned();
    }
    let ask = match &shutdown.command {
        Some(stop) => format!("by `{}`", command(stop)),
        None if !shutdown.send_keys.is_empty() => {
            format!("by typing {}", shutdown.send_keys.join(" "))
        }
        None if shutdown.leader_only => format!("by {} to its first process", shutdown.signal),
        None => format!("by {} to all its processes", shutdown.signal),
    };
    let grace = format_duration(shutdown.timeout);
    format!("{ask}; what is left after {grace} is killed")
}

#[must_use]
pub fn essential(essential: Essential) -> Option<&'static str> {
    match essential {
        Essential::No => None,
        Essential::Any => Some("the stack stops when it ends"),
        Essential::Failure => Some("the stack stops when it fails"),
        Essential::Skipped => Some("the stack stops when it is skipped"),
        Essential::FailureOrSkipped => Some("the stack stops when it fails or is skipped"),
    }
}
