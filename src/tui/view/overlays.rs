//! Windows over the rest.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Clear, Widget as _};

use super::{clipped, put, right};
use crate::tui::fit;
use crate::tui::keymap::{Action, Place, short};
use crate::tui::model::{Model, Overlay, SIGNALS};

pub(super) fn overlay(model: &Model, area: Rect, buffer: &mut Buffer) {
    match &model.overlay {
        None | Some(Overlay::Input { .. }) => {}
        Some(Overlay::Help { scroll }) => help(model, *scroll, area, buffer),
        Some(Overlay::Leave { chosen }) => leave(model, *chosen, area, buffer),
        Some(Overlay::Confirm { question, .. }) => confirm(model, question, area, buffer),
        Some(Overlay::Palette { text, chosen }) => palette(model, text, *chosen, area, buffer),
        Some(Overlay::Signals { chosen }) => signals(model, *chosen, area, buffer),
    }
}

/// An empty window of that size in the middle, or as much of it as there is room for; its
/// inside.
fn window(
    model: &Model,
    title: &str,
    width: u16,
    height: u16,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let width = width.saturating_add(4).min(area.width);
    let height = height.saturating_add(2).min(area.height);
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(outer, buffer);
    buffer.set_style(outer, model.theme.text.patch(model.theme.popup));
    let title = fit::clip(title, usize::from(width.saturating_sub(4)));
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(model.theme.border_focused)
        .title(format!(" {title} "));
    let inner = block.inner(outer);
    block.render(outer, buffer);
    Rect {
        x: inner.x + 1.min(inner.width),
        width: inner.width.saturating_sub(2),
        ..inner
    }
}

/// The lines of the help: a heading, or an action with its keys.
fn help_lines(model: &Model) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for place in [Place::Units, Place::Log, Place::Terminal, Place::Everywhere] {
        if !lines.is_empty() {
            lines.push((String::new(), String::new()));
        }
        lines.push((String::new(), place.title().to_uppercase()));
        for action in Action::ALL.iter().filter(|action| action.place() == place) {
            let keys = model.keymap.of(*action).iter().map(|key| short(*key));
            lines.push((keys.collect::<Vec<_>>().join(" "), action.help().to_owned()));
        }
    }
    lines
}

/// How far the help can be scrolled.
#[must_use]
pub fn help_height(model: &Model) -> usize {
    let visible = usize::from(model.size.height.saturating_sub(4));
    let columns = if model.size.width >= 150 { 2 } else { 1 };
    help_lines(model)
        .len()
        .div_ceil(columns)
        .saturating_sub(visible)
}

fn help(model: &Model, scroll: usize, area: Rect, buffer: &mut Buffer) {
    let lines = help_lines(model);
    let columns = if area.width >= 150 { 2 } else { 1 };
    let rows = lines.len().div_ceil(columns);
    let wide = 70 * u16::try_from(columns).unwrap_or(1);
    let title = "keys — up and down scroll, any other key closes";
    let inner = window(
        model,
        title,
        wide,
        u16::try_from(rows).unwrap_or(u16::MAX),
        area,
        buffer,
    );
    let theme = &model.theme;
    let column_width = inner.width / u16::try_from(columns).unwrap_or(1);
    for column in 0..columns {
        let x = inner.x + column_width * u16::try_from(column).unwrap_or(0);
        let end = (x + column_width).min(inner.right());
        let shown = lines.iter().skip(column * rows).take(rows).skip(scroll);
        for (row, (keys, help)) in shown.take(usize::from(inner.height)).enumerate() {
            let y = inner.y + u16::try_from(row).unwrap_or(0);
            if keys.is_empty() {
                clipped(buffer, x, y, end, help, theme.strong);
                continue;
            }
            put(
                buffer,
                x,
                y,
                16.min(end.saturating_sub(x)),
                &fit::pad_left(keys, 16),
                theme.key,
            );
            if x + 18 < end {
                clipped(buffer, x + 18, y, end, help, theme.text);
            }
        }
    }
    if scroll + usize::from(inner.height) < rows && !inner.is_empty() {
        let (x, y) = (inner.right() - 1, inner.bottom() - 1);
        put(buffer, x, y, 1, "↓", theme.key);
    }
}

fn leave(model: &Model, chosen: usize, area: Rect, buffer: &mut Buffer) {
    let ways = model.ways_out();
    let running = model
        .snapshot
        .units
        .iter()
        .filter(|unit| unit.pid.is_some())
        .count();
    let s = if running == 1 { "" } else { "s" };
    let question = if model.snapshot.shutdown.is_some() {
        format!("The stack is stopping; {running} unit{s} still there.")
    } else {
        format!("Nothing has been stopped yet; {running} unit{s} running.")
    };
    let height = u16::try_from(ways.len() + 2).unwrap_or(4);
    let title = format!("leave {}?", model.snapshot.name);
    let inner = window(model, &title, 48, height, area, buffer);
    if inner.is_empty() {
        return;
    }
    let theme = &model.theme;
    clipped(
        buffer,
        inner.x,
        inner.y,
        inner.right(),
        &question,
        theme.dim,
    );
    let skip = if inner.height > 4 { 2 } else { 1 };
    for (at, (_, key, text)) in ways.iter().enumerate() {
        let y = inner.y + skip + u16::try_from(at).unwrap_or(0);
        if y >= inner.bottom() {
            break;
        }
        let line = format!("{key:>4}  {text}");
        clipped(buffer, inner.x, y, inner.right(), &line, theme.text);
        put(
            buffer,
            inner.x,
            y,
            4.min(inner.width),
            &format!("{key:>4}"),
            theme.key,
        );
        if at == chosen {
            buffer.set_style(
                Rect {
                    y,
                    height: 1,
                    ..inner
                },
                theme.selected,
            );
        }
    }
}

