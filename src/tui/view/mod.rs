//! The model on the screen. For a given model always the same picture.

mod bars;
mod details;
mod graph;
mod logs;
mod overlays;
mod screen;
mod timeline;
mod units;

use std::borrow::Cow;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::fit;
use super::model::{Model, View};

pub use overlays::help_height;

/// Draws the model.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    draw(model, area, frame.buffer_mut());
    if let Some(cursor) = screen::cursor(model).filter(|cursor| area.contains(*cursor)) {
        frame.set_cursor_position(cursor);
    }
}

/// Draws the model into a buffer.
pub fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    buffer.set_style(area, model.theme.text);
    let areas = model.areas();
    let within = |rect: Rect| rect.intersection(area);
    bars::header(model, within(areas.header), buffer);
    match model.view {
        View::Overview => units::table(model, within(areas.main), buffer),
        View::Graph => graph::graph(model, within(areas.main), buffer),
        View::Timeline => timeline::timeline(model, within(areas.main), buffer),
        View::Details => details::details(model, within(areas.main), buffer),
    }
    let divider = within(areas.divider);
    for y in divider.top()..divider.bottom() {
        put(buffer, divider.x, y, 1, "│", model.theme.border);
    }
    for pane in model.panes() {
        let (title, body) = (within(pane.title), within(pane.body));
        if let Some(id) = model.terminal_in(&pane) {
            screen::title(model, &pane, id, title, buffer);
            screen::screen(model, id, body, buffer);
        } else {
            logs::title(model, &pane, title, buffer);
            logs::lines(model, &pane, body, buffer);
        }
        // Between it and the next one beside it.
        if pane.title.right() < areas.logs.right() {
            for y in pane.title.top()..pane.body.bottom() {
                put(buffer, pane.title.right(), y, 1, "│", model.theme.border);
            }
        }
    }
    bars::alarm(model, within(areas.alarm), buffer);
    bars::footer(model, within(areas.footer), buffer);
    overlays::overlay(model, area, buffer);
}

/// Writes at most `width` columns of a clean text; where it ended.
fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
    if width == 0 || !buffer.area.contains(ratatui::layout::Position::new(x, y)) {
        return x;
    }
    buffer.set_stringn(x, y, text, usize::from(width), style).0
}

/// Writes a text of any kind within the area's row, with `…` where it does not fit; where it
/// ended.
fn clipped(buffer: &mut Buffer, x: u16, y: u16, end: u16, text: &str, style: Style) -> u16 {
    let width = end.saturating_sub(x);
    let text: Cow<'_, str> = fit::clip(text, usize::from(width));
    put(buffer, x, y, width, &text, style)
}

/// Writes it so that it ends before `end`, if there is room from `x` on.
fn right(buffer: &mut Buffer, x: u16, y: u16, end: u16, text: &str, style: Style) -> u16 {
    let wide = u16::try_from(fit::width(text)).unwrap_or(u16::MAX);
    match end.checked_sub(wide) {
        Some(start) if start >= x => {
            put(buffer, start, y, wide, text, style);
            start
        }
        Some(_) | None => end,
    }
}
