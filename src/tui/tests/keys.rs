//! Scripts of keys and what comes of them.

use crossterm::event::{Event, MouseButton, MouseEvent, MouseEventKind};

use super::drive::{Driver, mess, unit};
use super::pictures::busy;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::UnitName;
use crate::domain::phase::PhaseName;
use crate::domain::signal::Signal;
use crate::domain::spec::UnitKind;
use crate::logs::Stream;
use crate::tui::log::Position;
use crate::tui::model::{Focus, Role, View};
use crate::tui::msg::{Effect, Msg};

fn names(command: &Command) -> Vec<&str> {
    match command {
        Command::Start(names)
        | Command::Stop(names)
        | Command::Restart(names)
        | Command::Kill(names)
        | Command::Signal(names, _)
        | Command::Enable(names)
        | Command::PauseWatch(names)
        | Command::ResumeWatch(names)
        | Command::Disable(names) => names.iter().map(UnitName::as_str).collect(),
        Command::Attend(_) | Command::Scale { .. } | Command::Reload(_) | Command::Shutdown(..) => {
            Vec::new()
        }
    }
}

#[test]
fn an_act_is_for_the_chosen_unit() {
    let mut driver = busy(80, 24);
    driver.keys("down r");
    let (what, command) = &driver.asked[0];
    assert_eq!(what, "restart cache");
    assert!(matches!(command, Command::Restart(_)));
    assert_eq!(names(command), ["cache"]);
    driver.keys("f7 f9 ctrl-r e d");
    let asked: Vec<&str> = driver.asked.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        asked[1..],
        [
            "start cache",
            "stop cache",
            "restart cache",
            "enable cache",
            "disable cache"
        ]
    );
}

#[test]
fn what_destroys_is_confirmed() {
    let mut driver = busy(80, 24);
    driver.keys("space space x");
    assert!(driver.asked.is_empty());
    driver.assert_shows("stop db and cache?");
    driver.keys("n x y");
    assert_eq!(names(&driver.asked[0].1), ["db", "cache"]);
    driver.keys("u K");
    driver.assert_shows("kill search?");
    driver.keys("esc");
    assert_eq!(driver.asked.len(), 1);
}

#[test]
fn a_group_is_acted_on_as_a_whole_and_folds() {
    let mut driver = busy(80, 24);
    driver.keys("home r y");
    assert_eq!(names(&driver.asked[0].1).len(), 8);
    driver.keys("left");
    driver.assert_hides("● db ");
    driver.keys("right");
    driver.assert_shows("● db ");
}

#[test]
fn signals_scale_and_palette() {
    let mut driver = busy(80, 24);
    driver.keys("S down down enter");
    let (what, command) = &driver.asked[0];
    assert_eq!(what, "SIGTERM to db");
    assert!(matches!(command, Command::Signal(_, Signal::TERM)));
    driver.keys("c backspace 3 enter");
    assert!(matches!(
        &driver.asked[1].1,
        Command::Scale { replicas: 3, .. }
    ));
    driver.keys("c backspace x enter");
    driver.assert_shows("no number of instances");
    driver.keys(": t i m e l i n enter");
    assert_eq!(driver.model.view, View::Timeline);
}

#[test]
fn leaving_asks_once() {
    let mut driver = busy(80, 24);
    driver.keys("q");
    driver.assert_shows("leave, and let the stack run on");
    driver.keys("esc q d");
    assert!(matches!(driver.other.last(), Some(Effect::Detach)));
    driver.keys("ctrl-c ctrl-c");
    let (_, command) = driver.asked.last().unwrap();
    let by_interrupt = ShutdownCause::Signal(Signal::INT);
    assert!(
        matches!(command, Command::Shutdown(Shutdown::Graceful, cause) if *cause == by_interrupt)
    );
    driver.keys("q s");
    let (_, command) = driver.asked.last().unwrap();
    let asked = ShutdownCause::Requested;
    assert!(matches!(command, Command::Shutdown(Shutdown::Graceful, cause) if *cause == asked));
}

#[test]
fn a_third_ctrl_c_kills_and_a_guest_kills_nothing() {
    let mut driver = busy(80, 24);
    let mut stopping = super::drive::snapshot(mess());
    stopping.shutdown = Some(Shutdown::Graceful);
    driver.send(Msg::Snapshot(stopping.into()));
    driver.assert_shows("stopping");
    driver.keys("ctrl-c");
    let (_, command) = driver.asked.last().unwrap();
    assert!(matches!(command, Command::Shutdown(Shutdown::Now, _)));
    let mut guest = Driver::with(mess(), 80, 24, Role::Guest);
    guest.keys("ctrl-c ctrl-c");
    assert!(matches!(guest.other.last(), Some(Effect::Detach)));
    assert!(guest.asked.is_empty());
}

#[test]
fn a_failure_is_told_and_one_key_goes_there() {
    let mut driver = busy(80, 24);
    driver.assert_shows("✗ worker failed: exit code 3  (and 1 more)");
    driver.keys("!");
    driver.assert_shows("✗ api failed: exit code 101  (and 1 more)");
    driver.assert_shows("│ index out of bounds");
    driver.keys("!");
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "api");
    assert_eq!(driver.model.focus, Focus::Log);
    driver.assert_hides("go there");
}

