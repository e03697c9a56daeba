//! Every view in every state at four sizes, as text; what carries meaning also by colour.

use std::time::Duration;

use ratatui::style::Modifier;

use super::drive::{Driver, mess, unit};
use crate::control::{TerminalEvent, UnitWatch};
use crate::domain::change::UnitChange;
use crate::domain::exit::ExitStatus;
use crate::domain::id::{Attempt, InstanceId};
use crate::domain::listening::{ListeningPort, UnitPorts};
use crate::domain::phase::{PhaseName, Stop};
use crate::domain::processes::{Held, UnitProcess};
use crate::domain::spec::{Tty, UnitKind};
use crate::domain::terminal::TerminalSize;
use crate::domain::time::Instant;
use crate::logs::Stream;
use crate::tui::msg::Msg;
use crate::tui::theme::{Theme, ThemeName};

const SIZES: [(u16, u16); 4] = [(40, 10), (80, 24), (120, 40), (200, 60)];

/// A stack in which everything happens.
pub(super) fn busy(width: u16, height: u16) -> Driver {
    let mut driver = Driver::new(mess(), width, height);
    driver.change(
        100,
        0,
        "db",
        UnitChange::Started {
            attempt: Attempt(1),
            pid: 1000,
        },
    );
    driver.change(
        250,
        0,
        "db",
        UnitChange::Ready {
            after: Duration::from_millis(150),
        },
    );
    driver.change(
        61_000,
        4,
        "worker",
        UnitChange::Backoff {
            delay: Duration::from_millis(4200),
            restart: 4,
            budget: Some(5),
            failure: None,
        },
    );
    driver.write(0, Stream::Stdout, "2026-01-01 INFO ready for connections\n");
    driver.write(0, Stream::Stderr, "WARN no password was set\n");
    driver.write(
        0,
        Stream::Stdout,
        "\x1b[32mGET\x1b[0m /items 200 12ms\nGET /items/7 404 1ms\n",
    );
    driver.write(
        5,
        Stream::Stderr,
        "thread 'main' panicked at src/main.rs:10:\nindex out of bounds\n",
    );
    driver.sample();
    driver.units(mess());
    driver
}

fn pictures(name: &str, script: impl Fn(&mut Driver)) {
    for (width, height) in SIZES {
        let mut driver = busy(width, height);
        script(&mut driver);
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), driver.text());
    }
}

#[test]
fn overview() {
    pictures("overview", |_| {});
}

#[test]
fn overview_of_a_log_that_is_merged_and_searched() {
    pictures("search", |driver| driver.keys("l t ctrl-f g e t enter"));
}

#[test]
fn log_alone() {
    pictures("log_alone", |driver| driver.keys("f4 up up m"));
}

#[test]
fn graph() {
    pictures("graph", |driver| driver.keys("2 down down"));
}

#[test]
fn timeline() {
    pictures("timeline", |driver| driver.keys("3"));
}

#[test]
fn details() {
    pictures("details", |driver| {
        driver.keys("4");
        look_at(driver, 1000, 100);
        look_at(driver, 2000, 350);
        driver.send(Msg::Watched("db".into(), watched()));
        driver.send(Msg::Listening(vec![UnitPorts {
            instance: InstanceId(0),
            name: "db".into(),
            listening: vec![ListeningPort {
                port: 5432,
                address: "127.0.0.1".into(),
            }],
        }]));
        driver.send(Msg::Held(Held {
            mechanism: "cgroup v2".into(),
            description: "held in cgroups".into(),
        }));
    });
}

/// Processes are found at that time, which have used so many milliseconds of a processor.
fn look_at(driver: &mut Driver, at: u64, cpu: u64) {
    let process = |pid, parent, name: &str, cpu| UnitProcess {
        pid,
        parent,
        name: name.to_owned(),
        cpu_time: Duration::from_millis(cpu),
        memory: u64::from(pid) << 12,
    };
    let all = vec![
        process(1000, 1, "postgres", 5),
        process(1001, 1000, "checkpointer", cpu),
        process(1002, 1000, "日本\u{1b}[2J", 5),
        process(1003, 1002, "a child of that", 2 * cpu),
    ];
    driver.send(Msg::Processes(InstanceId(0), Instant::from_millis(at), all));
}

fn watched() -> UnitWatch {
    serde_json::from_value(serde_json::json!({
        "unit": "db", "watches": 2, "paths": [{
            "path": "src", "missing": false, "folders": 2, "files": 7,
            "backend": {"polling": {"every_ms": 2000, "why": "a network file system"}},
            "ignored": [{"rule": "target/ in .gitignore", "count": 3}], "unreadable": [],
        }],
    }))
    .unwrap()
}

#[test]
fn exits_are_told_with_their_reasons() {
    let mut driver = busy(120, 60);
    let exited = |code| UnitChange::Exited {
        status: crate::domain::outcome::RunStatus::of(ExitStatus::Code(code)),
    };
    let attempt = Attempt(2);
    driver.change(61_000, 0, "db", UnitChange::Starting { attempt });
    let stop = Box::new(Stop::Requested);
    driver.change(61_100, 0, "db", UnitChange::Stopping { stop });
    driver.change(61_200, 0, "db", exited(0));
    let attempt = Attempt(3);
    driver.change(61_300, 0, "db", UnitChange::Starting { attempt });
    driver.change(61_400, 0, "db", exited(7));
    driver.keys("4");
    driver.assert_shows("run 2: exit code 0, stopped: ");
    driver.assert_shows("run 3: exit code 7");
}

