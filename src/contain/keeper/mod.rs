//! Keepers: what holds a run where no cgroup can be had.
//!
//! ```text
//!  this process ──► zygote ──► keeper ──► leader of a run, and all its descendants
//!        └───────────────────────┘
//!          a connection: orders, ends, emptiness
//! ```
//!
//! A keeper is the parent of one run, and a subreaper (`PR_SET_CHILD_SUBREAPER(2const)`): the
//! kernel gives it whoever loses his parent in the run, whatever session, group, user or name
//! he has taken. So `waitid(2)` saying `ECHILD` proves that the run is empty, and that is the
//! only proof that a keeper gives. It kills until it has it.
//!
//! Keepers are copies of the zygote, which was copied from this process once, and has thrown
//! away what it does not need: a keeper costs some tens of KiB, and neither making it nor
//! making the run's processes costs more when this process has grown. The new process is not
//! waited for by its keeper but by who asked: one that hangs in exec can be killed.
//!
//! # What ends with what
//!
//! | ended by somebody else | then |
//! |---|---|
//! | this process, however | each keeper hears its connection end, kills its run, and ends |
//! | a keeper | its run comes back to the zygote, which kills it |
//! | the zygote | the keepers go on; the next run gets a new zygote |
//! | a keeper and then the zygote | its run comes back to whoever is the next subreaper above |
//!
//! # What it cannot guarantee
//!
//! That anything is ended when this process, the zygote and a keeper are all killed in one
//! instant: nobody is left to hear of it. With [`Space::Pids`] the kernel itself ends a run
//! with its keeper: `pid_namespaces(7)`. That somebody is ended who runs as another user and
//! may not be signalled by this one (a set-user-ID program that has started): the group then
//! is not empty, which is told. A process that makes others faster than it can be found is
//! stopped before it is killed; in theory it could win that race for ever.

mod fork;
mod image;
mod keep;
mod kept;
mod memory;
mod namespace;
mod nursery;
mod refusal;
mod signal;
mod tree;
mod wait;
mod wire;
mod zygote;

pub(super) use kept::{Keeper, Made};
pub(super) use refusal::why_refused;
pub(super) use wire::Space;
pub use zygote::NoKeeper;
pub(super) use zygote::Zygote;
