//! What a run says of itself, by the protocol of `sd_notify(3)`.
//!
//! ```text
//!  a member ──datagram──► mailbox ──(whose is it?)──► heard ──► probes that wait for it
//!                                          │             └────► notices, as they come
//!                                          └─► ignored, and said so once
//! ```
//!
//! The address can be reached by every user of the machine, so a datagram counts only if its
//! sender, as the kernel names it, is a member of the run's group. One that ended before it
//! was looked at is a member no more: it counts if it was the run's own user, as a short-lived
//! `systemd-notify` is. (That one waits until it was heard, so that it mostly is a member.)

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::ProbeResult;
use crate::contain::{Group, Letter, Mailbox, Sender};
use crate::domain::notice::{self, Notice};
use crate::domain::text::format_duration;

/// How often a status that changes all the time is passed on.
const STATUS_EVERY: Duration = Duration::from_millis(100);

/// What probes go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub ready: bool,
    /// How often it has said that it is alive.
    pub alive: u64,
}

/// Hears what one run says of itself.
#[derive(Debug)]
pub struct Hearing {
    mailbox: Mailbox,
    heard: watch::Sender<Heard>,
    /// As which users the run's processes may send after their end.
    users: Vec<u32>,
}

/// What becomes of a letter.
enum Standing {
    Counts,
    /// Why it does not.
    Ignored(String),
}

impl Hearing {
    /// Opens the socket of a run, before it is spawned.
    ///
    /// # Errors
    /// There can be no more sockets.
    pub fn new(users: Vec<u32>) -> io::Result<Self> {
        Ok(Self {
            mailbox: Mailbox::new("pk-notify")?,
            heard: watch::Sender::default(),
            users,
        })
    }

    /// For `NOTIFY_SOCKET`.
    #[must_use]
    pub fn address(&self) -> String {
        self.mailbox.address()
    }

    /// What has been heard, for the probes of the run.
    #[must_use]
    pub fn heard(&self) -> watch::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// Hears until it is dropped. `pass_on` gets what is more than a sign of life, `note` what
    /// those who read the unit's log should know.
    pub async fn run(
        self,
        group: Arc<Group>,
        mut pass_on: impl FnMut(Notice) + Send,
        note: impl Fn(&str) + Send,
    ) {
        let mut noted = false;
        // What is held back so that a unit that says something all the time costs little.
        let mut status = None;
        let mut status_due = Instant::now();
        loop {
            let flush = async {
                match &status {
                    Some(_) => sleep_until(status_due).await,
                    None => std::future::pending().await,
                }
            };
            let letter = tokio::select! {
                letter = self.mailbox.receive() => letter,
                () = flush => {
                    status_due = Instant::now() + STATUS_EVERY;
                    if let Some(status) = status.take() {
                        pass_on(Notice::Status(status));
                    }
                    continue;
                }
            };
            let letter = match letter {
                Ok(letter) => letter,
                Err(error) => {
                    note(&format!("cannot hear what it says of itself: {error}"));
                    return;
                }
            };
            if let Standing::Ignored(why) = self.standing(&letter, &group).await {
                if !std::mem::replace(&mut noted, true) {
                    note(&format!("a notification was ignored: {why}"));
                }
                continue;
            }
            for notice in notice::parse(&letter.bytes) {
                match notice {
                    Notice::Status(new) => {
                        status = Some(new);
                        continue;
                    }
                    Notice::Alive => {
                        self.heard.send_modify(|heard| heard.alive += 1);
                        continue;
                    }
                    Notice::Ready => {
                        self.heard.send_modify(|heard| heard.ready = true);
                    }
                    Notice::Reloading | Notice::Stopping | Notice::Unwell | Notice::Extend(_) => {}
                }
                pass_on(notice);
            }
            // Only now, so that a sender that waits for it is heard while it lives.
            drop(letter);
        }
    }

