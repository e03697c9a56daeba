//! A key where no window is open.

use crossterm::event::KeyCode;

use super::{acts, overlay, panes, terminal};
use crate::tui::key::Key;
use crate::tui::keymap::{Action, Place};
use crate::tui::log::{Position, Scope, Times};
use crate::tui::model::{Asking, Focus, Model, Overlay, View, Zoom};
use crate::tui::msg::Effect;
use crate::tui::table::{Chosen, Grouping};
use crate::tui::theme::{Theme, Tone};

pub(super) fn key(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let place = match model.focus {
        Focus::Units => Place::Units,
        Focus::Log => Place::Log,
    };
    let ctrl_c = Key {
        ctrl: true,
        ..Key::plain(KeyCode::Char('c'))
    };
    match model.keymap.action(key, place) {
        Some(action) => act(model, action, effects),
        // Whatever the keys are bound to: this one always leads out.
        None if key == ctrl_c => acts::leave(model, effects, true),
        None => {}
    }
    if key == ctrl_c && model.snapshot.shutdown.is_some() {
        acts::kill_all(model, effects);
    }
}

/// Does what a key or the palette asks for.
pub(super) fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    if terminal::act(model, action, effects) {
        return;
    }
    let (shape, height) = model.log_shape();
    let page = isize::try_from(height.saturating_sub(2).max(1)).unwrap_or(1);
    match action {
        Action::Help => model.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Palette => {
            model.overlay = Some(Overlay::Palette {
                text: String::new(),
                chosen: 0,
            });
        }
        Action::Quit => acts::leave(model, effects, false),
        Action::Focus => panes::focus(model, false, effects),
        Action::FocusBack => panes::focus(model, true, effects),
        Action::Split => panes::split(model, effects),
        Action::Stack => panes::stack(model),
        Action::GrowPane => panes::weigh(model, true),
        Action::ShrinkPane => panes::weigh(model, false),
        Action::OnePane => panes::one(model, effects),
        Action::Type => terminal::begin(model),
        Action::Terminal => terminal::toggle(model),
        // While keys go there, its key does it.
        Action::LeaveTerminal => model.ttys.type_for(None),
        Action::Overview => show(model, View::Overview),
        Action::Graph => show(model, View::Graph),
        Action::Timeline => show(model, View::Timeline),
        Action::Details => show(model, View::Details),
        Action::ToFailure => to_failure(model),
        Action::Zoom => {
            model.zoom = match (model.zoom, model.focus) {
                (Zoom::None, Focus::Units) => Zoom::Units,
                (Zoom::None, Focus::Log) => Zoom::Log,
                (Zoom::Units | Zoom::Log, _) => Zoom::None,
            };
        }
        Action::ZoomLog => zoom(model, Zoom::Log, Focus::Log),
        Action::ZoomUnits => zoom(model, Zoom::Units, Focus::Units),
        Action::Grow => model.split = (model.split + 4).min(80),
        Action::Shrink => model.split = model.split.saturating_sub(4).max(20),
        Action::Scope if model.split_panes.is_some() => panes::one(model, effects),
        Action::Scope => {
            model.log.scope = match model.log.scope {
                Scope::Chosen if model.marked.is_empty() => Scope::All,
                Scope::Chosen => Scope::Marked,
                Scope::Marked => Scope::All,
                Scope::All => Scope::Chosen,
            };
        }
        Action::Follow => match model.log.position {
            Position::Follow => model.log.stay(shape, height),
            Position::At { .. } => model.log.follow(),
        },
        Action::Wrap => {
            model.log.wrap = !model.log.wrap;
            model.log.pan = 0;
        }
        Action::Times => {
            model.log.times = match model.log.times {
                Times::Off => Times::Absolute,
                Times::Absolute => Times::Relative,
                Times::Relative => Times::Off,
            };
        }
        Action::Find | Action::LogFind => {
            let before = (model.log.search.as_ref())
                .map_or_else(String::new, |search| search.pattern.text().to_owned());
            model.overlay = Some(Overlay::Input {
                asking: Asking::Find,
                text: String::new(),
                before,
            });
        }
        Action::NextMatch => matched(model, true),
        Action::PreviousMatch => matched(model, false),
        Action::OnlyMatches => {
            if model.log.search.is_none() {
                model.say(
                    "search first: then the matching lines can stand alone",
                    Tone::Warning,
                );
            } else {
                model.log.only_matches = !model.log.only_matches;
                model.log.follow();
            }
        }
        Action::Pretty => model.log.pretty = !model.log.pretty,
        Action::Clear => {
            model.log.clear();
            let text = match model.log.cleared {
                0 => "all lines are shown again",
                _ => "what was there is hidden; the same key brings it back",
            };
            model.say(text, Tone::Plain);
        }
        Action::Copy => acts::copy(model, effects),
        Action::Up => step(model, -1),
        Action::Down => step(model, 1),
        Action::PageUp => step(model, -isize::try_from(model.page()).unwrap_or(1)),
        Action::PageDown => step(model, isize::try_from(model.page()).unwrap_or(1)),
        Action::First => step(model, isize::MIN),
        Action::Last => step(model, isize::MAX),
        Action::Left => sideways(model, false),
        Action::Right => sideways(model, true),
        Action::Open => open(model),
        Action::Mark => mark(model),
        Action::Unmark => {
            model.marked.clear();
            if model.log.scope == Scope::Marked {
                model.log.scope = Scope::Chosen;
            }
        }
        Action::Filter => {
            model.overlay = Some(Overlay::Input {
                asking: Asking::Filter,
                text: model.table.filter.clone(),
                before: model.table.filter.clone(),
            });
        }
        Action::Sort => {
            model.table.sort = model.table.sort.next();
            model.say(
                format!("sorted by {}", model.table.sort.as_str()),
                Tone::Plain,
            );
        }
        Action::Reverse => model.table.reverse = !model.table.reverse,
        Action::Grouping => {
            model.table.grouping = match model.table.grouping {
                Grouping::Kind => Grouping::Profile,
                Grouping::Profile => Grouping::None,
                Grouping::None => Grouping::Kind,
            };
        }
        Action::HideIdle => model.table.hide_idle = !model.table.hide_idle,
        Action::Start
        | Action::Stop
        | Action::Restart
        | Action::Kill
        | Action::Enable
        | Action::Disable => acts::ask(model, action, effects),
        Action::Signal => {
            if acts::has_targets(model) {
                model.overlay = Some(Overlay::Signals { chosen: 0 });
            }
        }
        Action::Scale => acts::scale(model),
        Action::LogUp => model.log.step(-1, shape, height),
        Action::LogDown => model.log.step(1, shape, height),
        Action::LogPageUp => model.log.scroll(-page, shape, height),
        Action::LogPageDown => model.log.scroll(page, shape, height),
        Action::LogFirst => model.log.first(),
        Action::LogLast => model.log.follow(),
        Action::LogLeft => model.log.pan = model.log.pan.saturating_sub(8),
        Action::LogRight => {
            if model.log.wrap {
                model.log.wrap = false;
            }
            model.log.pan = (model.log.pan + 8).min(1 << 16);
        }
        Action::LogMark => {
            if let Some(seq) = model.log.cursor {
                if !model.log.marked.remove(&seq) {
                    model.log.marked.insert(seq);
                }
                model.log.step(1, shape, height);
            } else {
                model.log.stay(shape, height);
            }
        }
        Action::LogJump => {
            let line = model.log.cursor.and_then(|seq| model.log.get(seq));
            if let Some(id) = line.map(|line| line.origin.run.instance) {
                let seq = model.log.cursor;
                model.chosen = Some(Chosen::Unit(id));
                model.log.scope = Scope::Chosen;
                model.settle();
                if let Some(seq) = seq {
                    model.log.go(seq);
                }
            }
        }
        Action::Reload => effects.push(Effect::Reload),
        Action::Edit => effects.push(Effect::Edit),
        Action::Theme => {
            model.theme = Theme::new(model.theme.name.next());
            model.say(format!("theme: {}", model.theme.name.as_str()), Tone::Plain);
        }
        Action::Mouse => {
            model.mouse = !model.mouse;
            effects.push(Effect::Mouse(model.mouse));
            let text = if model.mouse {
                "the mouse is pk's"
            } else {
                "the mouse is the terminal's: select and copy as usual"
            };
            model.say(text, Tone::Plain);
        }
        Action::Redraw => effects.push(Effect::Redraw),
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Back => back(model, effects),
    }
}

