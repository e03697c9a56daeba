//! The terminals of units, as this face shows them.
//!
//! ```text
//!  a pane shows the unit ─► watch, and give it the pane's size ─► Screen, Output ─► vt100
//!  a key while typing    ─► bytes, as a terminal sends them    ─► the unit
//! ```
//!
//! The supervisor keeps the screen of each terminal; a face draws what it is told into one of
//! its own. Of several faces the one that acted last has its size: that comes to show the
//! unit, changes its pane, or types. This module owns no descriptor: `bring` talks to the port.

pub mod bring;
mod keys;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use crossterm::event::{KeyEvent, MouseEvent};

use super::msg::Effect;
use crate::control::{Emulator, TerminalEvent};
use crate::domain::id::InstanceId;
use crate::domain::terminal::TerminalSize;

/// One terminal.
pub struct Tty {
    emulator: Emulator,
    /// What this face asked for last.
    asked: Option<TerminalSize>,
    /// What it is, as far as this face was told.
    size: Option<TerminalSize>,
}

impl std::fmt::Debug for Tty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tty")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Default for Tty {
    fn default() -> Self {
        Self {
            emulator: Emulator::new(TerminalSize::DEFAULT),
            asked: None,
            size: None,
        }
    }
}

impl Tty {
    /// `None` until the first of it has come.
    #[must_use]
    pub fn screen(&self) -> Option<&vt100::Screen> {
        self.size.map(|_| self.emulator.screen())
    }

    #[must_use]
    pub fn size(&self) -> Option<TerminalSize> {
        self.size
    }

    /// What is in view, as text.
    #[must_use]
    pub fn text(&mut self) -> String {
        self.emulator.read(vt100::Screen::contents)
    }

    /// Lines that it is scrolled back by.
    #[must_use]
    pub fn scrolled(&self) -> usize {
        self.emulator.screen().scrollback()
    }

    /// Scrolls by lines, up if negative.
    pub fn scroll(&mut self, lines: isize) {
        let to = self
            .scrolled()
            .saturating_add_signed(lines.saturating_neg());
        self.scroll_to(to);
    }

    pub fn scroll_to(&mut self, lines: usize) {
        self.emulator.set_scrollback(lines);
    }

    fn take(&mut self, event: &TerminalEvent) {
        match event {
            TerminalEvent::Screen { size, bytes } => {
                self.emulator = Emulator::new(*size);
                self.size = Some(*size);
                self.emulator.process(bytes);
            }
            TerminalEvent::Output(bytes) => self.emulator.process(bytes),
        }
    }
}

/// Those that are in view.
#[derive(Default)]
pub struct Ttys {
    screens: BTreeMap<InstanceId, Tty>,
    /// Who gets the keys.
    typing: Option<InstanceId>,
    /// Whose lines are shown instead of the screen.
    as_lines: BTreeSet<InstanceId>,
}

impl std::fmt::Debug for Ttys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ttys")
            .field("typing", &self.typing)
            .finish_non_exhaustive()
    }
}

impl Ttys {
    #[must_use]
    pub fn get(&self, id: InstanceId) -> Option<&Tty> {
        self.screens.get(&id)
    }

    pub fn get_mut(&mut self, id: InstanceId) -> Option<&mut Tty> {
        self.screens.get_mut(&id)
    }

    #[must_use]
    pub fn typing(&self) -> Option<InstanceId> {
        self.typing
    }

    /// From here on the keys go to that unit, or to pk again.
    pub fn type_for(&mut self, id: Option<InstanceId>) {
        self.typing = id;
        if let Some(tty) = id.and_then(|id| self.screens.get_mut(&id)) {
            tty.scroll_to(0);
        }
    }

    #[must_use]
    pub fn is_as_lines(&self, id: InstanceId) -> bool {
        self.as_lines.contains(&id)
    }

    /// Shows the lines that the unit wrote, or its screen.
    pub fn show_lines(&mut self, id: InstanceId, lines: bool) {
        if lines {
            self.as_lines.insert(id);
        } else {
            self.as_lines.remove(&id);
        }
    }

    /// Takes what came of a terminal that is in view.
    pub fn take(&mut self, id: InstanceId, event: &TerminalEvent) {
        if let Some(tty) = self.screens.get_mut(&id) {
            tty.take(event);
        }
    }

    /// Brings it in line with the panes: whose screens they show and how large.
    pub fn settle(&mut self, shown: &[(InstanceId, TerminalSize)], effects: &mut Vec<Effect>) {
        let is_shown = |id: &InstanceId| shown.iter().any(|(shown, _)| shown == id);
        let before = self.screens.len();
        self.screens.retain(|id, _| is_shown(id));
        let mut changed = self.screens.len() != before;
        for (id, size) in shown {
            let tty = self.screens.entry(*id).or_insert_with(|| {
                changed = true;
                Tty::default()
            });
            if tty.asked != Some(*size) {
                tty.asked = Some(*size);
                effects.push(Effect::ResizeTerminal(*id, *size));
            }
        }
        if changed {
            effects.push(Effect::WatchTerminals(
                self.screens.keys().copied().collect(),
            ));
        }
        self.typing = self.typing.filter(is_shown);
    }

