//! Shows how a running stack started: `timeline`.

use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::args::{Form, Timeline as Args};
use super::{reach, show};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::style::Painter;
use crate::control::ControlPort;
use crate::domain::text::short_duration;
use crate::domain::time::Instant;
use crate::domain::timeline::{Reached, Span, Timeline};

/// Cells for the bars, at least and at most.
const BARS: std::ops::RangeInclusive<usize> = 10..=60;

/// Cells for the words behind a bar.
const WORDS: usize = 44;

pub fn timeline(place: &Place, args: Args, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let timeline = port.timeline().await.map_err(|error| {
            output.error(&error.to_string(), None);
            End::NotThere
        })?;
        Ok((timeline, port.now()))
    };
    match reach::block_on(output, work) {
        Ok((timeline, _)) if args.output == Form::Json => show::json(&timeline, output),
        Ok((timeline, now)) => {
            let look = output.look();
            let text = text(
                &timeline,
                now,
                &found.record.name,
                look.columns,
                look.painter,
            );
            output.print(&text)
        }
        Err(end) => end,
    }
}

fn text(
    timeline: &Timeline,
    now: Instant,
    stack: &str,
    columns: usize,
    painter: Painter,
) -> String {
    let end = match timeline.took {
        Some(took) => timeline.began + took,
        None => now,
    };
    let took = end.since(timeline.began);
    let names = timeline.units.iter().map(|span| span.name.as_str().width());
    let name_width = names.max().unwrap_or(0);
    let room = columns.saturating_sub(name_width + 2 + WORDS);
    let bar_width = room.clamp(*BARS.start(), *BARS.end());
    let mut text = match timeline.took {
        Some(_) => format!("{stack}: all there after {}\n", short_duration(took)),
        None => format!("{stack}: on its way for {}\n", short_duration(took)),
    };
    if timeline.critical.len() > 1 {
        let path: Vec<String> = timeline
            .units
            .iter()
            .filter(|span| span.critical)
            .map(|span| format!("{} ({})", span.name, short_duration(span.own())))
            .collect();
        text.push_str(&format!("critical path: {}\n", path.join(" -> ")));
    }
    text.push('\n');
    for span in &timeline.units {
        let name = span.name.as_str();
        let pad = " ".repeat(name_width - name.width());
        let shown = if span.critical {
            painter.bold(name)
        } else {
            name.to_owned()
        };
        let bar = bar(span, timeline.began, end, bar_width, painter);
        text.push_str(&format!("{shown}{pad}  {bar}  {}\n", words(span)));
    }
    text
}

/// Dots while it waits, blocks while it gets there.
fn bar(span: &Span, began: Instant, end: Instant, width: usize, painter: Painter) -> String {
    let whole = end.since(began).as_secs_f64().max(f64::MIN_POSITIVE);
    let cell = |at: Instant| {
        let part = at.since(began).as_secs_f64() / whole;
        // Within the bar, whatever the times are.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place among a few dozen cells"
        )]
        let cell = (part * width as f64).round() as usize;
        cell.min(width)
    };
    let to = cell(span.there.unwrap_or(end)).max(1);
    // What takes no time is seen, too.
    let from = span.starting.map_or(to, |at| cell(at).min(to - 1));
    let blocks = "█".repeat(to - from);
    let painted = match span.reached {
        Reached::OnItsWay => painter.warning(&blocks),
        Reached::Failed => painter.bad(&blocks),
        Reached::Started | Reached::Ready | Reached::Completed => painter.good(&blocks),
    };
    let waited = painter.dim(&"·".repeat(from));
    format!("{waited}{painted}{}", " ".repeat(width - to))
}

fn words(span: &Span) -> String {
    let own = short_duration(span.own());
    let mut text = match span.reached {
        Reached::OnItsWay if span.starting.is_none() => "not started yet".to_owned(),
        Reached::OnItsWay => "not there yet".to_owned(),
        Reached::Started => format!("started in {own}"),
        Reached::Ready => format!("ready in {own}"),
        Reached::Completed => format!("completed in {own}"),
        Reached::Failed if span.starting.is_none() => "never started".to_owned(),
        Reached::Failed => format!("ended after {own}"),
    };
    if let (Some(name), Some(waited)) = (&span.waited_for, span.waited)
        && waited > Duration::ZERO
    {
        text.push_str(&format!(", after {name} at {}", short_duration(waited)));
    }
    if span.attempts > 1 {
        text.push_str(&format!(", {} attempts", span.attempts));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, from: u64, to: u64, critical: bool) -> Span {
        Span {
            name: name.into(),
            starting: Some(Instant::from_millis(from)),
            there: Some(Instant::from_millis(to)),
            reached: Reached::Ready,
            waited: Some(Duration::from_millis(from)),
            waited_for: (from > 0).then(|| "db".into()),
            spawning: None,
            getting_there: None,
            attempts: 1,
            critical,
        }
    }

    #[test]
    fn bars_stand_where_the_time_was_spent() {
        let timeline = Timeline {
            began: Instant::START,
            took: Some(Duration::from_millis(1000)),
            critical: ["db", "api"].map(Into::into).into(),
            units: vec![
                span("db", 0, 500, true),
                span("cache", 0, 1, false),
                span("api", 500, 1000, true),
            ],
        };
        let text = text(&timeline, Instant::START, "shop", 61, Painter::new(false));
        assert_eq!(
            text,
            "shop: all there after 1s\n\
             critical path: db (500ms) -> api (500ms)\n\
             \n\
             db     █████       ready in 500ms\n\
             cache  █           ready in 1ms\n\
             api    ·····█████  ready in 500ms, after db at 500ms\n"
        );
    }
}
