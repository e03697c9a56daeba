//! The lines above and below: what the stack is at, what has failed, what one may do.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{clipped, put, right};
use crate::domain::event::Shutdown;
use crate::domain::phase::PhaseName;
use crate::domain::text::short_duration;
use crate::tui::fit;
use crate::tui::history::State;
use crate::tui::keymap::Action;
use crate::tui::model::{Asking, Focus, Model, Overlay, Role, View};
use crate::tui::usage;
use crate::tui::words;

/// How many units are in which state, in the order in which they are told.
const COUNTED: [(State, &str); 11] = [
    (State::Failed, "failed"),
    (State::Backoff, "restarting"),
    (State::Unwell, "unwell"),
    (State::Skipped, "skipped"),
    (State::Ready, "up"),
    (State::Starting, "starting"),
    (State::Waiting, "waiting"),
    (State::Stopping, "stopping"),
    (State::Completed, "done"),
    (State::Stopped, "stopped"),
    (State::Idle, "idle"),
];

pub(super) fn header(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    buffer.set_style(area, theme.bar);
    let y = area.y;
    let name = fit::clip(&model.snapshot.name, usize::from(area.width / 3)).into_owned();
    let mut x = put(
        buffer,
        area.x,
        y,
        area.width,
        &format!(" {name} "),
        theme.badge,
    );
    let on_bar = |style: Style| theme.bar.patch(style);
    let counted: Vec<(String, String, Style)> = (COUNTED.iter())
        .filter(|(state, _)| model.digest.count(*state) > 0)
        .map(|(state, word)| {
            let count = model.digest.count(*state);
            let (glyph, tone) = words::glyph(*state);
            let (long, short) = (
                format!("  {glyph} {count} {word}"),
                format!(" {glyph}{count}"),
            );
            (long, short, on_bar(theme.tone(tone)))
        })
        .collect();
    let wide = |of: fn(&(String, String, Style)) -> &String| -> usize {
        counted.iter().map(|each| fit::width(of(each))).sum()
    };
    let (long, short) = (wide(|each| &each.0), wide(|each| &each.1));
    let room = usize::from(area.right().saturating_sub(x + 2));
    // In words, unless what they use could not be told then.
    let wanted = if model.usage.is_known { 40 } else { 8 };
    let beside = if long + wanted <= room { long } else { short };
    let mut end = area.right().saturating_sub(1);
    for (text, style) in aside(model, room.saturating_sub(beside)) {
        end = right(buffer, x, y, end, &text, on_bar(style));
    }
    let mut after = short;
    for (long, short, style) in &counted {
        let room = usize::from(end.saturating_sub(x + 1));
        after -= fit::width(short);
        // The first ones in words as well, if that takes nothing from the rest.
        let is_wide = area.width >= 60 && fit::width(long) + after <= room;
        let text = if is_wide { long } else { short };
        if fit::width(text) > room {
            break;
        }
        x = put(buffer, x, y, end - x, text, *style);
    }
}

/// What stands at the right of the header, from there to the left: as much as there is room
/// for, what one looks for most first.
fn aside(model: &Model, room: usize) -> Vec<(String, Style)> {
    let theme = &model.theme;
    let state = match model.snapshot.shutdown {
        Some(Shutdown::Graceful) => ("stopping".to_owned(), theme.warning),
        Some(Shutdown::Now) => ("killing".to_owned(), theme.bad),
        None => {
            let up = words::age(model.now.since_start());
            (format!("up {up}"), Style::new())
        }
    };
    let ready = (model.ready_at.filter(|_| model.snapshot.shutdown.is_none()))
        .map(|at| format!("ready in {} · ", short_duration(at.since_start())));
    let mechanism = (model.mechanism.as_ref()).map(|name| format!("{} · ", fit::clip(name, 40)));
    let total = &model.usage.total;
    let used = |with_trails: bool| {
        let trail = |trail, full| match with_trails {
            true => format!("{} ", usage::sparkline(trail, 10, full).trim_start()),
            false => String::new(),
        };
        format!(
            "{}cpu {} · {}mem {} · {} proc · ",
            trail(&total.cpu_trail, 50.0),
            usage::percent(total.cpu.unwrap_or_default()),
            trail(&total.memory_trail, 2.0 * total.memory as f64),
            usage::bytes(total.memory),
            total.processes
        )
    };
    let mut left = room.saturating_sub(fit::width(&state.0));
    let mut fits = |text: &String| {
        let fits = fit::width(text) <= left;
        left -= if fits { fit::width(text) } else { 0 };
        fits
    };
    let ready = ready.filter(&mut fits);
    let is_known = model.usage.is_known;
    let brief = is_known.then(|| used(false)).filter(&mut fits);
    let mechanism = mechanism.filter(&mut fits);
    let used = brief.map(|brief| {
        // Above, its room was taken.
        let whole = used(true);
        if fit::width(&whole) <= left + fit::width(&brief) {
            whole
        } else {
            brief
        }
    });
    let others = [ready, mechanism, used].into_iter().flatten();
    std::iter::once(state)
        .chain(others.map(|text| (text, Style::new())))
        .collect()
}

