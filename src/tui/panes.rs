//! The panes that show what units write: one, or several that are pinned to a unit each.
//!
//! One pane is active: its log is the model's `log`, which keys act on. The logs of the others
//! wait here. Pure.

use ratatui::layout::Rect;

use super::log::{LogPane, Shape};
use super::model::{Focus, Model};
use super::msg::Effect;
use super::table::Chosen;
use crate::domain::id::InstanceId;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::Tty;
use crate::domain::terminal::TerminalSize;
use crate::logs::Selection;

/// The smallest pane: what a line and its heading need.
const NARROWEST: u16 = 16;
const LOWEST: u16 = 3;

const WEIGHT: u32 = 1000;

/// A pane of a unit's own.
#[derive(Debug)]
struct Pinned {
    unit: InstanceId,
    /// Its share of the room, beside that of the others.
    weight: u32,
    /// `None`: it is the active one.
    log: Option<LogPane>,
}

/// Several panes.
#[derive(Debug)]
pub struct Split {
    panes: Vec<Pinned>,
    active: usize,
    /// Above each other rather than beside.
    pub stacked: bool,
}

/// A pane on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaneAt {
    /// Its place among the panes.
    pub place: usize,
    pub title: Rect,
    pub body: Rect,
    pub is_active: bool,
    /// The one unit that it shows, if it is one.
    pub unit: Option<InstanceId>,
}

impl Split {
    /// Where the panes stand within `area`: as many as there is room for, the active one among
    /// them.
    fn rects(&self, area: Rect) -> Vec<(usize, Rect)> {
        let along = if self.stacked {
            area.height
        } else {
            area.width
        };
        let (least, gap) = if self.stacked {
            (LOWEST, 0)
        } else {
            (NARROWEST, 1)
        };
        let fit = usize::from(((along + gap) / (least + gap)).max(1)).min(self.panes.len());
        let first = (self.active + 1).saturating_sub(fit);
        let shown = &self.panes[first..first + fit];
        let gaps = gap * u16::try_from(fit.saturating_sub(1)).unwrap_or(0);
        let room = u32::from(along.saturating_sub(gaps));
        let mut weights: u32 = shown.iter().map(|pane| pane.weight).sum();
        let (mut left, mut at) = (room, 0);
        let mut rects = Vec::with_capacity(fit);
        for (number, pane) in shown.iter().enumerate() {
            let rest = u32::try_from(fit - number - 1).unwrap_or(0) * u32::from(least);
            let share = left * pane.weight / weights.max(1);
            let most = left.saturating_sub(rest);
            let long = if rest == 0 {
                left
            } else {
                share.clamp(u32::from(least).min(most), most)
            };
            weights -= pane.weight;
            left -= long;
            let long = u16::try_from(long).unwrap_or(u16::MAX);
            let rect = if self.stacked {
                Rect {
                    y: area.y + at,
                    height: long,
                    ..area
                }
            } else {
                Rect {
                    x: area.x + at,
                    width: long,
                    ..area
                }
            };
            rects.push((first + number, rect));
            at += long + gap;
        }
        rects
    }

    /// Where the active pane stands within `area`.
    #[must_use]
    pub fn active_in(&self, area: Rect) -> Rect {
        let rects = self.rects(area);
        let found = rects.iter().find(|(place, _)| *place == self.active);
        found.map_or(area, |(_, rect)| *rect)
    }

    #[must_use]
    pub fn unit(&self) -> Option<InstanceId> {
        self.panes.get(self.active).map(|pane| pane.unit)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.panes.len()
    }

    fn position(&self, unit: InstanceId) -> Option<usize> {
        self.panes.iter().position(|pane| pane.unit == unit)
    }

    /// The logs that are not the active one's.
    pub fn others(&mut self) -> impl Iterator<Item = &mut LogPane> {
        self.panes.iter_mut().filter_map(|pane| pane.log.as_mut())
    }

    #[must_use]
    pub fn log(&self, place: usize) -> Option<&LogPane> {
        self.panes.get(place)?.log.as_ref()
    }

    /// Gives the active pane more room, or less.
    pub fn weigh(&mut self, more: bool) {
        if let Some(pane) = self.panes.get_mut(self.active) {
            let weight = if more {
                pane.weight * 5 / 4
            } else {
                pane.weight * 4 / 5
            };
            pane.weight = weight.clamp(WEIGHT / 8, WEIGHT * 8);
        }
    }
}

/// The title's row of a pane, and the rest.
fn divided(rect: Rect) -> (Rect, Rect) {
    let title = Rect {
        height: 1.min(rect.height),
        ..rect
    };
    let body = Rect {
        y: rect.y + title.height,
        height: rect.height - title.height,
        ..rect
    };
    (title, body)
}

