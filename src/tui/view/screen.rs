//! A unit's terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Modifier, Style};

use super::{clipped, logs, put, right};
use crate::domain::id::InstanceId;
use crate::domain::terminal::TerminalSize;
use crate::tui::fit;
use crate::tui::keymap::Action;
use crate::tui::model::{Focus, Model};
use crate::tui::panes::PaneAt;
use crate::tui::tty::window;

/// The cell's colour; the program's sixteen are the terminal's own.
fn color(color: vt100::Color) -> Color {
    match color {
        vt100::Color::Default => Color::Reset,
        vt100::Color::Idx(0) => Color::Black,
        vt100::Color::Idx(1) => Color::Red,
        vt100::Color::Idx(2) => Color::Green,
        vt100::Color::Idx(3) => Color::Yellow,
        vt100::Color::Idx(4) => Color::Blue,
        vt100::Color::Idx(5) => Color::Magenta,
        vt100::Color::Idx(6) => Color::Cyan,
        vt100::Color::Idx(7) => Color::Gray,
        vt100::Color::Idx(index) => Color::Indexed(index),
        vt100::Color::Rgb(red, green, blue) => Color::Rgb(red, green, blue),
    }
}

fn style(cell: &vt100::Cell) -> Style {
    let mut style = Style::new()
        .fg(color(cell.fgcolor()))
        .bg(color(cell.bgcolor()));
    for (is_so, modifier) in [
        (cell.bold(), Modifier::BOLD),
        (cell.dim(), Modifier::DIM),
        (cell.italic(), Modifier::ITALIC),
        (cell.underline(), Modifier::UNDERLINED),
        (cell.inverse(), Modifier::REVERSED),
    ] {
        if is_so {
            style = style.add_modifier(modifier);
        }
    }
    style
}

pub(super) fn screen(model: &Model, id: InstanceId, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let Some(screen) = model.ttys.get(id).and_then(|tty| tty.screen()) else {
        let text = "the terminal is on its way";
        clipped(
            buffer,
            area.x + 2,
            area.y,
            area.right(),
            text,
            model.theme.dim,
        );
        return;
    };
    let (top, left) = window(screen, area.height, area.width);
    for row in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let Some(cell) = screen.cell(top + row, left + x) else {
                break;
            };
            let wide = if cell.is_wide() { 2 } else { 1 };
            let text = cell.contents();
            let at = (area.x + x, area.y + row);
            x += 1;
            if cell.is_wide_continuation() || text.is_empty() {
                buffer[at].set_symbol(" ").set_style(style(cell));
                continue;
            }
            // What reorders or takes more room than it says would spoil the rest.
            let shown = if text.contains(fit::is_control) || fit::grapheme_width(text) != wide {
                "\u{fffd}"
            } else {
                text
            };
            let room = area.width - x + 1;
            if u16::try_from(wide).unwrap_or(2) > room {
                continue;
            }
            buffer.set_stringn(at.0, at.1, shown, wide, style(cell));
            if wide == 2 {
                x += 1;
            }
        }
    }
}

pub(super) fn title(model: &Model, pane: &PaneAt, id: InstanceId, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    let has_keys = logs::rule(model, pane, area, buffer);
    let Some(unit) = model.by_id(id) else {
        return;
    };
    let tty = model.ttys.get(id);
    let key = |action| model.keymap.label(action).unwrap_or_default();
    let mut notes = Vec::new();
    if model.ttys.typing() == Some(id) {
        let text = format!("typing, {} leaves", key(Action::LeaveTerminal));
        notes.push((text, theme.hit_current));
    } else if unit.pid.is_none() {
        notes.push((unit.status.clone(), theme.warning));
    } else if has_keys {
        notes.push((format!("{} types into it", key(Action::LogJump)), theme.key));
    }
    match tty.map_or(0, crate::tui::tty::Tty::scrolled) {
        0 => {}
        lines => notes.push((format!("{lines} lines back"), theme.warning)),
    }
    let pane_size = TerminalSize::new(pane.body.height, pane.body.width);
    let size = tty.and_then(crate::tui::tty::Tty::size);
    notes.push(match size.filter(|size| *size != pane_size) {
        // Another face has the say.
        Some(size) => (format!("terminal of {size}"), theme.warning),
        None => ("terminal".to_owned(), theme.good),
    });
    let mut end = area.right().saturating_sub(1);
    for (text, style) in notes.iter().rev() {
        let start = right(
            buffer,
            area.x + 8,
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
    let style = if has_keys {
        theme.border_focused.patch(theme.strong)
    } else {
        theme.title()
    };
    let room = usize::from(end.saturating_sub(area.x + 3));
    let name = format!(
        " {} ",
        fit::clip(unit.name.as_str(), room.saturating_sub(2))
    );
    let wide = end.saturating_sub(area.x + 1);
    put(buffer, area.x + 1, area.y, wide, &name, style);
}

/// Where the terminal that is typed into has its cursor.
pub(super) fn cursor(model: &Model) -> Option<Position> {
    let id = model.ttys.typing().filter(|_| model.overlay.is_none())?;
    debug_assert_eq!(model.focus, Focus::Log);
    let tty = model.ttys.get(id)?;
    let screen = tty.screen().filter(|screen| !screen.hide_cursor())?;
    let panes = model.panes();
    let body = panes.iter().find(|pane| pane.unit == Some(id))?.body;
    let (row, column) = screen.cursor_position();
    let (top, left) = window(screen, body.height, body.width);
    let (row, column) = (row.checked_sub(top)?, column.checked_sub(left)?);
    (row < body.height && column < body.width && tty.scrolled() == 0)
        .then(|| Position::new(body.x + column, body.y + row))
}
