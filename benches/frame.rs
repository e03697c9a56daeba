//! What a frame of the dashboard costs, beside what ratatui takes for as much text.
//!
//! `cargo bench --bench frame` prints median and 99th percentile in microseconds of processor
//! time: a stack of a thousand units, a log of a thousand lines and one of ten million, at
//! 200x60, while units change state and lines come; and ratatui's own floor, a plain table of
//! a hundred rows and a paragraph of log. They take turns, frame by frame, so that whatever
//! else the machine does meets all three alike. It fails where a promised bound is not kept.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant as Clock;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pk::domain::id::{Attempt, InstanceId, RunId};
use pk::domain::snapshot::{Snapshot, UnitView};
use pk::domain::time::Instant;
use pk::logs::{LogSink as _, LogSource as _, MemoryStore, Origin, Stream};
use pk::tui::log::fetch;
use pk::tui::{Effect, Keymap, Model, Msg, Role, Start, ThemeName, update, view};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::{Constraint, Layout, Rect, Size};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table};
use ratatui::{Terminal, TerminalOptions, Viewport};

const WIDTH: u16 = 200;
const HEIGHT: u16 = 60;
const FRAMES: usize = 600;
const WARM: usize = 50;

/// What is written is counted and thrown away.
#[derive(Default)]
struct Sink(usize);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn terminal() -> Terminal<CrosstermBackend<Sink>> {
    let area = Rect::new(0, 0, WIDTH, HEIGHT);
    let options = TerminalOptions {
        viewport: Viewport::Fixed(area),
    };
    Terminal::with_options(CrosstermBackend::new(Sink::default()), options).expect("a terminal")
}

/// What this thread has had of a processor, in microseconds.
fn used() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

struct Cost {
    median: f64,
    p99: f64,
}

fn cost(name: &str, mut micros: Vec<f64>) -> Cost {
    micros.sort_by(f64::total_cmp);
    let at = |share: f64| micros[(share * (micros.len() - 1) as f64) as usize];
    let cost = Cost {
        median: at(0.5),
        p99: at(0.99),
    };
    let mut out = io::stdout().lock();
    let _ = writeln!(
        out,
        "{name:<44} median {:>8.0} us   p99 {:>8.0} us",
        cost.median, cost.p99
    );
    cost
}

fn unit(id: u32) -> UnitView {
    let json = serde_json::json!({
        "id": id, "name": format!("service-{id:04}"), "unit": format!("service-{id:04}"),
        "kind": "service", "desired": "up", "phase": "running", "since": "2s",
        "readiness": "ready", "attempt": 1, "restarts": 0, "pid": 1000 + id,
        "spawned_at": "1s", "ready_after": "150ms", "status": "ready",
        "takes_input": false, "has_terminal": false,
    });
    serde_json::from_value(json).expect("a unit")
}

fn filled(lines: usize) -> MemoryStore {
    // As much as ten million short lines take.
    let store = MemoryStore::new(2 << 30);
    let mut writer = store.open(Origin {
        run: RunId {
            instance: InstanceId(0),
            attempt: Attempt(1),
        },
        stage: 0,
        stream: Stream::Stdout,
    });
    let mut chunk = Vec::new();
    for line in 0..lines {
        let _ = writeln!(
            chunk,
            "{line:012} GET /items/{} 200 {}ms as usual, and in good time",
            line % 977,
            line % 31
        );
        if chunk.len() > 60_000 {
            writer.write(&chunk);
            chunk.clear();
        }
    }
    writer.write(&chunk);
    store
}

struct Dashboard {
    model: Model,
    store: MemoryStore,
    units: Vec<Arc<UnitView>>,
    terminal: Terminal<CrosstermBackend<Sink>>,
}

impl Dashboard {
    fn new(lines: usize) -> Self {
        let units: Vec<Arc<UnitView>> = (0..1000).map(|id| Arc::new(unit(id))).collect();
        let snapshot = Snapshot {
            name: "bench".into(),
            units: units.clone(),
            ..Snapshot::default()
        };
        let model = Model::new(Start {
            role: Role::Guest,
            snapshot: Arc::new(snapshot),
            now: Instant::from_millis(10_000),
            wall: Timestamp::UNIX_EPOCH,
            zone: TimeZone::UTC,
            size: Size::new(WIDTH, HEIGHT),
            theme: ThemeName::Dark,
            keymap: Keymap::default(),
            plan: None,
            mechanism: None,
            pages: Arc::new(|_, _| Vec::new()),
            mouse: true,
            unit: None,
        });
        Self {
            model,
            store: filled(lines),
            units,
            terminal: terminal(),
        }
    }

