//! Which files changed, told once and truly.
//!
//! This floor owns the one watcher of a stack: what counts for which unit, when a burst of
//! changes is over, and whether a file that was written holds anything new. It must not
//! decide what a change leads to: it reports, and the set decides.
//!
//! ```text
//!  inotify ─► places (folder ─► who cares) ─► dirty files ─► debounce ─► contents ─► report
//!  polling ─► walk ──────────────────────────────┘               (pure, in domain)
//! ```
//!
//! All of it lives on one thread, which sleeps until the kernel or a deadline wakes it. What
//! is known of a file is its size, times and inode, taken when the watch is armed, and a hash
//! of what it holds, taken in the background: so that neither a touch nor the same bytes
//! written again count.
//!
//! It talks to inotify through `rustix` and not through `notify`, which asks for an event at
//! each opening of a file: a stack that reads its sources would keep pk awake, and a rescan
//! after an overflow would fill the queue again by itself.
//!
//! `PK_WATCH=poll` in the environment looks at files every now and then instead of asking for
//! events, for filesystems that pk does not know to be silent.

mod arm;
mod contents;
mod events;
mod fresh;
mod glance;
mod handle;
mod ignoring;
mod inotify;
mod looker;
mod places;
mod scope;
mod show;
mod silent;
mod walk;
mod watching_thread;

use crate::domain::id::UnitName;
use crate::domain::watch::ChangedFiles;

pub use fresh::{Staleness, staleness};
pub use handle::Watcher;
pub use show::{Backend, Ignored, PathStatus, UnitWatch, Why, WhyUnit};

/// What the watcher has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Files that this unit watches hold something else than before.
    Changed(UnitName, ChangedFiles),
    /// Something that those who run the stack should know.
    Notice(String),
}

/// Why something is not watched as it should be.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("cannot ask for events of files: {0}")]
    Init(std::io::Error),
    /// `fs.inotify.max_user_watches`.
    #[error("the limit of watches is reached")]
    NoWatchLeft,
    #[error("{0}")]
    Add(std::io::Error),
}

/// The watcher's thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is watched any more")]
pub struct Gone;
