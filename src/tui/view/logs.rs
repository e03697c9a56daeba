//! The log pane.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{clipped, put, right};
use crate::logs::{LogLine, Stream};
use crate::tui::fit;
use crate::tui::log::{LogPane, Position, Scope, Search, Times, lay};
use crate::tui::model::{Focus, Model};
use crate::tui::panes::PaneAt;
use crate::tui::table::Chosen;
use crate::tui::words;

/// How much was found, in words.
pub(super) fn found(search: &Search) -> String {
    let count = search.count();
    let going = match search.is_done {
        true => String::new(),
        false => format!("… {} %", search.percent),
    };
    match (count, search.place()) {
        (0, _) if search.is_done => "no match".to_owned(),
        (0, _) => format!("searching{going}"),
        (count, Some(place)) => format!("{place}/{count}{going}"),
        (count, None) => format!("{count}{going}"),
    }
}

/// The line over a pane; whether that has the keys.
pub(super) fn rule(model: &Model, pane: &PaneAt, area: Rect, buffer: &mut Buffer) -> bool {
    let has_keys = model.focus == Focus::Log && pane.is_active;
    let (rule, style) = if has_keys {
        ("━", model.theme.border_focused)
    } else {
        ("─", model.theme.border)
    };
    let line = rule.repeat(usize::from(area.width));
    put(buffer, area.x, area.y, area.width, &line, style);
    has_keys
}

pub(super) fn title(model: &Model, pane: &PaneAt, area: Rect, buffer: &mut Buffer) {
    let log = model.log_of(pane);
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    let has_keys = rule(model, pane, area, buffer);
    let own = pane.unit.filter(|_| model.split_panes.is_some());
    let whose = match log.scope {
        _ if own.is_some() => (own.and_then(|id| model.by_id(id)))
            .map_or_else(String::new, |unit| unit.name.to_string()),
        Scope::All => "all units".to_owned(),
        Scope::Marked if model.marked.is_empty() => "all units".to_owned(),
        Scope::Marked => {
            let units = model.marked.iter().filter_map(|id| model.by_id(*id));
            units
                .map(|unit| unit.name.as_str())
                .collect::<Vec<_>>()
                .join(" + ")
        }
        Scope::Chosen => match &model.chosen {
            Some(Chosen::Unit(_)) => model
                .unit()
                .map_or_else(String::new, |unit| unit.name.to_string()),
            Some(Chosen::Group(title)) => title.clone(),
            None => "all units".to_owned(),
        },
    };
    let mut notes: Vec<(String, Style)> = Vec::new();
    if let Some(search) = &log.search {
        let text = format!(
            "“{}” {}",
            fit::clip(search.pattern.text(), 20),
            found(search)
        );
        notes.push((text, theme.warning));
    }
    if log.only_matches {
        notes.push(("matches only".to_owned(), theme.warning));
    }
    if log.cleared > 0 {
        notes.push(("older lines hidden".to_owned(), theme.dim));
    }
    if !log.marked.is_empty() {
        notes.push((format!("{} marked", log.marked.len()), theme.warning));
    }
    if log.pretty {
        notes.push(("json".to_owned(), theme.dim));
    }
    if !log.wrap && log.pan > 0 {
        notes.push((format!("→{}", log.pan), theme.dim));
    }
    let (shape, height) = model.shape_in(log, pane.body);
    notes.push(match log.position {
        Position::Follow => ("following".to_owned(), theme.good),
        Position::At { .. } if log.is_at_start(shape, height) => {
            let rows: usize = log.view(shape, height).iter().map(|entry| entry.rows).sum();
            let text = match rows < height {
                true => "all of it",
                false => "at the oldest line",
            };
            (text.to_owned(), theme.warning)
        }
        Position::At { .. } => ("not following".to_owned(), theme.warning),
    });
    let mut end = area.right().saturating_sub(1);
    for (text, style) in notes.iter().rev() {
        let start = right(
            buffer,
            area.x + 12,
            area.y,
            end,
            &format!(" {text} "),
            *style,
        );
        if start == end {
            break;
        }
        end = start;
    }
    let name_style = if has_keys {
        theme.border_focused.patch(theme.strong)
    } else {
        theme.title()
    };
    let room = usize::from(end.saturating_sub(area.x + 3));
    let whose = format!(" {} ", fit::clip(&whose, room.saturating_sub(2)));
    put(
        buffer,
        area.x + 1,
        area.y,
        end.saturating_sub(area.x + 1),
        &whose,
        name_style,
    );
}

