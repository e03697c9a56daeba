//! Gives back what empty groups held, on a thread of its own.
//!
//! To reap the children, remove the cgroup and close the descriptors of a group is work for the
//! kernel alone. Done by the event loop's thread it would hold up the signals and facts of the
//! groups that end at the same moment.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::contain::{ContainError, Group, Mechanism};

enum Ask {
    Release(Arc<Group>, oneshot::Sender<Result<(), ContainError>>),
    /// What is only to be dropped.
    Drop(Box<dyn Send>),
}

/// The thread, for whoever has something for it.
#[derive(Clone, Debug)]
pub(super) struct Burial(mpsc::UnboundedSender<Ask>);

impl Burial {
    /// To be called within a runtime. Where no thread can be had, who asks does it.
    pub(super) fn begin() -> Self {
        let (asks, mut asked) = mpsc::unbounded_channel();
        let runtime = Handle::current();
        let _ = std::thread::Builder::new()
            .name("pk-burial".to_owned())
            .spawn(move || {
                // Descriptors are taken from the runtime that watches them.
                let _entered = runtime.enter();
                while let Some(ask) = asked.blocking_recv() {
                    match ask {
                        Ask::Release(group, reply) => {
                            // Who asked has gone only with the whole stack.
                            let _ = reply.send(runtime.block_on(group.release()));
                        }
                        Ask::Drop(what) => drop(what),
                    }
                }
            });
        Self(asks)
    }

    /// As [`Group::release`].
    pub(super) async fn release(&self, group: &Arc<Group>) -> Result<(), ContainError> {
        // Without a cgroup it waits for a look at the process table, which many share.
        if group.mechanism() != Mechanism::Cgroup {
            return group.release().await;
        }
        let (reply, released) = oneshot::channel();
        if self.0.send(Ask::Release(Arc::clone(group), reply)).is_err() {
            return group.release().await;
        }
        match released.await {
            Ok(released) => released,
            Err(_) => group.release().await,
        }
    }

    /// Drops it there.
    pub(super) fn drop(&self, what: impl Send + 'static) {
        // Without the thread it is dropped here, by the error.
        let _ = self.0.send(Ask::Drop(Box::new(what)));
    }
}
