//! The table of units.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{clipped, put, right};
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::tui::digest::ports;
use crate::tui::fit;
use crate::tui::history::State;
use crate::tui::keymap::Action;
use crate::tui::model::{Focus, Model};
use crate::tui::table::{Row, Sort};
use crate::tui::theme::Tone;
use crate::tui::usage;
use crate::tui::words;

/// Where the columns stand; 0 columns: there is no room for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Columns {
    name: u16,
    status: u16,
    age: u16,
    restarts: u16,
    cpu: u16,
    spark: u16,
    memory: u16,
    memory_spark: u16,
    processes: u16,
    ports: u16,
    last: u16,
}

/// Columns from which on status and last event stand side by side: fewer tell neither.
const WORDS: u16 = 56;

/// Columns of a trail.
const SPARK: u16 = 6;

/// Before the name: mark, glyph, spaces.
const LEAD: u16 = 4;

fn columns(model: &Model, width: u16) -> Columns {
    let longest = u16::try_from(model.digest.widest_name).unwrap_or(u16::MAX);
    let name = longest.max(4).min((width / 3).clamp(8, 30));
    let mut columns = Columns {
        name,
        ..Columns::default()
    };
    let mut left = width.saturating_sub(LEAD + name + 1);
    let mut take = |wanted: u16, spare: u16| {
        if left >= wanted + 1 + spare {
            left -= wanted + 1;
            wanted
        } else {
            0
        }
    };
    columns.age = take(6, 18);
    if model.usage.is_known {
        columns.cpu = take(5, 18);
        columns.memory = take(5, 18);
    }
    if model.digest.has_restarts {
        columns.restarts = take(3, 22);
    }
    if model.usage.is_known {
        columns.processes = take(4, 24);
        columns.spark = take(SPARK, 32);
    }
    match u16::try_from(model.digest.widest_ports).unwrap_or(0) {
        0 => {}
        wide => columns.ports = take(wide.clamp(5, 14), 28),
    }
    if model.usage.is_known {
        columns.memory_spark = take(SPARK, WORDS);
    }
    if left >= WORDS {
        columns.last = left * 2 / 5;
        left -= columns.last + 1;
    }
    columns.status = left;
    columns
}

/// In bytes, as the file has it.
fn limit(model: &Model, unit: &UnitView) -> Option<u64> {
    let spec = model.plan.as_ref()?.get(unit.unit.as_str())?;
    spec.limits.as_ref()?.memory
}

pub(super) fn table(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let columns = columns(model, area.width);
    heading(model, columns, Rect { height: 1, ..area }, buffer);
    if model.rows.is_empty() {
        let text = if model.snapshot.units.is_empty() {
            "the stack has no units".to_owned()
        } else {
            let key = model.keymap.label(Action::Back).unwrap_or_default();
            format!("no unit is like that; {key} shows all again")
        };
        if area.height > 1 {
            clipped(
                buffer,
                area.x + 2,
                area.y + 1,
                area.right(),
                &text,
                model.theme.dim,
            );
        }
        return;
    }
    let chosen = model.chosen_row();
    let page = usize::from(area.height - 1);
    for (at, row) in model.rows.iter().enumerate().skip(model.top).take(page) {
        let y = area.y + 1 + u16::try_from(at - model.top).unwrap_or(0);
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        match row {
            Row::Group {
                title,
                good,
                total,
                folded,
            } => group(model, (title, *good, *total, *folded), line, buffer),
            Row::Unit(place) => {
                if let Some(unit) = model.snapshot.units.get(*place) {
                    self::unit(model, unit, columns, line, buffer);
                }
            }
        }
        if chosen == Some(at) {
            let style = match model.focus {
                Focus::Units => model.theme.selected,
                Focus::Log => model.theme.selected_unfocused,
            };
            buffer.set_style(line, style);
        }
    }
    // That there is more is said at the edge.
    let theme = &model.theme;
    if model.top > 0 {
        put(buffer, area.right() - 1, area.y + 1, 1, "↑", theme.dim);
    }
    if model.top + page < model.rows.len() {
        put(
            buffer,
            area.right() - 1,
            area.bottom() - 1,
            1,
            "↓",
            theme.dim,
        );
    }
}

fn heading(model: &Model, columns: Columns, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let style = match model.focus {
        Focus::Units => theme.border_focused,
        Focus::Log => theme.dim,
    };
    let arrow = if model.table.reverse { "↑" } else { "↓" };
    let sorted = |sort: Sort, title: &str| {
        if model.table.sort == sort {
            format!("{title}{arrow}")
        } else {
            title.to_owned()
        }
    };
    let mut x = area.x + LEAD;
    let mut column = |width: u16, title: &str, to_right: bool| {
        if width == 0 {
            return;
        }
        let text = if to_right {
            fit::pad_left(title, usize::from(width))
        } else {
            fit::pad(title, usize::from(width))
        };
        put(
            buffer,
            x,
            area.y,
            area.right().saturating_sub(x),
            &text,
            style,
        );
        x += width + 1;
    };
    column(columns.name, &sorted(Sort::Name, "UNIT"), false);
    let status = if model.table.filter.is_empty() {
        sorted(Sort::State, "STATUS")
    } else {
        format!("STATUS  /{}", model.table.filter)
    };
    column(columns.status, &status, false);
    column(columns.age, &sorted(Sort::Age, "FOR"), true);
    column(columns.restarts, &sorted(Sort::Restarts, "RST"), true);
    column(columns.cpu, &sorted(Sort::Cpu, "CPU"), true);
    column(columns.spark, "", false);
    column(columns.memory, &sorted(Sort::Memory, "MEM"), true);
    column(columns.memory_spark, "", false);
    column(columns.processes, "PROC", true);
    column(columns.ports, "PORTS", false);
    column(columns.last, "LAST EVENT", false);
}

