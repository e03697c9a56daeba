//! By what means a group holds its members, and why by these.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::cgroup::{LeftOver, Refusal, Stand};
use super::group::Group;
use super::keeper::{Space, Zygote, why_refused};
use super::limits::{LimitError, Limits};
use super::stats;
use super::sys;

/// What keeps the members of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A control group, version 2 (`cgroups(7)`), and a process group in it.
    Cgroup,
    /// A process group (`setpgid(2)`), and where one can be had a keeper, to whom comes back
    /// whoever leaves it.
    ProcessGroup,
    /// A pid namespace (`pid_namespaces(7)`), whose first process is a keeper.
    PidNamespace,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup => "cgroup",
            Self::ProcessGroup => "process-group",
            Self::PidNamespace => "pid-namespace",
        })
    }
}

/// Which mechanism is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The strongest that is to be had.
    #[default]
    Auto,
    /// This one or none.
    Only(Mechanism),
}

/// Why there is no mechanism.
#[derive(Debug, thiserror::Error)]
pub enum ChoiceError {
    #[error("no cgroup can be made: {0}")]
    Cgroup(#[from] Refusal),
    #[error("no pid namespace can be made: {0}")]
    PidNamespace(String),
    #[error("SIGCHLD cannot be set back to its default: {0}")]
    Signals(io::Error),
}

/// The mechanism, chosen once; makes the groups.
#[derive(Clone, Debug)]
pub struct Containment {
    means: Means,
    reason: Arc<str>,
    left_over: LeftOver,
}

impl Containment {
    /// Finds the mechanism to use here, and readies this process for it: SIGCHLD must not be
    /// ignored, or the kernel would reap children by itself.
    ///
    /// # Errors
    /// The one that was asked for is not to be had, and why.
    pub fn choose(choice: Choice) -> Result<Self, ChoiceError> {
        sys::keep_zombies().map_err(ChoiceError::Signals)?;
        let without = |means, reason: String| Self {
            means,
            reason: reason.into(),
            left_over: LeftOver::default(),
        };
        match choice {
            Choice::Only(Mechanism::ProcessGroup) => {
                let (means, reason) = keepers("asked for".to_owned());
                return Ok(without(means, reason));
            }
            Choice::Only(Mechanism::PidNamespace) => {
                let (zygote, space) = namespaces().map_err(ChoiceError::PidNamespace)?;
                let means = Means::Keepers(zygote, space);
                return Ok(without(means, "asked for".to_owned()));
            }
            Choice::Auto | Choice::Only(Mechanism::Cgroup) => {}
        }
        match Stand::raise() {
            Ok((stand, left_over)) => Ok(Self {
                means: Means::Cgroups(stand),
                reason: match choice {
                    Choice::Auto => "the strongest here".into(),
                    Choice::Only(_) => "asked for".into(),
                },
                left_over,
            }),
            Err(refusal) if choice == Choice::Auto => {
                let (means, reason) = keepers(format!("no cgroup: {refusal}"));
                Ok(without(means, reason))
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// [`Containment::choose`] with nothing asked for.
    ///
    /// # Errors
    /// [`ChoiceError::Signals`].
    pub fn detect() -> Result<Self, ChoiceError> {
        Self::choose(Choice::Auto)
    }

    /// A group without members.
    #[must_use]
    pub fn group(&self) -> Group {
        self.named_group("group")
    }

    /// A group whose cgroup bears this name, for people who look there. The name has no `/`.
    #[must_use]
    pub fn named_group(&self, name: &str) -> Group {
        self.new_group(name, Limits::default())
    }

    /// A group that may use no more than this, all its members together.
    ///
    /// # Errors
    /// The limit that cannot be enforced here, and the true cause.
    pub fn limited_group(&self, name: &str, limits: Limits) -> Result<Group, LimitError> {
        limits.check()?;
        for controller in limits.controllers() {
            let Means::Cgroups(stand) = &self.means else {
                let reason = self.reason.to_string();
                return Err(LimitError::NoCgroup { controller, reason });
            };
            stand.enable(controller)?;
        }
        Ok(self.new_group(name, limits))
    }

    fn new_group(&self, name: &str, limits: Limits) -> Group {
        Group::new(self.means.clone(), Arc::clone(&self.reason), name, limits)
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.means.mechanism()
    }

    /// Why this mechanism and no other.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What a dead pk had left here, and was cleaned up.
    #[must_use]
    pub fn left_over(&self) -> &LeftOver {
        &self.left_over
    }

    /// The cgroup below which all groups are, if they are held in cgroups. Whoever outlives
    /// this process ends by it what that leaves.
    #[must_use]
    pub fn stand_path(&self) -> Option<&Path> {
        match &self.means {
            Means::Cgroups(stand) => Some(stand.path()),
            Means::Keepers(..) | Means::ProcessGroups => None,
        }
    }

    /// The processor time of all groups together, also of those that are no more; `None`
    /// where nobody counts it. While it stands still no member of any has done anything.
    #[must_use]
    pub fn cpu_used(&self) -> Option<std::time::Duration> {
        match &self.means {
            Means::Cgroups(stand) => stats::cpu_below(stand.path()),
            Means::Keepers(..) | Means::ProcessGroups => None,
        }
    }

    /// In two words, for people.
    #[must_use]
    pub fn short(&self) -> &'static str {
        match self.means {
            Means::Cgroups(_) => "cgroup v2",
            Means::Keepers(_, Space::Same) => "keeper",
            Means::Keepers(_, Space::Pids | Space::PidsOfUser) => "pid namespace",
            Means::ProcessGroups => "process group",
        }
    }

    /// One plain line for people: what is used, why, and what it cannot see.
    #[must_use]
    pub fn describe(&self) -> String {
        let reason = &self.reason;
        match self.means {
            Means::Cgroups(_) => format!("held in cgroups ({reason})"),
            Means::Keepers(_, Space::Same) => {
                format!(
                    "held by a keeper per run ({reason}): not if every process of pk is killed in one instant"
                )
            }
            Means::Keepers(_, Space::Pids | Space::PidsOfUser) => {
                format!("held in pid namespaces ({reason})")
            }
            Means::ProcessGroups => {
                format!("held in process groups ({reason}): setsid leaves them unseen")
            }
        }
    }
}

/// By what a mechanism is had.
#[derive(Clone, Debug)]
pub(super) enum Means {
    Cgroups(Arc<Stand>),
    Keepers(Arc<Zygote>, Space),
    /// Where there can be no keepers: what leaves its process group gets away.
    ProcessGroups,
}

impl Means {
    pub fn mechanism(&self) -> Mechanism {
        match self {
            Self::Cgroups(_) => Mechanism::Cgroup,
            Self::Keepers(_, Space::Same) | Self::ProcessGroups => Mechanism::ProcessGroup,
            Self::Keepers(_, Space::Pids | Space::PidsOfUser) => Mechanism::PidNamespace,
        }
    }
}

/// Keepers, or why there are none.
fn keepers(reason: String) -> (Means, String) {
    match Zygote::raise() {
        Ok(zygote) => (Means::Keepers(zygote, Space::Same), reason),
        Err(cause) => (
            Means::ProcessGroups,
            format!("{reason}; no keeper: {cause}"),
        ),
    }
}

/// The zygote, if it can make pid namespaces.
fn namespaces() -> Result<(Arc<Zygote>, Space), String> {
    let zygote = Zygote::raise().map_err(|cause| format!("no keeper: {cause}"))?;
    let space = if rustix::process::geteuid().is_root() {
        Space::Pids
    } else {
        Space::PidsOfUser
    };
    match zygote.probe(space) {
        Ok(()) => Ok((zygote, space)),
        Err((mapping, cause)) => Err(why_refused(space, mapping, &cause)),
    }
}
