//! A dashboard without a terminal: a model, a store, and who does what it asks for.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyEvent, KeyModifiers};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::buffer::Buffer;
use ratatui::layout::{Rect, Size};
use ratatui::style::Style;

use crate::domain::change::{Change, UnitChange, What};
use crate::domain::event::Command;
use crate::domain::exit::ExitStatus;
use crate::domain::health::Readiness;
use crate::domain::id::{Attempt, InstanceId, RunId, UnitName};
use crate::domain::outcome::{Failed, Failure, Outcome, Skip};
use crate::domain::phase::{Desired, PhaseName};
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, UnitView, Wait, WaitFor};
use crate::domain::spec::{Command as Run, Condition, Dependency, Program, UnitKind, UnitSpec};
use crate::domain::stats::{RunStats, StackStats};
use crate::domain::time::Instant;
use crate::logs::{Cut, LogLine, LogSource as _, MemoryStore, Origin, Stream};
use crate::tui::key::Key;
use crate::tui::keymap::Keymap;
use crate::tui::log::{Scan, fetch};
use crate::tui::model::{Model, Role, Start};
use crate::tui::msg::{Effect, Msg};
use crate::tui::theme::ThemeName;
use crate::tui::update::update;
use crate::tui::view::draw;

/// A unit that was started, for a snapshot.
pub(super) fn unit(id: u32, name: &str, kind: UnitKind, phase: PhaseName) -> UnitView {
    let live = matches!(
        phase,
        PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping
    );
    let json = serde_json::json!({
        "id": id, "name": name, "unit": name, "kind": kind, "desired": Desired::Up,
        "phase": phase, "since": "2s", "readiness": Readiness::Unprobed,
        "attempt": u32::from(phase != PhaseName::Idle && phase != PhaseName::Waiting),
        "restarts": 0, "status": "", "takes_input": false, "has_terminal": false,
    });
    let mut view: UnitView = serde_json::from_value(json).unwrap();
    view.pid = live.then_some(1000 + id);
    view.spawned_at = live.then_some(Instant::from_millis(100));
    view.status = match phase {
        PhaseName::Idle => "not started",
        PhaseName::Running => "running",
        other => other.as_str(),
    }
    .to_owned();
    view
}

fn ready(mut view: UnitView) -> UnitView {
    view.readiness = Readiness::Ready;
    view.ready_after = Some(Duration::from_millis(150));
    "ready".clone_into(&mut view.status);
    view
}

fn failed(mut view: UnitView, code: i32) -> UnitView {
    let failure = Failure::Exit(ExitStatus::Code(code));
    view.outcome = Some(Outcome::Failed(Failed {
        failure: failure.clone(),
        gave_up_after: None,
    }));
    view.last_failure = Some(failure);
    view
}

/// The units of a stack that has everything: what runs, waits, backs off, failed.
pub(super) fn mess() -> Vec<UnitView> {
    use PhaseName as P;
    use UnitKind::{Service, Task};
    let mut starting = unit(2, "search", Service, P::Running);
    starting.readiness = Readiness::Unready;
    starting.wait = Some(Wait::Ready {
        progress: Some((2, 3)),
        last_failure: Some("connection refused".into()),
        until: None,
    });
    let mut waiting = unit(3, "web", Service, P::Waiting);
    waiting.wait = Some(Wait::Dependencies(vec![WaitFor {
        name: "search".into(),
        condition: Condition::Ready,
        state: "ready 2/3".into(),
    }]));
    let mut backoff = unit(4, "worker", Service, P::Backoff);
    let failure = Failure::Exit(ExitStatus::Code(3));
    backoff.last_failure = Some(failure.clone());
    backoff.restarts = 4;
    backoff.attempt = Attempt(5);
    backoff.wait = Some(Wait::Backoff {
        until: Instant::from_millis(65_200),
        failure: Some(failure),
    });
    let mut skipped = unit(6, "admin", Service, P::Exited);
    skipped.attempt = Attempt(0);
    skipped.outcome = Some(Outcome::Skipped(Skip::Dependency {
        on: InstanceId(5),
        name: "api".into(),
        reason: "failed (exit code 101)".into(),
        because: None,
    }));
    let mut done = unit(7, "migrate", Task, P::Exited);
    done.outcome = Some(Outcome::Completed);
    let mut stopping = unit(9, "mail", Service, P::Stopping);
    stopping.wait = Some(Wait::Grace {
        stop: None,
        until: Some(Instant::from_millis(64_000)),
    });
    vec![
        ready(unit(0, "db", Service, P::Running)),
        unit(1, "cache", Service, P::Running),
        starting,
        waiting,
        backoff,
        failed(unit(5, "api", Service, P::Exited), 101),
        skipped,
        stopping,
        done,
        unit(8, "order", Task, P::Idle),
    ]
}

