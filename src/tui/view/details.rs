//! All about one unit.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{clipped, put};
use crate::control::Backend;
use crate::domain::explain;
use crate::domain::processes::{UnitProcess, tree};
use crate::domain::snapshot::UnitView;
use crate::domain::text::short_duration;
use crate::tui::fit;
use crate::tui::history::{Happened, State};
use crate::tui::model::Model;
use crate::tui::theme::Tone;
use crate::tui::usage;
use crate::tui::words;

/// A line: how it is meant, how far it stands in, what it says.
type Said = (Tone, u16, String);

pub(super) fn details(model: &Model, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let theme = &model.theme;
    let Some(unit) = model.unit() else {
        clipped(
            buffer,
            area.x + 1,
            area.y,
            area.right(),
            "choose a unit in the overview",
            theme.dim,
        );
        return;
    };
    let (glyph, tone) = words::glyph(State::of(unit));
    let x = put(
        buffer,
        area.x + 1,
        area.y,
        area.width - 1,
        glyph,
        theme.tone(tone),
    );
    let title = format!(" {}: a {}", unit.name, unit.kind);
    clipped(buffer, x, area.y, area.right(), &title, theme.strong);
    let width = usize::from(area.width.saturating_sub(3));
    let lines = said(model, width);
    let page = usize::from(area.height - 1);
    let skip = model.scroll.min(lines.len().saturating_sub(page));
    for (row, (tone, indent, text)) in lines.iter().skip(skip).take(page).enumerate() {
        let y = area.y + 1 + u16::try_from(row).unwrap_or(0);
        let style = match (tone, indent) {
            (Tone::Info, 0) => theme.border_focused,
            (tone, _) => theme.tone(*tone),
        };
        clipped(buffer, area.x + 1 + indent, y, area.right(), text, style);
    }
    if skip + page < lines.len() {
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

/// The members of the group: who made whom, and what each uses.
fn processes(model: &Model) -> Vec<(Tone, String)> {
    let Some(found) = model.known.processes() else {
        return Vec::new();
    };
    let line = |(depth, process): (usize, &UnitProcess)| {
        let branch = match depth {
            0 => String::new(),
            deep => format!("{}└ ", "  ".repeat(deep.min(12) - 1)),
        };
        let name = fit::pad(&format!("{branch}{}", process.name), 34);
        let percent = found.percent(process.pid);
        let cpu = percent.map_or_else(|| "…".to_owned(), usage::percent);
        let memory = usage::bytes(process.memory);
        let text = format!("{:>7}  {name} {cpu:>6} {memory:>6}", process.pid);
        (usage::cpu_tone(percent.unwrap_or(1.0)), text)
    };
    const MOST: usize = 100;
    let tree = tree(&found.all);
    let more = tree.len().saturating_sub(MOST);
    let mut lines: Vec<_> = tree.into_iter().take(MOST).map(line).collect();
    if more > 0 {
        lines.push((Tone::Dim, format!("and {more} more")));
    }
    lines
}

/// What is watched for the unit, and what came of it last.
fn watch(model: &Model, unit: &UnitView) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    for path in model.known.watch().map_or(&[][..], |watch| &watch.paths) {
        let text = if path.missing {
            format!("{}: not there yet", path.path)
        } else if path.folders == 0 {
            format!("{}: a file", path.path)
        } else {
            let (files, folders) = (path.files, path.folders);
            format!("{}: {files} files in {folders} folders", path.path)
        };
        lines.push((Tone::Plain, text));
        if let Backend::Polling { every_ms, why } = &path.backend {
            let every = short_duration(std::time::Duration::from_millis(*every_ms));
            lines.push((Tone::Warning, format!("  looked at every {every}: {why}")));
        }
        for ignored in path.ignored.iter().take(4) {
            let text = format!("  left out: {} by {}", ignored.count, ignored.rule);
            lines.push((Tone::Dim, text));
        }
    }
    let Some(state) = &unit.watch else {
        return lines;
    };
    let last = match &state.last {
        Some(last) => {
            let ago = words::age(model.now.since(last.at));
            format!("last: {} changed {ago} ago", last.files)
        }
        None => "last: nothing has changed yet".to_owned(),
    };
    lines.push((Tone::Plain, last));
    if let Some(files) = &state.building {
        lines.push((Tone::Busy, format!("builds, as {files} changed")));
    }
    if let Some(failed) = &state.build_failure {
        let (failure, files) = (&failed.failure, &failed.files);
        let text =
            format!("the last build failed ({failure}): what runs is from before {files} changed");
        lines.push((Tone::Bad, text));
    }
    if state.paused {
        lines.push((Tone::Warning, "paused: changes are held".to_owned()));
    }
    for path in &state.muted {
        let text = format!("ignores {path}: the unit writes it itself");
        lines.push((Tone::Warning, text));
    }
    lines
}

fn flow(tone: Tone, indent: u16, text: &str, width: usize) -> Vec<Said> {
    let room = width.saturating_sub(usize::from(indent)).max(8);
    let parts = fit::wrap(text, room).into_iter();
    parts.map(|part| (tone, indent, part)).collect()
}

/// Something that happened: what it says goes on below what it says.
fn told(tone: Tone, ago: &str, text: &str, width: usize) -> Vec<Said> {
    const HANG: u16 = 14;
    let room = width.saturating_sub(usize::from(HANG)).max(16);
    let parts = fit::wrap(text, room).into_iter().enumerate();
    let line = |(at, part)| match at {
        0 => (tone, 2, format!("{ago:>6} ago  {part}")),
        _ => (tone, HANG, part),
    };
    parts.map(line).collect()
}

fn said(model: &Model, width: usize) -> Vec<Said> {
    let mut lines: Vec<Said> = Vec::new();
    let Some(unit) = model.unit() else {
        return lines;
    };
    let mut wrapped = |tone, indent, text: &str| lines.extend(flow(tone, indent, text, width));
    let history = model.history.get(unit.id);
    wrapped(Tone::Info, 0, "NOW");
    let (_, tone) = words::glyph(State::of(unit));
    let age = words::age(model.now.since(unit.since));
    let status = words::status(unit, history, model.now);
    wrapped(tone, 2, &format!("{status}, for {age}"));
    let mut snapshot = (*model.snapshot).clone();
    snapshot.at = model.now;
    for line in explain::explain(unit, &snapshot).iter().skip(1) {
        wrapped(Tone::Plain, 2, line);
    }
    if let Some(pid) = unit.pid {
        wrapped(
            Tone::Plain,
            2,
            &format!("pid {pid}, attempt {}", unit.attempt),
        );
    }
    if let Some(used) = model.usage.of(unit.id).filter(|_| unit.pid.is_some()) {
        let cpu = used.cpu.map_or_else(|| "…".to_owned(), usage::percent);
        let text = format!(
            "uses {cpu} of a processor, {} of memory (at most {}), {} process{}",
            usage::bytes(used.memory),
            usage::bytes(used.memory_peak),
            used.processes,
            if used.processes == 1 { "" } else { "es" }
        );
        wrapped(Tone::Plain, 2, &text);
        let trail = usage::sparkline(&used.cpu_trail, 60, 25.0);
        wrapped(Tone::Dim, 2, &format!("cpu {}", trail.trim_start()));
        let trail = usage::sparkline(&used.memory_trail, 60, 1.0);
        wrapped(Tone::Dim, 2, &format!("mem {}", trail.trim_start()));
    }
    let listening = model.known.listening(unit.id);
    if !listening.is_empty() && unit.pid.is_some() {
        let places = listening.iter();
        let places = places.map(|at| format!("{}:{}", at.address, at.port));
        let text = format!("listens on {}", places.collect::<Vec<_>>().join(", "));
        wrapped(Tone::Info, 2, &text);
    }
    if let Some(failure) = &unit.last_failure {
        wrapped(Tone::Bad, 2, &format!("last failure: {failure}"));
    }
    for (title, section) in [
        ("PROCESSES", processes(model)),
        ("WATCH", watch(model, unit)),
    ] {
        if !section.is_empty() {
            wrapped(Tone::Plain, 0, "");
            wrapped(Tone::Info, 0, title);
        }
        for (tone, text) in section {
            wrapped(tone, 2, &text);
        }
    }
    if let Some(history) = history {
        for (title, happened) in [
            ("EVENTS", &history.events),
            ("EXITS", &history.exits),
            ("PROBES", &history.probes),
        ] {
            if happened.is_empty() {
                continue;
            }
            lines.extend(flow(Tone::Plain, 0, "", width));
            lines.extend(flow(Tone::Info, 0, title, width));
            for Happened { at, tone, text } in happened.iter().rev().take(12) {
                let ago = words::age(model.now.since(*at));
                lines.extend(told(*tone, &ago, text, width));
            }
        }
    }
    let mut wrapped = |tone, indent, text: &str| lines.extend(flow(tone, indent, text, width));
    wrapped(Tone::Plain, 0, "");
    wrapped(Tone::Info, 0, "IN THE FILE");
    let page = match &model.plan {
        Some(plan) => (model.pages)(plan, unit.unit.as_str()),
        None => vec!["it cannot be read here".to_owned()],
    };
    for line in page {
        let indent = line.len() - line.trim_start().len();
        let indent = u16::try_from(indent.min(20)).unwrap_or(0);
        wrapped(Tone::Plain, 2 + indent, line.trim());
    }
    lines
}