pub(super) fn alarm(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(unit) = model.alarm().filter(|_| !area.is_empty()) else {
        return;
    };
    let theme = &model.theme;
    buffer.set_style(area, theme.alarm);
    let more = match model.digest.failing.len() {
        0 | 1 => String::new(),
        n => format!("  (and {} more)", n - 1),
    };
    let key = model.keymap.label(Action::ToFailure).unwrap_or_default();
    let hint = if key.is_empty() {
        String::new()
    } else {
        format!(" {key} go there ")
    };
    let end = right(
        buffer,
        area.x + 20,
        area.y,
        area.right(),
        &hint,
        theme.alarm,
    );
    let status = match (&unit.outcome, &unit.last_failure) {
        (Some(outcome @ crate::domain::outcome::Outcome::Failed(_)), _) => outcome.to_string(),
        (_, Some(failure)) => format!("failed: {failure}"),
        (Some(outcome), None) => outcome.to_string(),
        (None, None) => unit.status.clone(),
    };
    let text = format!(" ✗ {} {status}{more}", unit.name);
    clipped(buffer, area.x, area.y, end, &text, theme.alarm);
    let rows = usize::from(area.height - 1);
    let lines = model.last_words();
    for (row, text) in lines.iter().rev().take(rows).rev().enumerate() {
        let y = area.y + 1 + u16::try_from(row).unwrap_or(0);
        clipped(
            buffer,
            area.x,
            y,
            area.right(),
            &format!("   │ {text}"),
            theme.alarm,
        );
    }
}

pub(super) fn footer(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    if let Some(Overlay::Input { asking, text, .. }) = &model.overlay {
        return typing(model, asking, text, area, buffer);
    }
    let mut x = area.x + 1;
    if model.ttys.typing().is_some() && model.notice.is_none() {
        let key = model.keymap.label(Action::LeaveTerminal);
        let x = put(
            buffer,
            x,
            area.y,
            area.width,
            &key.unwrap_or_default(),
            theme.key,
        );
        let text = " keys to pk again; all others go to the terminal";
        clipped(buffer, x, area.y, area.right(), text, theme.dim);
        return;
    }
    if let Some(notice) = &model.notice {
        clipped(
            buffer,
            x,
            area.y,
            area.right(),
            &notice.text,
            theme.tone(notice.tone),
        );
        return;
    }
    if !model.marked.is_empty() {
        let text = format!("{} marked  ", model.marked.len());
        x = put(
            buffer,
            x,
            area.y,
            area.right().saturating_sub(x),
            &text,
            theme.warning,
        );
    }
    let mut end = area.right();
    for (action, word) in [
        (Action::Quit, "leave"),
        (Action::Help, "help"),
        (Action::Palette, "commands"),
    ] {
        let Some(key) = model.keymap.label(action) else {
            continue;
        };
        let wide = u16::try_from(fit::width(&key) + fit::width(word) + 3).unwrap_or(u16::MAX);
        if end.saturating_sub(x) >= wide + 8 {
            end -= wide;
            let at = put(buffer, end, area.y, wide, &format!(" {key}"), theme.key);
            put(buffer, at, area.y, wide, &format!(" {word}"), theme.dim);
        }
    }
    for (actions, word) in hints(model) {
        let keys = actions
            .iter()
            .filter_map(|action| model.keymap.label(*action));
        let keys = keys.collect::<Vec<_>>().concat();
        let room = usize::from(end.saturating_sub(x));
        if keys.is_empty() || fit::width(&keys) + fit::width(word) + 1 > room {
            continue;
        }
        x = put(buffer, x, area.y, end - x, &keys, theme.key);
        x = put(
            buffer,
            x,
            area.y,
            end.saturating_sub(x),
            &format!(" {word}"),
            theme.dim,
        );
        x += 2;
    }
}

