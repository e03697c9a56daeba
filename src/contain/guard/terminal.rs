//! The terminal of a face's job, as it was, and set back if the face dies without doing so.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, getpid};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr, ttyname};

use super::super::sys;

/// The longest name of a device that is kept.
const NAME: usize = 64;

/// What a screen that was drawn on is left by: synchronised output, the mouse, pasting and
/// the alternate screen off, the cursor shown, colours as they are by default.
const LEAVE_SCREEN: &[u8] =
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[0m\r\n";

/// The settings of a terminal, and whose they were.
///
/// It is not held open: nobody should have to wait for a guard before a terminal is closed.
#[derive(Debug)]
pub(super) struct Terminal {
    settings: Termios,
    name: [u8; NAME],
    session: Pid,
    job: Pid,
}

impl Terminal {
    /// The one that controls this process; `None` if it is not connected to it.
    pub fn of_this_job() -> Option<Self> {
        let session = sys::session_of(None)?;
        let (stdin, stdout, stderr) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
        Self::of(&stdin, session)
            .or_else(|| Self::of(&stdout, session))
            .or_else(|| Self::of(&stderr, session))
    }

    fn of(stream: &impl std::os::fd::AsFd, session: Pid) -> Option<Self> {
        let settings = tcgetattr(stream).ok()?;
        sys::session_of_terminal(stream.as_fd()).filter(|owner| *owner == session)?;
        let device = ttyname(stream, Vec::new()).ok()?;
        let mut name = [0; NAME];
        let bytes = device.as_bytes_with_nul();
        name.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            settings,
            name,
            session,
            job: sys::group_of(getpid())?,
        })
    }

    /// Sets it back if it is in another state and the job is still in the foreground. Uses no
    /// heap.
    pub fn restore(&self) {
        if self.foreground() != Some(self.job) {
            return;
        }
        let Some(device) = self.open() else {
            return;
        };
        let changed = tcgetattr(&device).is_ok_and(|now| modes(&now) != modes(&self.settings));
        if changed && tcsetattr(&device, OptionalActions::Now, &self.settings).is_ok() {
            let _ = rustix::io::write(&device, LEAVE_SCREEN);
        }
    }

    /// Leaves what a dead face had drawn, also where the shell has taken the terminal back
    /// already, but not where another job has. Uses no heap.
    pub fn leave_screen(&self) {
        let foreground = self.foreground();
        let is_shells = foreground == Some(self.session);
        if foreground != Some(self.job) && !is_shells {
            return;
        }
        let Some(device) = self.open() else {
            return;
        };
        let mut raw = self.settings.clone();
        raw.make_raw();
        let Ok(now) = tcgetattr(&device) else {
            return;
        };
        // Of a shell that edits lines itself these are its own by now.
        let is_ours = modes(&now) == modes(&raw);
        if is_ours && tcsetattr(&device, OptionalActions::Now, &self.settings).is_err() {
            return;
        }
        if is_ours || is_shells {
            let _ = rustix::io::write(&device, LEAVE_SCREEN);
        }
    }

    /// Not to be controlled by it, nor held up by it.
    fn open(&self) -> Option<OwnedFd> {
        let name = CStr::from_bytes_until_nul(&self.name).ok()?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        openat(CWD, name, flags, Mode::empty()).ok()
    }

    /// The job in the foreground, as the leader of the session sees it: a guard has another
    /// session, which the kernel does not tell.
    fn foreground(&self) -> Option<Pid> {
        let mut path = Path::new();
        path.push(b"/proc/");
        path.push_number(self.session.as_raw_nonzero().get().unsigned_abs());
        path.push(b"/stat");
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let stat = openat(CWD, path.as_c_str()?, flags, Mode::empty()).ok()?;
        let mut buffer = [0; 1024];
        let read = rustix::io::read(&stat, &mut buffer).ok()?;
        foreground_of(&buffer[..read])
    }
}

/// What a face that draws changes.
fn modes(settings: &Termios) -> impl PartialEq {
    (
        settings.input_modes,
        settings.output_modes,
        settings.local_modes,
    )
}

/// Field 8 of `/proc/PID/stat` (`proc_pid_stat(5)`).
fn foreground_of(stat: &[u8]) -> Option<Pid> {
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat[close + 1..]
        .split(|byte| *byte == b' ')
        .filter(|field| !field.is_empty());
    let number: i32 = std::str::from_utf8(fields.nth(5)?).ok()?.parse().ok()?;
    // -1: none is.
    Some(number)
        .filter(|number| *number > 0)
        .and_then(Pid::from_raw)
}

/// A short path on the stack.
struct Path {
    bytes: [u8; 32],
    length: usize,
}

impl Path {
    fn new() -> Self {
        Self {
            bytes: [0; 32],
            length: 0,
        }
    }

    fn push(&mut self, text: &[u8]) {
        if let Some(place) = self.bytes.get_mut(self.length..self.length + text.len()) {
            place.copy_from_slice(text);
            self.length += text.len();
        }
    }

    fn push_number(&mut self, number: u32) {
        let mut digits = [0; 10];
        let (mut rest, mut first) = (number, digits.len());
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }

    fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_in_the_foreground_is_read() {
        let stat = b"7 (a) b (c) S 1 42 42 34816 99 4194304 96 0";
        assert_eq!(foreground_of(stat), Pid::from_raw(99));
        let none = b"7 (sh) S 1 42 42 0 -1 4194304 96 0";
        assert_eq!(foreground_of(none), None);
    }

    #[test]
    fn a_path_is_put_together_without_a_heap() {
        let mut path = Path::new();
        path.push(b"/proc/");
        path.push_number(4_194_304);
        path.push(b"/stat");
        assert_eq!(path.as_c_str(), Some(c"/proc/4194304/stat"));
        let mut zero = Path::new();
        zero.push_number(0);
        assert_eq!(zero.as_c_str(), Some(c"0"));
    }
}
