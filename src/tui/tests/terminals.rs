//! Terminals in their panes: what is shown, what is typed, who has the size.

use bytes::Bytes;
use crossterm::event::Event;
use ratatui::Terminal;
use ratatui::backend::{Backend as _, TestBackend};
use ratatui::layout::Position;
use ratatui::style::Color;

use super::drive::{Driver, unit};
use crate::control::TerminalEvent;
use crate::domain::id::InstanceId;
use crate::domain::phase::PhaseName;
use crate::domain::spec::{Tty, UnitKind};
use crate::domain::terminal::TerminalSize;
use crate::logs::Stream;
use crate::tui::model::Focus;
use crate::tui::msg::{Effect, Msg};

const SHELL: InstanceId = InstanceId(0);

fn stack() -> Vec<crate::domain::snapshot::UnitView> {
    let mut shell = unit(0, "shell", UnitKind::Service, PhaseName::Running);
    shell.tty = Tty::Full;
    vec![shell, unit(1, "web", UnitKind::Service, PhaseName::Running)]
}

fn driver(width: u16, height: u16) -> Driver {
    let mut driver = Driver::new(stack(), width, height);
    let size = driver.asked_size().expect("it asks for a size");
    draws(&mut driver, size, "$ \x1b[32mgreen\x1b[m\r\n");
    driver
}

fn draws(driver: &mut Driver, size: TerminalSize, text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    driver.send(Msg::Terminal(SHELL, TerminalEvent::Screen { size, bytes }));
}

fn writes(driver: &mut Driver, text: &str) {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    driver.send(Msg::Terminal(SHELL, TerminalEvent::Output(bytes)));
}

impl Driver {
    /// The last size that was asked for the shell.
    fn asked_size(&self) -> Option<TerminalSize> {
        self.other.iter().rev().find_map(|effect| match effect {
            Effect::ResizeTerminal(SHELL, size) => Some(*size),
            _ => None,
        })
    }

    fn watched(&self) -> Option<&[InstanceId]> {
        self.other.iter().rev().find_map(|effect| match effect {
            Effect::WatchTerminals(ids) => Some(&ids[..]),
            _ => None,
        })
    }

    fn typed(&self) -> String {
        let typed = self.other.iter().filter_map(|effect| match effect {
            Effect::Type(SHELL, bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        });
        typed.collect()
    }
}

#[test]
fn the_pane_shows_the_screen_with_its_colours() {
    let driver = driver(80, 24);
    driver.assert_shows("$ green");
    driver.assert_shows(" terminal ");
    assert_eq!(driver.style("green").fg, Some(Color::Green));
    // It is as large as its pane.
    let area = driver.model.areas().log;
    let size = driver.asked_size().unwrap();
    assert_eq!((size.rows, size.columns), (area.height, area.width));
    assert_eq!(driver.watched(), Some(&[SHELL][..]));
}

#[test]
fn keys_go_there_after_one_key_and_come_back_by_one() {
    let mut driver = driver(80, 24);
    driver.keys("enter enter");
    driver.assert_shows("all others go to the terminal");
    driver.assert_shows("typing, ^] leaves");
    // Those of pk too: ctrl-c and q are the shell's.
    driver.keys("q ctrl-c up tab f10 enter");
    assert_eq!(driver.typed(), "q\x03\x1b[A\t\x1b[21~\r");
    assert!(driver.model.overlay.is_none());
    driver.send(Msg::Input(Event::Paste("two\nlines".into())));
    assert!(driver.typed().ends_with("two\rlines"));
    driver.keys("ctrl-]");
    driver.assert_hides("typing");
    let typed = driver.typed();
    driver.keys("j ?");
    driver.assert_shows("any other key closes");
    assert_eq!(driver.typed(), typed);
}

#[test]
fn a_program_that_asks_for_it_gets_brackets_and_the_other_arrows() {
    let mut driver = driver(80, 24);
    writes(&mut driver, "\x1b[?2004h\x1b[?1h");
    driver.keys("I up");
    driver.send(Msg::Input(Event::Paste("x".into())));
    assert_eq!(driver.typed(), "\x1bOA\x1b[200~x\x1b[201~");
}

#[test]
fn the_cursor_is_where_the_program_has_it() {
    let mut driver = driver(80, 24);
    let cursor = |driver: &Driver| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let frame = terminal.draw(|frame| crate::tui::view(&driver.model, frame));
        frame.unwrap();
        terminal.backend_mut().get_cursor_position().unwrap()
    };
    let log = driver.model.areas().log;
    driver.keys("I");
    assert_eq!(cursor(&driver), Position::new(log.x, log.y + 1));
    writes(&mut driver, "ab");
    assert_eq!(cursor(&driver), Position::new(log.x + 2, log.y + 1));
}

