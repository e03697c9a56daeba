//! What is said of changed files.

use super::{FileChange, Reaction};
use crate::domain::change::UnitChange;

/// How what is said is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gravity {
    Fine,
    Warning,
    Bad,
}

/// What is said of a change that the watch of a unit made; `None`: it made none.
#[must_use]
pub fn words_of_watch(change: &UnitChange) -> Option<(Gravity, String)> {
    match change {
        UnitChange::FilesChanged { files, reaction } => {
            Some((Gravity::Fine, files.told(*reaction)))
        }
        UnitChange::BuildFailed { files, failure } => Some((
            Gravity::Bad,
            format!("build failed: {failure}; what was built before {files} changed goes on"),
        )),
        UnitChange::WatchMuted { path } => Some((
            Gravity::Warning,
            format!(
                "{path} is ignored from now on: it changes after each start, so the unit writes it itself"
            ),
        )),
        UnitChange::WatchPaused => Some((Gravity::Fine, "watch paused".to_owned())),
        UnitChange::WatchResumed => Some((Gravity::Fine, "watch goes on".to_owned())),
        UnitChange::Waiting
        | UnitChange::Starting { .. }
        | UnitChange::Started { .. }
        | UnitChange::Ready { .. }
        | UnitChange::Unready { .. }
        | UnitChange::ProbeFailed { .. }
        | UnitChange::Stopping { .. }
        | UnitChange::Killed
        | UnitChange::Exited { .. }
        | UnitChange::Backoff { .. }
        | UnitChange::Ended { .. }
        | UnitChange::Due { .. }
        | UnitChange::UpToDate { .. }
        | UnitChange::Added
        | UnitChange::Removed => None,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> FileChange {
        FileChange {
            path: "src/a".into(),
            others: 2,
        }
    }

    #[test]
    fn each_reaction_has_its_words() {
        for (reaction, words) in [
            (Reaction::Restart, "restarting"),
            (Reaction::Build, "changed: building"),
            (Reaction::BuildAnew, "building anew"),
            (Reaction::Held, "pk watch resume"),
            (Reaction::Read, "has read it"),
            (Reaction::PutOff, "who writes it"),
        ] {
            let told = files().told(reaction);
            assert!(told.starts_with("src/a and 2 others changed"), "{told}");
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn what_a_person_should_look_at_is_graver() {
        let gravity = |change| words_of_watch(&change).map(|(gravity, _)| gravity);
        let (files, path) = (files(), "src/a".into());
        let reaction = Reaction::Build;
        assert_eq!(
            gravity(UnitChange::FilesChanged { files, reaction }),
            Some(Gravity::Fine)
        );
        assert_eq!(
            gravity(UnitChange::WatchMuted { path }),
            Some(Gravity::Warning)
        );
        assert_eq!(gravity(UnitChange::Killed), None);
    }
}
