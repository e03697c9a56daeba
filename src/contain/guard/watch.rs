//! The life of a guard.
//!
//! ```text
//!  wait ─┬─ told: where the cgroups are          ─► wait
//!        ├─ the face ended with a word           ─► wait
//!        ├─ the face ended without: terminal back ─► wait
//!        └─ the supervisor ended ─► kill, reap until ECHILD, remove cgroups ─► exit
//! ```
//!
//! Nothing here allocates.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, ioctl_fionbio};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

use super::terminal::Terminal;
use super::{call, leaf, slim, sweep};

/// The longest path of a cgroup that is kept.
const PATH: usize = 1024;

/// What a guard knows.
pub(super) struct Watch {
    pub supervisor: Pid,
    /// The face's end of it is closed with the face; a byte before that is a word.
    pub bye: OwnedFd,
    /// The supervisor says here where its cgroups are.
    pub told: OwnedFd,
    pub terminal: Option<Terminal>,
}

/// Watches until nothing is left to be watched. Its exit code is that of the supervisor, 128
/// + n for a signal.
pub(super) fn live(watch: Watch) -> ! {
    call::block_signals();
    let Watch {
        supervisor,
        bye,
        told,
        terminal,
    } = watch;
    let [bye, told] = call::keep_only([bye, told]);
    call::null_stdio();
    // Not to keep a file system from being unmounted.
    let _ = rustix::process::chdir(c"/");
    let _ = ioctl_fionbio(&told, true);
    slim::slim();
    // Without it this process cannot see the end: its own tells the supervisor so.
    let Ok(pidfd) = pidfd_open(supervisor, PidfdFlags::empty()) else {
        call::exit(1)
    };
    let mut stand = Stand::default();
    let (mut hears, mut faced) = (true, true);
    loop {
        // A place that is not needed any more waits for the end as well.
        let heard = if hears { &told } else { &pidfd };
        let face = if faced { &bye } else { &pidfd };
        let mut polled = [
            PollFd::new(&pidfd, PollFlags::IN),
            PollFd::new(heard, PollFlags::IN),
            PollFd::new(face, PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => call::exit(1),
        }
        let [ended, _, left] = polled.map(|place| !place.revents().is_empty());
        if hears {
            hears = stand.hear(&told);
        }
        if left && faced && !ended {
            faced = false;
            if is_without_a_word(&bye)
                && let Some(terminal) = &terminal
            {
                terminal.restore();
            }
        }
        if ended {
            break;
        }
    }
    if hears {
        // What it said last may have come after the look at it.
        stand.hear(&told);
    }
    if let Some(stand) = stand.path() {
        sweep::kill_cgroup(stand);
    }
    let code = match waitid(WaitId::Pid(supervisor), WaitIdOptions::EXITED) {
        Ok(Some(status)) => status
            .exit_status()
            .or(status.terminating_signal().map(|signal| 128 + signal))
            .unwrap_or(1),
        Ok(None) | Err(_) => 1,
    };
    sweep::children(None);
    if let Some(stand) = stand.path() {
        sweep::remove_cgroup(stand);
        leaf::leave(stand);
    }
    call::exit(code)
}

/// The face has closed its end: with a byte before that, or without.
fn is_without_a_word(bye: &OwnedFd) -> bool {
    let mut word = [0; 1];
    !matches!(rustix::io::read(bye, &mut word), Ok(1))
}

/// Where the supervisor has its cgroups.
struct Stand {
    bytes: [u8; PATH],
    length: usize,
    complete: bool,
}

impl Default for Stand {
    fn default() -> Self {
        Self {
            bytes: [0; PATH],
            length: 0,
            complete: false,
        }
    }
}

impl Stand {
    /// Takes what was said so far. `false`: nothing more will be.
    fn hear(&mut self, told: &OwnedFd) -> bool {
        while !self.complete {
            let Some(rest) = self.bytes.get_mut(self.length..) else {
                return false;
            };
            if rest.is_empty() {
                return false;
            }
            match rustix::io::read(told, rest) {
                Ok(0) => return false,
                Ok(read) => {
                    self.length += read;
                    let line = &mut self.bytes[..self.length];
                    if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                        line[end] = 0;
                        self.complete = true;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        false
    }

    fn path(&self) -> Option<&CStr> {
        if !self.complete {
            return None;
        }
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_comes_in_pieces_is_put_together() {
        let (read, write) = rustix::pipe::pipe().unwrap();
        ioctl_fionbio(&read, true).unwrap();
        let mut stand = Stand::default();
        assert!(stand.hear(&read));
        assert_eq!(stand.path(), None);
        rustix::io::write(&write, b"/sys/fs/").unwrap();
        assert!(stand.hear(&read));
        assert_eq!(stand.path(), None);
        rustix::io::write(&write, b"cgroup/pk.1.2\n").unwrap();
        assert!(!stand.hear(&read));
        assert_eq!(stand.path(), Some(c"/sys/fs/cgroup/pk.1.2"));
        let mut deaf = Stand::default();
        drop(write);
        assert!(!deaf.hear(&read));
    }

    #[test]
    fn a_face_that_says_nothing_is_told_from_one_that_does() {
        for word in [&b"b"[..], b""] {
            let (read, write) = rustix::pipe::pipe().unwrap();
            rustix::io::write(&write, word).unwrap();
            drop(write);
            assert_eq!(is_without_a_word(&read), word.is_empty());
        }
    }
}
