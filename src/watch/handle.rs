//! How the watcher is reached.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustix::event::{EventfdFlags, eventfd};
use tokio::sync::oneshot;

use super::contents::file_time;
use super::show::{UnitWatch, Why};
use super::watching_thread::Eye;
use super::{Gone, Report};
use crate::domain::id::UnitName;
use crate::domain::spec::Watch;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Ask {
    Watch {
        unit: UnitName,
        watch: Box<Watch>,
        log: Option<PathBuf>,
        /// When that was wanted, by the clock of files: what changes from then on counts.
        since: SystemTime,
    },
    Unwatch(UnitName),
    Status(Vec<UnitName>, oneshot::Sender<Vec<UnitWatch>>),
    Why(PathBuf, oneshot::Sender<Why>),
}

pub(super) type Asked = Receiver<Ask>;

/// Wakes the thread.
#[derive(Debug)]
pub(super) struct Wake(OwnedFd);

impl Wake {
    pub(super) fn clear(&self) {
        let mut count = [0; 8];
        // Nothing in it: something else woke it.
        let _ = rustix::io::read(&self.0, &mut count);
    }

    fn ring(&self) {
        // It fails only where it rings already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}

impl AsFd for Wake {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

type Reporter = Box<dyn Fn(Report) + Send>;

/// Reaches the one watcher of a stack. Cheap to clone; the thread behind it begins with the
/// first unit that watches something, and ends with the last clone.
#[derive(Clone)]
pub struct Watcher {
    shared: Arc<Shared>,
}

struct Shared {
    base: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reporter: Option<Reporter>,
    thread: Option<Thread>,
}

struct Thread {
    asks: Option<Sender<Ask>>,
    wake: Arc<Wake>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        // It hears that nobody can ask any more.
        self.asks = None;
        self.wake.ring();
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher")
            .field("base", &self.shared.base)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// `base`: the stack's folder, by which files are named and rules are meant.
    #[must_use]
    pub fn new(base: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                base,
                state: Mutex::default(),
            }),
        }
    }

    /// Who is told. Must be said before anything is watched.
    pub fn report_to(&self, report: impl Fn(Report) + Send + 'static) {
        self.lock().reporter = Some(Box::new(report));
    }

    /// Watches what a unit names, in place of what was watched for it. Returns at once; what
    /// changes from now on is told. `log`: where its own output goes.
    pub fn watch(&self, unit: &UnitName, watch: &Watch, log: Option<&Path>) {
        let since = file_time();
        let mut state = self.lock();
        if state.thread.is_none() {
            let Some(reporter) = state.reporter.take() else {
                return;
            };
            state.thread = self.begin(reporter);
        }
        let ask = Ask::Watch {
            unit: unit.clone(),
            watch: Box::new(watch.clone()),
            log: log.map(Path::to_owned),
            since,
        };
        send(&state, ask);
    }

    pub fn unwatch(&self, unit: &UnitName) {
        send(&self.lock(), Ask::Unwatch(unit.clone()));
    }

    /// What is watched for these units; for none by name: for all. A unit that watches
    /// nothing, or not yet, is left out.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn status(&self, units: Vec<UnitName>) -> Result<Vec<UnitWatch>, Gone> {
        let (reply, answer) = oneshot::channel();
        if !send(&self.lock(), Ask::Status(units, reply)) {
            return Ok(Vec::new());
        }
        answer.await.map_err(|_| Gone)
    }

    /// Whether a change of that file would count, for whom and by which rule.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn why(&self, path: &Path) -> Result<Why, Gone> {
        let (reply, answer) = oneshot::channel();
        let path = self.shared.base.join(path);
        if !send(&self.lock(), Ask::Why(path.clone(), reply)) {
            return Ok(Why {
                path: path.to_string_lossy().into_owned(),
                units: Vec::new(),
            });
        }
        answer.await.map_err(|_| Gone)
    }

    fn begin(&self, reporter: Reporter) -> Option<Thread> {
        let wake = match eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
            Ok(fd) => Arc::new(Wake(fd)),
            Err(error) => {
                reporter(Report::Notice(format!("files are not watched: {error}")));
                return None;
            }
        };
        let (asks, asked) = channel();
        let (base, ring) = (self.shared.base.clone(), Arc::clone(&wake));
        let thread = std::thread::Builder::new().name("pk watch".to_owned());
        thread
            .spawn(move || Eye::new(base, reporter).run(&ring, &asked))
            .ok()?;
        Some(Thread {
            asks: Some(asks),
            wake,
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// `false`: there is no thread.
fn send(state: &State, ask: Ask) -> bool {
    let Some(thread) = &state.thread else {
        return false;
    };
    let sent = (thread.asks.as_ref()).is_some_and(|asks| asks.send(ask).is_ok());
    thread.wake.ring();
    sent
}
