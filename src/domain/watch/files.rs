//! Files that changed.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Files that changed, as a line can show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FileChange {
    /// The first of them, relative to the stack's folder where it is below it.
    pub path: String,
    /// How many more changed with it.
    pub others: u32,
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match self.others {
            0 => Ok(()),
            1 => f.write_str(" and 1 other"),
            more => write!(f, " and {more} others"),
        }
    }
}

/// Files that changed within one quiet period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFiles {
    /// Each once, the first seen first; at most [`ChangedFiles::NAMED`].
    pub paths: Vec<String>,
    /// How many changed beyond these.
    pub more: u32,
    /// How long ago the first of them was seen.
    pub age: Duration,
    /// For how long at least they have held what they hold: a run that began within that
    /// time has read it.
    pub quiet: Duration,
}

impl ChangedFiles {
    /// How many files are named at most.
    pub const NAMED: usize = 32;

    /// One file, just now.
    #[must_use]
    pub fn one(path: &str) -> Self {
        Self {
            paths: vec![path.to_owned()],
            more: 0,
            age: Duration::ZERO,
            quiet: Duration::ZERO,
        }
    }

    /// As a line can show them; `None`: there are none.
    #[must_use]
    pub fn summary(&self) -> Option<FileChange> {
        let path = self.paths.first()?.clone();
        let named = u32::try_from(self.paths.len() - 1).unwrap_or(u32::MAX);
        Some(FileChange {
            path,
            others: named.saturating_add(self.more),
        })
    }

    /// Whether a file is named here and there.
    pub(super) fn shares(&self, other: &Self) -> bool {
        self.paths.iter().any(|path| other.paths.contains(path))
    }

    pub(super) fn merge(&mut self, later: Self) {
        for path in later.paths {
            if self.paths.contains(&path) {
                continue;
            }
            if self.paths.len() < Self::NAMED {
                self.paths.push(path);
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
        self.more = self.more.max(later.more);
    }
}
