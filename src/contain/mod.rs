//! Spawns programs so that nothing they start gets away, and ends them whole.
//!
//! This floor owns every child process of pk: it alone spawns, signals and reaps. It knows
//! nothing of units, plans or logs and is usable without them. It must not decide when a
//! run ends: it reports exits and emptiness, and does what it is told.
//!
//! ```text
//!  Containment ──group()──► Group ──spawn()──► Running ──exited()──► statuses
//!                             │                   └─ outputs: one pipe each
//!                             ├─ signal(), suspend(), resume(), kill()
//!                             ├─ adopt()         takes in a process that runs already
//!                             ├─ members(), stats()
//!                             ├─ emptied()       no member left but zombies
//!                             ├─ stop()          all of it, and who is left
//!                             └─ release()       reaps the leader; signals no more
//! ```
//!
//! # Examples
//!
//! Run a program to its end, with everything it starts:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use pk::contain::{Containment, SpawnRequest, StageRequest};
//! use pk::domain::exit::ExitStatus;
//!
//! let containment = Containment::detect()?;
//! let group = containment.group();
//! let command = StageRequest::new(["sh", "-c", "exit $CODE"], "/");
//! let command = command.with_environment([("CODE", "7")]);
//! let running = group.spawn(&SpawnRequest::command(command))?;
//! assert_eq!(running.exited().await?, [ExitStatus::Code(7)]);
//! group.emptied().await?;
//! group.release().await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! Hold a whole tree still, look at it, and end it:
//!
//! ```
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! use pk::contain::{Containment, SpawnOptions, SpawnRequest, StageRequest, kill_all};
//!
//! let group = Containment::detect()?.named_group("tree");
//! let tree = StageRequest::new(["sh", "-c", "sleep 1000 & sleep 1000 & wait"], "/");
//! let options = SpawnOptions { nice: Some(10), ..SpawnOptions::default() };
//! let _running = group.spawn(&SpawnRequest::command(tree).with_options(options))?;
//! group.suspend().await?;
//! assert!(group.stats().await?.processes >= 1);
//! kill_all([&group]).await?;
//! assert!(group.members().await?.is_empty());
//! println!("{}: {}", group.mechanism(), group.reason());
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```
//!
//! # Why no signal can hit a stranger
//!
//! Single processes are signalled by pidfd, and a pidfd is trusted only once the process is
//! known to be a member after it was opened: by its cgroup, or by its parent up to the keeper,
//! none of them reaped meanwhile. A process group is named by the number of its first process,
//! the leader. The kernel does not give a number to a new process while a process or a group
//! bears it, and an exited process bears its number until its parent reaps it. So whoever
//! signals a group by number, this process or a keeper, leaves its leader unreaped until then,
//! and signals that group no more afterwards.
//!
//! # What gets away
//!
//! From a *cgroup* nothing does by `setsid`, a double fork, another process group, an empty
//! environment, closed descriptors, ignored or blocked signals, a new name, or another user.
//! One that may write to a `cgroup.procs` outside of it (root, or one's own user in a
//! delegated subtree) can move itself: while it stays in its process group or is a child it
//! is killed with it; once it has left those as well, only [`adopt_orphans`] finds it.
//!
//! From a *keeper* ([`Mechanism::ProcessGroup`]) nothing does by any of these either, nor by
//! moving itself to another cgroup. It takes that somebody of this process, its zygote and the
//! run's keeper is alive: SIGKILL to all three in one instant leaves the run running. A member
//! of another user that this one may not signal stays, and its group then is not empty.
//!
//! From a *pid namespace* nothing does, whoever is killed: when a keeper ends, which is the
//! namespace's first process, the kernel ends all the others first.
//!
//! Where there can be no keeper (`/proc` is not mounted, or does not list children) a *process
//! group* alone is what is left, and the [reason](Containment::reason) says so: whoever calls
//! `setsid(2)` or `setpgid(2)` gets away.
//!
//! An adopted process is a member alone, without what it starts, unless the group has a
//! cgroup. Work that is handed to another process (docker, at, systemd) is nobody's
//! descendant. When this process itself is ended by SIGKILL, cgroups outlive it: a guard above
//! it ends them at once, if there is one ([`launch`]), else the next
//! [`Containment::choose`] below the same cgroup empties and removes them, and says so in
//! [`Containment::left_over`]; keepers end with it.

mod census;
mod cgroup;
mod child;
mod clone;
mod dispositions;
mod error;
mod fault;
#[cfg(test)]
mod fault_tests;
mod file_limit;
mod group;
mod guard;
mod helper;
mod job;
mod keeper;
mod limits;
mod mailbox;
mod make;
mod mapping;
mod mechanism;
mod orphans;
mod registry;
mod replace;
mod request;
mod resolve;
mod spawn;
mod stats;
mod sys;
mod terminal;
mod user;

pub use cgroup::{LeftOver, NoScope, Refusal, clear_left_overs};
pub use dispositions::{is_ignored, unblock_signals};
pub use error::{ContainError, SpawnCause, SpawnError, Step};
pub use file_limit::{most_open_files, raise_file_limit, reserve_descriptors};
pub use group::{Delivery, Group, Member, Running, Scope, StopReport, kill_all};
pub use guard::{
    Guarded, LaunchError, Parting, Role, ScreenGuard, Supervised, kill_children, launch,
};
pub use helper::{HelperEnd, HelperOutput, run_helper};
pub use job::{run_in_terminal, stop_self, suspend_job};
pub use keeper::NoKeeper;
pub use limits::{LimitError, Limits};
pub use mailbox::{Letter, Mailbox, Sender};
pub use mapping::{give_code_back, give_start_back};
pub use mechanism::{Choice, ChoiceError, Containment, Mechanism};
pub use orphans::{adopt_orphans, strayed, take_strays};
pub use replace::{ReplaceError, replace};
pub use request::{SpawnOptions, SpawnRequest, StageRequest};
pub use spawn::{Output, Pipe};
pub use stats::{Io, Stats};
pub use terminal::{Terminal, TerminalRequest};
pub use user::{User, UserError};
