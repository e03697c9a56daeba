//! A key, a text or the mouse for a unit's terminal.

use crossterm::event::{KeyEvent, MouseEvent};
use ratatui::layout::Position;

use crate::tui::key::Key;
use crate::tui::keymap::{Action, Place};
use crate::tui::model::{Focus, Model, Zoom};
use crate::tui::msg::Effect;
use crate::tui::theme::Tone;

/// While keys go to a terminal: all but those that lead back.
pub(super) fn key(model: &mut Model, event: KeyEvent, effects: &mut Vec<Effect>) {
    match model.keymap.action(Key::from(event), Place::Terminal) {
        Some(_) => model.ttys.type_for(None),
        None => model.ttys.key(event, effects),
    }
}

/// From here on keys go to the unit, if it has a terminal.
pub(super) fn begin(model: &mut Model) {
    let Some(unit) = model.pane_unit() else {
        model.say("choose one unit to type for", Tone::Warning);
        return;
    };
    let (id, name, runs) = (unit.id, unit.name.clone(), unit.pid.is_some());
    if unit.tty != crate::domain::spec::Tty::Full {
        let text = format!("{name} has no terminal: `tty: true` gives it one");
        model.say(text, Tone::Warning);
        return;
    }
    if !runs {
        model.say(format!("{name} does not run"), Tone::Warning);
        return;
    }
    model.focus = Focus::Log;
    if model.zoom == Zoom::Units || model.view != crate::tui::model::View::Overview {
        model.zoom = Zoom::Log;
    }
    model.ttys.show_lines(id, false);
    // Only what is in view is typed into.
    let mut begun = Vec::new();
    model.settle();
    model.ttys.settle(&model.terminals(), &mut begun);
    model.ttys.type_for(Some(id));
}

/// Shows the lines that the unit wrote instead of its screen, or its screen again.
pub(super) fn toggle(model: &mut Model) {
    let Some(unit) = model.pane_unit() else {
        return;
    };
    if unit.tty == crate::domain::spec::Tty::Full {
        let (id, lines) = (unit.id, !model.ttys.is_as_lines(unit.id));
        model.ttys.show_lines(id, lines);
    } else {
        let text = format!("{} has no terminal: these are its lines", unit.name);
        model.say(text, Tone::Warning);
    }
}

/// What a key for the log does where the pane shows a terminal; whether it does anything.
pub(super) fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) -> bool {
    let Some(id) = model.terminal() else {
        return false;
    };
    let page = isize::try_from(model.areas().log.height.saturating_sub(2).max(1)).unwrap_or(1);
    let Some(tty) = model.ttys.get_mut(id) else {
        return false;
    };
    match action {
        Action::LogUp => tty.scroll(-1),
        Action::LogDown => tty.scroll(1),
        Action::LogPageUp => tty.scroll(-page),
        Action::LogPageDown => tty.scroll(page),
        Action::LogFirst => tty.scroll_to(usize::MAX),
        Action::LogLast | Action::Follow => tty.scroll_to(0),
        Action::LogJump => begin(model),
        Action::Copy => {
            let text = tty.text();
            if text.trim().is_empty() {
                model.say("there is nothing to copy", Tone::Warning);
            } else {
                effects.push(Effect::Copy(text));
                model.say("what the terminal shows is copied", Tone::Good);
            }
        }
        // What is searched, marked or hidden are lines.
        Action::Find | Action::LogFind | Action::LogMark | Action::Clear | Action::Pretty => {
            model.ttys.show_lines(id, true);
            return false;
        }
        _ => return false,
    }
    true
}

/// The mouse over a pane; whether a terminal took it.
pub(super) fn mouse(model: &mut Model, event: MouseEvent, effects: &mut Vec<Effect>) -> bool {
    let Some(id) = model.ttys.typing() else {
        return false;
    };
    let at = Position::new(event.column, event.row);
    let panes = model.panes();
    let Some(pane) = panes.iter().find(|pane| pane.unit == Some(id)) else {
        return false;
    };
    if !pane.body.contains(at) {
        return false;
    }
    let (row, column) = (at.y - pane.body.y, at.x - pane.body.x);
    let (top, left) = model
        .ttys
        .get(id)
        .and_then(|tty| tty.screen())
        .map_or((0, 0), |screen| {
            crate::tui::tty::window(screen, pane.body.height, pane.body.width)
        });
    model.ttys.mouse(event, (row + top, column + left), effects)
}
