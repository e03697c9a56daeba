//! From what a run says of itself to facts.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Runner;
use crate::contain::{Group, User};
use crate::domain::event::{Fact, ProbeRole};
use crate::domain::health::probe_of;
use crate::domain::known::Known;
use crate::domain::notice::Notice;
use crate::domain::spec::{Check, Probe, UnitSpec};
use crate::probe::{Heard, Hearing};

/// Hears nothing any more once it is dropped.
pub(super) struct Listening(Option<AbortHandle>);

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl Runner {
    /// Opens the socket, where a probe goes by what is said there.
    pub(super) async fn ready_hearing(&mut self) -> Result<(), String> {
        let says = |role| probe_of(&self.spec, role).is_some_and(is_notify);
        if !ProbeRole::ALL.into_iter().any(says) {
            return Ok(());
        }
        let mut users = vec![rustix::process::geteuid().as_raw()];
        if let Some(user) = self.spec.user.clone() {
            let parsed = tokio::task::spawn_blocking(move || User::parse(&user)).await;
            // Who it cannot run as is reported where it is to be run.
            users.extend(parsed.ok().and_then(Result::ok).map(|user| user.uid));
        }
        let hearing = Hearing::new(users)
            .map_err(|error| format!("cannot make its notification socket: {error}"))?;
        self.hearing = Some(hearing);
        Ok(())
    }

    pub(super) fn heard(&self) -> Option<watch::Receiver<Heard>> {
        self.hearing.as_ref().map(Hearing::heard)
    }

    /// Tells the run where it is heard. What is run beside it is not heard, nor told so.
    pub(super) fn add_hearing(&mut self) {
        if let Some(hearing) = &self.hearing {
            let address = hearing.address();
            let mut variables = vec![("NOTIFY_SOCKET".to_owned(), address)];
            variables.extend(watchdog(&self.spec));
            let variables = variables.into_iter();
            self.environment
                .extend(variables.map(|(name, value)| (name.into(), value.into())));
        }
    }

    /// Begins to hear, once there is somebody to be heard.
    pub(super) fn hear(&mut self, group: &Arc<Group>) -> Listening {
        let Some(hearing) = self.hearing.take() else {
            return Listening(None);
        };
        let mut secrets = Known::of([&*self.spec]);
        let variables = self.environment.iter();
        secrets.add(variables.filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?))));
        let (run, inbox, note) = (self.run, self.inbox.clone(), self.noter());
        let pass_on = move |notice| {
            let notice = match notice {
                Notice::Status(Some(text)) => {
                    Notice::Status(Some(secrets.mask(&text).into_owned()))
                }
                other => other,
            };
            super::report(&inbox, run, Fact::Notified(notice));
        };
        let hearing = hearing.run(Arc::clone(group), pass_on, note);
        Listening(Some(self.helpers.spawn(hearing)))
    }
}

fn is_notify(probe: &Probe) -> bool {
    probe.check == Check::Notify
}

/// How often the run is to say that it is alive. `WATCHDOG_PID` is left out, which
/// `sd_watchdog_enabled(3)` takes for whoever asks: which process of the run will say so is
/// not for pk to know.
fn watchdog(spec: &UnitSpec) -> Option<(String, String)> {
    let probe = spec.liveness.as_ref().filter(|probe| is_notify(probe))?;
    let limit = probe.interval.as_micros().max(1);
    Some(("WATCHDOG_USEC".to_owned(), limit.to_string()))
}
