//! The mouse, where it helps: choose, scroll, give room.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::{input, panes, terminal};
use crate::tui::keymap::Action;
use crate::tui::layout::{self, Spot};
use crate::tui::model::{Dragging, Focus, Model, Overlay, View};
use crate::tui::msg::Effect;
use crate::tui::table::Chosen;

/// Rows per turn of the wheel.
const WHEEL: isize = 3;

pub(super) fn mouse(model: &mut Model, event: MouseEvent, effects: &mut Vec<Effect>) {
    if !model.mouse {
        return;
    }
    if model.overlay.is_none() && terminal::mouse(model, event, effects) {
        return;
    }
    let position = Position::new(event.column, event.row);
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => match &model.overlay {
            Some(Overlay::Help { .. }) => model.overlay = None,
            Some(_) => {}
            None => {
                // A click takes the keys back from a terminal.
                model.ttys.type_for(None);
                if let Some(seam) = model.seam(position.x, position.y) {
                    model.dragging = Some(Dragging::Seam(seam));
                } else {
                    to_pane(model, position, effects);
                    press(model, model.areas().at(position), effects);
                }
            }
        },
        MouseEventKind::Drag(MouseButton::Left) => match model.dragging {
            Some(Dragging::Divider) => drag(model, position),
            Some(Dragging::Seam(place)) => model.drag_seam(place, position.x, position.y),
            None => {}
        },
        MouseEventKind::Up(_) => model.dragging = None,
        MouseEventKind::ScrollUp if model.overlay.is_none() => {
            to_pane(model, position, effects);
            wheel(model, model.areas().at(position), -WHEEL);
        }
        MouseEventKind::ScrollDown if model.overlay.is_none() => {
            to_pane(model, position, effects);
            wheel(model, model.areas().at(position), WHEEL);
        }
        _ => {}
    }
}

/// The pane below the mouse becomes the active one.
fn to_pane(model: &mut Model, position: Position, effects: &mut Vec<Effect>) {
    let panes = model.panes();
    let below = panes
        .iter()
        .find(|pane| pane.title.contains(position) || pane.body.contains(position));
    if let Some(pane) = below.filter(|pane| !pane.is_active) {
        panes::click(model, pane.place, effects);
    }
}

fn press(model: &mut Model, spot: Spot, effects: &mut Vec<Effect>) {
    match spot {
        Spot::Divider => model.dragging = Some(Dragging::Divider),
        Spot::Alarm => input::act(model, Action::ToFailure, effects),
        Spot::Main { row } => {
            model.focus = Focus::Units;
            if model.view != View::Overview && model.view != View::Timeline {
                return;
            }
            let row = model.top + usize::from(row);
            let Some(chosen) = model.at(row) else {
                return;
            };
            // A second click on a heading folds it.
            let is_group = matches!(chosen, Chosen::Group(_));
            model.chosen = Some(chosen);
            if is_group {
                input::act(model, Action::Open, effects);
            }
        }
        Spot::Log { row } => {
            model.focus = Focus::Log;
            if model.terminal().is_some() {
                return;
            }
            let (shape, height) = model.log_shape();
            let mut left = usize::from(row);
            let view = model.log.view(shape, height);
            let line = view.iter().find(|entry| {
                let is_it = left < entry.rows;
                left = left.saturating_sub(entry.rows);
                is_it
            });
            if let Some(seq) = line.map(|entry| entry.line.seq) {
                model.log.stay(shape, height);
                model.log.cursor = Some(seq);
            }
        }
        Spot::Elsewhere => {}
    }
}

fn drag(model: &mut Model, position: Position) {
    let areas = model.areas();
    let (at, all, beyond) = if areas.divider.width > 0 {
        (position.x, model.size.width, layout::WIDER)
    } else {
        (
            position.y.saturating_sub(areas.main.y),
            areas.main.height + areas.logs.height,
            layout::TALLER,
        )
    };
    let percent = u32::from(at) * 100 / u32::from(all.max(1));
    let percent = u16::try_from(percent).unwrap_or(50);
    model.split = percent.saturating_sub(beyond).clamp(20, 80);
}

fn wheel(model: &mut Model, spot: Spot, rows: isize) {
    match spot {
        Spot::Log { .. } => {
            if let Some(tty) = model.terminal().and_then(|id| model.ttys.get_mut(id)) {
                return tty.scroll(rows);
            }
            let (shape, height) = model.log_shape();
            if model.log.position != crate::tui::log::Position::Follow || rows < 0 {
                model.log.scroll(rows, shape, height);
            }
        }
        Spot::Main { .. } => input::step(model, rows.signum()),
        Spot::Divider | Spot::Alarm | Spot::Elsewhere => {}
    }
}
