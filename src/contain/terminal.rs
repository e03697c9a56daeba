//! Pseudo-terminals (`pty(7)`): made before the process, given to it as its controlling one.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{SpecialCodeIndex, Winsize, tcgetattr, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::error::{SpawnCause, Step};
use super::make::{limit, other};
use super::sys;
use super::user::User;

/// A pseudo-terminal that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalRequest {
    pub rows: u16,
    pub columns: u16,
    /// The programs write to it alone; they read what they would without it.
    pub output_only: bool,
}

/// The side of a pseudo-terminal that is not the programs': what they write is read here, and
/// what is written here is typed for them.
#[derive(Debug)]
pub struct Terminal {
    master: AsyncFd<OwnedFd>,
}

impl Terminal {
    /// What the programs have written, once there is something. Safe to cancel.
    ///
    /// # Errors
    /// `EIO`: nobody has the other side open, and all has been read.
    pub async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            let read = ready.try_io(|master| Ok(rustix::io::read(master.get_ref(), &mut *into)?));
            match read {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(read) => return read,
                Err(_would_block) => {}
            }
        }
    }

    /// The same without waiting: past the runtime, which may not have heard yet that there is
    /// something.
    ///
    /// # Errors
    /// As [`Terminal::read`]; `EAGAIN`: there is nothing.
    pub fn read_now(&self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::retry_on_intr(|| {
            rustix::io::read(self.master.get_ref(), &mut *into)
        })?)
    }

    /// Types all of it. Waits while the programs do not read what was typed before.
    ///
    /// # Errors
    /// What the kernel says.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let mut ready = self.master.writable().await?;
            match ready.try_io(|master| Ok(rustix::io::write(master.get_ref(), bytes)?)) {
                Ok(Ok(length)) => bytes = &bytes[length..],
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
        Ok(())
    }

    /// Tells the terminal its size, and its foreground programs that it has changed
    /// (SIGWINCH).
    ///
    /// # Errors
    /// What the kernel says.
    pub fn resize(&self, rows: u16, columns: u16) -> io::Result<()> {
        Ok(tcsetwinsize(self.master.get_ref(), size(rows, columns))?)
    }

    /// What has to be typed to end the input, at the beginning of a line: Ctrl-D, unless a
    /// program has chosen another key.
    #[must_use]
    pub fn end_of_input(&self) -> u8 {
        const CTRL_D: u8 = 4;
        let settings = tcgetattr(self.master.get_ref());
        settings.map_or(CTRL_D, |all| all.special_codes[SpecialCodeIndex::VEOF])
    }
}

/// Both sides: ours, and that of the programs, which is to be closed here once they have it.
pub(super) fn open(
    request: TerminalRequest,
    user: Option<&User>,
) -> Result<(Terminal, OwnedFd), SpawnCause> {
    let made = || -> rustix::io::Result<(OwnedFd, OwnedFd)> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        // By the descriptor, not the name: that may be mounted elsewhere, or not at all.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        tcsetwinsize(&master, size(request.rows, request.columns))?;
        fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
        Ok((master, slave))
    };
    let (master, slave) = made()
        .map_err(|error| limit(Step::Pipes, "cannot make a pseudo-terminal")(error.into()))?;
    if let Some(user) = user {
        // So that they can open it by its name, as `/dev/stdout` or `/dev/tty`.
        let uid = rustix::fs::Uid::from_raw(user.uid);
        rustix::fs::fchown(&slave, Some(uid), None).map_err(|error| {
            other(Step::Pipes, "cannot give the pseudo-terminal to its user")(error.into())
        })?;
    }
    let interest = Interest::READABLE | Interest::WRITABLE;
    let master = sys::watch_fd(master, interest)
        .map_err(other(Step::Observe, "cannot watch the pseudo-terminal"))?;
    Ok((Terminal { master }, slave))
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