#[test]
fn a_terminal() {
    pictures("terminal", |driver| {
        let mut units = mess();
        units[0].tty = Tty::Full;
        driver.units(units);
        let area = driver.model.areas().log;
        let size = TerminalSize::new(area.height.max(1), area.width.max(1));
        let bytes = "\x1b[?1049h\x1b[H\x1b[1;44m file \x1b[m\r\n~\r\n~".into();
        let id = InstanceId(0);
        driver.send(Msg::Terminal(id, TerminalEvent::Screen { size, bytes }));
        driver.keys("I");
    });
}

#[test]
fn windows() {
    pictures("help", |driver| driver.keys("?"));
    pictures("palette", |driver| driver.keys(": r e s"));
    pictures("leave", |driver| driver.keys("q"));
    pictures("confirm", |driver| driver.keys("space space K"));
    pictures("signals", |driver| driver.keys("S down"));
    pictures("filter", |driver| driver.keys("/ w e"));
}

#[test]
fn an_empty_stack() {
    for (width, height) in SIZES {
        let driver = Driver::new(Vec::new(), width, height);
        insta::assert_snapshot!(format!("empty_{width}x{height}"), driver.text());
    }
}

#[test]
fn colours_carry_the_phase() {
    let driver = busy(120, 40);
    let theme = Theme::new(ThemeName::Dark);
    for (glyph, style) in [
        ("● cache", theme.good),
        ("◐ search", theme.busy),
        ("○ web", theme.busy),
        ("↻ worker", theme.warning),
        ("⊘ admin", theme.warning),
        ("◌ mail", theme.warning),
        ("✗ api", theme.bad),
        ("✓ migrate", theme.good),
        ("· order", theme.dim),
    ] {
        assert_eq!(driver.style(glyph).fg, style.fg, "{glyph}");
    }
    // The chosen row, the alarm, the application's own colour, a level.
    assert_eq!(driver.style("● db").bg, theme.selected.bg);
    assert_eq!(driver.style(" ✗ worker failed").bg, theme.alarm.bg);
    assert_eq!(
        driver.style("GET /items 200").fg,
        Some(ratatui::style::Color::Green)
    );
    assert_eq!(driver.style("WARN").fg, theme.warning.fg);
}

#[test]
fn matches_are_marked_and_the_current_one_more() {
    let mut driver = busy(120, 40);
    driver.keys("ctrl-f g e t enter");
    let theme = Theme::new(ThemeName::Dark);
    // The last one is where the search begins.
    assert_eq!(driver.style("GET /items/7").bg, theme.hit_current.bg);
    assert_eq!(driver.style("GET /items 200").bg, theme.hit.bg);
    // Also on the row of the cursor.
    driver.keys("tab");
    assert_eq!(driver.style("GET /items/7").bg, theme.hit_current.bg);
    assert_eq!(driver.style("/items/7 404").bg, theme.selected.bg);
}

#[test]
fn what_is_probed_is_not_ready_by_its_start() {
    let mut views = mess();
    views.truncate(1);
    let idle = unit(0, "db", UnitKind::Service, PhaseName::Idle);
    let mut driver = Driver::new(vec![idle], 120, 12);
    let attempt = Attempt(1);
    driver.change(0, 0, "db", UnitChange::Starting { attempt });
    driver.change(1_000, 0, "db", UnitChange::Started { attempt, pid: 9 });
    let after = Duration::from_secs(30);
    driver.change(31_000, 0, "db", UnitChange::Ready { after });
    driver.units(views);
    driver.keys("3");
    let text = driver.text();
    let bar = text.lines().find(|line| line.contains("● db")).unwrap();
    assert!(bar.contains("▒▒▒▒▒▒▒▒▒▒███"), "{text}");
    assert!(bar.trim_end().ends_with("31s"), "{text}");
}

#[test]
fn the_row_of_who_uses_most_comes_first() {
    let mut driver = busy(120, 40);
    let order = |driver: &Driver| {
        let text = driver.text();
        (
            text.find("● db"),
            text.find("● cache"),
            text.find("◐ search"),
        )
    };
    let (db, cache, search) = order(&driver);
    assert!(db < cache && cache < search);
    for (keys, title) in [("o o o o", "CPU↓"), ("o", "MEM↓")] {
        driver.keys(keys);
        driver.assert_shows(title);
        let (db, cache, search) = order(&driver);
        assert!(search < cache && cache < db, "{}", driver.text());
    }
}

#[test]
fn each_theme_is_its_own_and_plain_has_no_colour() {
    let mut driver = busy(120, 40);
    for name in [ThemeName::Light, ThemeName::Sixteen, ThemeName::Plain] {
        driver.keys("T");
        assert_eq!(driver.model.theme.name, name);
        let theme = Theme::new(name);
        assert_eq!(
            driver.style("✗ api ").fg,
            theme.bad.fg.or(Some(ratatui::style::Color::Reset))
        );
    }
    driver.keys("l");
    let buffer = driver.buffer();
    let coloured = buffer.content.iter().filter(|cell| {
        let style = cell.style();
        [style.fg, style.bg].iter().any(|color| {
            !matches!(
                color,
                None | Some(ratatui::style::Color::Reset | ratatui::style::Color::Green)
            )
        })
    });
    // Green alone is left: the application's own, which the terminal is not given either.
    assert_eq!(coloured.count(), 0);
    assert!(
        driver
            .style("● db")
            .add_modifier
            .contains(Modifier::REVERSED)
    );
}
