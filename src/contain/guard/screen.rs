//! A process that outlives a face by a moment, to set back the terminal that it drew on.
//!
//! The guard of a stack does so as well, for the face that has started it, as long as that
//! one's job is in the foreground. A face that is attached has no guard of its own, and a
//! shell takes its terminal back the instant that its job is killed, without knowing what was
//! drawn on it.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::setsid;

use super::terminal::Terminal;
use super::{BYE, call, slim};

/// The face has taken the terminal; it has given it back.
const TAKEN: &[u8] = b"t";
const GIVEN: &[u8] = b"g";

/// Held by a face that draws. Dropped, nothing is set back: it ended in order.
#[derive(Debug)]
pub struct ScreenGuard {
    words: OwnedFd,
}

impl ScreenGuard {
    /// Guards the terminal of this process's job as it is now. `None`: it is connected to
    /// none, or no process could be made.
    #[must_use]
    pub fn start() -> Option<Self> {
        let terminal = Terminal::of_this_job()?;
        let (heard, words) = pipe_with(PipeFlags::CLOEXEC).ok()?;
        match call::fork_beside_threads().ok()? {
            Some(_) => Some(Self { words }),
            None => live(&terminal, heard),
        }
    }

    /// From here on what is drawn is to be left, should this process end without a word.
    pub fn taken(&self) {
        self.say(TAKEN);
    }

    /// Whoever draws now is not this process.
    pub fn given_back(&self) {
        self.say(GIVEN);
    }

    fn say(&self, word: &[u8]) {
        // One that is gone guards nothing; the face goes on.
        let _ = rustix::io::write(&self.words, word);
    }
}

impl Drop for ScreenGuard {
    fn drop(&mut self) {
        self.say(BYE);
    }
}

/// Nothing here allocates.
fn live(terminal: &Terminal, heard: OwnedFd) -> ! {
    let _ = setsid();
    call::block_signals();
    let [heard] = call::keep_only([heard]);
    call::null_stdio();
    let _ = rustix::process::chdir(c"/");
    slim::slim();
    if is_left_behind(&heard) {
        terminal.leave_screen();
    }
    call::exit(0)
}

/// Hears until the face is gone: whether it left the terminal as it had drawn on it.
fn is_left_behind(heard: &OwnedFd) -> bool {
    let mut taken = false;
    loop {
        let mut word = [0; 1];
        match rustix::io::read(heard, &mut word) {
            Ok(0) => return taken,
            Ok(_) if word == BYE => return false,
            Ok(_) => taken = word == TAKEN,
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_drawn_is_left_unless_it_was_given_back() {
        for (words, left) in [
            (&b""[..], false),
            (b"t", true),
            (b"tg", false),
            (b"tgt", true),
            (b"tb", false),
        ] {
            let (heard, say) = rustix::pipe::pipe().unwrap();
            rustix::io::write(&say, words).unwrap();
            drop(say);
            assert_eq!(is_left_behind(&heard), left, "{words:?}");
        }
    }
}
