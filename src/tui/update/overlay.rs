//! A key while a window is open.

use crossterm::event::KeyCode;

use super::{acts, input};
use crate::tui::key::Key;
use crate::tui::model::{Asking, Leaving, Model, Overlay, SIGNALS};
use crate::tui::msg::Effect;

pub(super) fn key(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let Some(overlay) = model.overlay.clone() else {
        return;
    };
    let is_ctrl_c = key.ctrl && key.code == KeyCode::Char('c');
    match overlay {
        Overlay::Help { scroll } => help(model, key, scroll),
        Overlay::Leave { chosen } => leave(model, key, chosen, is_ctrl_c, effects),
        Overlay::Confirm { what, command, .. } => match key.code {
            KeyCode::Char('y' | 'Y') | KeyCode::Enter => {
                model.overlay = None;
                effects.push(Effect::Ask { what, command });
            }
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => model.overlay = None,
            _ if is_ctrl_c => model.overlay = None,
            _ => {}
        },
        Overlay::Palette { text, chosen } => palette(model, key, text, chosen, effects),
        Overlay::Signals { chosen } => signals(model, key, chosen, effects),
        Overlay::Input {
            asking,
            text,
            before,
        } => typing(model, key, (asking, text, before), effects),
    }
}

pub(super) fn paste(model: &mut Model, pasted: &str, effects: &mut Vec<Effect>) {
    let clean = crate::tui::fit::clean(pasted).into_owned();
    match &mut model.overlay {
        Some(Overlay::Palette { text, .. }) => text.push_str(&clean),
        Some(Overlay::Input { text, asking, .. }) => {
            text.push_str(&clean);
            let (asking, text) = (asking.clone(), text.clone());
            typed(model, &asking, &text, effects);
        }
        Some(
            Overlay::Help { .. }
            | Overlay::Leave { .. }
            | Overlay::Confirm { .. }
            | Overlay::Signals { .. },
        )
        | None => {}
    }
}

fn help(model: &mut Model, key: Key, scroll: usize) {
    let scroll = match key.code {
        KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => scroll + 1,
        KeyCode::PageUp => scroll.saturating_sub(10),
        KeyCode::PageDown | KeyCode::Char(' ') => scroll + 10,
        KeyCode::Home => 0,
        _ => {
            model.overlay = None;
            return;
        }
    };
    let most = crate::tui::view::help_height(model);
    model.overlay = Some(Overlay::Help {
        scroll: scroll.min(most),
    });
}

fn leave(model: &mut Model, key: Key, chosen: usize, insists: bool, effects: &mut Vec<Effect>) {
    let ways = model.ways_out();
    let last = ways.len().saturating_sub(1);
    match key.code {
        _ if insists => {
            let way = ways.first().map_or(Leaving::Stay, |(way, ..)| *way);
            acts::way_out(model, way, insists, effects);
        }
        KeyCode::Up | KeyCode::BackTab => {
            model.overlay = Some(Overlay::Leave {
                chosen: chosen.saturating_sub(1),
            });
        }
        KeyCode::Down | KeyCode::Tab => {
            model.overlay = Some(Overlay::Leave {
                chosen: (chosen + 1).min(last),
            });
        }
        KeyCode::Enter => {
            let way = ways.get(chosen).map_or(Leaving::Stay, |(way, ..)| *way);
            acts::way_out(model, way, insists, effects);
        }
        KeyCode::Esc | KeyCode::Char('q') => model.overlay = None,
        KeyCode::Char(c) => {
            let way = ways.iter().find(|(_, key, _)| *key == c.to_string());
            if let Some((way, ..)) = way {
                acts::way_out(model, *way, false, effects);
            }
        }
        _ => {}
    }
}

fn palette(
    model: &mut Model,
    key: Key,
    mut text: String,
    mut chosen: usize,
    effects: &mut Vec<Effect>,
) {
    let found = model.palette(&text);
    match key.code {
        KeyCode::Esc => {
            model.overlay = None;
            return;
        }
        KeyCode::Char('c') if key.ctrl => {
            model.overlay = None;
            return;
        }
        KeyCode::Enter => {
            model.overlay = None;
            if let Some(action) = found.get(chosen) {
                input::act(model, *action, effects);
            }
            return;
        }
        KeyCode::Up => chosen = chosen.saturating_sub(1),
        KeyCode::Down | KeyCode::Tab => chosen = (chosen + 1).min(found.len().saturating_sub(1)),
        KeyCode::Char('p') if key.ctrl => chosen = chosen.saturating_sub(1),
        KeyCode::Char('n') if key.ctrl => chosen = (chosen + 1).min(found.len().saturating_sub(1)),
        _ => {
            if edit(&mut text, key) {
                chosen = 0;
            }
        }
    }
    model.overlay = Some(Overlay::Palette { text, chosen });
}

