//! The processes of one request, for whoever waits for them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::contain::child::Child;
use crate::contain::error::ContainError;
use crate::contain::spawn::Output;
use crate::contain::terminal::Terminal;
use crate::domain::exit::ExitStatus;

/// The processes of one request and where their output comes out.
#[derive(Debug)]
pub struct Running {
    pub(super) children: Vec<Arc<Child>>,
    pub(super) outputs: Vec<Output>,
    pub(super) input: Option<OwnedFd>,
    pub(super) terminal: Option<Terminal>,
}

impl Running {
    /// The number of the first stage's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.children
            .first()
            .map_or(0, |child| child.pid().as_raw_nonzero().get().unsigned_abs())
    }

    /// The read ends of the captured pipes, non-blocking: stderr of each stage and stdout of
    /// the last. Empty after the first call.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// The write end of the first stage's input, non-blocking, if it was asked for. `None`
    /// after the first call.
    pub fn take_input(&mut self) -> Option<OwnedFd> {
        self.input.take()
    }

    /// The terminal of the programs, if one was asked for: there are no pipes then. `None`
    /// after the first call.
    pub fn take_terminal(&mut self) -> Option<Terminal> {
        self.terminal.take()
    }

    /// Resolves once every stage has ended, with their statuses in order. Descendants may
    /// still live. May be asked again at any time, also after the group's release.
    ///
    /// # Errors
    /// [`ContainError::Wait`].
    pub async fn exited(&self) -> Result<Vec<ExitStatus>, ContainError> {
        let mut statuses = Vec::with_capacity(self.children.len());
        for child in &self.children {
            statuses.push(child.exited().await.map_err(ContainError::Wait)?);
        }
        Ok(statuses)
    }

    /// The status of each stage; `None`: it runs.
    #[must_use]
    pub fn statuses(&self) -> Vec<Option<ExitStatus>> {
        (self.children.iter())
            .map(|child| child.status().ok().flatten())
            .collect()
    }
}
