//! A terminal in memory that no program can break.
//!
//! The emulator panics over some texts: wide characters that another size has cut in two, for
//! one. What a program writes must end neither the supervisor nor a face, so such a text
//! empties the screen instead, and is lost; whoever draws whole screens draws it anew.

use std::cell::Cell;
use std::num::NonZeroU16;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use crate::domain::terminal::TerminalSize;

/// How many lines that have left the screen are kept.
const SCROLLBACK: usize = 1000;

/// What a terminal of a size shows after all that was written.
pub struct Emulator {
    parser: vt100::Parser,
    size: TerminalSize,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl Emulator {
    /// An empty one.
    #[must_use]
    pub fn new(size: TerminalSize) -> Self {
        let size = TerminalSize::new(size.rows, size.columns);
        let (rows, columns) = parts(size);
        Self {
            parser: vt100::Parser::new(rows, columns, SCROLLBACK),
            size,
        }
    }

    /// Draws what a program has written.
    pub fn process(&mut self, bytes: &[u8]) {
        self.guarded(|parser| parser.process(bytes));
    }

    pub fn set_size(&mut self, size: TerminalSize) {
        self.size = TerminalSize::new(size.rows, size.columns);
        let (rows, columns) = parts(self.size);
        self.guarded(|parser| parser.set_size(rows, columns));
    }

    /// Scrolls back by so many lines, or as many as there are.
    pub fn set_scrollback(&mut self, lines: usize) {
        self.guarded(|parser| parser.screen_mut().set_scrollback(lines));
    }

    #[must_use]
    pub fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// What somebody makes of the screen; if that fails, of an empty one.
    pub fn read<T>(&mut self, make: impl Fn(&vt100::Screen) -> T) -> T {
        match self.guarded(|parser| make(parser.screen())) {
            Some(made) => made,
            None => make(self.parser.screen()),
        }
    }

    fn guarded<T>(&mut self, act: impl FnOnce(&mut vt100::Parser) -> T) -> Option<T> {
        quiet_hook();
        let parser = &mut self.parser;
        let before = QUIET.replace(true);
        let done = catch_unwind(AssertUnwindSafe(|| act(parser))).ok();
        QUIET.set(before);
        if done.is_none() {
            *self = Self::new(self.size);
        }
        done
    }
}

fn parts(size: TerminalSize) -> (NonZeroU16, NonZeroU16) {
    let at_least_one = |number| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
    (at_least_one(size.rows), at_least_one(size.columns))
}

thread_local! {
    /// A panic of this thread is caught, and told to nobody.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Around whatever hook there is when the first terminal is drawn on.
fn quiet_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                loud(panic);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_emulator_cannot_draw_empties_the_screen() {
        let mut emulator = Emulator::new(TerminalSize::new(5, 20));
        emulator.process(b"before");
        assert_eq!(emulator.guarded(|_| -> () { panic!("a text") }), None);
        assert_eq!(emulator.screen().contents(), "");
        emulator.process(b"after");
        assert_eq!(emulator.screen().contents(), "after");
        assert_eq!(emulator.read(|screen| screen.size().0.get()), 5);
    }
}
