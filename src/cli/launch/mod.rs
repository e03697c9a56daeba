//! Puts a stack into the hands of three processes: face, guard and supervisor.
//!
//! ```text
//!  this process ─ loads, resolves, says what is wrong, takes the session
//!      │ contain::launch() forks
//!      ├──► face: lease, feed ══ socket pairs ══ supervisor: set of units, server
//!      └──► guard
//! ```
//!
//! Nothing has to be found or waited for: what face and supervisor talk over is there before
//! they are. The lease is the face's word that somebody wants the stack: with its end, by
//! whatever means, the stack stops in order, unless it was given away ([`Lease::give_away`]).
//! The feed is how a face sees the stack and steers it; every kind of face does so through
//! [`ControlPort`](crate::control::ControlPort) alone.
//!
//! This module owns who does what when one of the three ends. It decides nothing of units.

mod asking;
mod background;
mod face;
mod lease;
mod supervisor;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use background::background;
pub use face::foreground;
use lease::Lease;

use super::args::LogBudget;
use super::resolve::Wanted;
use super::saved::{Files, Said};
use crate::config::foreign::Foreign;
use crate::contain::{self, Choice, Guarded, LaunchError, Role};
use crate::control::{ApiDoor, Door, Record, Session};
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use crate::supervisor::AutoPorts;

/// How long after the launch memory is given back: most stacks are up, and larger ones.
const STARTED: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// Gives back, once the start is over, what it took. Within a tokio runtime.
fn settle() {
    tokio::spawn(async {
        let launch = tokio::time::Instant::now();
        for started in STARTED {
            tokio::time::sleep_until(launch + started).await;
            contain::give_start_back();
        }
    });
}

/// What is to be run.
#[derive(Debug)]
pub struct Stack {
    /// The main file as messages name it.
    pub file: String,
    pub path: PathBuf,
    pub wanted: Wanted,
    /// What was said of a file of another tool, to read it again.
    pub foreign: Foreign,
    /// Who picks the ports that the file leaves to pk.
    pub ports: Arc<AutoPorts>,
    pub choice: Choice,
    /// How much its logs may take.
    pub logs: LogBudget,
    /// The task that all of it is for.
    pub task: Option<String>,
    /// Variables that every unit gets unless it has them from the file.
    pub environment: Vec<(OsString, OsString)>,
    /// Where other processes find it: its lock, and where it listens.
    pub session: Option<(Session, UnixListener)>,
    /// Where it is reached over TCP.
    pub door: Option<Door>,
    /// Where it is reached by clients of process-compose.
    pub api_door: Option<ApiDoor>,
    /// What its files say beyond the plan.
    pub said: Said,
    /// What a reload reads.
    pub files: Option<Arc<Files>>,
    /// Reload when they are saved.
    pub follows_files: bool,
    /// It outlives its face.
    pub detached: bool,
}

/// Why there is no supervisor.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error("cannot make a connection: {0}")]
    Pair(#[from] io::Error),
}

/// What a face has of a stack that was launched.
#[derive(Debug)]
struct Held {
    plan: Arc<Plan>,
    units: BTreeSet<UnitName>,
    guarded: Guarded,
    lease: Lease,
    feed: UnixStream,
    commands: UnixStream,
    /// For what is asked for now and then.
    socket: Option<PathBuf>,
}

/// Makes guard and supervisor. Returns in the face alone: the supervisor lives and ends here.
fn launch(stack: Stack) -> Result<Held, StartError> {
    let (lease, leased) = UnixStream::pair()?;
    let (feed, fed) = UnixStream::pair()?;
    let (commands, commanded) = UnixStream::pair()?;
    let session = stack.session.as_ref();
    let socket = session.map(|(session, _)| session.socket().to_owned());
    match contain::launch()? {
        Role::Supervisor(supervised) => {
            // Were they open here as well, the face's end would not be seen.
            drop((lease, feed, commands));
            supervisor::supervise(stack, &supervised, leased, vec![fed, commanded])
        }
        Role::Face(guarded) => {
            if let Some((session, _)) = stack.session {
                session.leave();
            }
            Ok(Held {
                plan: stack.wanted.plan,
                units: stack.wanted.units,
                guarded,
                lease: Lease::new(lease),
                feed,
                commands,
                socket,
            })
        }
    }
}

impl Stack {
    /// How it is found, named after this process.
    #[must_use]
    pub fn record(&self) -> Record {
        let mut record = Record::new(self.wanted.plan.name(), &self.path);
        let session = self.session.as_ref();
        record.listen = session.and_then(|(session, _)| session.record().listen.clone());
        record.api = session.and_then(|(session, _)| session.record().api.clone());
        record
    }

    /// Where it is reached by others, in words.
    pub fn listening(&self) -> impl Iterator<Item = String> {
        self.over_tcp().into_iter().chain(self.as_other())
    }

    fn as_other(&self) -> Option<String> {
        let (session, _) = self.session.as_ref()?;
        let api = session.record().api.as_ref()?;
        let token = if api.token {
            "; its token is needed"
        } else {
            ""
        };
        Some(format!("answering as process-compose on {}{token}", api.at))
    }

    fn over_tcp(&self) -> Option<String> {
        let (session, _) = self.session.as_ref()?;
        let listen = session.record().listen.as_ref()?;
        let what = if listen.read_only {
            ", for reading only"
        } else {
            ""
        };
        Some(format!(
            "listening on http://{}{what}; the token is in {}",
            listen.address,
            listen.token_file.display()
        ))
    }
}

/// For tests of what a panic leaves behind: a build with debug assertions panics in `who` once
/// the file is there that `PK_TEST_PANIC` names as `WHO:PATH`.
async fn panic_if_told(who: &str) {
    let told = cfg!(debug_assertions)
        .then(|| std::env::var("PK_TEST_PANIC").ok())
        .flatten();
    let path = told.as_deref().and_then(|told| {
        let (whom, path) = told.split_once(':')?;
        (whom == who).then_some(path)
    });
    let Some(path) = path else {
        return std::future::pending().await;
    };
    while !std::path::Path::new(path).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("as PK_TEST_PANIC asked for");
}