fn group(
    model: &Model,
    (title, good, total, folded): (&str, usize, usize, bool),
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = &model.theme;
    let arrow = if folded { "▸" } else { "▾" };
    let style = if good == total { theme.dim } else { theme.text };
    let count = format!("{good}/{total} ");
    let end = right(buffer, area.x + 12, area.y, area.right(), &count, style);
    clipped(
        buffer,
        area.x,
        area.y,
        end,
        &format!(" {arrow} {title}"),
        theme.strong,
    );
}

fn unit(model: &Model, unit: &UnitView, columns: Columns, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let y = area.y;
    let end = area.right();
    let state = State::of(unit);
    let (glyph, tone) = words::glyph(state);
    if model.marked.contains(&unit.id) {
        put(buffer, area.x, y, end - area.x, "▌", theme.warning);
    }
    put(
        buffer,
        area.x + 2,
        y,
        end.saturating_sub(area.x + 2),
        glyph,
        theme.tone(tone),
    );
    let mut x = area.x + LEAD;
    let history = model.history.get(unit.id);
    let mut column = |width: u16, text: &str, style| {
        if width > 0 {
            let limit = (x + width).min(end);
            clipped(buffer, x, y, limit, text, style);
            x += width + 1;
        }
    };
    let name_style = match state {
        State::Idle | State::Stopped | State::Completed => theme.dim,
        State::Failed => theme.bad,
        State::Waiting
        | State::Starting
        | State::Ready
        | State::Unwell
        | State::Stopping
        | State::Backoff
        | State::Skipped => theme.strong,
    };
    let name = fit::clip_middle(unit.name.as_str(), usize::from(columns.name));
    column(columns.name, &name, name_style);
    let status = words::status(unit, history, model.now);
    column(columns.status, &status, theme.tone(tone));
    let age = match unit.phase {
        PhaseName::Idle => String::new(),
        PhaseName::Waiting
        | PhaseName::Starting
        | PhaseName::Running
        | PhaseName::Stopping
        | PhaseName::Reaping
        | PhaseName::Backoff
        | PhaseName::Exited => words::age(model.now.since(unit.since)),
    };
    column(
        columns.age,
        &fit::pad_left(&age, usize::from(columns.age)),
        theme.dim,
    );
    let restarts = match unit.restarts {
        0 => String::new(),
        n => n.to_string(),
    };
    column(
        columns.restarts,
        &fit::pad_left(&restarts, usize::from(columns.restarts)),
        theme.warning,
    );
    let used = model.usage.of(unit.id).filter(|_| unit.pid.is_some());
    let (mut cpu, mut trail, mut memory, mut memory_trail, mut processes) =
        <(String, String, String, String, String)>::default();
    let (mut cpu_tone, mut memory_tone) = (Tone::Dim, Tone::Dim);
    if let Some(used) = used {
        cpu = used.cpu.map_or_else(String::new, usage::percent);
        cpu_tone = usage::cpu_tone(used.cpu.unwrap_or_default());
        trail = usage::sparkline(&used.cpu_trail, usize::from(columns.spark), 25.0);
        // Half as high as it may become, unless that is limited.
        let full = limit(model, unit).unwrap_or(2 * used.memory_peak);
        let wide = usize::from(columns.memory_spark);
        memory_trail = usage::sparkline(&used.memory_trail, wide, full as f64);
        memory = usage::bytes(used.memory);
        memory_tone = usage::memory_tone(used.memory, limit(model, unit));
        processes = used.processes.to_string();
    }
    column(
        columns.cpu,
        &fit::pad_left(&cpu, usize::from(columns.cpu)),
        theme.tone(cpu_tone),
    );
    column(columns.spark, &trail, theme.tone(cpu_tone));
    column(
        columns.memory,
        &fit::pad_left(&memory, usize::from(columns.memory)),
        theme.tone(memory_tone),
    );
    let trail_tone = match memory_tone {
        Tone::Plain => Tone::Dim,
        tone => tone,
    };
    column(columns.memory_spark, &memory_trail, theme.tone(trail_tone));
    column(
        columns.processes,
        &fit::pad_left(&processes, usize::from(columns.processes)),
        theme.dim,
    );
    if columns.ports > 0 {
        column(columns.ports, &ports(model.plan.as_ref(), unit), theme.info);
    }
    if let Some(last) = history.and_then(|history| history.last()) {
        let ago = words::age(model.now.since(last.at));
        let tone = match last.tone {
            Tone::Bad => theme.bad,
            _ => theme.dim,
        };
        column(columns.last, &format!("{ago:>4}  {}", last.text), tone);
    }
}