fn show(model: &mut Model, view: View) {
    model.view = view;
    (model.zoom, model.scroll) = (Zoom::None, 0);
    if view != View::Overview {
        model.focus = Focus::Units;
    }
}

fn zoom(model: &mut Model, zoom: Zoom, focus: Focus) {
    model.zoom = if model.zoom == zoom { Zoom::None } else { zoom };
    model.focus = focus;
}

fn to_failure(model: &mut Model) {
    let chosen = model.unit().map(|unit| unit.id);
    let failing: Vec<_> = model
        .failing()
        .iter()
        .map(|unit| (unit.id, unit.attempt))
        .collect();
    // Again and again, it goes through all of them.
    let next = match failing.iter().position(|(id, _)| Some(*id) == chosen) {
        Some(at) => failing.get((at + 1) % failing.len()),
        None => model
            .alarm()
            .map_or(failing.first().copied(), |unit| {
                Some((unit.id, unit.attempt))
            })
            .and_then(|run| failing.iter().find(|other| **other == run)),
    };
    let Some(run) = next.copied() else {
        model.say("nothing has failed", Tone::Good);
        return;
    };
    model.seen.insert(run);
    show(model, View::Overview);
    model.table.filter.clear();
    model.table.folded.clear();
    model.chosen = Some(Chosen::Unit(run.0));
    model.go_to_pane_of(run.0);
    model.log.scope = Scope::Chosen;
    model.focus = Focus::Log;
    model.log.follow();
}

