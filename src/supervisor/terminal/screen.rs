//! One screen, and those who watch it.
//!
//! Watchers pull: the latest output is kept for as long as a bound allows, and one that comes
//! later, or anew, is given the screen as it is. So nothing queues up for a slow one, and
//! nobody waits for it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;
use vt100::capture::BasicFormattedCaptureRange as Rows;

use super::emulator::Emulator;
use crate::domain::terminal::TerminalSize;

/// What a watcher is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// The terminal anew: forget what it showed. The bytes draw it, on an empty terminal of
    /// this size; lines that have left the screen come first.
    Screen { size: TerminalSize, bytes: Bytes },
    /// What the unit has written since, as it wrote it.
    Output(Bytes),
}

/// How much output is kept for watchers, in bytes.
const KEPT: usize = 256 * 1024;

/// The screen of one instance.
pub(in crate::supervisor) struct Screen {
    state: Mutex<State>,
    wake: watch::Sender<()>,
    size: watch::Sender<TerminalSize>,
}

struct State {
    emulator: Emulator,
    size: TerminalSize,
    /// Goes up when what came before tells no longer what is shown.
    generation: u64,
    /// The latest output, and how much came before it.
    kept: VecDeque<Bytes>,
    before: u64,
    length: usize,
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Default for Screen {
    fn default() -> Self {
        let size = TerminalSize::DEFAULT;
        let state = State {
            emulator: Emulator::new(size),
            size,
            generation: 0,
            kept: VecDeque::new(),
            before: 0,
            length: 0,
        };
        Self {
            state: Mutex::new(state),
            wake: watch::Sender::new(()),
            size: watch::Sender::new(size),
        }
    }
}

impl Screen {
    /// Draws what the unit has written.
    pub(in crate::supervisor) fn feed(&self, bytes: &[u8]) {
        let mut state = self.lock();
        state.emulator.process(bytes);
        state.length += bytes.len();
        state.kept.push_back(Bytes::copy_from_slice(bytes));
        while state.length > KEPT {
            let Some(oldest) = state.kept.pop_front() else {
                break;
            };
            state.length -= oldest.len();
            state.before += oldest.len() as u64;
        }
        drop(state);
        self.wake.send_replace(());
    }

    /// A new run begins, with an empty screen of the size that is returned.
    pub(in crate::supervisor) fn begin(&self) -> TerminalSize {
        let mut state = self.lock();
        let size = state.size;
        state.emulator = Emulator::new(size);
        state.generation += 1;
        drop(state);
        self.wake.send_replace(());
        size
    }

    /// Its size now, and each that follows.
    pub(in crate::supervisor) fn sizes(&self) -> watch::Receiver<TerminalSize> {
        self.size.subscribe()
    }

    pub(super) fn resize(&self, size: TerminalSize) {
        let size = TerminalSize::new(size.rows, size.columns);
        let mut state = self.lock();
        if state.size == size {
            return;
        }
        state.size = size;
        state.emulator.set_size(size);
        state.generation += 1;
        drop(state);
        self.size.send_replace(size);
        self.wake.send_replace(());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn end(&self) -> u64 {
        self.before + self.length as u64
    }

    /// What draws the terminal anew.
    fn drawn(&mut self) -> Bytes {
        self.emulator.read(drawn)
    }

    fn since(&self, place: u64) -> Bytes {
        let mut bytes = BytesMut::new();
        let mut at = self.before;
        for chunk in &self.kept {
            let end = at + chunk.len() as u64;
            if end > place {
                let skip = usize::try_from(place.saturating_sub(at)).unwrap_or(0);
                bytes.extend_from_slice(&chunk[skip..]);
            }
            at = end;
        }
        bytes.freeze()
    }
}

fn drawn(screen: &vt100::Screen) -> Bytes {
    let mut text = String::new();
    if screen.alternate_screen() {
        text.push_str("\x1b[?1049h");
    } else if screen.scrollback_len() > 0 {
        let mut rows = String::new();
        let mut begin = vt100::capture::BasicFormattedCaptureState::new();
        // Writing to a string cannot fail.
        let _ = screen.write_contents_formatted_basic(&mut rows, Rows::Full(&mut begin));
        text.push_str(&rows.replace('\n', "\r\n"));
        text.push_str("\x1b[m");
    }
    text.push_str(&screen.state_formatted());
    text.into()
}

/// What one watcher has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    generation: u64,
    place: u64,
    /// It knows only what is shown in place of the usual screen, not that one itself.
    alternate: bool,
}

/// A terminal being watched: first the whole screen, then what comes.
#[derive(Debug)]
pub struct TerminalStream {
    screen: Arc<Screen>,
    wake: watch::Receiver<()>,
    seen: Option<Seen>,
}

impl TerminalStream {
    pub(super) fn new(screen: Arc<Screen>) -> Self {
        Self {
            wake: screen.wake.subscribe(),
            screen,
            seen: None,
        }
    }

