//! What keys do with the panes.

use super::overlay;
use crate::tui::model::{Focus, Model, View, Zoom};
use crate::tui::msg::Effect;
use crate::tui::table::Chosen;
use crate::tui::theme::Tone;

/// A search stays with the pane that it was begun in.
fn leave(model: &mut Model, effects: &mut Vec<Effect>) {
    if model.log.search.is_some() {
        overlay::end_search(model, effects);
        model.log.only_matches = false;
    }
}

pub(super) fn focus(model: &mut Model, back: bool, effects: &mut Vec<Effect>) {
    if model.split_panes.is_some() {
        leave(model, effects);
    }
    model.next_focus(back);
    match (model.focus, model.zoom, model.view) {
        (_, Zoom::None, View::Overview) => {}
        (Focus::Log, ..) => model.zoom = Zoom::Log,
        (Focus::Units, Zoom::Log, _) => model.zoom = Zoom::None,
        (Focus::Units, Zoom::None | Zoom::Units, _) => {}
    }
}

/// A click on a pane.
pub(super) fn click(model: &mut Model, place: usize, effects: &mut Vec<Effect>) {
    leave(model, effects);
    model.activate(place);
}

pub(super) fn split(model: &mut Model, effects: &mut Vec<Effect>) {
    let ids: Vec<_> = if !model.marked.is_empty() {
        // As the file has them.
        let units = model.snapshot.units.iter().map(|unit| unit.id);
        units.filter(|id| model.marked.contains(id)).collect()
    } else {
        let of_pane = (model.focus == Focus::Log)
            .then(|| model.pane_unit().map(|unit| unit.id))
            .flatten();
        match (of_pane, &model.chosen) {
            (Some(id), _) => vec![id],
            (None, Some(Chosen::Unit(id))) => vec![*id],
            (None, Some(Chosen::Group(_)) | None) => {
                model.say(
                    "choose a unit, or mark some, for panes of their own",
                    Tone::Warning,
                );
                return;
            }
        }
    };
    leave(model, effects);
    model.pin(&ids);
    let text = match model
        .split_panes
        .as_ref()
        .map(crate::tui::panes::Split::len)
    {
        None => "one pane again, that of the chosen unit",
        Some(1) => "this pane stays; the same key on another unit puts that beside it",
        Some(_) => "each in its pane; the same key takes one away",
    };
    model.say(text, Tone::Plain);
}

pub(super) fn one(model: &mut Model, effects: &mut Vec<Effect>) {
    leave(model, effects);
    model.unsplit();
}

pub(super) fn stack(model: &mut Model) {
    match &mut model.split_panes {
        Some(split) => split.stacked = !split.stacked,
        None => only_with_several(model),
    }
}

pub(super) fn weigh(model: &mut Model, more: bool) {
    match &mut model.split_panes {
        Some(split) => split.weigh(more),
        None => only_with_several(model),
    }
}

fn only_with_several(model: &mut Model) {
    let key = model.keymap.label(crate::tui::keymap::Action::Split);
    let key = key.map_or_else(String::new, |key| format!(": `{key}` makes one for a unit"));
    model.say(format!("there is one pane{key}"), Tone::Warning);
}
