//! Asks a run whether it has started, is ready, is alive.
//!
//! This floor makes single checks and paces them. It must not count successes or failures
//! nor decide what they mean: each result is reported as it comes.
//!
//! ```text
//!  Prober::new (before the spawn: a log tap misses nothing)
//!     └─ run ─ initial delay ─► check ─► report ─► pace ─┐
//!                                 ▲                      │
//!                                 └──────────────────────┘
//! ```

mod connect;
mod exec;
mod file;
mod http;
mod notify;
mod port;
mod prober;
pub mod sockets;
mod tcp;
mod tls;

pub use crate::domain::event::ProbeResult;
pub use notify::{Heard, Hearing};
pub use prober::{Prober, Surroundings};

/// Why a probe cannot be made at all.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Which whoever starts a run with such a probe provides for.
    #[error("nobody hears what the unit says of itself")]
    NotHeard,
    /// Which the plan's own check does not let through.
    #[error("the unit has no port `{0}`")]
    NoPort(String),
    #[error("not a URL that can be asked: {0}")]
    Url(String),
    #[error("not a valid request: {0}")]
    Request(String),
    #[error("not a valid regular expression: {0}")]
    Pattern(#[from] regex::Error),
}
