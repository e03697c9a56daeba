//! What depends on what, drawn.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{clipped, put};
use crate::tui::fit;
use crate::tui::graph_plan::Node;
use crate::tui::history::State;
use crate::tui::model::Model;
use crate::tui::words;

pub(super) fn graph(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    let title = "GRAPH   what a unit needs stands to its left";
    clipped(
        buffer,
        area.x + 1,
        area.y,
        area.right(),
        title,
        theme.border_focused,
    );
    let body = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height - 1,
    };
    let Some(graph) = model.graph.as_ref().filter(|graph| !graph.nodes.is_empty()) else {
        let text = match &model.graph {
            Some(_) => "the stack has no units",
            None => "the file cannot be read here, so what depends on what is not known",
        };
        clipped(buffer, body.x, body.y, area.right(), text, theme.dim);
        return;
    };
    let chosen = model.unit().map(|unit| unit.unit.clone());
    let node = chosen.and_then(|name| graph.nodes.iter().find(|node| node.name == name));
    let (left, top) = node.map_or((0, 0), |node| {
        scroll(node, (graph.width, graph.height), body)
    });
    let (width, height) = (usize::from(body.width), usize::from(body.height));
    for y in top..graph.height.min(top + height) {
        let row = body.y + u16::try_from(y - top).unwrap_or(0);
        for (x, wire) in graph.wires(y, left, left + width) {
            let column = body.x + u16::try_from(x - left).unwrap_or(0);
            put(buffer, column, row, 1, wire, theme.border);
        }
    }
    for each in &graph.nodes {
        if each.y < top || each.y >= top + height || each.x < left || each.x >= left + width {
            continue;
        }
        let x = body.x + u16::try_from(each.x - left).unwrap_or(0);
        let y = body.y + u16::try_from(each.y - top).unwrap_or(0);
        let state = worst(model, each);
        let (glyph, tone) = words::glyph(state);
        let end = put(
            buffer,
            x,
            y,
            body.right().saturating_sub(x),
            glyph,
            theme.tone(tone),
        );
        let near = node.is_some_and(|node| {
            node.needs
                .iter()
                .chain(&node.needed_by)
                .any(|on| graph.nodes[*on].name == each.name)
        });
        let style = match state {
            State::Idle | State::Stopped => theme.dim,
            _ if near => theme.strong,
            _ => theme.tone(tone),
        };
        let name = fit::clip_middle(each.name.as_str(), each.width.saturating_sub(2));
        let end = put(
            buffer,
            end + 1,
            y,
            body.right().saturating_sub(end + 1),
            &name,
            style,
        );
        if node.is_some_and(|node| node.name == each.name) {
            let rect = Rect {
                x,
                y,
                width: end.saturating_sub(x),
                height: 1,
            };
            buffer.set_style(rect, theme.selected.patch(theme.strong));
        }
    }
    if let Some(node) = node
        && graph.height + 3 < height
    {
        let names = |of: &[usize]| {
            let names: Vec<&str> = of.iter().map(|on| graph.nodes[*on].name.as_str()).collect();
            if names.is_empty() {
                "nothing".to_owned()
            } else {
                names.join(", ")
            }
        };
        let text = format!("{} needs {}", node.name, names(&node.needs));
        clipped(
            buffer,
            body.x,
            body.bottom() - 2,
            body.right(),
            &text,
            theme.dim,
        );
        let text = format!("{} is needed by {}", node.name, names(&node.needed_by));
        clipped(
            buffer,
            body.x,
            body.bottom() - 1,
            body.right(),
            &text,
            theme.dim,
        );
    }
}

/// What of the drawing is in view, so that the node is.
fn scroll(node: &Node, size: (usize, usize), body: Rect) -> (usize, usize) {
    let along = |at: usize, long: usize, all: usize, room: usize| {
        if all <= room {
            0
        } else {
            (at + long / 2).saturating_sub(room / 2).min(all - room)
        }
    };
    (
        along(node.x, node.width, size.0, usize::from(body.width)),
        along(node.y, 1, size.1, usize::from(body.height)),
    )
}

/// The state of a unit: of its instances the one that needs a look most.
fn worst(model: &Model, node: &Node) -> State {
    let units = model
        .snapshot
        .units
        .iter()
        .filter(|unit| unit.unit == node.name);
    let states = units.map(|unit| State::of(unit));
    states
        .min_by_key(|state| crate::tui::table::urgency(*state))
        .unwrap_or(State::Idle)
}
