//! By what means a group holds its members, and why by these.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::cgroup::{LeftOver, Refusal, Stand};
use super::group::Group;
use super::limits::{LimitError, Limits};
use super::sys;

/// What keeps the members of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A control group, version 2 (`cgroups(7)`), and a process group in it.
    Cgroup,
    /// A process group (`setpgid(2)`).
    ProcessGroup,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cgroup => "cgroup",
            Self::ProcessGroup => "process-group",
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
    #[error("SIGCHLD cannot be set back to its default: {0}")]
    Signals(io::Error),
}

/// The mechanism, chosen once; makes the groups.
#[derive(Clone, Debug)]
pub struct Containment {
    stand: Option<Arc<Stand>>,
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
        let without_cgroup = |reason: String| Self {
            stand: None,
            reason: reason.into(),
            left_over: LeftOver::default(),
        };
        if choice == Choice::Only(Mechanism::ProcessGroup) {
            return Ok(without_cgroup("asked for".to_owned()));
        }
        match Stand::raise() {
            Ok((stand, left_over)) => Ok(Self {
                stand: Some(stand),
                reason: match choice {
                    Choice::Auto => "the strongest here".into(),
                    Choice::Only(_) => "asked for".into(),
                },
                left_over,
            }),
            Err(refusal) if choice == Choice::Auto => {
                Ok(without_cgroup(format!("no cgroup: {refusal}")))
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
            let Some(stand) = &self.stand else {
                let reason = self.reason.to_string();
                return Err(LimitError::NoCgroup { controller, reason });
            };
            stand.enable(controller)?;
        }
        Ok(self.new_group(name, limits))
    }

    fn new_group(&self, name: &str, limits: Limits) -> Group {
        Group::new(self.stand.clone(), Arc::clone(&self.reason), name, limits)
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.stand {
            Some(_) => Mechanism::Cgroup,
            None => Mechanism::ProcessGroup,
        }
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
        self.stand.as_ref().map(|stand| stand.path())
    }

    /// One plain line for people: what is used, why, and what it cannot see.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.mechanism() {
            Mechanism::Cgroup => format!("held in cgroups ({})", self.reason),
            Mechanism::ProcessGroup => format!(
                "held in process groups ({}): setsid leaves them unseen",
                self.reason
            ),
        }
    }
}
