//! Where everything stands, for the view to draw and for the mouse to find.

use ratatui::layout::{Position, Rect};

use super::model::{Focus, Model, View, Zoom};

/// Percent that units get beyond [`Model::split`] where the log stands beside them: a row is
/// read as a whole, a line of the log may be wrapped.
pub const WIDER: u16 = 8;

/// The same where the log stands below.
pub const TALLER: u16 = 10;

/// From this width on the log stands beside the units.
const BESIDE: u16 = 140;

/// What a screen is divided into; what is not there has no area.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Areas {
    pub header: Rect,
    /// The table, its heading first; or the graph, the timeline, the details.
    pub main: Rect,
    /// Between the two, where they stand beside each other.
    pub divider: Rect,
    /// All panes that show what units write.
    pub logs: Rect,
    /// Of the active one.
    pub log_title: Rect,
    pub log: Rect,
    pub alarm: Rect,
    pub footer: Rect,
}

/// What stands at a place of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spot {
    /// A row of the main pane, from 0 below its heading.
    Main {
        row: u16,
    },
    /// A row of the log.
    Log {
        row: u16,
    },
    /// What can be dragged to give one pane more room.
    Divider,
    Alarm,
    Elsewhere,
}

impl Areas {
    #[must_use]
    pub fn at(&self, position: Position) -> Spot {
        if self.divider.contains(position) {
            Spot::Divider
        } else if self.logs.contains(position) && position.y == self.logs.y {
            if self.logs.y > self.main.y && self.main.height > 0 {
                Spot::Divider
            } else {
                Spot::Elsewhere
            }
        } else if self.log.contains(position) {
            Spot::Log {
                row: position.y - self.log.y,
            }
        } else if self.alarm.contains(position) {
            Spot::Alarm
        } else if self.main.contains(position) && position.y > self.main.y {
            Spot::Main {
                row: position.y - self.main.y - 1,
            }
        } else {
            Spot::Elsewhere
        }
    }
}

/// Divides the screen.
#[must_use]
pub fn areas(model: &Model) -> Areas {
    let size = model.size;
    let mut areas = Areas::default();
    let mut body = Rect::new(0, 0, size.width, size.height);
    let cut_top = |body: &mut Rect, rows: u16| {
        let taken = Rect {
            height: rows.min(body.height),
            ..*body
        };
        body.y += taken.height;
        body.height -= taken.height;
        taken
    };
    if size.height >= 4 {
        areas.header = cut_top(&mut body, 1);
    }
    let cut_bottom = |body: &mut Rect, rows: u16| {
        let rows = rows.min(body.height);
        body.height -= rows;
        Rect {
            y: body.y + body.height,
            height: rows,
            ..*body
        }
    };
    if size.height >= 6 {
        areas.footer = cut_bottom(&mut body, 1);
    }
    if size.height >= 10 && model.alarm().is_some() {
        let most = match size.height {
            0..20 => 0,
            20..35 => 2,
            _ => 4,
        };
        let told = model.last_words().len();
        let rows = 1 + u16::try_from(told).unwrap_or(0).min(most);
        areas.alarm = cut_bottom(&mut body, rows);
    }
    if model.view != View::Overview && model.zoom != Zoom::Log {
        areas.main = body;
        return areas;
    }
    match model.zoom {
        Zoom::Units => areas.main = body,
        Zoom::Log => areas.logs = body,
        Zoom::None if body.width >= BESIDE => beside(model, body, &mut areas),
        Zoom::None => stacked(model, body, &mut areas),
    }
    let active = match &model.split_panes {
        Some(split) => split.active_in(areas.logs),
        None => areas.logs,
    };
    areas.log_title = Rect {
        height: 1.min(active.height),
        ..active
    };
    areas.log = Rect {
        y: active.y + areas.log_title.height,
        height: active.height - areas.log_title.height,
        ..active
    };
    areas
}

fn beside(model: &Model, body: Rect, areas: &mut Areas) {
    let share = u32::from(body.width) * u32::from(model.split + WIDER) / 100;
    let width = u16::try_from(share)
        .unwrap_or(body.width)
        .clamp(30, body.width - 30);
    areas.main = Rect { width, ..body };
    areas.divider = Rect {
        x: body.x + width,
        width: 1,
        ..body
    };
    let rest = Rect {
        x: body.x + width + 1,
        width: body.width - width - 1,
        ..body
    };
    areas.logs = rest;
}

fn stacked(model: &Model, body: Rect, areas: &mut Areas) {
    let share = u32::from(body.height) * u32::from(model.split + TALLER) / 100;
    let share = u16::try_from(share).unwrap_or(body.height);
    let needed = u16::try_from(model.rows.len().max(1) + 1).unwrap_or(u16::MAX);
    // Where there is hardly any room, the pane that has the keys gets it.
    let height = if body.height < 8 {
        match model.focus {
            Focus::Units => body.height,
            Focus::Log => 0,
        }
    } else {
        needed.min(share.max(3)).min(body.height - 3)
    };
    areas.main = Rect { height, ..body };
    let rest = Rect {
        y: body.y + height,
        height: body.height - height,
        ..body
    };
    areas.logs = rest;
}
