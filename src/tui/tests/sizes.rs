//! Any size, any names, any keys: nothing panics, nothing overflows.

use proptest::prelude::*;

use super::drive::{Driver, mess, unit};
use crate::domain::phase::PhaseName;
use crate::domain::snapshot::UnitView;
use crate::domain::spec::UnitKind;
use crate::logs::Stream;

/// Names that files cannot hold, and texts that programs do.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,12}",
        "\\PC{1,30}",
        "(日本|🏳️‍🌈|e\u{301}|\u{202e}|\u{1b}\\[31m|\t|\r|\n|x){1,12}",
        "[a-z]{200,300}",
    ]
}

fn phase() -> impl Strategy<Value = PhaseName> {
    prop::sample::select(vec![
        PhaseName::Idle,
        PhaseName::Waiting,
        PhaseName::Starting,
        PhaseName::Running,
        PhaseName::Stopping,
        PhaseName::Reaping,
        PhaseName::Backoff,
        PhaseName::Exited,
    ])
}

fn stack() -> impl Strategy<Value = Vec<UnitView>> {
    let one = || (odd(), phase(), any::<bool>(), odd());
    let small = prop::collection::vec(one(), 0..20);
    let large = prop::collection::vec(one(), 290..=300);
    prop_oneof![9 => small, 1 => large].prop_map(|units| {
        let mut made: Vec<UnitView> = Vec::new();
        for (id, (name, phase, is_task, status)) in (0u32..).zip(units) {
            let kind = if is_task {
                UnitKind::Task
            } else {
                UnitKind::Service
            };
            // Two units never share a name.
            let mut view = unit(id, &format!("{name}{id}"), kind, phase);
            view.status = status;
            if id % 3 == 0 {
                view.tty = crate::domain::spec::Tty::Full;
            }
            made.push(view);
        }
        made
    })
}

const KEYS: &[&str] = &[
    "up",
    "down",
    "pageup",
    "pagedown",
    "home",
    "end",
    "left",
    "right",
    "enter",
    "tab",
    "space",
    "esc",
    "1",
    "2",
    "3",
    "4",
    "z",
    "f4",
    "f8",
    "<",
    ">",
    "l",
    "f",
    "w",
    "t",
    "n",
    "N",
    "&",
    "p",
    "ctrl-k",
    "y",
    "o",
    "O",
    "v",
    "a",
    "m",
    "u",
    "/",
    "ctrl-f",
    "?",
    ":",
    "q",
    "S",
    "c",
    "r",
    "K",
    "e",
    "x",
    "T",
    "M",
    "!",
    "backspace",
    "日",
    "|",
    "\\",
    "+",
    "-",
    "X",
    "I",
    "L",
    "ctrl-]",
    "backtab",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_panics_and_nothing_overflows(
        units in stack(),
        width in 0u16..220,
        height in 0u16..70,
        lines in prop::collection::vec((0u32..20, odd()), 0..30),
        keys in prop::collection::vec(prop::sample::select(KEYS), 0..25),
        resized in (1u16..120, 1u16..50),
    ) {
        let mut driver = Driver::new(units, width, height);
        for (id, line) in lines {
            driver.write(id, Stream::Stdout, &format!("{line}\n"));
            let bytes = bytes::Bytes::from(line.into_bytes());
            let event = crate::control::TerminalEvent::Screen {
                size: crate::domain::terminal::TerminalSize::new(resized.1, resized.0),
                bytes,
            };
            driver.send(crate::tui::msg::Msg::Terminal(crate::domain::id::InstanceId(id), event));
        }
        driver.sample();
        let _ = driver.buffer();
        for key in keys {
            driver.keys(key);
            // A buffer of that size takes no cell outside of it: writing there panics.
            let buffer = driver.buffer();
            for cell in &buffer.content {
                prop_assert!(!cell.symbol().contains(char::is_control), "{:?}", cell.symbol());
            }
        }
        let event = crossterm::event::Event::Resize(resized.0, resized.1);
        driver.send(crate::tui::msg::Msg::Input(event));
        let _ = driver.buffer();
    }
}

#[test]
fn three_hundred_units_at_every_size() {
    let units: Vec<UnitView> = (0..300)
        .map(|id| {
            unit(
                id,
                &format!("service-{id:03}"),
                UnitKind::Service,
                PhaseName::Running,
            )
        })
        .collect();
    for (width, height) in [(40, 10), (80, 24), (120, 40), (200, 60)] {
        let mut driver = Driver::new(units.clone(), width, height);
        for view in ["1", "2", "3", "4"] {
            driver.keys(view);
            for key in ["end", "pageup", "home", "pagedown"] {
                driver.keys(key);
                let _ = driver.buffer();
            }
        }
        driver.keys("1 end");
        driver.assert_shows("service-299");
    }
}

#[test]
fn tiny_screens_show_what_they_can() {
    for (width, height) in [(1, 1), (2, 2), (5, 3), (10, 4), (20, 6), (30, 8)] {
        let mut driver = Driver::new(mess(), width, height);
        for keys in [
            "1", "2", "3", "4", "?", "esc", ":", "esc", "q", "esc", "S", "esc",
        ] {
            driver.keys(keys);
            let _ = driver.buffer();
        }
    }
}