#[test]
fn a_long_log_is_walked_to_its_oldest_line_and_back() {
    let mut driver = Driver::new(mess(), 80, 24);
    for chunk in 0..50 {
        let lines: String = (0..100)
            .map(|line| format!("line {}\n", chunk * 100 + line))
            .collect();
        driver.write(0, Stream::Stdout, &lines);
    }
    driver.assert_shows("line 4999");
    driver.keys("tab pageup");
    driver.assert_hides("line 4999");
    driver.assert_shows("not following");
    // What comes meanwhile moves nothing.
    let before = driver.text();
    driver.write(0, Stream::Stdout, "new line\n");
    assert_eq!(driver.text(), before);
    driver.keys("g");
    driver.assert_shows("at the oldest line");
    driver.assert_shows("line 0\n");
    driver.keys("pagedown pagedown");
    driver.assert_hides("line 0\n");
    for _ in 0..800 {
        driver.keys("pagedown");
    }
    assert_eq!(driver.model.log.position, Position::Follow);
    driver.assert_shows("new line");
    for _ in 0..800 {
        driver.keys("pageup");
    }
    driver.assert_shows("line 0\n");
    driver.keys("G");
    driver.assert_shows("new line");
}

#[test]
fn search_goes_through_all_history() {
    let mut driver = Driver::new(mess(), 80, 24);
    let lines: String = (0..3000)
        .map(|line| {
            format!(
                "line {line}{}\n",
                if line % 1000 == 7 { " needle" } else { "" }
            )
        })
        .collect();
    driver.write(0, Stream::Stdout, &lines);
    driver.keys("ctrl-f n e e d l e");
    driver.assert_shows("3/3");
    driver.assert_shows("line 2007 needle");
    driver.keys("enter N N");
    driver.assert_shows("1/3");
    driver.assert_shows("line 7 needle");
    driver.keys("n");
    driver.assert_shows("line 1007 needle");
    driver.keys("&");
    driver.assert_shows("matches only");
    driver.assert_shows("line 7 needle");
    driver.assert_shows("line 2007 needle");
    driver.assert_hides("line 2008");
    driver.keys("esc esc");
    assert!(driver.model.log.search.is_none());
    driver.assert_shows("line 2999");
}

#[test]
fn a_merged_line_leads_to_its_unit() {
    let mut driver = busy(120, 40);
    driver.keys("l tab up up up up");
    driver.keys("g enter");
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "db");
    driver.keys("l G up enter");
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "api");
}

#[test]
fn marked_lines_are_copied_without_colours() {
    let mut driver = busy(120, 40);
    driver.keys("tab g down down m m y");
    let Some(Effect::Copy(text)) = driver.other.last() else {
        panic!("{:?}", driver.other);
    };
    assert_eq!(text, "GET /items 200 12ms\nGET /items/7 404 1ms");
}

#[test]
fn clearing_hides_and_brings_back() {
    let mut driver = busy(120, 40);
    driver.keys("ctrl-k");
    driver.assert_shows("nothing since the older lines were hidden");
    driver.write(0, Stream::Stdout, "afterwards\n");
    driver.assert_shows("afterwards");
    driver.assert_hides("no password");
    driver.keys("ctrl-k");
    driver.assert_shows("no password");
}

#[test]
fn units_are_filtered_sorted_and_hidden() {
    let mut driver = busy(80, 24);
    driver.keys("/ w o r k enter");
    driver.assert_shows("↻ worker");
    driver.assert_hides("● cache");
    driver.keys("esc");
    driver.assert_shows("● cache");
    driver.keys("o o");
    driver.assert_shows("STATUS↓");
    let text = driver.text();
    assert!(text.find("✗ api") < text.find("● db"), "{text}");
    driver.keys("a");
    driver.assert_hides("✓ migrate");
    driver.keys("v v");
    driver.assert_hides("▾ services");
}

#[test]
fn the_mouse_chooses_scrolls_and_gives_room() {
    let mut driver = busy(160, 40);
    let at = |kind, column, row| {
        Msg::Input(Event::Mouse(MouseEvent {
            kind,
            column,
            row,
            modifiers: crossterm::event::KeyModifiers::NONE,
        }))
    };
    let down = MouseEventKind::Down(MouseButton::Left);
    driver.send(at(down, 10, 4));
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "cache");
    driver.send(at(MouseEventKind::ScrollUp, 90, 10));
    let split = driver.model.areas().divider.x;
    driver.send(at(down, split, 10));
    driver.send(at(MouseEventKind::Drag(MouseButton::Left), 80, 10));
    driver.send(at(MouseEventKind::Up(MouseButton::Left), 80, 10));
    assert!(driver.model.areas().divider.x.abs_diff(80) <= 1);
    driver.keys("M");
    driver.send(at(down, 10, 3));
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "cache");
}

#[test]
fn the_choice_stays_with_its_unit() {
    let mut driver = busy(80, 24);
    driver.keys("down down");
    let chosen = driver.model.unit().unwrap().name.clone();
    let mut units = mess();
    units.remove(0);
    driver.units(units);
    assert_eq!(driver.model.unit().unwrap().name, chosen);
    driver.units(vec![unit(
        40,
        "other",
        UnitKind::Service,
        PhaseName::Running,
    )]);
    assert_eq!(driver.model.unit().unwrap().name.as_str(), "other");
    driver.units(Vec::new());
    driver.assert_shows("the stack has no units");
}

#[test]
fn keys_that_are_bound_otherwise_do_otherwise() {
    let mut driver = busy(80, 24);
    let wishes = [("restart".to_owned(), vec!["X".to_owned()])].into();
    driver.model.keymap = crate::tui::keymap::Keymap::rebound(&wishes).unwrap();
    driver.keys("X r");
    assert_eq!(driver.asked.len(), 1);
    driver.assert_shows("X restart");
}