fn signals(model: &mut Model, key: Key, chosen: usize, effects: &mut Vec<Effect>) {
    let last = SIGNALS.len() - 1;
    let chosen = match key.code {
        KeyCode::Up | KeyCode::Char('k') => chosen.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => (chosen + 1).min(last),
        KeyCode::Home => 0,
        KeyCode::End => last,
        KeyCode::Enter => {
            model.overlay = None;
            if let Some(signal) = Model::signal(chosen) {
                acts::signal(model, signal, effects);
            }
            return;
        }
        KeyCode::Esc | KeyCode::Char('q') => {
            model.overlay = None;
            return;
        }
        KeyCode::Char('c') if key.ctrl => {
            model.overlay = None;
            return;
        }
        _ => chosen,
    };
    model.overlay = Some(Overlay::Signals { chosen });
}

fn typing(
    model: &mut Model,
    key: Key,
    (asking, mut text, before): (Asking, String, String),
    effects: &mut Vec<Effect>,
) {
    match key.code {
        KeyCode::Esc => cancel(model, &asking, &before, effects),
        KeyCode::Char('c') if key.ctrl => cancel(model, &asking, &before, effects),
        KeyCode::Enter => {
            model.overlay = None;
            match asking {
                Asking::Scale(unit) => acts::scale_to(model, &unit, &text, effects),
                // An empty search repeats the one before.
                Asking::Find if text.is_empty() && !before.is_empty() => {
                    typed(model, &Asking::Find, &before, effects);
                }
                Asking::Find if text.is_empty() => end_search(model, effects),
                Asking::Find | Asking::Filter => {}
            }
        }
        KeyCode::Up | KeyCode::Down if asking == Asking::Find => {
            model.log.next_match(key.code == KeyCode::Down);
        }
        _ => {
            if edit(&mut text, key) {
                typed(model, &asking, &text, effects);
            }
            model.overlay = Some(Overlay::Input {
                asking,
                text,
                before,
            });
        }
    }
}

/// What follows from what is typed, as it is typed.
fn typed(model: &mut Model, asking: &Asking, text: &str, effects: &mut Vec<Effect>) {
    match asking {
        Asking::Filter => {
            text.clone_into(&mut model.table.filter);
            model.top = 0;
        }
        Asking::Find if text.is_empty() => end_search(model, effects),
        Asking::Find => {
            let (shape, height) = model.log_shape();
            model.log.search(text, shape, height);
        }
        Asking::Scale(_) => {}
    }
}

fn cancel(model: &mut Model, asking: &Asking, before: &str, effects: &mut Vec<Effect>) {
    model.overlay = None;
    match asking {
        Asking::Filter => before.clone_into(&mut model.table.filter),
        Asking::Find => {
            end_search(model, effects);
            model.log.follow();
        }
        Asking::Scale(_) => {}
    }
}

pub(super) fn end_search(model: &mut Model, effects: &mut Vec<Effect>) {
    let (shape, height) = model.log_shape();
    model.log.search("", shape, height);
    effects.push(Effect::Scan(None));
}

/// Changes a line that is being typed; whether it did.
fn edit(text: &mut String, key: Key) -> bool {
    match key.code {
        KeyCode::Char('u') if key.ctrl => text.clear(),
        KeyCode::Char('w') if key.ctrl => {
            let kept = text
                .trim_end()
                .rfind(char::is_whitespace)
                .map_or(0, |at| at + 1);
            text.truncate(kept);
        }
        KeyCode::Char('h') if key.ctrl => {
            text.pop();
        }
        KeyCode::Char(c) if !key.ctrl && !key.alt => text.push(c),
        KeyCode::Backspace => {
            text.pop();
        }
        _ => return false,
    }
    true
}
