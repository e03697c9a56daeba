//! Ends groups and waits until they are empty.

use std::time::Duration;

use tokio::time::timeout;

use super::{ContainError, Delivery, Group, Member, Scope};
use crate::domain::signal::Signal;

/// How [`Group::stop`] ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct StopReport {
    /// The grace period did not suffice, and the rest was killed.
    pub killed: bool,
    /// Who lives still. Only where it was not to be killed.
    pub left: Vec<Member>,
}

impl StopReport {
    /// Whether nobody is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }
}

impl Group {
    /// Sends `signal` to every member and waits for at most `grace` until the group is empty.
    /// Who is there then is killed if `escalate` says so, and awaited: a member that not even
    /// SIGKILL can end is waited for. A suspended group is resumed, or it would not hear.
    ///
    /// Without `escalate` the report says who is left, and dropping the group then spares
    /// them: they are let out of it, and go on under nobody's hand.
    ///
    /// # Errors
    /// As [`Group::signal`] and [`Group::emptied`].
    ///
    /// ```
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// use std::time::Duration;
    /// use pk::contain::{Containment, SpawnRequest, StageRequest};
    /// use pk::domain::signal::Signal;
    ///
    /// let group = Containment::detect()?.group();
    /// let stubborn = StageRequest::new(["sh", "-c", "trap '' TERM; sleep 1000"], "/");
    /// let _running = group.spawn(&SpawnRequest::command(stubborn))?;
    /// let report = group.stop(Signal::TERM, Duration::from_millis(50), true).await?;
    /// assert!(report.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub async fn stop(
        &self,
        signal: Signal,
        grace: Duration,
        escalate: bool,
    ) -> Result<StopReport, ContainError> {
        // A member of another user is waited for, and killed where that is permitted.
        match self.signal(signal, Scope::Group) {
            Ok(Delivery::Sent | Delivery::Gone) | Err(ContainError::NotPermitted(_)) => {}
            Err(error) => return Err(error),
        }
        if self.lock().suspended && signal != Signal::KILL {
            self.resume()?;
        }
        let mut report = StopReport {
            killed: false,
            left: Vec::new(),
        };
        if let Ok(emptied) = timeout(grace, self.emptied()).await {
            return emptied.map(|()| report);
        }
        if escalate {
            report.killed = true;
            let _ = self.kill()?;
            self.emptied().await?;
        } else {
            report.left = self.members().await?;
            self.lock().spared = !report.is_empty();
        }
        Ok(report)
    }
}

/// Kills all of them, and resolves once all are empty. Every kill is sent before the first is
/// waited for, so that many take hardly longer than one.
///
/// # Errors
/// The first that could not be killed or awaited; the others are all the same.
///
/// ```
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// use pk::contain::{Containment, SpawnRequest, StageRequest, kill_all};
///
/// let containment = Containment::detect()?;
/// let sleep = SpawnRequest::command(StageRequest::new(["sleep", "1000"], "/"));
/// let groups = [containment.group(), containment.group()];
/// for group in &groups {
///     group.spawn(&sleep)?;
/// }
/// kill_all(&groups).await?;
/// for group in &groups {
///     group.release().await?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
pub async fn kill_all<'a>(groups: impl IntoIterator<Item = &'a Group>) -> Result<(), ContainError> {
    let mut failed = Ok(());
    let killed: Vec<&Group> = (groups.into_iter())
        .filter(|group| match group.kill_members() {
            Ok(()) => true,
            Err(error) => {
                failed = std::mem::replace(&mut failed, Ok(())).and(Err(error));
                false
            }
        })
        .collect();
    for group in &killed {
        group.kill_strays();
    }
    for group in killed {
        failed = failed.and(group.emptied().await);
    }
    failed
}
