//! What is said of changed files.

use super::{FileChange, Reaction};

impl FileChange {
    /// In words: what changed, and what is done about it.
    #[must_use]
    pub fn told(&self, reaction: Reaction) -> String {
        match reaction {
            Reaction::Restart => format!("{self} changed: restarting"),
            Reaction::Signal(signal) => format!("{self} changed: sent {signal}"),
            Reaction::Build => format!("{self} changed: building"),
            Reaction::BuildAnew => format!("{self} changed: building anew"),
            Reaction::Held => format!("{self} changed: waits for `pk watch resume`"),
            Reaction::Read => format!("{self} changed: what has started since has read it"),
            Reaction::PutOff => {
                format!("{self} changed again right after the start: waiting to see who writes it")
            }
        }
    }
}
