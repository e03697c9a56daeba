//! Several panes at once.

use crossterm::event::{Event, MouseButton, MouseEvent, MouseEventKind};

use super::drive::Driver;
use super::pictures::busy;
use crate::logs::Stream;
use crate::tui::model::Focus;
use crate::tui::msg::Msg;

fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Msg {
    Msg::Input(Event::Mouse(MouseEvent {
        kind,
        column,
        row,
        modifiers: crossterm::event::KeyModifiers::NONE,
    }))
}

const DOWN: MouseEventKind = MouseEventKind::Down(MouseButton::Left);
const DRAG: MouseEventKind = MouseEventKind::Drag(MouseButton::Left);
const UP: MouseEventKind = MouseEventKind::Up(MouseButton::Left);

/// The names over the panes, in order.
fn titles(driver: &Driver) -> Vec<String> {
    let panes = driver.model.panes();
    let name = |pane: &crate::tui::panes::PaneAt| {
        let unit = pane.unit.and_then(|id| driver.model.by_id(id));
        unit.map_or_else(String::new, |unit| unit.name.to_string())
    };
    panes.iter().map(name).collect()
}

fn widths(driver: &Driver) -> Vec<u16> {
    let panes = driver.model.panes();
    panes.iter().map(|pane| pane.body.width).collect()
}

#[test]
fn marked_units_stand_beside_each_other() {
    let mut driver = busy(200, 60);
    // db, then api.
    driver.keys("space down down down down space |");
    assert_eq!(titles(&driver), ["db", "api"]);
    driver.assert_shows("WARN no password was set");
    driver.assert_shows("index out of bounds");
    insta::assert_snapshot!("panes_beside_200x60", driver.text());
    driver.keys("\\");
    insta::assert_snapshot!("panes_stacked_200x60", driver.text());
    // What is written comes to its own pane, active or not.
    driver.write(0, Stream::Stdout, "for the first\n");
    driver.write(5, Stream::Stdout, "for the second\n");
    driver.assert_shows("for the first");
    driver.assert_shows("for the second");
    driver.keys("X");
    assert_eq!(driver.model.panes().len(), 1);
    driver.assert_hides("for the first");
}

#[test]
fn one_after_the_other_and_away_again() {
    let mut driver = busy(160, 40);
    driver.keys("|");
    assert_eq!(titles(&driver), ["db"]);
    // It stays, whatever is chosen.
    driver.keys("down");
    driver.assert_shows("WARN no password was set");
    driver.keys("|");
    assert_eq!(titles(&driver), ["db", "cache"]);
    driver.keys("|");
    assert_eq!(titles(&driver), ["db"]);
    driver.keys("home down |");
    assert!(driver.model.split_panes.is_none());
}

#[test]
fn keys_go_through_the_panes_and_each_has_its_own_place() {
    let mut driver = busy(200, 60);
    let lines: String = (0..200).map(|line| format!("line {line}\n")).collect();
    driver.write(0, Stream::Stdout, &lines);
    driver.keys("space down down down down space | tab");
    assert_eq!(driver.model.focus, Focus::Log);
    driver.keys("g");
    driver.assert_shows("INFO ready for connections");
    driver.keys("tab");
    // The first stays where it was.
    driver.assert_shows("INFO ready for connections");
    driver.assert_shows("index out of bounds");
    driver.keys("tab");
    assert_eq!(driver.model.focus, Focus::Units);
    driver.keys("backtab backtab G");
    driver.assert_shows("line 199");
    // A search is that of its pane, and ends with leaving it.
    driver.keys("ctrl-f l i n e enter");
    driver.assert_shows("“line” ");
    driver.keys("tab");
    driver.assert_hides("“line” ");
    assert!(driver.model.log.search.is_none());
}

#[test]
fn panes_are_resized_by_keys_and_by_the_mouse() {
    let mut driver = busy(200, 60);
    driver.keys("space down down down down space |");
    let before = widths(&driver);
    driver.keys("+ +");
    let wider = widths(&driver);
    assert!(wider[0] > before[0], "{before:?} {wider:?}");
    driver.keys("- -");
    assert!(widths(&driver)[0].abs_diff(before[0]) <= 2);
    let seam = driver.model.panes()[0].body.right();
    driver.send(mouse(DOWN, seam, 20));
    driver.send(mouse(DRAG, seam - 20, 20));
    driver.send(mouse(UP, seam - 20, 20));
    assert!(driver.model.panes()[0].body.right().abs_diff(seam - 20) <= 1);
    driver.keys("\\");
    let seam = driver.model.panes()[0].body.bottom();
    driver.send(mouse(DOWN, 150, seam));
    driver.send(mouse(DRAG, 150, seam + 10));
    driver.send(mouse(UP, 150, seam + 10));
    assert!(driver.model.panes()[0].body.bottom().abs_diff(seam + 10) <= 1);
    // A click makes a pane the one that has the keys.
    let second = driver.model.panes()[1].body;
    driver.send(mouse(DOWN, second.x + 2, second.y + 1));
    assert!(driver.model.panes()[1].is_active);
    assert_eq!(driver.model.focus, Focus::Log);
}

#[test]
fn there_are_as_many_as_there_is_room_for() {
    let mut driver = busy(80, 24);
    driver.keys("home space |");
    let count = driver.model.split_panes.as_ref().unwrap().len();
    assert_eq!(count, 8);
    for (width, height) in [(80, 24), (40, 10), (20, 8), (200, 60), (3, 3)] {
        driver.send(Msg::Input(Event::Resize(width, height)));
        for _ in 0..9 {
            driver.keys("tab");
            let panes = driver.model.panes();
            let area = driver.model.areas().logs;
            assert!(panes.is_empty() || panes.iter().any(|pane| pane.is_active));
            for pane in panes {
                assert!(area.union(pane.body) == area, "{area:?} {pane:?}");
            }
            let _ = driver.buffer();
        }
        driver.keys("\\");
    }
}

#[test]
fn a_unit_that_is_gone_takes_its_pane_along() {
    let mut driver = busy(160, 40);
    driver.keys("space space |");
    assert_eq!(titles(&driver), ["db", "cache"]);
    let mut units = super::drive::mess();
    units.remove(0);
    driver.units(units);
    assert_eq!(titles(&driver), ["cache"]);
    driver.units(Vec::new());
    assert!(driver.model.split_panes.is_none());
}