#[test]
fn it_is_scrolled_back_and_what_is_typed_leads_to_its_end() {
    let mut driver = driver(80, 24);
    let lines: String = (0..100).map(|line| format!("line {line}\r\n")).collect();
    writes(&mut driver, &lines);
    driver.assert_shows("line 99");
    driver.keys("enter pageup");
    driver.assert_hides("line 99");
    driver.assert_shows("lines back");
    writes(&mut driver, "new\r\n");
    driver.assert_hides("new");
    driver.keys("g");
    driver.assert_shows("$ green");
    driver.keys("enter x");
    driver.assert_shows("line 99");
    driver.assert_hides("lines back");
}

#[test]
fn lines_are_shown_instead_and_for_a_search() {
    let mut driver = driver(80, 24);
    driver.write(0, Stream::Stdout, "a line of the log\n");
    driver.assert_hides("a line of the log");
    driver.keys("L");
    driver.assert_shows("a line of the log");
    assert_eq!(driver.watched(), Some(&[][..]));
    driver.keys("L");
    driver.assert_hides("a line of the log");
    driver.keys("ctrl-f l o g enter");
    driver.assert_shows("“log” 1/1");
    // Other units have lines alone.
    driver.keys("esc down L");
    driver.assert_shows("web has no terminal");
    driver.keys("I");
    driver.assert_shows("web has no terminal: `tty: true` gives it one");
    assert_eq!(driver.model.ttys.typing(), None);
}

#[test]
fn its_size_follows_the_pane_and_another_faces_is_shown_as_it_is() {
    let mut driver = driver(80, 24);
    driver.send(Msg::Input(Event::Resize(160, 40)));
    let area = driver.model.areas().log;
    let size = driver.asked_size().unwrap();
    assert_eq!((size.rows, size.columns), (area.height, area.width));
    // Another face has acted since: a part is shown, the one with the cursor.
    let large = TerminalSize::new(200, 300);
    let text: String = (0..150).map(|line| format!("row {line}\r\n")).collect();
    draws(&mut driver, large, &text);
    driver.assert_shows("terminal of 300x200");
    driver.assert_shows("row 149");
    driver.assert_hides("row 100");
    let asked = driver.other.len();
    driver.send(Msg::LogsGrew);
    assert_eq!(driver.other.len(), asked, "nobody has acted");
    driver.keys("I x");
    let last: Vec<_> = driver.other[asked..].iter().collect();
    assert!(
        matches!(&last[..], [Effect::ResizeTerminal(SHELL, again), Effect::Type(..)] if *again == size),
        "{last:?}"
    );
}

#[test]
fn the_end_of_the_unit_takes_the_keys_back() {
    let mut driver = driver(80, 24);
    driver.keys("I");
    let mut units = stack();
    units[0].phase = PhaseName::Exited;
    units[0].pid = None;
    units[0].outcome = Some(crate::domain::outcome::Outcome::Completed);
    driver.units(units);
    assert_eq!(driver.model.ttys.typing(), None);
    // What it showed last stays.
    driver.assert_shows("$ green");
    driver.keys("I");
    driver.assert_shows("shell does not run");
    assert_eq!(driver.model.focus, Focus::Log);
}

#[test]
fn nothing_that_a_program_draws_breaks_the_screen() {
    let mut driver = driver(60, 16);
    let size = TerminalSize::new(7, 60);
    draws(
        &mut driver,
        size,
        "日本\x1b[1;60H日\x1b[2;1He\u{301}\u{202e}x🏳️‍🌈\x1b[3;59H\u{200b}🙂",
    );
    for (width, height) in [(60, 16), (20, 8), (5, 6), (1, 1), (200, 60)] {
        driver.send(Msg::Input(Event::Resize(width, height)));
        for cell in &driver.buffer().content {
            assert!(!cell.symbol().contains(crate::tui::fit::is_control));
        }
    }
}
