//! What the file lets a run be and use: its user, its limits, its terminal.

use crate::contain::{
    Containment, Group, Limits, SpawnOptions, TerminalRequest, User, most_open_files,
};
use crate::domain::spec::{self, Tty, UnitSpec};
use crate::domain::terminal::TerminalSize;

/// What a run's processes are given. Says also which limits are not enforced, where the file
/// lets that be.
///
/// # Errors
/// In words: what the file asks for and cannot be had.
pub(super) fn options(
    spec: &UnitSpec,
    size: TerminalSize,
) -> Result<(SpawnOptions, Vec<String>), String> {
    let user = spec.user.as_deref().map(User::parse).transpose();
    let terminal = |output_only| TerminalRequest {
        rows: size.rows,
        columns: size.columns,
        output_only,
    };
    let mut warnings = Vec::new();
    let options = SpawnOptions {
        umask: spec.umask,
        nice: spec.nice,
        nofile: nofile(spec, &mut warnings)?,
        user: user.map_err(|error| format!("cannot run as another user: {error}"))?,
        session: false,
        terminal: match spec.tty {
            Tty::No => None,
            Tty::Full => Some(terminal(false)),
            Tty::Output => Some(terminal(true)),
        },
        input: spec.stdin,
    };
    Ok((options, warnings))
}

fn nofile(spec: &UnitSpec, warnings: &mut Vec<String>) -> Result<Option<u64>, String> {
    let Some(limits) = spec.limits else {
        return Ok(None);
    };
    let most = most_open_files();
    match limits.nofile {
        Some(wanted) if wanted > most && limits.best_effort => {
            warnings.push(format!(
                "limits.nofile is {most} instead of {wanted}: more is not permitted here"
            ));
            Ok(Some(most))
        }
        Some(wanted) if wanted > most => Err(format!(
            "limits.nofile cannot be {wanted}: more than {most} is not permitted here \
             (`ulimit -Hn`)"
        )),
        wanted => Ok(wanted),
    }
}

/// What a helper of the unit is given: it is the unit's, but no part of its run.
pub(super) fn helper_options(spec: &UnitSpec) -> Result<SpawnOptions, String> {
    let (mut options, _) = options(spec, TerminalSize::DEFAULT)?;
    options.terminal = None;
    options.input = false;
    options.nofile = None;
    Ok(options)
}

/// The group of a run, bounded as the file says. Says also which limits are not enforced,
/// where the file lets that be.
///
/// # Errors
/// In words: the limit that cannot be enforced, and the true cause.
pub(super) fn group(
    containment: &Containment,
    name: &str,
    spec: &UnitSpec,
) -> Result<(Group, Vec<String>), String> {
    let Some(limits) = spec.limits else {
        return Ok((containment.named_group(name), Vec::new()));
    };
    let mut enforced = Limits::default();
    let mut warnings = Vec::new();
    for (key, only) in each(limits) {
        match containment.limited_group(name, only) {
            Ok(_) => enforced = enforced.and(only),
            Err(error) if limits.best_effort => {
                warnings.push(format!("limits.{key} is not enforced: {error}"));
            }
            Err(error) => return Err(format!("limits.{key} cannot be enforced: {error}")),
        }
    }
    let group = containment.limited_group(name, enforced);
    Ok((group.map_err(|error| error.to_string())?, warnings))
}

fn each(limits: spec::Limits) -> Vec<(&'static str, Limits)> {
    let none = Limits::default;
    let memory = limits.memory.map(|memory| Limits {
        memory: Some(memory),
        ..none()
    });
    let cpus = limits.cpus.map(|cpus| Limits {
        cpus: Some(cpus),
        ..none()
    });
    let pids = limits.pids.map(|pids| Limits {
        pids: Some(pids),
        ..none()
    });
    [("memory", memory), ("cpus", cpus), ("pids", pids)]
        .into_iter()
        .filter_map(|(key, only)| Some((key, only?)))
        .collect()
}
