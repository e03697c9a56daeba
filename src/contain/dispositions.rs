//! What this process itself inherited about signals.
//!
//! A shell starts its background commands with SIGINT and SIGQUIT ignored, `nohup(1)` ignores
//! SIGHUP: whoever did so does not want this process to end by them. A blocked signal on the
//! other hand is hardly ever meant: it would be waited for in vain.

use std::io;

use super::sys;
use crate::domain::signal::Signal;

/// Whether the signal is ignored right now. To be asked before anything listens for it.
///
/// # Errors
/// There is no such signal (`sigaction(2)`).
pub fn is_ignored(signal: Signal) -> io::Result<bool> {
    sys::is_ignored(signal)
}

/// Unblocks all signals for this thread and those that it starts from here on.
pub fn unblock_signals() {
    sys::unblock_signals();
}
