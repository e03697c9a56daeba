//! How the start went, as a waterfall.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{clipped, put, right};
use crate::domain::id::InstanceId;
use crate::domain::snapshot::UnitView;
use crate::domain::text::short_duration;
use crate::domain::time::Instant;
use crate::domain::timeline::critical_path;
use crate::tui::fit;
use crate::tui::history::State;
use crate::tui::model::Model;
use crate::tui::table::Row;
use crate::tui::words;

pub(super) fn timeline(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    let end = span(model);
    let critical = critical(model);
    let name = u16::try_from(model.digest.widest_name)
        .unwrap_or(u16::MAX)
        .clamp(4, (area.width / 4).max(4));
    let x = area.x + 5 + name;
    let took = 8;
    let width = area.right().saturating_sub(x + took + 1);
    let heading = Rect { height: 1, ..area };
    axis(model, end, (x, width), heading, buffer);
    let page = usize::from(area.height - 1);
    let chosen = model.chosen_row();
    for (at, row) in model.rows.iter().enumerate().skip(model.top).take(page) {
        let y = area.y + 1 + u16::try_from(at - model.top).unwrap_or(0);
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        match row {
            Row::Group { title, .. } => {
                clipped(buffer, area.x + 1, y, area.right(), title, theme.strong);
            }
            Row::Unit(place) => {
                let Some(unit) = model.snapshot.units.get(*place) else {
                    continue;
                };
                let state = State::of(unit);
                let (glyph, tone) = words::glyph(state);
                let is_critical = critical.contains(&unit.id);
                if is_critical {
                    put(buffer, area.x, y, 1, "┃", theme.warning);
                }
                put(
                    buffer,
                    area.x + 2,
                    y,
                    area.width.saturating_sub(2),
                    glyph,
                    theme.tone(tone),
                );
                let shown = fit::clip_middle(unit.name.as_str(), usize::from(name));
                let style = if is_critical {
                    theme.strong
                } else {
                    theme.text
                };
                put(
                    buffer,
                    area.x + 4,
                    y,
                    area.width.saturating_sub(4).min(name),
                    &shown,
                    style,
                );
                bar(model, unit.id, end, (x, width), y, buffer);
                let ready = ready(model, unit.id).map(|at| short_duration(at.since_start()));
                right(
                    buffer,
                    x,
                    y,
                    area.right(),
                    &ready.unwrap_or_default(),
                    theme.dim,
                );
            }
        }
        if chosen == Some(at) {
            buffer.set_style(line, theme.selected);
        }
    }
    let used = (model.rows.len() - model.top).min(page);
    if used + 2 <= page {
        legend(model, area, buffer);
    }
}

/// Until when it is drawn: the start-up and a little, or what there is of it.
fn span(model: &Model) -> Instant {
    let now = model.now;
    let ready = model
        .ready_at
        .map(|at| Instant::after_start(at.since_start().mul_f64(1.25)));
    let end = ready.map_or(now, |ready| ready.min(now));
    let last = model.snapshot.units.iter().filter_map(|unit| {
        let history = model.history.get(unit.id)?;
        history.restarts.back().copied()
    });
    let end = last.max().map_or(end, |last| end.max(last));
    end.max(Instant::from_millis(10))
}

fn axis(model: &Model, end: Instant, (x, width): (u16, u16), area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    clipped(
        buffer,
        area.x + 4,
        area.y,
        x - 1,
        "START",
        theme.border_focused,
    );
    right(
        buffer,
        x,
        area.y,
        area.right(),
        "READY",
        theme.border_focused,
    );
    let whole = end.since_start();
    let step = step(whole, (width / 14).clamp(1, 8));
    for tick in 0.. {
        let time = step * tick;
        let share = time.as_secs_f64() / whole.as_secs_f64();
        if share > 1.0 {
            break;
        }
        let at = (share * f64::from(width)) as u16;
        let text = match tick {
            0 => "0".to_owned(),
            _ => short_duration(time),
        };
        let wide = u16::try_from(fit::width(&text)).unwrap_or(u16::MAX);
        if at.saturating_add(wide) < width {
            put(buffer, x + at, area.y, wide, &text, theme.dim);
        }
    }
}