fn matched(model: &mut Model, down: bool) {
    match &model.log.search {
        None => {
            let key = model.keymap.label(Action::Find).unwrap_or_default();
            model.say(format!("no search; {key} begins one"), Tone::Warning);
        }
        Some(_) if model.log.only_matches => {
            model.say("only matching lines are shown", Tone::Plain);
        }
        Some(_) => model.log.next_match(down),
    }
}

/// Moves the choice by rows; in the details it scrolls.
pub(super) fn step(model: &mut Model, rows: isize) {
    if model.view == View::Details {
        model.scroll = model.scroll.saturating_add_signed(rows).min(10_000);
        return;
    }
    let last = model.rows.len().saturating_sub(1);
    let at = model.chosen_row().unwrap_or(0);
    let to = at.saturating_add_signed(rows).min(last);
    if let Some(chosen) = model.at(to) {
        model.chosen = Some(chosen);
    }
}

fn sideways(model: &mut Model, right: bool) {
    if model.view == View::Graph {
        let Some(unit) = model.unit().map(|unit| unit.unit.clone()) else {
            return;
        };
        let next = model.graph.as_ref().and_then(|graph| {
            let node = graph.nodes.iter().find(|node| node.name == unit)?;
            let next = if right { &node.needed_by } else { &node.needs };
            Some(graph.nodes[*next.first()?].name.clone())
        });
        let id = next.and_then(|name| {
            let unit = model.snapshot.units.iter().find(|unit| unit.unit == name);
            unit.map(|unit| unit.id)
        });
        if let Some(id) = id {
            model.chosen = Some(Chosen::Unit(id));
        }
        return;
    }
    let title = match &model.chosen {
        Some(Chosen::Group(title)) => Some(title.clone()),
        Some(Chosen::Unit(_)) | None => {
            let at = model.chosen_row().unwrap_or(0);
            (model.rows.iter().take(at + 1).rev()).find_map(|row| match row {
                crate::tui::table::Row::Group { title, .. } => Some(title.clone()),
                crate::tui::table::Row::Unit(_) => None,
            })
        }
    };
    if let Some(title) = title {
        if right {
            model.table.folded.remove(&title);
        } else {
            model.table.folded.insert(title.clone());
            model.chosen = Some(Chosen::Group(title));
        }
    }
}

fn open(model: &mut Model) {
    match &model.chosen {
        Some(Chosen::Group(title)) => {
            let title = title.clone();
            if !model.table.folded.remove(&title) {
                model.table.folded.insert(title);
            }
        }
        Some(Chosen::Unit(id)) => {
            let id = *id;
            model.go_to_pane_of(id);
            if model.view != View::Overview {
                show(model, View::Overview);
            }
            model.focus = Focus::Log;
            if model.zoom == Zoom::Units {
                model.zoom = Zoom::Log;
            }
        }
        None => {}
    }
}

fn mark(model: &mut Model) {
    let ids = match &model.chosen {
        Some(Chosen::Unit(id)) => vec![*id],
        Some(Chosen::Group(_)) => {
            let marked = std::mem::take(&mut model.marked);
            let ids = model.targets().iter().map(|unit| unit.id).collect();
            model.marked = marked;
            ids
        }
        None => return,
    };
    let all = ids.iter().all(|id| model.marked.contains(id));
    for id in ids {
        if all {
            model.marked.remove(&id);
        } else {
            model.marked.insert(id);
        }
    }
    step(model, 1);
}

/// Takes back one thing at a time.
fn back(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.log.only_matches {
        model.log.only_matches = false;
        model.log.follow();
    } else if model.log.search.is_some() {
        overlay::end_search(model, effects);
    } else if model.zoom != Zoom::None {
        model.zoom = Zoom::None;
    } else if model.focus == Focus::Log {
        model.focus = Focus::Units;
    } else if model.view == View::Overview && model.split_panes.is_some() {
        panes::one(model, effects);
    } else if model.view != View::Overview {
        show(model, View::Overview);
    } else if !model.table.filter.is_empty() {
        model.table.filter.clear();
    } else if let Some(run) = model.alarm().map(|unit| (unit.id, unit.attempt)) {
        model.seen.insert(run);
    } else {
        model.marked.clear();
    }
}