/// What the file of [`mess`] says.
fn plan(units: &[UnitView]) -> Plan {
    let needs = |name: &str| -> &[&str] {
        match name {
            "search" | "migrate" => &["db"],
            "web" => &["search", "api"],
            "api" | "worker" => &["db", "migrate"],
            "admin" => &["api"],
            "order" => &["worker"],
            _ => &[],
        }
    };
    let spec = |view: &UnitView| {
        let program = Program::Command(Run::Exec(vec!["true".into()]));
        let mut spec = UnitSpec::new(view.unit.clone(), view.kind, program, "/w".into());
        let on = needs(view.unit.as_str()).iter();
        let on = on.filter(|on| units.iter().any(|unit| unit.unit.as_str() == **on));
        spec.depends_on = on
            .map(|on| Dependency {
                unit: (*on).into(),
                condition: Condition::Started,
                restart: false,
                required: true,
            })
            .collect();
        Arc::new(spec)
    };
    let mut specs: Vec<Arc<UnitSpec>> = Vec::new();
    for view in units {
        if !specs.iter().any(|spec| spec.name == view.unit) {
            specs.push(spec(view));
        }
    }
    Plan::new("shop", specs).unwrap()
}

/// A dashboard and the world around it.
pub(super) struct Driver {
    pub model: Model,
    pub store: MemoryStore,
    scan: Option<Scan>,
    /// What was asked of the stack.
    pub asked: Vec<(String, Command)>,
    /// What else was asked for and is not done here.
    pub other: Vec<Effect>,
}

impl Driver {
    pub(super) fn new(units: Vec<UnitView>, width: u16, height: u16) -> Self {
        Self::with(units, width, height, Role::Owner { can_detach: true })
    }

    pub(super) fn with(units: Vec<UnitView>, width: u16, height: u16, role: Role) -> Self {
        let plan = Arc::new(plan(&units));
        let snapshot = snapshot(units);
        let model = Model::new(Start {
            role,
            snapshot: Arc::new(snapshot),
            now: Instant::from_millis(62_000),
            wall: Timestamp::from_second(1_700_000_062).unwrap(),
            zone: TimeZone::UTC,
            size: Size::new(width, height),
            theme: ThemeName::Dark,
            keymap: Keymap::default(),
            plan: Some(plan),
            mechanism: Some("cgroup".into()),
            pages: Arc::new(|_, unit| vec![format!("  runs             start {unit}")]),
            mouse: true,
            unit: None,
        });
        let mut driver = Self {
            model,
            store: MemoryStore::default(),
            scan: None,
            asked: Vec::new(),
            other: Vec::new(),
        };
        driver.send(Msg::LogsGrew);
        driver
    }

    /// Takes a message in and does what comes of it, until nothing more does.
    pub(super) fn send(&mut self, msg: Msg) {
        let mut queue = update(&mut self.model, msg);
        let mut rounds = 0;
        while !queue.is_empty() {
            rounds += 1;
            assert!(rounds < 200, "it never ends: {queue:?}");
            for effect in std::mem::take(&mut queue) {
                let answer = match effect {
                    Effect::Fetch(request) => Some(Msg::Lines(fetch(&self.store, &request))),
                    Effect::Scan(Some(request)) => {
                        self.scan = Some(Scan::new(&self.store, request));
                        self.scan_on(&mut queue);
                        None
                    }
                    Effect::Seek(seek) => {
                        if let Some(scan) = &mut self.scan {
                            scan.seek(&self.store, seek);
                        }
                        self.scan_on(&mut queue);
                        None
                    }
                    Effect::Scan(None) => {
                        self.scan = None;
                        None
                    }
                    Effect::Tail(id, lines) => Some(Msg::Tail(id, self.store.tail(id, lines))),
                    Effect::Ask { what, command } => {
                        self.asked.push((what, command));
                        None
                    }
                    other => {
                        self.other.push(other);
                        None
                    }
                };
                if let Some(msg) = answer {
                    queue.extend(update(&mut self.model, msg));
                }
            }
        }
    }

    /// Searches to the end of the log.
    fn scan_on(&mut self, queue: &mut Vec<Effect>) {
        while let Some(scan) = &mut self.scan {
            let report = scan.step(&self.store);
            let is_done = report.is_done;
            queue.extend(update(&mut self.model, Msg::Scanned(report)));
            if is_done {
                break;
            }
        }
    }

