//! What a model tells when it is asked: whom an act is for, what has failed, the ways out.

use std::sync::Arc;

use super::keymap::Action;
use super::model::{Leaving, Model, Notice, Role, SIGNALS};
use super::table::{Chosen, Row};
use super::theme::Tone;
use crate::domain::id::InstanceId;
use crate::domain::signal::Signal;
use crate::domain::snapshot::UnitView;
use crate::logs::LogLine;

impl Model {
    /// Whose lines the log shows.
    pub(super) fn log_selection(&self) -> crate::logs::Selection {
        use super::log::Scope;
        use crate::logs::Selection;
        if let Some(unit) = self
            .split_panes
            .as_ref()
            .and_then(super::panes::Split::unit)
        {
            return Selection::Only(vec![unit]);
        }
        match self.log.scope {
            Scope::All => Selection::All,
            Scope::Marked if self.marked.is_empty() => Selection::All,
            Scope::Marked => Selection::Only(self.marked.iter().copied().collect()),
            Scope::Chosen => match &self.chosen {
                Some(Chosen::Unit(id)) => Selection::Only(vec![*id]),
                Some(Chosen::Group(_)) => Selection::Only(self.targets_of_choice()),
                None => Selection::All,
            },
        }
    }

    fn targets_of_choice(&self) -> Vec<InstanceId> {
        match &self.chosen {
            Some(Chosen::Unit(id)) => vec![*id],
            Some(Chosen::Group(name)) => {
                let mut table = self.table.clone();
                table.folded.clear();
                let rows = table.rows(&self.snapshot, &self.history, &self.usage, self.now);
                (rows.iter())
                    .skip_while(|row| !matches!(row, Row::Group { title, .. } if title == name))
                    .skip(1)
                    .map_while(|row| match row {
                        Row::Unit(place) => self.snapshot.units.get(*place).map(|unit| unit.id),
                        Row::Group { .. } => None,
                    })
                    .collect()
            }
            None => Vec::new(),
        }
    }

    /// Whom an act is for: the marked units, else what is chosen.
    #[must_use]
    pub fn targets(&self) -> Vec<Arc<UnitView>> {
        let ids = if self.marked.is_empty() {
            self.targets_of_choice()
        } else {
            self.marked.iter().copied().collect()
        };
        let unit = |id: &InstanceId| self.by_id(*id).cloned();
        ids.iter().filter_map(unit).collect()
    }

    /// Units whose last run failed and did not come back, latest first.
    #[must_use]
    pub fn failing(&self) -> Vec<&Arc<UnitView>> {
        self.failing_now().collect()
    }

    fn failing_now(&self) -> impl Iterator<Item = &Arc<UnitView>> {
        let places = self.digest.failing.iter();
        places.filter_map(|place| self.snapshot.units.get(*place))
    }

    /// The failure to tell of: the latest that nobody has seen.
    #[must_use]
    pub fn alarm(&self) -> Option<&Arc<UnitView>> {
        self.failing_now()
            .find(|unit| !self.seen.contains(&(unit.id, unit.attempt)))
    }

    /// The last lines of the unit that the alarm is about; blank ones tell nothing.
    #[must_use]
    pub fn last_words(&self) -> Vec<String> {
        let run = self.alarm().map(|unit| (unit.id, unit.attempt));
        let lines = run.and_then(|run| self.tails.get(&run));
        let text = |line: &LogLine| -> String {
            let pieces = super::log::pieces(&line.bytes, 4096);
            pieces.iter().map(|piece| &*piece.text).collect()
        };
        let lines = lines.map_or(&[][..], Vec::as_slice).iter();
        // Not those of the run before.
        let lines = lines.filter(|line| run.is_some_and(|run| line.origin.run.attempt == run.1));
        let texts = lines.map(text);
        texts.filter(|text| !text.trim().is_empty()).collect()
    }

    pub fn say(&mut self, text: impl Into<String>, tone: Tone) {
        const LONG: std::time::Duration = std::time::Duration::from_secs(5);
        self.notice = Some(Notice {
            text: text.into(),
            tone,
            until: self.now + LONG,
        });
    }

    /// The ways to leave, the default one first.
    #[must_use]
    pub fn ways_out(&self) -> Vec<(Leaving, &'static str, &'static str)> {
        let stop = (Leaving::Stop, "s", "stop the stack, and leave");
        let kill = (Leaving::Kill, "k", "kill what is left, at once");
        let detach = (Leaving::Detach, "d", "leave, and let the stack run on");
        let stay = (Leaving::Stay, "esc", "stay here");
        let is_stopping = self.snapshot.shutdown.is_some();
        match self.role {
            Role::Guest if is_stopping => vec![detach, kill, stay],
            Role::Guest => vec![detach, stop, stay],
            Role::Owner { .. } if is_stopping => vec![kill, stay],
            Role::Owner { can_detach: true } => vec![stop, detach, stay],
            Role::Owner { can_detach: false } => vec![stop, stay],
        }
    }

    /// Actions that the typed text means, the best first.
    #[must_use]
    pub fn palette(&self, text: &str) -> Vec<Action> {
        super::palette::matching(text)
    }

    /// The signal at that place of the menu.
    #[must_use]
    pub fn signal(place: usize) -> Option<Signal> {
        SIGNALS.get(place).and_then(|name| Signal::from_name(name))
    }
}
