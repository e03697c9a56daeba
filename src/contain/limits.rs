//! What a group may use at most, enforced by the kernel's controllers (`cgroups(7)`).

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The most that a group may use, all its members together. What is left out is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// In bytes; who takes more is killed by the kernel.
    pub memory: Option<u64>,
    /// In processors' worth of time: 0.5 is half of one.
    pub cpus: Option<f64>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Why a limit cannot be enforced here.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    #[error("a limit on {controller} takes cgroups, and there are none: {reason}")]
    NoCgroup {
        controller: &'static str,
        reason: String,
    },
    #[error("this host binds the {controller} controller to cgroup v1")]
    BoundToV1 { controller: &'static str },
    #[error("this kernel has no {controller} controller, or it was switched off at boot")]
    NotInKernel { controller: &'static str },
    #[error("the {controller} controller is not delegated to {}", .path.display())]
    NotDelegated {
        controller: &'static str,
        path: PathBuf,
    },
    #[error(
        "the {controller} controller cannot be used: {} holds processes other than this one",
        .path.display()
    )]
    Occupied {
        controller: &'static str,
        path: PathBuf,
    },
    #[error("the {controller} controller cannot be enabled in {}: {cause}", .path.display())]
    Refused {
        controller: &'static str,
        path: PathBuf,
        cause: io::Error,
    },
    #[error("a limit on cpus must be a number above 0, not {0}")]
    NoSuchShare(f64),
}

/// What the kernel counts processor time by, in microseconds.
const PERIOD: f64 = 100_000.0;

impl Limits {
    /// These and what `other` sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            memory: other.memory.or(self.memory),
            cpus: other.cpus.or(self.cpus),
            pids: other.pids.or(self.pids),
        }
    }

    /// The controllers that enforce them.
    pub(super) fn controllers(&self) -> Vec<&'static str> {
        [
            (self.memory.is_some(), "memory"),
            (self.cpus.is_some(), "cpu"),
            (self.pids.is_some(), "pids"),
        ]
        .into_iter()
        .filter_map(|(asked, controller)| asked.then_some(controller))
        .collect()
    }

    pub(super) fn check(&self) -> Result<(), LimitError> {
        match self.cpus {
            Some(cpus) if !(cpus.is_finite() && cpus > 0.0) => Err(LimitError::NoSuchShare(cpus)),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes them into the cgroup `dir`.
    pub(super) fn write(&self, dir: &OwnedFd) -> io::Result<()> {
        if let Some(memory) = self.memory {
            write(dir, "memory.max", &memory.to_string())?;
        }
        if let Some(cpus) = self.cpus {
            // Less than a millisecond's worth is refused by the kernel.
            let quota = (cpus * PERIOD).max(1000.0).round();
            write(dir, "cpu.max", &format!("{quota} {PERIOD}"))?;
        }
        if let Some(pids) = self.pids {
            write(dir, "pids.max", &pids.to_string())?;
        }
        Ok(())
    }
}

fn write(dir: &OwnedFd, file: &str, text: &str) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, file, flags, Mode::empty())?;
    fs::File::from(fd).write_all(text.as_bytes())
}

/// Why `controller` is not among those of the cgroup `own`.
pub(super) fn why_missing(controller: &'static str, own: &Path) -> LimitError {
    let table = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    missing(&table, controller, own)
}

/// From the text of `/proc/cgroups`: name, hierarchy (0 is that of v2), count, enabled.
fn missing(table: &str, controller: &'static str, own: &Path) -> LimitError {
    let row = table
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&controller));
    match row.as_deref() {
        Some([_, _, _, "0"]) => LimitError::NotInKernel { controller },
        Some([_, hierarchy, ..]) if *hierarchy != "0" => LimitError::BoundToV1 { controller },
        Some(_) => LimitError::NotDelegated {
            controller,
            path: own.to_owned(),
        },
        None if table.is_empty() => LimitError::NotDelegated {
            controller,
            path: own.to_owned(),
        },
        None => LimitError::NotInKernel { controller },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_true_cause_is_named() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                     cpu\t0\t1\t1\nmemory\t4\t7\t1\npids\t0\t1\t0\n";
        let said = |controller| missing(table, controller, Path::new("/c/own")).to_string();
        assert_eq!(
            said("memory"),
            "this host binds the memory controller to cgroup v1"
        );
        assert_eq!(said("cpu"), "the cpu controller is not delegated to /c/own");
        assert_eq!(
            said("pids"),
            "this kernel has no pids controller, or it was switched off at boot"
        );
        assert_eq!(
            said("io"),
            "this kernel has no io controller, or it was switched off at boot"
        );
    }

    #[test]
    fn only_what_is_asked_for_takes_a_controller() {
        let limits = Limits {
            cpus: Some(0.5),
            pids: Some(10),
            ..Limits::default()
        };
        assert_eq!(limits.controllers(), ["cpu", "pids"]);
        assert!(limits.check().is_ok());
        let none = Limits {
            cpus: Some(0.0),
            ..limits
        };
        assert!(matches!(none.check(), Err(LimitError::NoSuchShare(_))));
    }
}