impl Model {
    /// The panes in view.
    #[must_use]
    pub fn panes(&self) -> Vec<PaneAt> {
        let areas = self.areas();
        if areas.logs.is_empty() {
            return Vec::new();
        }
        let Some(split) = &self.split_panes else {
            let unit = match &self.log.selection {
                Selection::Only(ids) if ids.len() == 1 => ids.first().copied(),
                Selection::Only(_) | Selection::All => None,
            };
            return vec![PaneAt {
                place: 0,
                title: areas.log_title,
                body: areas.log,
                is_active: true,
                unit,
            }];
        };
        let at = |(place, rect): (usize, Rect)| {
            let (title, body) = divided(rect);
            PaneAt {
                place,
                title,
                body,
                is_active: place == split.active,
                unit: split.panes.get(place).map(|pane| pane.unit),
            }
        };
        split.rects(areas.logs).into_iter().map(at).collect()
    }

    /// The log that a pane shows.
    #[must_use]
    pub fn log_of(&self, pane: &PaneAt) -> &LogPane {
        let other = self
            .split_panes
            .as_ref()
            .filter(|_| !pane.is_active)
            .and_then(|split| split.log(pane.place));
        other.unwrap_or(&self.log)
    }

    /// The unit whose terminal a pane shows.
    #[must_use]
    pub fn terminal_in(&self, pane: &PaneAt) -> Option<InstanceId> {
        let id = pane.unit.filter(|id| !self.ttys.is_as_lines(*id))?;
        let has_screen = self.by_id(id)?.tty == Tty::Full && self.log_of(pane).search.is_none();
        (has_screen && pane.body.height > 0 && pane.body.width > 0).then_some(id)
    }

    /// The unit whose terminal the active pane shows.
    #[must_use]
    pub fn terminal(&self) -> Option<InstanceId> {
        // Most stacks have none.
        if !self.digest.has_ttys {
            return None;
        }
        let panes = self.panes();
        let active = panes.iter().find(|pane| pane.is_active)?;
        self.terminal_in(active)
    }

    /// How the lines of a pane are laid out, and how many rows there are for them.
    #[must_use]
    pub fn shape_in(&self, log: &LogPane, body: Rect) -> (Shape, usize) {
        let (name, time) = self.log_columns_in(log, body.width);
        let before = 2 + if name > 0 { name + 1 } else { 0 } + if time > 0 { time + 1 } else { 0 };
        let shape = Shape {
            width: usize::from(body.width).saturating_sub(before).max(1),
            wrap: log.wrap,
            pan: log.pan,
            pretty: log.pretty,
        };
        (shape, usize::from(body.height))
    }

    /// Brings the panes in line with the units that there are.
    pub fn settle_panes(&mut self) {
        let Some(split) = &self.split_panes else {
            return;
        };
        let gone = |pane: &Pinned| self.by_id(pane.unit).is_none();
        if let Some(place) = split.panes.iter().position(gone) {
            self.close(place);
            return self.settle_panes();
        }
        if let Some(split) = &mut self.split_panes {
            for pane in &mut split.panes {
                if let Some(log) = &mut pane.log {
                    log.select(Selection::Only(vec![pane.unit]));
                }
            }
        }
    }

    /// What is to be fetched for the panes in view, but for the active one.
    pub fn fetch_for_others(&mut self, effects: &mut Vec<Effect>) {
        for pane in self.panes() {
            if pane.is_active || self.terminal_in(&pane).is_some() {
                continue;
            }
            let (shape, height) = self.shape_in(self.log_of(&pane), pane.body);
            let split = self.split_panes.as_mut();
            let log = split
                .and_then(|split| split.panes.get_mut(pane.place))
                .and_then(|pane| pane.log.as_mut());
            if let Some(log) = log.filter(|_| height > 0) {
                let wanted = log.wants(shape, height);
                effects.extend(wanted.lines.map(Effect::Fetch));
            }
        }
    }

    /// The terminals in view, and how large they are there.
    #[must_use]
    pub fn terminals(&self) -> Vec<(InstanceId, TerminalSize)> {
        if !self.digest.has_ttys {
            return Vec::new();
        }
        let panes = self.panes();
        let size = |pane: &PaneAt| TerminalSize::new(pane.body.height, pane.body.width);
        let shown = panes
            .iter()
            .filter_map(|pane| Some((self.terminal_in(pane)?, size(pane))));
        shown.collect()
    }

    fn new_log(&mut self) -> LogPane {
        self.logs_made += 1;
        let mut log = LogPane::following().apart(self.logs_made);
        log.wrap = self.log.wrap;
        log.times = self.log.times;
        log.pretty = self.log.pretty;
        log
    }

