//! What this machine, and this user on it, has for pk.

use super::super::inspect::plural;
use super::super::running;
use super::Finding;
use crate::contain::{Choice, Containment, Limits, Mechanism, most_open_files};
use crate::control::RuntimeFolder;

/// Fewer watches than this are used up by one larger project.
const FEW_WATCHES: u64 = 16_384;
/// Fewer are used up by editors alone.
const FEW_INSTANCES: u64 = 64;
/// Fewer do not suffice for some hundred units with their pipes.
const FEW_FILES: u64 = 4096;

pub(super) fn look() -> Vec<Finding> {
    let mut findings = vec![kernel()];
    findings.extend(containment());
    findings.extend([files(), watches(), instances(), ports(), docker()]);
    findings.extend(sockets());
    findings
}

fn read(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

fn number(path: &str) -> Option<u64> {
    read(path)?.parse().ok()
}

fn kernel() -> Finding {
    let release = read("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned());
    let uid = rustix::process::geteuid().as_raw();
    let who = if uid == 0 {
        "root".to_owned()
    } else {
        format!("user {uid}")
    };
    Finding::fine("system", format!("Linux {release}, as {who}"))
}

fn containment() -> Vec<Finding> {
    let mut findings = Vec::new();
    let chosen = match Containment::choose(Choice::Auto) {
        Ok(chosen) => chosen,
        Err(error) => return vec![Finding::bad("containment", error.to_string())],
    };
    let what = chosen.describe();
    findings.push(match chosen.mechanism() {
        Mechanism::Cgroup | Mechanism::PidNamespace => Finding::fine("containment", what),
        Mechanism::ProcessGroup => Finding::weak("containment", what).help(
            "as an ordinary user, `systemd-run --user --scope -p Delegate=yes pk up` gives it a \
             cgroup; `pk up --containment pid-namespace` is as strong where that is allowed",
        ),
    });
    if let Some(path) = chosen.stand_path() {
        findings.push(Finding::fine("cgroup", path.display().to_string()));
    }
    let left = chosen.left_over();
    findings.push(match (left.processes, &left.stuck[..]) {
        (0, []) => Finding::fine("left-overs", "nothing of a pk that was killed"),
        (ended, []) => {
            let what = plural(ended, "process").replace("processs", "processes");
            Finding::fine(
                "left-overs",
                format!("ended {what} of a pk that was killed"),
            )
        }
        (_, stuck) => {
            let paths: Vec<String> = stuck
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            Finding::bad(
                "left-overs",
                format!(
                    "what a pk that was killed had left in {} stays",
                    paths.join(", ")
                ),
            )
        }
    });
    let all = [
        (
            "limits.memory",
            Limits {
                memory: Some(1 << 40),
                ..Limits::default()
            },
        ),
        (
            "limits.cpus",
            Limits {
                cpus: Some(1.0),
                ..Limits::default()
            },
        ),
        (
            "limits.pids",
            Limits {
                pids: Some(1 << 20),
                ..Limits::default()
            },
        ),
    ];
    for (about, limits) in all {
        findings.push(match chosen.limited_group("doctor", limits) {
            Ok(_) => Finding::fine(about, "enforced"),
            Err(error) => Finding::weak(about, error.to_string())
                .help("a unit that asks for it does not start, unless `best_effort: true`"),
        });
    }
    drop(chosen);
    findings.push(
        match Containment::choose(Choice::Only(Mechanism::PidNamespace)) {
            Ok(_) => Finding::fine(
                "pid namespaces",
                "to be had (`--containment pid-namespace`)",
            ),
            Err(error) => Finding::weak("pid namespaces", error.to_string()),
        },
    );
    findings
}

fn files() -> Finding {
    let most = most_open_files();
    let what = format!("{most} may be open");
    if most < FEW_FILES {
        Finding::weak("files", what).help("`ulimit -Hn`: a large stack needs more")
    } else {
        Finding::fine("files", what)
    }
}

fn watches() -> Finding {
    let about = "inotify watches";
    match number("/proc/sys/fs/inotify/max_user_watches") {
        None => Finding::bad(about, "there is no inotify: `watch` does not work"),
        Some(most) if most < FEW_WATCHES => {
            Finding::weak(about, format!("{most}, which large folders use up"))
                .help("`sysctl fs.inotify.max_user_watches=524288`, as root")
        }
        Some(most) => Finding::fine(about, most.to_string()),
    }
}

fn instances() -> Finding {
    let about = "inotify instances";
    match number("/proc/sys/fs/inotify/max_user_instances") {
        None => Finding::bad(about, "there is no inotify: `watch` does not work"),
        Some(most) if most < FEW_INSTANCES => {
            Finding::weak(about, format!("{most}, which editors may use up"))
                .help("`sysctl fs.inotify.max_user_instances=512`, as root")
        }
        Some(most) => Finding::fine(about, most.to_string()),
    }
}

fn ports() -> Finding {
    let about = "ports";
    match read("/proc/sys/net/ipv4/ip_local_port_range") {
        Some(range) => {
            let range = range.split_whitespace().collect::<Vec<_>>().join(" to ");
            Finding::fine(
                about,
                format!("`auto` picks outside of {range}, the system's own"),
            )
        }
        None => Finding::weak(about, "it is unknown which the system uses itself"),
    }
}

/// What is handed to it is nobody's descendant.
fn docker() -> Finding {
    let about = "docker";
    let socket = std::path::Path::new("/var/run/docker.sock").exists();
    if socket {
        Finding::weak(
            about,
            "containers, and what at(1), cron or systemd start, are no children of pk: it cannot \
             end them",
        )
        .help("run them in the foreground (`docker run --rm`), or say how with `shutdown.command`")
    } else {
        Finding::fine(about, "its daemon is not here")
    }
}

fn sockets() -> Vec<Finding> {
    let place = running::runtime_folder();
    let about = "runtime folder";
    let longest = "sockets of stacks are there, for you and root alone";
    match RuntimeFolder::find(place.clone()) {
        Err(error) => vec![Finding::bad(about, error.to_string()).help(error.hint())],
        Ok(None) => vec![Finding::fine(
            about,
            format!("{}, made by the first `pk up`", place.display()),
        )],
        Ok(Some(folder)) => {
            let mut findings = vec![Finding::fine(
                about,
                format!("{}: {longest}", folder.path().display()),
            )];
            findings.push(match crate::control::running(&folder) {
                Ok(all) => {
                    let names: Vec<String> = (all.iter())
                        .map(|one| format!("{} (pid {})", one.record.name, one.record.pid))
                        .collect();
                    let names = if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    };
                    Finding::fine("running stacks", names)
                }
                Err(error) => Finding::bad("running stacks", error.to_string()),
            });
            findings
        }
    }
}