fn confirm(model: &Model, question: &str, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let targets: Vec<String> = model
        .targets()
        .iter()
        .map(|unit| unit.name.to_string())
        .collect();
    let width = usize::from(area.width.saturating_sub(6)).min(56);
    // Two are named in the question.
    let mut names = if targets.len() > 2 {
        fit::wrap(&targets.join(", "), width.max(1))
    } else {
        Vec::new()
    };
    names.truncate(6);
    let height = u16::try_from(names.len() + 3).unwrap_or(4);
    let inner = window(
        model,
        "sure?",
        u16::try_from(width).unwrap_or(40),
        height,
        area,
        buffer,
    );
    if inner.is_empty() {
        return;
    }
    clipped(
        buffer,
        inner.x,
        inner.y,
        inner.right(),
        question,
        theme.strong,
    );
    for (row, line) in names.iter().enumerate() {
        let y = inner.y + 1 + u16::try_from(row).unwrap_or(0);
        if y < inner.bottom() {
            clipped(buffer, inner.x, y, inner.right(), line, theme.dim);
        }
    }
    let y = inner.bottom() - 1;
    let x = put(buffer, inner.x, y, inner.width, "y", theme.key);
    let x = put(
        buffer,
        x,
        y,
        inner.right().saturating_sub(x),
        " yes   ",
        theme.dim,
    );
    let x = put(
        buffer,
        x,
        y,
        inner.right().saturating_sub(x),
        "n",
        theme.key,
    );
    put(
        buffer,
        x,
        y,
        inner.right().saturating_sub(x),
        " no",
        theme.dim,
    );
}

fn palette(model: &Model, text: &str, chosen: usize, area: Rect, buffer: &mut Buffer) {
    let found = model.palette(text);
    let height = area.height.saturating_sub(4).min(16);
    let inner = window(model, "commands", 60, height, area, buffer);
    if inner.is_empty() {
        return;
    }
    let theme = &model.theme;
    let x = put(buffer, inner.x, inner.y, inner.width, "› ", theme.key);
    let x = clipped(
        buffer,
        x,
        inner.y,
        inner.right().saturating_sub(1),
        text,
        theme.strong,
    );
    put(
        buffer,
        x,
        inner.y,
        inner.right().saturating_sub(x),
        "█",
        theme.key,
    );
    if found.is_empty() && inner.height > 1 {
        clipped(
            buffer,
            inner.x,
            inner.y + 1,
            inner.right(),
            "nothing is called that",
            theme.dim,
        );
    }
    let page = usize::from(inner.height.saturating_sub(1));
    let skip = (chosen + 1).saturating_sub(page);
    for (at, action) in found.iter().enumerate().skip(skip).take(page) {
        let y = inner.y + 1 + u16::try_from(at - skip).unwrap_or(0);
        let key = model.keymap.label(*action).unwrap_or_default();
        let end = right(buffer, inner.x, y, inner.right(), &key, theme.key);
        let name = fit::pad(action.name(), 16);
        let x = clipped(buffer, inner.x, y, end, &name, theme.text);
        clipped(
            buffer,
            x + 1,
            y,
            end.saturating_sub(1),
            action.help(),
            theme.dim,
        );
        if at == chosen {
            buffer.set_style(
                Rect {
                    y,
                    height: 1,
                    ..inner
                },
                theme.selected,
            );
        }
    }
}

/// What most programs take the signal for.
fn usual(signal: &str) -> &'static str {
    match signal {
        "SIGHUP" => "read the configuration again",
        "SIGINT" => "stop, as by Ctrl-C",
        "SIGTERM" => "stop in order",
        "SIGUSR1" | "SIGUSR2" => "the program's own",
        "SIGQUIT" => "stop, and dump core",
        "SIGKILL" => "ends it at once; no program can refuse",
        "SIGSTOP" => "hold still",
        "SIGCONT" => "go on",
        "SIGWINCH" => "the terminal has another size",
        "SIGALRM" => "a timer is over",
        "SIGABRT" => "abort, and dump core",
        _ => "",
    }
}

fn signals(model: &Model, chosen: usize, area: Rect, buffer: &mut Buffer) {
    let targets = model.targets();
    let title = match &targets[..] {
        [one] => format!("signal to {}", one.name),
        several => format!("signal to {} units", several.len()),
    };
    let height = u16::try_from(SIGNALS.len()).unwrap_or(12);
    let inner = window(model, &title, 46, height, area, buffer);
    let page = usize::from(inner.height);
    let skip = (chosen + 1).saturating_sub(page);
    for (at, name) in SIGNALS.iter().enumerate().skip(skip).take(page) {
        let y = inner.y + u16::try_from(at - skip).unwrap_or(0);
        let style: Style = model.theme.text;
        clipped(buffer, inner.x + 1, y, inner.right(), name, style);
        let usual = usual(name);
        clipped(
            buffer,
            inner.x + 12,
            y,
            inner.right(),
            usual,
            model.theme.dim,
        );
        if at == chosen {
            buffer.set_style(
                Rect {
                    y,
                    height: 1,
                    ..inner
                },
                model.theme.selected,
            );
        }
    }
}