    fn send(&mut self, bytes: Vec<u8>, effects: &mut Vec<Effect>) {
        let Some(id) = self.typing.filter(|_| !bytes.is_empty()) else {
            return;
        };
        if let Some(tty) = self.screens.get_mut(&id) {
            tty.scroll_to(0);
            // Another face gave it another size since.
            if let Some(asked) = tty.asked.filter(|asked| tty.size != Some(*asked)) {
                effects.push(Effect::ResizeTerminal(id, asked));
            }
        }
        effects.push(Effect::Type(id, Bytes::from(bytes)));
    }

    fn typed_into(&self) -> Option<&vt100::Screen> {
        self.screens.get(&self.typing?)?.screen()
    }

    /// Types a key.
    pub fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let application = self
            .typed_into()
            .is_some_and(vt100::Screen::application_cursor);
        self.send(keys::key(key, application), effects);
    }

    /// Types a text all at once.
    pub fn paste(&mut self, text: &str, effects: &mut Vec<Effect>) {
        let bracketed = self
            .typed_into()
            .is_some_and(vt100::Screen::bracketed_paste);
        self.send(keys::paste(text, bracketed), effects);
    }

    /// Passes the mouse on, at a place of the terminal from 0; whether the unit wants it.
    pub fn mouse(
        &mut self,
        event: MouseEvent,
        place: (u16, u16),
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(screen) = self.typed_into() else {
            return false;
        };
        let (mode, encoding) = (
            screen.mouse_protocol_mode(),
            screen.mouse_protocol_encoding(),
        );
        match keys::mouse(event, place, mode, encoding) {
            Some(bytes) => {
                self.send(bytes, effects);
                true
            }
            None => false,
        }
    }
}

/// The part of a terminal that a pane has room for: its first row and column. The cursor is in
/// it.
#[must_use]
pub fn window(screen: &vt100::Screen, rows: u16, columns: u16) -> (u16, u16) {
    let (row, column) = screen.cursor_position();
    let (all_rows, all_columns) = screen.size();
    let along =
        |at: u16, room: u16, all: u16| (at + 1).saturating_sub(room).min(all.saturating_sub(room));
    (
        along(row, rows, all_rows.get()),
        along(column, columns, all_columns.get()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: InstanceId = InstanceId(3);

    fn shown(rows: u16, columns: u16) -> [(InstanceId, TerminalSize); 1] {
        [(ID, TerminalSize::new(rows, columns))]
    }

    #[test]
    fn what_is_shown_is_watched_and_has_the_size_of_its_pane() {
        let mut ttys = Ttys::default();
        let mut effects = Vec::new();
        ttys.settle(&shown(10, 40), &mut effects);
        assert!(matches!(effects[0], Effect::ResizeTerminal(ID, size) if size.rows == 10));
        assert!(matches!(&effects[1], Effect::WatchTerminals(ids) if ids[..] == [ID]));
        effects.clear();
        ttys.settle(&shown(10, 40), &mut effects);
        assert!(effects.is_empty());
        ttys.type_for(Some(ID));
        ttys.settle(&[], &mut effects);
        assert!(matches!(&effects[..], [Effect::WatchTerminals(ids)] if ids.is_empty()));
        assert_eq!(ttys.typing(), None);
    }

    #[test]
    fn whoever_types_has_its_size() {
        let mut ttys = Ttys::default();
        let mut effects = Vec::new();
        ttys.settle(&shown(10, 40), &mut effects);
        let event = |rows| TerminalEvent::Screen {
            size: TerminalSize::new(rows, 40),
            bytes: Bytes::from_static(b"hello"),
        };
        ttys.take(ID, &event(10));
        ttys.type_for(Some(ID));
        effects.clear();
        ttys.paste("a", &mut effects);
        assert!(matches!(&effects[..], [Effect::Type(ID, bytes)] if bytes[..] == *b"a"));
        // Another face has acted since.
        ttys.take(ID, &event(33));
        effects.clear();
        ttys.paste("b", &mut effects);
        assert!(matches!(
            &effects[..],
            [Effect::ResizeTerminal(ID, size), Effect::Type(..)] if size.rows == 10
        ));
    }

    #[test]
    fn lines_that_left_the_screen_are_scrolled_to() {
        let mut tty = Tty::default();
        let text: String = (0..40).map(|line| format!("line {line}\r\n")).collect();
        tty.take(&TerminalEvent::Screen {
            size: TerminalSize::new(5, 20),
            bytes: Bytes::from(text),
        });
        let contents = |tty: &Tty| tty.screen().unwrap().contents();
        assert!(contents(&tty).starts_with("line 36"));
        tty.scroll(-10);
        assert_eq!(tty.scrolled(), 10);
        assert!(contents(&tty).starts_with("line 26"), "{}", contents(&tty));
        // What comes meanwhile moves nothing.
        tty.take(&TerminalEvent::Output(Bytes::from_static(b"new\r\n")));
        assert!(contents(&tty).starts_with("line 26"), "{}", contents(&tty));
        tty.scroll(isize::MAX);
        assert_eq!(tty.scrolled(), 0);
    }

    #[test]
    fn a_pane_that_is_too_small_shows_where_the_cursor_is() {
        let mut parser = Emulator::new(TerminalSize::new(24, 80));
        assert_eq!(window(parser.screen(), 10, 40), (0, 0));
        parser.process(b"\x1b[24;80H");
        assert_eq!(window(parser.screen(), 10, 40), (14, 40));
        assert_eq!(window(parser.screen(), 100, 100), (0, 0));
    }
}
