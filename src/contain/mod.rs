//! Spawns programs so that nothing they start gets away, and ends them whole.
//!
//! This floor owns every child process of pk: it alone spawns, signals and reaps. It knows
//! nothing of units, plans or logs and is usable without them. It must not decide when a
//! run ends: it reports exits and emptiness, and does what it is told.
//!
//! ```text
//!  Containment ──group()──► Group ──spawn()──► Running ──exited()──► statuses
//!                             │                   └─ outputs: one pipe each
//!                             ├─ signal(), kill()
//!                             ├─ emptied()       no member left but zombies
//!                             └─ release()       reaps the leader; signals no more
//! ```
//!
//! # Why no signal can hit a stranger
//!
//! A process group is named by the number of its first process, the leader. The kernel does
//! not give a number to a new process while a process or a group bears it, and an exited
//! process bears its number until its parent reaps it. So the children of a group stay
//! unreaped (`waitid(2)` with `WNOWAIT`) until the group is released, and once released the
//! group never signals again. Single processes are signalled by pidfd.
//!
//! # What this cannot see
//!
//! A process that calls `setsid(2)` or `setpgid(2)` leaves its process group and is no
//! longer a member; see [`Containment::describe`].

mod census;
mod child;
mod dispositions;
mod error;
mod group;
mod helper;
mod mechanism;
mod orphans;
mod registry;
mod request;
mod resolve;
mod spawn;
mod sys;

pub use dispositions::{is_ignored, unblock_signals};
pub use error::{ContainError, SpawnCause, SpawnError, Step};
pub use group::{Delivery, Group, Member, Running, Scope};
pub use helper::{HelperEnd, HelperOutput, run_helper};
pub use mechanism::{Containment, Mechanism};
pub use orphans::adopt_orphans;
pub use request::{SpawnRequest, StageRequest};
pub use spawn::{Output, Pipe};