    /// Gives each of these units a pane of its own, or takes those away if all have one.
    pub fn pin(&mut self, units: &[InstanceId]) {
        let has = |model: &Self, unit| {
            let split = model.split_panes.as_ref();
            split.and_then(|split| split.position(unit))
        };
        if units.iter().all(|unit| has(self, *unit).is_some()) {
            for unit in units {
                if let Some(place) = has(self, *unit) {
                    self.close(place);
                }
            }
            return;
        }
        for unit in units {
            if has(self, *unit).is_some() {
                continue;
            }
            let log = self.new_log();
            let pinned = |log| Pinned {
                unit: *unit,
                weight: WEIGHT,
                log,
            };
            match &mut self.split_panes {
                Some(split) => split.panes.push(pinned(Some(log))),
                None => {
                    self.split_panes = Some(Split {
                        panes: vec![pinned(None)],
                        active: 0,
                        stacked: false,
                    });
                    self.log = log;
                }
            }
        }
    }

    /// Takes a pane away; with the last one there is one again that follows the choice.
    fn close(&mut self, place: usize) {
        let Some(split) = &mut self.split_panes else {
            return;
        };
        if split.panes.len() <= 1 {
            return self.unsplit();
        }
        let closed = split.panes.remove(place);
        if closed.log.is_none() {
            split.active = split.active.min(split.panes.len() - 1);
            if let Some(log) = split.panes[split.active].log.take() {
                self.log = log;
            }
        } else if place < split.active {
            split.active -= 1;
        }
    }

    /// One pane again.
    pub fn unsplit(&mut self) {
        if self.split_panes.take().is_some() {
            self.log = self.new_log();
        }
    }

    /// Makes a pane the active one.
    pub fn activate(&mut self, place: usize) {
        let Some(split) = &mut self.split_panes else {
            return;
        };
        if place == split.active || place >= split.panes.len() {
            return;
        }
        if let Some(log) = split.panes[place].log.take() {
            let before = std::mem::replace(&mut self.log, log);
            split.panes[split.active].log = Some(before);
            split.active = place;
        }
    }

    /// Goes to the pane of a unit; the active one is given to it if it has none.
    pub fn go_to_pane_of(&mut self, unit: InstanceId) {
        let Some(split) = &mut self.split_panes else {
            return;
        };
        match split.position(unit) {
            Some(place) => self.activate(place),
            None => {
                let active = split.active;
                split.panes[active].unit = unit;
            }
        }
    }

    /// Where the keys go next: the units, then one pane after the other.
    pub fn next_focus(&mut self, back: bool) {
        let (active, count) = match &self.split_panes {
            Some(split) => (split.active, split.len()),
            None => (0, 1),
        };
        let at = match self.focus {
            Focus::Units => 0,
            Focus::Log => active + 1,
        };
        let step = if back { count } else { 1 };
        match (at + step) % (count + 1) {
            0 => self.focus = Focus::Units,
            pane => {
                self.focus = Focus::Log;
                self.activate(pane - 1);
            }
        }
    }

    /// The seam between two panes at a place of the screen: the pane before it.
    #[must_use]
    pub fn seam(&self, column: u16, row: u16) -> Option<usize> {
        let split = self.split_panes.as_ref()?;
        let rects = split.rects(self.areas().logs);
        let is_seam = |rect: &Rect| {
            if split.stacked {
                rect.bottom() == row && (rect.left()..rect.right()).contains(&column)
            } else {
                rect.right() == column && (rect.top()..rect.bottom()).contains(&row)
            }
        };
        let before = &rects[..rects.len().saturating_sub(1)];
        let found = before.iter().find(|(_, rect)| is_seam(rect));
        found.map(|(place, _)| *place)
    }

    /// Moves the seam after a pane to a place of the screen.
    pub fn drag_seam(&mut self, place: usize, column: u16, row: u16) {
        let area = self.areas().logs;
        let Some(split) = &mut self.split_panes else {
            return;
        };
        let rects = split.rects(area);
        let rect = |place| rects.iter().find(|(other, _)| *other == place);
        let (Some((_, one)), Some((_, two))) = (rect(place), rect(place + 1)) else {
            return;
        };
        let (start, both, to) = if split.stacked {
            (one.y, one.height + two.height, row)
        } else {
            (one.x, one.width + two.width, column)
        };
        let weights = split.panes[place].weight + split.panes[place + 1].weight;
        let long = u32::from(to.saturating_sub(start).clamp(1, both.max(2) - 1));
        let weight = (weights * long / u32::from(both.max(1))).clamp(1, weights.max(2) - 1);
        split.panes[place].weight = weight;
        split.panes[place + 1].weight = weights - weight;
    }

    /// The unit that a key for a pane is about.
    #[must_use]
    pub fn pane_unit(&self) -> Option<&UnitView> {
        let id = match (&self.split_panes, &self.chosen) {
            (Some(split), _) => split.unit()?,
            (None, Some(Chosen::Unit(id))) => *id,
            (None, Some(Chosen::Group(_)) | None) => return None,
        };
        self.by_id(id).map(|unit| &**unit)
    }
}
