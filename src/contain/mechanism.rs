//! By what means a group holds its members, and why by these.

use std::fmt;
use std::io;

use super::group::Group;
use super::sys;

/// What keeps the members of a group together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// A process group (`setpgid(2)`).
    ProcessGroup,
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProcessGroup => "process groups",
        })
    }
}

/// The mechanism, chosen once; makes the groups.
#[derive(Clone, Debug)]
pub struct Containment {
    mechanism: Mechanism,
    reason: &'static str,
}

impl Containment {
    /// Finds the strongest mechanism to be had here, and readies this process for it: SIGCHLD
    /// must not be ignored, or the kernel would reap children by itself.
    ///
    /// # Errors
    /// SIGCHLD cannot be set back (`sigaction(2)`).
    pub fn detect() -> io::Result<Self> {
        sys::keep_zombies()?;
        Ok(Self {
            mechanism: Mechanism::ProcessGroup,
            reason: "the only mechanism of this version",
        })
    }

    /// A group without members.
    #[must_use]
    pub fn group(&self) -> Group {
        Group::new(self.mechanism)
    }

    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Why this mechanism and no stronger one.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason
    }

    /// One plain line for people: what is used and what it cannot see.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.mechanism {
            Mechanism::ProcessGroup => format!(
                "process groups ({}): a process that calls setsid or setpgid leaves its group \
                 and is not seen",
                self.reason
            ),
        }
    }
}
