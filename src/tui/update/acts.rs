//! What is asked of the stack.

use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::UnitName;
use crate::domain::signal::Signal;
use crate::tui::keymap::Action;
use crate::tui::log::pieces;
use crate::tui::model::{Asking, Leaving, Model, Overlay, Role};
use crate::tui::msg::Effect;
use crate::tui::theme::Tone;

pub(super) fn has_targets(model: &mut Model) -> bool {
    let has = !model.targets().is_empty();
    if !has {
        model.say("no unit is chosen", Tone::Warning);
    }
    has
}

/// The targets in words.
fn whom(names: &[UnitName]) -> String {
    match names {
        [one] => one.to_string(),
        [one, two] => format!("{one} and {two}"),
        [one, ..] => format!("{one} and {} more", names.len() - 1),
        [] => "nothing".to_owned(),
    }
}

pub(super) fn ask(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    if !has_targets(model) {
        return;
    }
    let names: Vec<UnitName> = model
        .targets()
        .iter()
        .map(|unit| unit.name.clone())
        .collect();
    if action == Action::Start && model.targets().iter().any(|unit| unit.foreground) {
        return match &names[..] {
            [one] => effects.push(Effect::Lend(one.clone())),
            _ => model.say(
                "a unit that takes over the terminal is started by itself",
                Tone::Warning,
            ),
        };
    }
    let several = names.len() > 1;
    let who = whom(&names);
    let (verb, command, destroys) = match action {
        Action::Start => ("start", Command::Start(names), false),
        Action::Stop => ("stop", Command::Stop(names), several),
        Action::Restart => ("restart", Command::Restart(names), several),
        Action::Kill => ("kill", Command::Kill(names), true),
        Action::Enable => ("enable", Command::Enable(names), false),
        Action::Disable => ("disable", Command::Disable(names), several),
        _ => return,
    };
    send(model, &format!("{verb} {who}"), command, destroys, effects);
}

pub(super) fn signal(model: &mut Model, signal: Signal, effects: &mut Vec<Effect>) {
    let names: Vec<UnitName> = model
        .targets()
        .iter()
        .map(|unit| unit.name.clone())
        .collect();
    if names.is_empty() {
        return;
    }
    let what = format!("{signal} to {}", whom(&names));
    let destroys = names.len() > 1 || signal == Signal::KILL;
    send(
        model,
        &what,
        Command::Signal(names, signal),
        destroys,
        effects,
    );
}

fn send(model: &mut Model, what: &str, command: Command, confirm: bool, effects: &mut Vec<Effect>) {
    if confirm {
        model.overlay = Some(Overlay::Confirm {
            question: format!("{what}?"),
            what: what.to_owned(),
            command,
        });
    } else {
        let what = what.to_owned();
        effects.push(Effect::Ask { what, command });
    }
}

pub(super) fn scale(model: &mut Model) {
    let Some(unit) = model.unit() else {
        model.say("choose one unit to scale", Tone::Warning);
        return;
    };
    let name = unit.unit.clone();
    let count = model.snapshot.units.iter().filter(|unit| unit.unit == name);
    model.overlay = Some(Overlay::Input {
        text: count.count().to_string(),
        before: String::new(),
        asking: Asking::Scale(name.to_string()),
    });
}

pub(super) fn scale_to(model: &mut Model, unit: &str, text: &str, effects: &mut Vec<Effect>) {
    match text.trim().parse::<u32>() {
        Ok(replicas) => effects.push(Effect::Ask {
            what: format!("scale {unit} to {replicas}"),
            command: Command::Scale {
                unit: UnitName::from(unit),
                replicas,
            },
        }),
        Err(_) => model.say(format!("`{text}` is no number of instances"), Tone::Bad),
    }
}

/// Asks how to leave; at once where somebody insists. Nobody insists by the first Ctrl-C.
pub(super) fn leave(model: &mut Model, effects: &mut Vec<Effect>, insists: bool) {
    if insists && matches!(model.overlay, Some(Overlay::Leave { .. })) {
        way_out(model, Leaving::Stop, true, effects);
    } else {
        model.overlay = Some(Overlay::Leave { chosen: 0 });
    }
}

/// `interrupted`: by Ctrl-C, which pk's exit code tells.
pub(super) fn way_out(
    model: &mut Model,
    way: Leaving,
    interrupted: bool,
    effects: &mut Vec<Effect>,
) {
    model.overlay = None;
    match way {
        Leaving::Stop => effects.push(shut_down(Shutdown::Graceful, interrupted)),
        Leaving::Kill => effects.push(shut_down(Shutdown::Now, interrupted)),
        Leaving::Detach => effects.push(Effect::Detach),
        Leaving::Stay => {}
    }
}

fn shut_down(how: Shutdown, interrupted: bool) -> Effect {
    let what = match how {
        Shutdown::Graceful => "stop the stack",
        Shutdown::Now => "kill what is left",
    };
    let cause = if interrupted {
        ShutdownCause::Signal(Signal::INT)
    } else {
        ShutdownCause::Requested
    };
    Effect::Ask {
        what: what.to_owned(),
        command: Command::Shutdown(how, cause),
    }
}

/// A stack that stops already, and somebody who does not want to wait.
pub(super) fn kill_all(model: &mut Model, effects: &mut Vec<Effect>) {
    if matches!(model.role, Role::Owner { .. }) {
        way_out(model, Leaving::Kill, true, effects);
    }
}

pub(super) fn terminated(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.role {
        // Whoever runs the stack hears the signal as well.
        Role::Owner { .. } => {}
        Role::Guest => effects.push(Effect::Detach),
    }
}

/// The marked lines, or those in view, without colours.
pub(super) fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    let (shape, height) = model.log_shape();
    let plain = |bytes: &[u8]| -> String {
        let pieces = pieces(bytes, usize::MAX);
        pieces.iter().map(|piece| &*piece.text).collect()
    };
    let lines: Vec<String> = if model.log.marked.is_empty() {
        let view = model.log.view(shape, height);
        view.iter().map(|entry| plain(&entry.line.bytes)).collect()
    } else {
        let marked = model.log.marked.iter();
        (marked.filter_map(|seq| model.log.get(*seq)))
            .map(|line| plain(&line.bytes))
            .collect()
    };
    if lines.is_empty() {
        model.say("there is nothing to copy", Tone::Warning);
        return;
    }
    let count = lines.len();
    let s = if count == 1 { "" } else { "s" };
    model.say(format!("{count} line{s} copied"), Tone::Good);
    model.log.marked.clear();
    effects.push(Effect::Copy(lines.join("\n")));
}
