//! Where commands write, and what a person reads there.

use std::io::{self, IsTerminal as _, Write as _};

use super::exit::End;
use super::style::{ColorEnv, Painter};

/// stdout and stderr with their colours.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    pub out: Painter,
    pub err: Painter,
    /// stdout is a terminal.
    pub terminal: bool,
}

impl Output {
    /// As this process was started.
    #[must_use]
    pub fn detect() -> Self {
        let color_env = ColorEnv::read(|name| std::env::var(name).ok());
        let terminal = io::stdout().is_terminal();
        Self {
            out: Painter::new(color_env.allows(terminal)),
            err: Painter::new(color_env.allows(io::stderr().is_terminal())),
            terminal,
        }
    }

    /// Writes what was asked for to stdout. A reader that has read enough and left is no
    /// failure; a full disk is.
    pub fn print(&self, text: &str) -> End {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => End::Fine,
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => End::Fine,
            Err(error) => {
                self.error(&format!("cannot write to stdout: {error}"), None);
                End::Failed
            }
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

    /// Something that is worth knowing and no error.
    pub fn note(&self, what: &str) {
        self.complain(&format!("{}: {what}\n", self.err.bold("note")));
    }
}
