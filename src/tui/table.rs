//! The units as rows: grouped, sorted, filtered, folded. Pure.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::history::{History, State};
use super::usage::Usage;
use super::words;
use crate::domain::id::InstanceId;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::UnitKind;
use crate::domain::time::Instant;

/// How rows are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grouping {
    /// Services and tasks.
    #[default]
    Kind,
    Profile,
    None,
}

/// By what they are sorted within their group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// As the file has them.
    #[default]
    File,
    Name,
    /// What needs a look first.
    State,
    Age,
    /// Who uses most of the processors first.
    Cpu,
    Memory,
    Restarts,
}

impl Sort {
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::File => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Age,
            Self::Age => Self::Cpu,
            Self::Cpu => Self::Memory,
            Self::Memory => Self::Restarts,
            Self::Restarts => Self::File,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "order of the file",
            Self::Name => "name",
            Self::State => "state",
            Self::Age => "time in state",
            Self::Cpu => "processor",
            Self::Memory => "memory",
            Self::Restarts => "restarts",
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Group {
        title: String,
        /// Of use, or done; and all.
        good: usize,
        total: usize,
        folded: bool,
    },
    /// The unit at that place of the snapshot.
    Unit(usize),
}

/// What is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chosen {
    Group(String),
    Unit(InstanceId),
}

/// How a person wants the rows.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub grouping: Grouping,
    pub sort: Sort,
    pub reverse: bool,
    pub filter: String,
    pub hide_idle: bool,
    pub folded: BTreeSet<String>,
}

impl Table {
    #[must_use]
    pub fn rows(
        &self,
        snapshot: &Snapshot,
        history: &History,
        usage: &Usage,
        now: Instant,
    ) -> Vec<Row> {
        let mut groups: Vec<(String, Vec<usize>)> = match self.grouping {
            Grouping::Kind => vec![
                ("services".into(), Vec::new()),
                ("tasks".into(), Vec::new()),
            ],
            Grouping::Profile => vec![("no profile".into(), Vec::new())],
            Grouping::None => vec![(String::new(), Vec::new())],
        };
        let filter = self.filter.to_lowercase();
        for (place, unit) in snapshot.units.iter().enumerate() {
            if self.is_hidden(unit, &filter, history, now) {
                continue;
            }
            let title = match self.grouping {
                Grouping::Kind => match unit.kind {
                    UnitKind::Service => "services",
                    UnitKind::Task => "tasks",
                },
                Grouping::Profile => unit.profiles.first().map_or("no profile", String::as_str),
                Grouping::None => "",
            };
            match groups.iter_mut().find(|(known, _)| known == title) {
                Some((_, units)) => units.push(place),
                None => groups.push((title.to_owned(), vec![place])),
            }
        }
        groups.retain(|(_, units)| !units.is_empty());
        // A heading over everything says nothing.
        let with_titles = groups.len() > 1;
        let mut rows = Vec::new();
        for (title, mut units) in groups {
            self.order(&mut units, &snapshot.units, usage);
            let folded = with_titles && self.folded.contains(&title);
            if with_titles {
                let good = units.iter().filter(|place| {
                    matches!(
                        State::of(&snapshot.units[**place]),
                        State::Ready | State::Completed
                    )
                });
                rows.push(Row::Group {
                    good: good.count(),
                    total: units.len(),
                    title,
                    folded,
                });
            }
            if !folded {
                rows.extend(units.into_iter().map(Row::Unit));
            }
        }
        rows
    }

    fn is_hidden(&self, unit: &UnitView, filter: &str, history: &History, now: Instant) -> bool {
        if self.hide_idle
            && matches!(
                State::of(unit),
                State::Idle | State::Stopped | State::Completed
            )
        {
            return true;
        }
        if filter.is_empty() {
            return false;
        }
        let is_named = |text: &str| text.to_lowercase().contains(filter);
        !is_named(unit.name.as_str()) && !is_named(&words::status(unit, history.get(unit.id), now))
    }

    fn order(&self, places: &mut [usize], units: &[Arc<UnitView>], usage: &Usage) {
        let used = |place: &usize| usage.of(units[*place].id);
        match self.sort {
            Sort::File => {}
            Sort::Name => places.sort_by(|a, b| units[*a].name.cmp(&units[*b].name)),
            Sort::State => places.sort_by_key(|place| urgency(State::of(&units[*place]))),
            Sort::Age => places.sort_by_key(|place| std::cmp::Reverse(units[*place].since)),
            Sort::Cpu => {
                let cpu = |place: &usize| used(place).and_then(|used| used.cpu).unwrap_or(-1.0);
                places.sort_by(|a, b| cpu(b).total_cmp(&cpu(a)));
            }
            Sort::Memory => {
                let memory = |place: &usize| used(place).map(|used| used.memory);
                places.sort_by_key(|place| std::cmp::Reverse(memory(place)));
            }
            Sort::Restarts => {
                places.sort_by_key(|place| std::cmp::Reverse(units[*place].restarts));
            }
        }
        if self.reverse {
            places.reverse();
        }
    }
}

/// What needs a look first.
#[must_use]
pub fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Backoff => 1,
        State::Unwell => 2,
        State::Skipped => 3,
        State::Stopping => 4,
        State::Starting => 5,
        State::Waiting => 6,
        State::Ready => 7,
        State::Completed => 8,
        State::Stopped => 9,
        State::Idle => 10,
    }
}