fn typing(model: &Model, asking: &Asking, text: &str, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let (label, result) = match asking {
        Asking::Filter => {
            let units = model.rows.iter();
            let count = units
                .filter(|row| matches!(row, crate::tui::table::Row::Unit(_)))
                .count();
            (
                "units".to_owned(),
                format!(
                    "{count} of {}  ⏎ keep  esc as before",
                    model.snapshot.units.len()
                ),
            )
        }
        Asking::Find => {
            let found = model.log.search.as_ref().map(super::logs::found);
            let keys = match found {
                Some(found) => format!("{found}  ↑↓ next  ⏎ keep  esc end"),
                None => "⏎ the one before  esc end".to_owned(),
            };
            ("search".to_owned(), keys)
        }
        Asking::Scale(unit) => (
            format!("instances of {unit}"),
            "⏎ scale  esc cancel".to_owned(),
        ),
    };
    let end = right(
        buffer,
        area.x + 10,
        area.y,
        area.right().saturating_sub(1),
        &result,
        theme.dim,
    );
    let x = clipped(
        buffer,
        area.x + 1,
        area.y,
        end,
        &format!("{label}: "),
        theme.key,
    );
    // The end of what is typed is what one looks at.
    let room = usize::from(end.saturating_sub(x + 2));
    let clean = fit::clean(text);
    let mut shown = clean.as_ref();
    while fit::width(shown) > room {
        let mut chars = shown.chars();
        chars.next();
        shown = chars.as_str();
    }
    let x = put(
        buffer,
        x,
        area.y,
        end.saturating_sub(x),
        shown,
        theme.strong,
    );
    put(buffer, x, area.y, end.saturating_sub(x), "█", theme.key);
}

/// The keys that fit the moment, the most useful first.
fn hints(model: &Model) -> Vec<(Vec<Action>, &'static str)> {
    let mut hints: Vec<(Vec<Action>, &'static str)> = Vec::new();
    let mut hint = |actions: &[Action], word: &'static str| hints.push((actions.to_vec(), word));
    if model.snapshot.shutdown.is_some() {
        let word = match model.role {
            Role::Owner { .. } => "kill what is left, leave",
            Role::Guest => "leave",
        };
        hint(&[Action::Quit], word);
    }
    match (model.focus, model.view) {
        (Focus::Log, _) if model.terminal().is_some() => {
            hint(&[Action::LogJump], "type");
            hint(&[Action::LogUp, Action::LogDown], "scroll back");
            hint(&[Action::Terminal], "its lines");
            hint(&[Action::Zoom], "alone");
            hint(&[Action::Split], "pane of its own");
            hint(&[Action::Back], "back");
        }
        (Focus::Log, _) => {
            hint(&[Action::LogUp, Action::LogDown], "scroll");
            hint(&[Action::LogFind], "search");
            if model.log.search.is_some() {
                hint(
                    &[Action::NextMatch, Action::PreviousMatch],
                    "next, previous",
                );
                hint(&[Action::OnlyMatches], "matches only");
            }
            hint(&[Action::Follow], "follow");
            hint(&[Action::Scope], "whose");
            hint(&[Action::Wrap], "wrap");
            hint(&[Action::Times], "times");
            hint(&[Action::LogMark], "mark");
            hint(&[Action::Copy], "copy");
            hint(&[Action::Split], "pane of its own");
            hint(&[Action::Back], "back");
        }
        (Focus::Units, View::Overview) => {
            if let Some(unit) = model.unit() {
                match unit.phase {
                    PhaseName::Idle | PhaseName::Exited => hint(&[Action::Start], "start"),
                    PhaseName::Backoff => {
                        hint(&[Action::Start], "start now");
                        hint(&[Action::Stop], "give up");
                    }
                    PhaseName::Waiting => hint(&[Action::Stop], "stop"),
                    PhaseName::Starting | PhaseName::Running => {
                        hint(&[Action::Restart], "restart");
                        hint(&[Action::Stop], "stop");
                    }
                    PhaseName::Stopping | PhaseName::Reaping => hint(&[Action::Kill], "kill"),
                }
            }
            hint(&[Action::Open], "log");
            hint(&[Action::Find], "search");
            hint(&[Action::Filter], "filter");
            hint(&[Action::Mark], "mark");
            if model.split_panes.is_none() {
                hint(&[Action::Split], "panes");
            } else {
                hint(&[Action::Stack, Action::OnePane], "stack panes, one pane");
            }
            hint(&[Action::Details], "details");
            hint(&[Action::Graph], "graph");
            hint(&[Action::Timeline], "timeline");
        }
        (Focus::Units, View::Graph | View::Timeline | View::Details) => {
            hint(
                &[Action::Up, Action::Down],
                if model.view == View::Details {
                    "scroll"
                } else {
                    "choose"
                },
            );
            hint(
                &[
                    Action::Overview,
                    Action::Graph,
                    Action::Timeline,
                    Action::Details,
                ],
                "views",
            );
            hint(&[Action::Restart], "restart");
            hint(&[Action::Open], "log");
            hint(&[Action::Back], "back");
        }
    }
    hints
}