    /// The next event; waits for it, also between two runs. Safe to cancel.
    pub async fn next(&mut self) -> TerminalEvent {
        loop {
            self.wake.borrow_and_update();
            if let Some(event) = self.try_next() {
                return event;
            }
            if self.wake.changed().await.is_err() {
                // It holds the screen, and with it the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    /// The next event, if it is there.
    pub fn try_next(&mut self) -> Option<TerminalEvent> {
        let mut state = self.screen.lock();
        let on_alternate = state.emulator.screen().alternate_screen();
        let whole = match self.seen {
            None => true,
            Some(seen) => {
                seen.generation != state.generation
                    || seen.place < state.before
                    || (seen.alternate && !on_alternate)
            }
        };
        let before = self.seen.map_or(0, |seen| seen.place);
        if !whole && before == state.end() {
            return None;
        }
        self.seen = Some(Seen {
            generation: state.generation,
            place: state.end(),
            alternate: on_alternate && (whole || self.seen.is_some_and(|seen| seen.alternate)),
        });
        Some(if whole {
            TerminalEvent::Screen {
                size: state.size,
                bytes: state.drawn(),
            }
        } else {
            TerminalEvent::Output(state.since(before))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(parser: &Emulator) -> String {
        parser.screen().contents()
    }

    /// A face: draws what it is told.
    fn follow(stream: &mut TerminalStream, face: &mut Emulator) -> usize {
        let mut anew = 0;
        while let Some(event) = stream.try_next() {
            match event {
                TerminalEvent::Screen { size, bytes } => {
                    *face = Emulator::new(size);
                    face.process(&bytes);
                    anew += 1;
                }
                TerminalEvent::Output(bytes) => face.process(&bytes),
            }
        }
        anew
    }

    /// Something that a program may write.
    fn written() -> impl Strategy<Value = String> {
        prop_oneof![
            "(日|🏳️‍🌈|❤\u{fe0f}|e\u{301}|\u{200b}|\u{202e}|x|\r|\n|\u{8}|\t){1,12}",
            "\u{1b}\\[[0-9;?]{0,6}[A-Za-z@]",
            "\u{1b}[78cDEM=>]",
            "\\PC{1,8}",
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn nothing_that_is_written_breaks_it(
            steps in prop::collection::vec((written(), prop::option::weighted(0.2, (0u16..6, 0u16..9))), 0..40),
        ) {
            let screen = Arc::new(Screen::default());
            let mut stream = TerminalStream::new(Arc::clone(&screen));
            let mut face = Emulator::new(TerminalSize::DEFAULT);
            screen.resize(TerminalSize::new(3, 5));
            for (text, size) in steps {
                screen.feed(text.as_bytes());
                if let Some((rows, columns)) = size {
                    screen.resize(TerminalSize::new(rows, columns));
                }
                follow(&mut stream, &mut face);
            }
        }
    }

    #[test]
    fn whoever_comes_when_sees_the_same() {
        let screen = Arc::new(Screen::default());
        let mut early = TerminalStream::new(Arc::clone(&screen));
        let mut face = Emulator::new(TerminalSize::DEFAULT);
        assert_eq!(follow(&mut early, &mut face), 1);
        for line in 0..40 {
            screen.feed(format!("\x1b[3{}mline {line}\x1b[m\r\n", line % 8).as_bytes());
        }
        screen.feed(b"\x1b[2;3Hhere");
        assert_eq!(follow(&mut early, &mut face), 0);
        let mut late = Emulator::new(TerminalSize::DEFAULT);
        assert_eq!(
            follow(&mut TerminalStream::new(Arc::clone(&screen)), &mut late),
            1
        );
        assert_eq!(shown(&face), shown(&late));
        assert!(shown(&late).contains("here"), "{}", shown(&late));
        assert_eq!(
            face.screen().cursor_position(),
            late.screen().cursor_position()
        );
        // Also what has left the screen.
        for parser in [&mut face, &mut late] {
            parser.set_scrollback(5);
        }
        assert!(shown(&face).contains("line 12"), "{}", shown(&face));
        assert_eq!(shown(&face), shown(&late));
    }

    #[test]
    fn a_slow_one_is_given_the_screen_instead_of_all_that_came() {
        let screen = Arc::new(Screen::default());
        let mut slow = TerminalStream::new(Arc::clone(&screen));
        let mut face = Emulator::new(TerminalSize::DEFAULT);
        follow(&mut slow, &mut face);
        for _ in 0..KEPT / 1000 + 10 {
            screen.feed(&[b'x'; 1000]);
        }
        screen.feed(b"\r\nthe end");
        assert_eq!(follow(&mut slow, &mut face), 1);
        assert!(shown(&face).ends_with("the end"));
        assert!(screen.lock().length <= KEPT);
    }

    #[test]
    fn another_size_and_another_run_begin_anew() {
        let screen = Arc::new(Screen::default());
        let mut stream = TerminalStream::new(Arc::clone(&screen));
        let mut face = Emulator::new(TerminalSize::DEFAULT);
        screen.feed(b"before");
        follow(&mut stream, &mut face);
        screen.resize(TerminalSize::new(5, 20));
        assert_eq!(follow(&mut stream, &mut face), 1);
        assert_eq!(face.screen().size().0.get(), 5);
        assert_eq!(shown(&face), "before");
        screen.resize(TerminalSize::new(5, 20));
        assert_eq!(follow(&mut stream, &mut face), 0);
        screen.begin();
        assert_eq!(follow(&mut stream, &mut face), 1);
        assert_eq!(shown(&face), "");
    }

    #[test]
    fn one_that_came_while_another_screen_was_shown_gets_the_usual_one_afterwards() {
        let screen = Arc::new(Screen::default());
        screen.feed(b"usual\x1b[?1049h\x1b[Hpager");
        let mut stream = TerminalStream::new(Arc::clone(&screen));
        let mut face = Emulator::new(TerminalSize::DEFAULT);
        assert_eq!(follow(&mut stream, &mut face), 1);
        assert!(face.screen().alternate_screen());
        assert_eq!(shown(&face), "pager");
        screen.feed(b"!");
        assert_eq!(follow(&mut stream, &mut face), 0);
        screen.feed(b"\x1b[?1049l");
        assert_eq!(follow(&mut stream, &mut face), 1);
        assert_eq!(shown(&face), "usual");
    }
}
