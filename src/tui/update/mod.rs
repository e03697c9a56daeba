//! What happens next: a message and the model give the next model and what is to be done.
//!
//! Pure: nothing here reads a clock, a terminal or a log.

mod acts;
mod input;
mod mouse;
mod overlay;
mod panes;
mod terminal;

use crossterm::event::{Event, KeyEventKind};
use ratatui::layout::Size;

use super::graph_plan::GraphPlan;
use super::key::Key;
use super::log::{LogPane, Wanted};
use super::model::{Model, View, is_failing};
use super::msg::{Effect, Msg};
use super::theme::Tone;
use crate::domain::admission::Answer;
use crate::domain::change::What;
use crate::domain::time::Instant;

/// How many lines of a failed unit's log are fetched.
const TAIL: usize = 8;

/// Takes a message in.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    match msg {
        Msg::Input(event) => typed(model, &event, &mut effects),
        Msg::Tick { now, wall } => tick(model, now, wall),
        Msg::Snapshot(snapshot) => {
            model.now = model.now.max(snapshot.at);
            model.snapshot = snapshot;
            model.digest.take(&model.snapshot, model.plan.as_ref());
            model.history.meet(&model.snapshot, false);
            failures(model, &mut effects);
        }
        Msg::Stats(stats) => {
            model.usage.changed = model.usage.sampled(&stats);
            model.known.look(&mut effects);
        }
        Msg::Held(held) => model.mechanism = Some(held.mechanism),
        Msg::Processes(id, at, processes) => model.known.found(id, at, processes),
        Msg::Watched(unit, watch) => model.known.watched(&unit, watch),
        Msg::Listening(ports) => model.known.listen(ports),
        Msg::Change(change) => {
            if matches!(change.what, What::Reloaded(_)) {
                effects.push(Effect::ReadPlan);
            }
            model.history.note(&change);
        }
        Msg::Plan(plan) => {
            model.graph = plan.as_deref().map(GraphPlan::new);
            model.plan = plan;
        }
        Msg::Missed(count) => {
            model.history.meet(&model.snapshot, true);
            model.say(format!("{count} state changes were missed"), Tone::Warning);
        }
        Msg::LogsGrew => each_log(model, LogPane::grew),
        // Whose it is they know themselves.
        Msg::Lines(fetched) => each_log(model, |log| log.took(fetched.clone())),
        Msg::Terminal(id, event) => model.ttys.take(id, &event),
        Msg::Scanned(report) => model.log.scanned(report),
        Msg::Tail(id, lines) => {
            if let Some(unit) = model.by_id(id) {
                let run = (id, unit.attempt);
                let known = model.tails.keys().filter(|(other, _)| *other == id);
                let old: Vec<_> = known.copied().collect();
                for run in old {
                    model.tails.remove(&run);
                }
                model.tails.insert(run, lines);
            }
        }
        Msg::Answered { what, answer } => {
            let (text, tone) = match answer {
                Ok(answered) => match answered.answer {
                    Answer::Accepted => (what, Tone::Good),
                    Answer::Ignored(reason) => (format!("{what}: {reason}"), Tone::Warning),
                    Answer::Denied(denial) => (format!("{what}: {denial}"), Tone::Bad),
                },
                Err(error) => (format!("{what}: {error}"), Tone::Bad),
            };
            model.say(text, tone);
        }
        Msg::Did(Ok(text)) => model.say(text, Tone::Good),
        Msg::Did(Err(text)) => model.say(text, Tone::Bad),
        Msg::Terminated => acts::terminated(model, &mut effects),
        Msg::Resumed => effects.push(Effect::Redraw),
    }
    model.settle();
    let shown = model.unit().filter(|_| model.view == View::Details);
    let shown = shown.map(|unit| (unit.id, unit.unit.clone()));
    model.known.show(shown, &mut effects);
    // What the log shows follows from all of the above.
    let typing = model.ttys.typing().and_then(|id| model.by_id(id));
    if typing.is_some_and(|unit| unit.outcome.is_some()) {
        model.ttys.type_for(None);
    }
    let terminals = model.terminals();
    model.ttys.settle(&terminals, &mut effects);
    model.fetch_for_others(&mut effects);
    let (shape, height) = model.log_shape();
    if height > 0 && model.terminal().is_none() {
        let Wanted { lines, scan, seek } = model.log.wants(shape, height);
        effects.extend(lines.map(Effect::Fetch));
        effects.extend(scan.map(|scan| Effect::Scan(Some(scan))));
        effects.extend(seek.map(Effect::Seek));
    }
    effects
}

fn tick(model: &mut Model, now: Instant, wall: jiff::Timestamp) {
    model.now = now.max(model.now);
    model.wall = wall;
    if model
        .notice
        .as_ref()
        .is_some_and(|notice| notice.until <= model.now)
    {
        model.notice = None;
    }
}

fn typed(model: &mut Model, event: &Event, effects: &mut Vec<Effect>) {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let (event, key) = (*key, Key::from(*key));
            if model.overlay.is_some() {
                overlay::key(model, key, effects);
            } else if model.ttys.typing().is_some() {
                terminal::key(model, event, effects);
            } else {
                input::key(model, key, effects);
            }
        }
        Event::Paste(text) if model.overlay.is_none() => model.ttys.paste(text, effects),
        Event::Paste(text) => overlay::paste(model, text, effects),
        Event::Mouse(mouse) => mouse::mouse(model, *mouse, effects),
        Event::Resize(width, height) => {
            model.size = Size::new(*width, *height);
            each_log(model, LogPane::grew);
        }
        Event::Key(_) | Event::FocusGained | Event::FocusLost => {}
    }
}

fn each_log(model: &mut Model, mut tell: impl FnMut(&mut LogPane)) {
    tell(&mut model.log);
    if let Some(split) = &mut model.split_panes {
        split.others().for_each(tell);
    }
}

/// Asks for the last words of what has failed since.
fn failures(model: &mut Model, effects: &mut Vec<Effect>) {
    for unit in model.failing() {
        let run = (unit.id, unit.attempt);
        if unit.attempt.0 > 0 && !model.tails.contains_key(&run) {
            effects.push(Effect::Tail(unit.id, TAIL));
        }
    }
    let units = &model.snapshot.units;
    let is_current = |run: &(_, _)| {
        let unit = units.iter().find(|unit| unit.id == run.0);
        unit.is_some_and(|unit| unit.attempt == run.1 && is_failing(unit))
    };
    model.seen.retain(is_current);
}
