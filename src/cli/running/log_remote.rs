//! The lines of a stack that runs, page after page over its socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::control::follow_open;
use crate::control::protocol::{Line, LogPage, LogQuery, OpenText, State};
use crate::control::wire::{self, WireError};
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::snapshot::Snapshot;
use crate::logs::{Gap, OpenLine, Page};

/// Asks a stack.
#[derive(Debug)]
pub struct Remote {
    runtime: Runtime,
    socket: PathBuf,
    state: State,
    query: LogQuery,
    /// What streams have open, where somebody wants to see that as it grows.
    open: Option<watch::Receiver<Vec<OpenLine>>>,
}

/// What one request gave.
#[derive(Debug)]
pub struct Turned {
    pub page: Page,
    pub names: Vec<(InstanceId, UnitName)>,
    pub open: Vec<OpenText>,
    pub ended: bool,
}

/// Why no more can be shown.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

impl Failed {
    /// The stack has ended.
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::Wire(WireError::Gone))
    }
}

impl Remote {
    /// How long one request waits for a line; then the next one does.
    pub const WAIT: Duration = Duration::from_secs(30);

    /// The stack that is meant, if it runs and answers.
    ///
    /// # Errors
    /// It cannot be told which is meant, which was said.
    pub fn find(place: &Place, output: &Output) -> Result<Option<Self>, End> {
        let Some(found) = reach::find(place, output)? else {
            return Ok(None);
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| {
            output.error(&format!("cannot begin: {error}"), None);
            End::Failed
        })?;
        // One that does not answer may have its lines on disk all the same.
        let state = runtime.block_on(wire::get::<State>(&found.socket, "/v1/state"));
        Ok(state.ok().map(|state| Self {
            runtime,
            socket: found.socket,
            state,
            query: LogQuery::default(),
            open: None,
        }))
    }

    /// Where its lines are, if they are on disk.
    pub fn logs(&self) -> Option<&Path> {
        self.state.logs.as_deref()
    }

    /// As it was when it was found.
    pub fn snapshot(&self) -> &Snapshot {
        &self.state.snapshot
    }

    /// Asks for the lines of these; of all, if none is named.
    pub fn begin(&mut self, names: &[UnitName], last: Option<usize>) {
        let joined: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        self.query = LogQuery {
            units: (!joined.is_empty()).then(|| joined.join(",")),
            last,
            open: true,
            ..LogQuery::default()
        };
    }

    /// Wants to see what these, or all if none is named, have open, from now on.
    pub fn follow_open(&mut self, names: &[UnitName]) {
        let joined: Vec<&str> = names.iter().map(UnitName::as_str).collect();
        let units = (!joined.is_empty()).then(|| joined.join(","));
        let (sender, receiver) = watch::channel(Vec::new());
        let give = move |open| {
            // An error: nobody looks any more.
            let _ = sender.send(open);
        };
        self.runtime
            .spawn(follow_open(self.socket.clone(), units, give));
        self.open = Some(receiver);
    }

    /// What they have open now.
    pub fn open(&mut self) -> Vec<OpenLine> {
        let open = self
            .open
            .as_mut()
            .map(|open| open.borrow_and_update().clone());
        open.unwrap_or_default()
    }

    /// Lets so much time go by, or less where something else is open.
    pub fn rest(&mut self, time: Duration) {
        let Self { runtime, open, .. } = self;
        runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = grown(open) => {}
            }
        });
    }

    /// The next page; waits that long for a line. `None`: something else is open before one
    /// came.
    pub fn page(&mut self, wait: Duration) -> Result<Option<Turned>, Failed> {
        self.query.wait = (!wait.is_zero()).then(|| format!("{}s", wait.as_secs()));
        let Self {
            runtime,
            open,
            socket,
            query,
            ..
        } = self;
        let page = runtime.block_on(async {
            tokio::select! {
                biased;
                page = wire::post::<LogPage>(socket, "/v1/logs", query) => page.map(Some),
                () = grown(open), if !wait.is_zero() => Ok(None),
            }
        })?;
        let Some(page) = page else {
            return Ok(None);
        };
        self.query = LogQuery {
            cursor: Some(page.cursor),
            open: true,
            ..LogQuery::default()
        };
        let gaps = page.gaps.iter().map(|gap| (gap.instance, &gap.unit));
        let lines = page.lines.iter().map(|line| (line.instance, &line.unit));
        let mut names: Vec<_> = gaps.chain(lines).collect();
        names.sort_unstable();
        names.dedup();
        let names = names.into_iter().map(|(id, name)| (id, name.clone()));
        Ok(Some(Turned {
            names: names.collect(),
            page: Page {
                gaps: (page.gaps.iter())
                    .map(|gap| Gap {
                        instance: gap.instance,
                        lines: gap.lines,
                    })
                    .collect(),
                lines: (page.lines.into_iter()).map(Line::log_line).collect(),
            },
            open: page.open,
            ended: page.ended,
        }))
    }
}

/// Something else is open than was seen. Never, if nobody looks, or nothing can come any more.
async fn grown(open: &mut Option<watch::Receiver<Vec<OpenLine>>>) {
    if let Some(receiver) = open
        && receiver.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
