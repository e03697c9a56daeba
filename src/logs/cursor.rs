//! A reader's place in the log, which may leave the process and come back.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use jiff::Timestamp;

use super::Selection;
use crate::domain::id::InstanceId;

/// Where a cursor begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest line that is kept; what was evicted before is not missed.
    Oldest,
    /// At the last so many lines of the selection together.
    Last(usize),
    /// At the next line to come.
    Now,
    /// At the first line that came at that time or later.
    Time(Timestamp),
    /// At the line of that number over all units, or the first one after it: the place of a
    /// line that was found, in any selection.
    Seq(u64),
    /// At the line of that number within each instance, from 0.
    Line(u64),
}

/// A reader's place. Costs nothing while it is not used.
///
/// Its text, such as `*0:12.3:4`, is for another process to hold and give back: a star where
/// it reads all instances, then per instance the number of the next line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) selection: Selection,
    /// Per instance the number of the next line; an instance that is not here is new.
    pub(super) next: BTreeMap<InstanceId, u64>,
}

impl Cursor {
    /// Whose lines it reads.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Goes on with another selection: those that are new to it from their first line on.
    pub fn select(&mut self, selection: Selection) {
        self.selection = selection;
    }
}

/// A text that no cursor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a place in the log")]
pub struct BadCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places: BTreeMap<InstanceId, u64> = self.next.clone();
        match &self.selection {
            Selection::All => f.write_char('*')?,
            Selection::Only(ids) => {
                places.retain(|id, _| ids.contains(id));
                for id in ids {
                    places.entry(*id).or_insert(0);
                }
            }
        }
        for (place, (id, next)) in places.into_iter().enumerate() {
            let dot = if place > 0 { "." } else { "" };
            write!(f, "{dot}{}:{next}", id.0)?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (all, places) = match text.strip_prefix('*') {
            Some(places) => (true, places),
            None => (false, text),
        };
        let mut next = BTreeMap::new();
        for place in places.split('.').filter(|place| !place.is_empty()) {
            let (id, line) = place.split_once(':').ok_or(BadCursor)?;
            let id = InstanceId(id.parse().map_err(|_| BadCursor)?);
            next.insert(id, line.parse().map_err(|_| BadCursor)?);
        }
        let selection = if all {
            Selection::All
        } else {
            Selection::Only(next.keys().copied().collect())
        };
        Ok(Self { selection, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back() {
        for text in ["*", "*0:12.3:4", "0:12.3:4", ""] {
            let cursor: Cursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for text in ["x", "0", "0:", "*0:1.2", "-1:2", "0:99999999999999999999"] {
            assert_eq!(text.parse::<Cursor>(), Err(BadCursor), "{text}");
        }
    }
}