    async fn standing(&self, letter: &Letter, group: &Group) -> Standing {
        let Some(sender) = letter.sender else {
            return Standing::Ignored("the kernel does not say who sent it".to_owned());
        };
        match group.members().await {
            Ok(members) if members.iter().any(|member| member.pid == sender.pid) => {
                Standing::Counts
            }
            Ok(_) => self.without(sender),
            Err(error) => Standing::Ignored(format!("cannot tell its members: {error}")),
        }
    }

    /// Of a sender that is no member.
    fn without(&self, sender: Sender) -> Standing {
        let Sender { pid, uid } = sender;
        if pid == 0 || lives(pid) {
            return Standing::Ignored(format!("pid {pid}, which is no process of this run"));
        }
        if self.users.contains(&uid) {
            Standing::Counts
        } else {
            Standing::Ignored(format!("pid {pid} of user {uid}, which has ended"))
        }
    }
}

/// Whether there is a process of that number that has not ended.
fn lives(pid: u32) -> bool {
    let Ok(stat) = std::fs::read(format!("/proc/{pid}/stat")) else {
        return false;
    };
    let state = memchr::memrchr(b')', &stat).and_then(|end| stat.get(end + 2));
    !matches!(state, None | Some(b'Z' | b'X' | b'x'))
}

/// Resolves when the run has said that it is ready.
pub(super) async fn ready(heard: &mut watch::Receiver<Heard>) {
    if heard.wait_for(|heard| heard.ready).await.is_err() {
        // Nobody hears it any more: the run is over.
        std::future::pending::<()>().await;
    }
}

/// Reports the first sign of life and each one after a silence; and each `interval` of
/// silence as a failure.
pub(super) async fn watchdog(
    heard: &mut watch::Receiver<Heard>,
    interval: Duration,
    mut report: impl FnMut(ProbeResult) + Send,
) {
    let mut last = heard.borrow_and_update().alive;
    let mut well = last > 0;
    if well {
        report(ProbeResult::Success);
    }
    loop {
        let silence = sleep(interval);
        tokio::pin!(silence);
        let spoke = tokio::select! {
            biased;
            told = heard.wait_for(|heard| heard.alive > last) => match told {
                Ok(heard) => Some(heard.alive),
                Err(_) => None,
            },
            () = &mut silence => {
                let interval = format_duration(interval);
                well = false;
                report(ProbeResult::Failure(format!("it did not send WATCHDOG=1 within {interval}")));
                continue;
            }
        };
        let Some(alive) = spoke else {
            // The run is over.
            return;
        };
        last = alive;
        if !std::mem::replace(&mut well, true) {
            report(ProbeResult::Success);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_failure_and_a_sign_of_life_is_told_once() {
        let (tell, mut heard) = watch::channel(Heard::default());
        let results = Mutex::new(Vec::new());
        let began = Instant::now();
        let report = |result: ProbeResult| {
            let good = result == ProbeResult::Success;
            let after = u64::try_from(began.elapsed().as_millis()).unwrap();
            results.lock().unwrap().push((good, after / 10 * 10));
        };
        let story = async {
            for pause in [50, 60, 70, 250, 10] {
                sleep(pause * MS).await;
                tell.send_modify(|heard| heard.alive += 1);
            }
            sleep(50 * MS).await;
        };
        tokio::select! {
            () = watchdog(&mut heard, 100 * MS, report) => {}
            () = story => {}
        }
        assert_eq!(
            results.into_inner().unwrap(),
            [(true, 50), (false, 280), (false, 380), (true, 430)]
        );
    }

    #[tokio::test]
    async fn one_that_is_no_member_is_not_heard_unless_it_has_ended() {
        let own = rustix::process::getuid().as_raw();
        let hearing = Hearing::new(vec![own]).unwrap();
        let counts = |pid, uid| matches!(hearing.without(Sender { pid, uid }), Standing::Counts);
        assert!(!counts(std::process::id(), own), "it lives");
        assert!(!counts(0, own), "it is of another pid namespace");
        // The highest number that there can be is that of nobody.
        assert!(counts(1 << 30, own));
        assert!(!counts(1 << 30, own + 1));
    }
}