/// Between two ticks, so that there are that many at most: a round time.
fn step(whole: Duration, most: u16) -> Duration {
    const MILLIS: [u64; 24] = [
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000,
        120_000, 300_000, 600_000, 1_200_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000,
    ];
    let least = whole / u32::from(most.max(1));
    let steps = MILLIS.into_iter().map(Duration::from_millis);
    let found = steps.into_iter().find(|step| *step >= least);
    found.unwrap_or(least)
}

/// The glyph that fills a stretch, and its style; none where nothing goes on.
fn fill(model: &Model, state: State) -> Option<(&'static str, Style)> {
    let theme = &model.theme;
    match state {
        State::Idle | State::Stopped => None,
        State::Waiting => Some(("·", theme.dim)),
        State::Starting => Some(("▒", theme.busy)),
        State::Ready => Some(("█", theme.good)),
        State::Unwell => Some(("▓", theme.warning)),
        State::Stopping => Some(("░", theme.warning)),
        State::Backoff => Some(("~", theme.warning)),
        State::Completed => Some(("─", theme.good)),
        State::Failed => Some(("×", theme.bad)),
        State::Skipped => Some(("-", theme.warning)),
    }
}

fn bar(
    model: &Model,
    id: InstanceId,
    end: Instant,
    (x, width): (u16, u16),
    y: u16,
    buffer: &mut Buffer,
) {
    let Some(history) = model.history.get(id) else {
        return;
    };
    let column = |at: Instant| {
        let share = at.since_start().as_secs_f64() / end.since_start().as_secs_f64();
        (share * f64::from(width)).floor().min(f64::from(width)) as u16
    };
    let stretches = &history.stretches;
    for (place, stretch) in stretches.iter().enumerate() {
        let until = stretches.get(place + 1).map_or(model.now, |next| next.from);
        let from = column(stretch.from.min(end));
        // However short it was, it was.
        let to = column(until.min(end)).max(from + 1).min(width);
        if let Some((glyph, style)) = fill(model, stretch.state).filter(|_| stretch.from < end) {
            for at in from..to {
                put(buffer, x + at, y, 1, glyph, style);
            }
        }
    }
    for restart in history.restarts.iter().filter(|at| **at <= end) {
        let at = column(*restart).min(width.saturating_sub(1));
        put(
            buffer,
            x + at,
            y,
            u16::from(width > 0),
            "▲",
            model.theme.warning,
        );
    }
}

fn legend(model: &Model, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let y = area.bottom() - 1;
    let mut x = area.x + 4;
    let of = |state| fill(model, state).map_or(("", theme.dim), |fill| fill);
    for ((glyph, style), word) in [
        (("┃", theme.warning), "critical path"),
        (("▲", theme.warning), "restart"),
        (of(State::Waiting), "waiting"),
        (of(State::Starting), "starting"),
        (of(State::Ready), "ready"),
        (of(State::Completed), "done"),
        (of(State::Failed), "failed"),
        (of(State::Backoff), "backoff"),
        (of(State::Unwell), "unwell"),
        (of(State::Skipped), "skipped"),
    ] {
        let word = format!(" {word}  ");
        let wide = u16::try_from(fit::width(&word)).unwrap_or(u16::MAX);
        // A word that is cut explains nothing.
        if x.saturating_add(wide) > area.right() {
            break;
        }
        x = put(buffer, x, y, 1, glyph, style);
        x = put(buffer, x, y, wide, &word, theme.dim);
    }
}

/// When it was of use, or done, for the first time.
fn ready(model: &Model, id: InstanceId) -> Option<Instant> {
    let kind = model.by_id(id)?.kind;
    model.history.get(id)?.first_good(kind)
}

/// The units that the start-up took as long as it took for.
fn critical(model: &Model) -> BTreeSet<InstanceId> {
    let Some(plan) = &model.plan else {
        return BTreeSet::new();
    };
    let units = &model.snapshot.units;
    let there = |unit: &Arc<UnitView>| Some((unit.id, ready(model, unit.id)?));
    let last_needed = |id| {
        let needs = &plan.get(model.by_id(id)?.unit.as_str())?.depends_on;
        let is_needed = |unit: &&Arc<UnitView>| needs.iter().any(|need| need.unit == unit.unit);
        let last = units.iter().filter(is_needed).filter_map(there);
        last.max_by_key(|&(_, at)| at).map(|(id, _)| id)
    };
    let path = critical_path(units.iter().filter_map(there), last_needed);
    path.into_iter().collect()
}