    fn take(&mut self, msg: Msg) {
        for effect in update(&mut self.model, msg) {
            if let Effect::Fetch(request) = effect {
                let lines = fetch(&self.store, &request);
                self.take(Msg::Lines(lines));
            }
        }
    }

    /// One frame after a unit has changed and a line has come, all that it takes.
    fn frame(&mut self, round: usize) {
        let mut changed = (*self.units[round % 40]).clone();
        changed.restarts += 1;
        changed.since = Instant::from_millis(10_000 + round as u64 * 33);
        self.units[round % 40] = Arc::new(changed);
        let snapshot = Snapshot {
            name: "bench".into(),
            at: Instant::from_millis(10_000 + round as u64 * 33),
            units: self.units.clone(),
            ..Snapshot::default()
        };
        self.take(Msg::Snapshot(Arc::new(snapshot)));
        self.take(Msg::LogsGrew);
        let model = &self.model;
        self.terminal
            .draw(|frame| view(model, frame))
            .expect("a frame");
    }

    /// Lines come, uncounted; then what a frame costs.
    fn turn(&mut self, round: usize) -> f64 {
        let mut writer = self.store.open(Origin {
            run: RunId {
                instance: InstanceId(0),
                attempt: Attempt(1),
            },
            stage: 0,
            stream: Stream::Stdout,
        });
        for line in 0..50 {
            writer.write(
                format!("{round} {line} another line that comes while one looks\n").as_bytes(),
            );
        }
        let before = used();
        self.frame(round);
        used() - before
    }
}

/// A table of a hundred rows and a page of log, as ratatui draws them.
struct Floor {
    terminal: Terminal<CrosstermBackend<Sink>>,
    lines: Vec<String>,
}

impl Floor {
    fn new() -> Self {
        let lines = (0..20_000 + FRAMES * 50).map(|line| format!("{line:012} {}", "a".repeat(88)));
        Self {
            terminal: terminal(),
            lines: lines.collect(),
        }
    }

    fn turn(&mut self, round: usize) -> f64 {
        let lines = &self.lines;
        let before = used();
        self.terminal
            .draw(|frame| {
                let [left, right] =
                    Layout::horizontal([Constraint::Length(50), Constraint::Min(10)])
                        .areas(frame.area());
                let rows = (0..100).map(|row| {
                    Row::new([
                        format!("service-{row:03}"),
                        "running".into(),
                        format!("{:.1}%", ((round * 7 + row) % 100) as f32 / 10.0),
                        format!("{} MiB", (row * 3 + round) % 97),
                    ])
                });
                let widths = [14, 10, 8, 10].map(Constraint::Length);
                frame.render_widget(
                    Table::new(rows, widths).block(Block::bordered().title("services")),
                    left,
                );
                let top = round * 50;
                let page: Vec<Line<'_>> = lines[top..top + usize::from(right.height)]
                    .iter()
                    .map(|line| Line::raw(line.as_str()))
                    .collect();
                frame.render_widget(
                    Paragraph::new(page).block(Block::bordered().title("log")),
                    right,
                );
            })
            .expect("a frame");
        used() - before
    }
}

fn main() {
    let mut floor = Floor::new();
    let mut few = Dashboard::new(1000);
    let start = Clock::now();
    let mut many = Dashboard::new(10_000_000);
    let held = *many.store.wake().borrow();
    let mut out = io::stdout().lock();
    let _ = writeln!(
        out,
        "filled with {held} lines in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    drop(out);
    let mut costs = [Vec::new(), Vec::new(), Vec::new()];
    for round in 0..WARM + FRAMES {
        let turn = [floor.turn(round), few.turn(round), many.turn(round)];
        for (costs, micros) in costs.iter_mut().zip(turn) {
            costs.extend((round >= WARM).then_some(micros));
        }
    }
    let [floor, few, many] = costs;
    let floor = cost("ratatui's floor: 100 rows and a log, 200x60", floor);
    let few = cost("1000 units, 1,000 lines, 200x60", few);
    let many = cost("1000 units, 10,000,000 lines, 200x60", many);
    let mut out = io::stdout().lock();
    let _ = writeln!(
        out,
        "many / floor {:.2} (at most 1.5)   many / few {:.2} (at most 1.05)   p99 {:.1} ms (under 4)",
        many.median / floor.median,
        many.median / few.median,
        many.p99 / 1000.0
    );
    let kept =
        many.median <= floor.median * 1.5 && many.median <= few.median * 1.05 && many.p99 < 4000.0;
    if !kept {
        let _ = writeln!(out, "a bound is not kept");
        std::process::exit(1);
    }
}