pub(super) fn lines(model: &Model, pane: &PaneAt, area: Rect, buffer: &mut Buffer) {
    let log = model.log_of(pane);
    if area.is_empty() {
        return;
    }
    let (shape, height) = model.shape_in(log, pane.body);
    let entries = log.view(shape, height.min(usize::from(area.height)));
    if entries.is_empty() {
        clipped(
            buffer,
            area.x + 2,
            area.y,
            area.right(),
            empty(log),
            model.theme.dim,
        );
        return;
    }
    let theme = &model.theme;
    let mut y = area.y;
    for entry in entries {
        let seq = entry.line.seq;
        let current = (log.search.as_ref()).is_some_and(|search| search.current == Some(seq));
        let hit = if current {
            theme.hit_current
        } else {
            theme.hit
        };
        let pattern = log.search.as_ref().map(|search| (&search.pattern, hit));
        let laid = lay(&entry.line.bytes, shape, pattern, Some(theme));
        for (at, row) in laid
            .iter()
            .enumerate()
            .skip(entry.first_row)
            .take(entry.rows)
        {
            // Below the text, whose matches are to be seen on it.
            if log.cursor == Some(seq) && model.focus == Focus::Log && pane.is_active {
                let row = Rect {
                    y,
                    height: 1,
                    ..area
                };
                buffer.set_style(row, theme.selected);
            }
            let mut x = prefix(model, log, entry.line, at == 0, area, y, buffer);
            for (style, text) in row {
                x = put(buffer, x, y, area.right().saturating_sub(x), text, *style);
            }
            y += 1;
        }
    }
}

fn empty(log: &LogPane) -> &'static str {
    if log.only_matches {
        "no line matches"
    } else if log.cleared > 0 {
        "nothing since the older lines were hidden"
    } else {
        "nothing written yet"
    }
}

/// What stands before the text of a line; where that begins.
fn prefix(
    model: &Model,
    log: &LogPane,
    line: &LogLine,
    is_first: bool,
    area: Rect,
    y: u16,
    buffer: &mut Buffer,
) -> u16 {
    let theme = &model.theme;
    let (name_width, time_width) = model.log_columns_in(log, area.width);
    let end = area.right();
    let mut x = area.x;
    if time_width > 0 {
        if is_first {
            let text = match log.times {
                Times::Off => String::new(),
                Times::Absolute => absolute(model, line.time),
                Times::Relative => ago(model.wall, line.time),
            };
            put(
                buffer,
                x,
                y,
                end.saturating_sub(x),
                &fit::pad_left(&text, time_width),
                theme.dim,
            );
        }
        x += u16::try_from(time_width + 1).unwrap_or(0);
    }
    let id = line.origin.run.instance;
    if name_width > 0 {
        if is_first {
            let name = model.by_id(id).map_or("?", |unit| unit.name.as_str());
            let name = fit::clip_middle(name, name_width);
            put(
                buffer,
                x,
                y,
                end.saturating_sub(x),
                &name,
                theme.unit(model.place(id)),
            );
        }
        x += u16::try_from(name_width + 1).unwrap_or(0);
    }
    let (mark, style) = if log.marked.contains(&line.seq) {
        ("◆", theme.warning)
    } else {
        match (line.origin.stream, name_width > 0) {
            (Stream::Stderr, _) => ("▌", theme.warning),
            (Stream::Build, _) => ("#", theme.dim),
            (Stream::Stdout, true) => ("│", theme.unit(model.place(id))),
            (Stream::Stdout, false) => (" ", theme.dim),
        }
    };
    put(buffer, x, y, end.saturating_sub(x), mark, style);
    x + 2
}

fn absolute(model: &Model, time: Timestamp) -> String {
    let zoned = time.to_zoned(model.zone.clone());
    zoned.strftime("%H:%M:%S%.3f").to_string()
}

fn ago(now: Timestamp, time: Timestamp) -> String {
    let ago = now.duration_since(time);
    words::age(std::time::Duration::try_from(ago).unwrap_or_default())
}
