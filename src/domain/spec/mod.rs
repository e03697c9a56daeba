//! What the file says of each unit, resolved and valid.
//!
//! A spec holds no reference to a file, no default left open and no variable left to
//! interpolate. Specs are compared to tell what a reload changes, so they hold nothing that
//! differs between two readings of the same file.

mod arguments;
mod command;
mod dependency;
mod probe;
mod restart;
mod unit;

pub use arguments::ArgumentsError;
pub use command::{Command, EnvMap, Environment, Program, Stage};
pub use dependency::{Condition, Dependency};
pub use probe::{Check, HttpCheck, OnFailure, Pattern, Probe, StatusRange};
pub use restart::{Backoff, Restart, RestartPolicy, SuccessCodes};
pub use unit::{
    Essential, Freshness, Hooks, Lifetime, Limits, LogSpec, MAX_REPLICAS, Overlap, Port, Schedule,
    Shutdown, Timeouts, Tty, UnitKind, UnitSpec, Watch, WatchAction, When, port_variable,
};
