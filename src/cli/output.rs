//! Where commands write, and what a person reads there.

use std::io::{self, IsTerminal as _, Write as _};

use super::exit::End;
use super::plain::{COLUMNS, Look};
use super::style::{ColorEnv, Painter};

/// stdout and stderr with their colours.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub out: Painter,
    pub err: Painter,
    /// stdout is a terminal.
    pub terminal: bool,
    pub err_terminal: bool,
}

impl Output {
    /// As this process was started.
    #[must_use]
    pub fn detect() -> Self {
        let color_env = ColorEnv::read(|name| std::env::var(name).ok());
        let terminal = io::stdout().is_terminal();
        let err_terminal = io::stderr().is_terminal();
        Self {
            out: Painter::new(color_env.allows(terminal)),
            err: Painter::new(color_env.allows(err_terminal)),
            terminal,
            err_terminal,
        }
    }

    /// Writes what was asked for to stdout. A reader that has read enough and left is no
    /// failure; a full disk is.
    pub fn print(&self, text: &str) -> End {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => End::Fine,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => End::Fine,
            Err(error) => self.unwritten(&error),
        }
    }

    /// What is on stdout is not all.
    pub fn unwritten(&self, error: &io::Error) -> End {
        let what = format!("cannot write to standard output: {}", reason(error));
        self.error(&what, None);
        End::Failed
    }

    /// How a stack is shown on stdout.
    #[must_use]
    pub fn look(&self) -> Look {
        Look {
            painter: self.out,
            terminal: self.terminal,
            columns: columns(&io::stdout()),
        }
    }

    /// How it is shown on stderr.
    #[must_use]
    pub fn err_look(&self) -> Look {
        Look {
            painter: self.err,
            terminal: self.err_terminal,
            columns: columns(&io::stderr()),
        }
    }

    /// Writes to stderr as it is.
    pub fn complain(&self, text: &str) {
        // There is nobody left to tell.
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// What went wrong, and what to do about it.
    pub fn error(&self, what: &str, help: Option<&str>) {
        let mut text = format!("{}: {what}\n", self.err.bad("error"));
        if let Some(help) = help {
            text.push_str(&format!("  {}: {help}\n", self.err.bold("help")));
        }
        self.complain(&text);
    }

    /// [`Self::note`], unless whoever reads stderr has stopped to read: waiting for them
    /// might never end.
    pub fn note_if_heard(&self, what: &str) {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let stderr = io::stderr();
        let mut polled = [PollFd::new(&stderr, PollFlags::OUT)];
        if poll(&mut polled, Some(&Timespec::default())).is_ok_and(|ready| ready > 0) {
            self.note(what);
        }
    }

    /// Something that is worth knowing and no error.
    pub fn note(&self, what: &str) {
        self.complain(&format!("{}: {what}\n", self.err.bold("note")));
    }
}

/// The width of a terminal, within what is read with ease.
fn columns(stream: &impl std::os::fd::AsFd) -> usize {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => usize::from(size.ws_col).min(COLUMNS),
        Ok(_) | Err(_) => COLUMNS,
    }
}

/// What went wrong, without the number that the system has for it.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error ").unwrap_or(text.len());
    text[..end].to_owned()
}
