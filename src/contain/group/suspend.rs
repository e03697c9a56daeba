//! Holds a group still, and lets it go on.

use super::{ContainError, Delivery, Group, Scope};
use crate::domain::signal::Signal;

/// Stops what cannot be told not to.
fn stop_signal() -> Option<Signal> {
    Signal::from_number(rustix::process::Signal::STOP.as_raw())
}

fn continue_signal() -> Option<Signal> {
    Signal::from_number(rustix::process::Signal::CONT.as_raw())
}

impl Group {
    /// Holds every member still, until [`Group::resume`]. With cgroups nobody in it notices
    /// and nobody can undo it from inside; without, each member gets SIGSTOP, its parent is
    /// told so, and anybody may send it SIGCONT.
    ///
    /// Meanwhile nothing can be spawned in it; signals other than SIGKILL wait.
    ///
    /// # Errors
    /// [`ContainError::Suspend`], or as [`Group::signal`].
    pub async fn suspend(&self) -> Result<(), ContainError> {
        self.lock().suspended = true;
        let done = match self.cgroup.get() {
            Some(cgroup) => cgroup.freeze().await.map_err(ContainError::Suspend),
            None => self.pass(stop_signal()),
        };
        if done.is_err() {
            self.lock().suspended = false;
        }
        done
    }

    /// Undoes [`Group::suspend`].
    ///
    /// # Errors
    /// As [`Group::suspend`].
    pub fn resume(&self) -> Result<(), ContainError> {
        match self.cgroup.get() {
            Some(cgroup) => cgroup.thaw().map_err(ContainError::Suspend)?,
            None => self.pass(continue_signal())?,
        }
        self.lock().suspended = false;
        Ok(())
    }

    fn pass(&self, signal: Option<Signal>) -> Result<(), ContainError> {
        let Some(signal) = signal else {
            return Ok(());
        };
        match self.signal(signal, Scope::Group)? {
            Delivery::Sent | Delivery::Gone => Ok(()),
        }
    }
}
