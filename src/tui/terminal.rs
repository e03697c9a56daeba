//! The terminal, taken and always given back.
//!
//! Taken: raw mode, the alternate screen, no cursor, bracketed paste, the mouse if wanted.
//! Given back when the guard is dropped, before pk is suspended, and when it panics.

use std::io::{self, BufWriter, Stdout, StdoutLock, Write};
use std::os::fd::AsFd;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::style::ResetColor;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Whether it is taken: there is one terminal, whoever panics.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether pk has panicked: then the terminal belongs to what is told of it.
static LOST: AtomicBool = AtomicBool::new(false);

/// A terminal that is drawn on. One write per frame.
pub type Screen = Terminal<CrosstermBackend<BufWriter<Canvas>>>;

/// What is drawn on. Of a panic of another thread the one that draws knows nothing: what it
/// writes from then on is refused, or it would draw over the words and hide the cursor again.
#[derive(Debug)]
pub struct Canvas(Stdout);

impl Canvas {
    /// Held while it is written to, and while it is given back.
    fn lock(&self) -> io::Result<StdoutLock<'static>> {
        let out = self.0.lock();
        is_lost().map(|()| out)
    }
}

fn is_lost() -> io::Result<()> {
    if LOST.load(Ordering::SeqCst) {
        return Err(io::Error::other("pk has panicked"));
    }
    Ok(())
}

impl Write for Canvas {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock()?.flush()
    }
}

/// The terminal, until it is dropped.
#[derive(Debug)]
pub struct Taken {
    mouse: bool,
}

impl Taken {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It is none, or is gone.
    pub fn take(mouse: bool) -> io::Result<(Self, Screen)> {
        restore_on_panic();
        let taken = Self { mouse };
        taken.resume()?;
        let screen = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(
            1 << 16,
            Canvas(io::stdout()),
        )))?;
        Ok((taken, screen))
    }

    /// Takes it again.
    ///
    /// # Errors
    /// It is gone.
    pub fn resume(&self) -> io::Result<()> {
        is_lost()?;
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        crossterm::execute!(
            io::stdout(),
            EnterAlternateScreen,
            Hide,
            EnableBracketedPaste
        )?;
        self.set_mouse(self.mouse)
    }

    /// Gives it back for a while.
    pub fn pause(&self) {
        give_back();
    }

    /// # Errors
    /// The terminal is gone.
    pub fn mouse(&mut self, wanted: bool) -> io::Result<()> {
        self.mouse = wanted;
        self.set_mouse(wanted)
    }

    fn set_mouse(&self, wanted: bool) -> io::Result<()> {
        if wanted {
            crossterm::execute!(io::stdout(), EnableMouseCapture)
        } else {
            crossterm::execute!(io::stdout(), DisableMouseCapture)
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Where one of them fails the others may still work; where all fail it is gone.
    let _ = crossterm::execute!(
        io::stdout(),
        DisableMouseCapture,
        DisableBracketedPaste,
        ResetColor,
        LeaveAlternateScreen,
        Show
    );
    let _ = disable_raw_mode();
}

fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let held = io::stdout().lock();
            LOST.store(true, Ordering::SeqCst);
            give_back();
            drop(held);
            before(panic);
        }));
    });
}

/// Whether the window around the terminal is closed: nothing will ever come from it again.
#[must_use]
pub fn is_gone() -> bool {
    is_hung_up(io::stdin())
}

fn is_hung_up(terminal: impl AsFd) -> bool {
    const NOW: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut asked = [PollFd::new(&terminal, PollFlags::empty())];
    poll(&mut asked, Some(&NOW)).is_ok()
        && asked[0]
            .revents()
            .intersects(PollFlags::HUP | PollFlags::ERR)
}

/// Resolves when the terminal is gone and whoever draws on it has had the time to see that.
///
/// crossterm takes an end of input for a read that gave nothing, and reads again, for ever:
/// the thread on which a dashboard waits for a key does not come back from a terminal that
/// goes away at that moment. Somebody else has to look.
pub async fn gone() {
    const LOOK: Duration = Duration::from_millis(500);
    let mut seen = 0;
    while seen < 2 {
        tokio::time::sleep(LOOK).await;
        seen = if is_gone() { seen + 1 } else { 0 };
    }
}

/// Puts a text on the clipboard of whoever sits at the terminal (OSC 52).
///
/// # Errors
/// The terminal is gone.
pub fn copy(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "\u{1b}]52;c;{}\u{7}", base64(text.as_bytes()))?;
    out.flush()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = bits >> (18 - 6 * digit) & 63;
                out.push(char::from(DIGITS[index as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[test]
    fn a_terminal_is_gone_with_the_window_around_it() {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let window = openpt(flags).unwrap();
        unlockpt(&window).unwrap();
        let terminal = ioctl_tiocgptpeer(&window, flags).unwrap();
        assert!(!is_hung_up(&terminal));
        rustix::io::write(&window, b"keys\n").unwrap();
        assert!(!is_hung_up(&terminal));
        drop(window);
        assert!(is_hung_up(&terminal));
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }
}