    /// Writes lines as the unit of that number, a second before now.
    pub(super) fn write(&mut self, id: u32, stream: Stream, text: &str) {
        for line in text.split_terminator('\n') {
            let seq = *self.store.wake().borrow();
            self.store.copy(&LogLine {
                seq,
                origin: Origin {
                    run: RunId {
                        instance: InstanceId(id),
                        attempt: Attempt(1),
                    },
                    stage: 0,
                    stream,
                },
                time: Timestamp::from_second(1_700_000_061).unwrap(),
                bytes: line.as_bytes().to_vec().into(),
                cut: Cut::Newline,
            });
        }
        self.send(Msg::LogsGrew);
    }

    /// Types keys, by their names, with spaces between.
    pub(super) fn keys(&mut self, keys: &str) {
        for name in keys.split(' ') {
            let key: Key = name.parse().unwrap();
            let mut modifiers = KeyModifiers::NONE;
            modifiers.set(KeyModifiers::CONTROL, key.ctrl);
            modifiers.set(KeyModifiers::ALT, key.alt);
            self.send(Msg::Input(Event::Key(KeyEvent::new(key.code, modifiers))));
        }
    }

    pub(super) fn units(&mut self, units: Vec<UnitView>) {
        self.send(Msg::Snapshot(Arc::new(snapshot(units))));
    }

    /// Something happened to a unit, at that many milliseconds.
    pub(super) fn change(&mut self, at: u64, id: u32, name: &str, change: UnitChange) {
        self.send(Msg::Change(Change {
            at: Instant::from_millis(at),
            what: What::Unit {
                instance: InstanceId(id),
                name: UnitName::from(name),
                change,
            },
        }));
    }

    /// Each live unit uses something.
    pub(super) fn sample(&mut self) {
        let live = self
            .model
            .snapshot
            .units
            .iter()
            .filter(|unit| unit.pid.is_some());
        let runs = live.map(|unit| RunStats {
            instance: unit.id,
            name: unit.name.clone(),
            attempt: unit.attempt,
            cpu_time: Duration::from_secs(1),
            cpu_percent: Some(f64::from(unit.id.0) * 31.0 + 0.4),
            memory: u64::from(unit.id.0 + 1) * (160 << 20),
            memory_peak: 2 << 30,
            processes: u64::from(unit.id.0) + 1,
            oom_kills: None,
            io: None,
        });
        let stats = StackStats {
            at: self.model.now,
            runs: runs.collect(),
        };
        self.send(Msg::Stats(Arc::new(stats)));
    }

    pub(super) fn buffer(&self) -> Buffer {
        let area = Rect::new(0, 0, self.model.size.width, self.model.size.height);
        let mut buffer = Buffer::empty(area);
        draw(&self.model, area, &mut buffer);
        buffer
    }

    /// The screen as text.
    pub(super) fn text(&self) -> String {
        text(&self.buffer())
    }

    #[track_caller]
    pub(super) fn assert_shows(&self, wanted: &str) {
        let text = self.text();
        assert!(text.contains(wanted), "no {wanted:?} in\n{text}");
    }

    #[track_caller]
    pub(super) fn assert_hides(&self, unwanted: &str) {
        let text = self.text();
        assert!(!text.contains(unwanted), "{unwanted:?} in\n{text}");
    }

    /// The style of the first place where that text stands.
    #[track_caller]
    pub(super) fn style(&self, wanted: &str) -> Style {
        let buffer = self.buffer();
        let area = buffer.area;
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                let mut at = x;
                let found = wanted.chars().all(|c| {
                    let is_it = at < area.right() && buffer[(at, y)].symbol() == c.to_string();
                    at += 1;
                    is_it
                });
                if found {
                    return buffer[(x, y)].style();
                }
            }
        }
        panic!("no {wanted:?} in\n{}", text(&buffer));
    }
}

pub(super) fn snapshot(units: Vec<UnitView>) -> Snapshot {
    Snapshot {
        name: "shop".into(),
        at: Instant::from_millis(62_000),
        units: units.into_iter().map(Arc::new).collect(),
        ..Snapshot::default()
    }
}

pub(super) fn text(buffer: &Buffer) -> String {
    let area = buffer.area;
    let mut text = String::new();
    for y in area.top()..area.bottom() {
        let mut row = String::new();
        let mut skip = 0;
        for x in area.left()..area.right() {
            let symbol = buffer[(x, y)].symbol();
            if skip > 0 {
                skip -= 1;
                continue;
            }
            row.push_str(symbol);
            skip = crate::tui::fit::grapheme_width(symbol).saturating_sub(1);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}
