//! Follows a running stack and prints what it says and does.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::watch;

use super::open_rows::OpenRows;
use super::order::{Item, Order};
use super::printer::{Printer, WriteError};
use super::progress::Progress;
use super::screen::Screen;
use super::story::{Story, Tone};
use super::summary;
use crate::cli::style::Painter;
use crate::control::{Changes, ControlPort};
use crate::domain::change::{Change, What};
use crate::domain::event::ShutdownCause;
use crate::domain::id::{InstanceId, UnitName};
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::domain::snapshot::Snapshot;
use crate::logs::{Cursor, LogSource, Selection, Start, Stream};

/// Lines taken from the store at once.
const PAGE: usize = 1024;

/// Changes shown together, so that they are shown soon, however many come.
const BATCH: usize = 512;

/// How a stack is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub painter: Painter,
    /// The output is a terminal.
    pub terminal: bool,
    /// How wide it is.
    pub columns: usize,
}

/// Where the task of `run` writes: to its own stdout, as if pk were not there. What it writes
/// to stderr, and all others, stay with the face.
#[derive(Debug)]
pub struct TaskOutput {
    pub instances: BTreeSet<UnitName>,
    pub printer: Printer,
    pub terminal: bool,
}

/// A stack in merged lines.
#[derive(Debug)]
pub struct Face {
    look: Look,
    story: Story,
    screen: Screen,
    order: Order,
    feed: Feed,
    printer: Printer,
    task: Option<TaskOutput>,
    /// The instances of the task.
    own: BTreeSet<InstanceId>,
    progress: Arc<Progress>,
    /// What is open, on a terminal that belongs to nobody else.
    rows: Option<OpenRows>,
}

/// What comes from the stack.
struct Feed {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    changes: Changes,
    /// No change can come any more.
    changes_ended: bool,
    logs: Arc<dyn LogSource>,
    cursor: Cursor,
    wake: watch::Receiver<u64>,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

/// What one look at the changes gave.
#[derive(Debug, Default)]
struct Fresh {
    changes: Vec<Change>,
    missed: u64,
    /// The stack has ended: nothing comes after this.
    over: bool,
}

impl Face {
    /// Attaches to the stack: what happens from now on is shown. `wanted` are those who may
    /// run.
    #[must_use]
    pub fn attach(
        port: &dyn ControlPort,
        plan: Arc<Plan>,
        wanted: BTreeSet<UnitName>,
        look: Look,
        printer: Printer,
        task: Option<TaskOutput>,
        progress: Arc<Progress>,
    ) -> Self {
        let logs = port.logs();
        let feed = Feed {
            snapshots: port.snapshots(),
            changes: port.changes(),
            changes_ended: false,
            cursor: logs.cursor(Selection::All, Start::Oldest),
            wake: logs.wake(),
            logs,
        };
        let snapshot = Arc::clone(&feed.snapshots.borrow());
        let names = plan.units().iter().flat_map(|unit| unit.instance_names());
        let mut face = Self {
            look,
            screen: Screen::new(names, look.painter, look.terminal, look.columns),
            story: Story::new(plan, wanted),
            order: Order::default(),
            feed,
            printer,
            rows: (look.terminal && task.is_none()).then(OpenRows::default),
            task,
            own: BTreeSet::new(),
            progress,
        };
        face.catch_up(&snapshot);
        face
    }

    /// Shows the stack until its end, `opening` first.
    ///
    /// # Errors
    /// What is shown cannot be written. The stack is as it was.
    pub async fn show(mut self, opening: &[String]) -> Result<(), WriteError> {
        let mut out = Vec::new();
        for line in opening {
            self.screen.own(Tone::Plain, line, &mut out);
        }
        self.printer.print(out).await?;
        loop {
            // Where nothing more happens, nothing more would be written.
            let fresh = tokio::select! {
                fresh = self.feed.news() => fresh,
                error = self.printer.broken() => return Err(error),
            };
            let over = fresh.over;
            self.advance(fresh).await?;
            self.open_rows().await?;
            if over {
                break;
            }
        }
        self.conclude().await?;
        if let Some(task) = self.task {
            task.printer.finish().await?;
        }
        self.printer.finish().await
    }

    async fn advance(&mut self, fresh: Fresh) -> Result<(), WriteError> {
        let mut items = Vec::new();
        let head = *self.feed.wake.borrow_and_update();
        loop {
            let page = self.feed.logs.read(&mut self.feed.cursor, PAGE);
            let end = page.lines.last().is_none_or(|line| line.seq + 1 >= head)
                || page.lines.len() < PAGE;
            self.order.lines(page);
            if fresh.changes.is_empty() && fresh.missed == 0 {
                self.order.flush(&mut items);
                self.print(&mut items).await?;
            }
            if end {
                break;
            }
        }
        if fresh.missed > 0 {
            let snapshot = Arc::clone(&self.feed.snapshots.borrow());
            self.catch_up(&snapshot);
            let mut out = Vec::new();
            let text = format!("{} state changes missed", fresh.missed);
            self.screen.own(Tone::Warning, &text, &mut out);
            self.put(out).await?;
        }
        for change in fresh.changes {
            if let What::Unit { instance, name, .. } = &change.what {
                self.learn(*instance, name);
            }
            self.order.change(change, &mut items);
        }
        self.order.flush(&mut items);
        self.print(&mut items).await
    }

    /// Writes something that stays.
    async fn put(&mut self, mut out: Vec<u8>) -> Result<(), WriteError> {
        if let (Some(rows), false) = (&mut self.rows, out.is_empty()) {
            let mut text = Vec::new();
            rows.erase(&mut text);
            text.append(&mut out);
            out = text;
        }
        self.printer.print(out).await
    }

    /// Shows what is open, after all lines that were there.
    async fn open_rows(&mut self) -> Result<(), WriteError> {
        let Some(rows) = &mut self.rows else {
            return Ok(());
        };
        let open = self.feed.logs.open_lines(&Selection::All);
        let current = rows.current(&open).into_iter();
        let rows_now = current.map(|line| self.screen.open(line, "")).collect();
        let mut out = Vec::new();
        rows.draw(rows_now, &mut out);
        self.printer.print(out).await
    }

    fn learn(&mut self, id: InstanceId, name: &UnitName) {
        self.screen.learn(id, name);
        if (self.task.as_ref()).is_some_and(|task| task.instances.contains(name)) {
            self.own.insert(id);
        }
    }

    /// Takes the runs of the snapshot as shown.
    fn catch_up(&mut self, snapshot: &Snapshot) {
        for unit in &snapshot.units {
            self.learn(unit.id, &unit.name);
            self.order.opened(unit.id, unit.attempt);
        }
    }

    async fn print(&mut self, items: &mut Vec<Item>) -> Result<(), WriteError> {
        let (mut out, mut own) = (Vec::new(), Vec::new());
        for item in items.drain(..) {
            match item {
                Item::Line(line) => {
                    self.progress.took(1);
                    if let Some(rows) = &mut self.rows {
                        rows.saw(&line);
                    }
                    let of_task = self.own.contains(&line.origin.run.instance);
                    match (&self.task, line.origin.stream) {
                        (Some(task), Stream::Stdout) if of_task => {
                            self.screen.bare(&line, task.terminal, &mut own);
                        }
                        (Some(_), Stream::Stderr) if of_task => {
                            self.screen.bare(&line, self.look.terminal, &mut out);
                        }
                        _ => self.screen.line(&line, &mut out),
                    }
                }
                Item::Missed(gap) => {
                    self.progress.took(gap.lines);
                    self.screen.missed(gap, &mut out);
                }
                Item::Change(change) => {
                    if self.look.terminal && is_interrupt(&change) {
                        // Not behind the `^C` that the terminal shows.
                        out.push(b'\n');
                    }
                    if let Some(said) = self.story.tell(&change) {
                        self.screen.said(&said, &mut out);
                    }
                }
            }
        }
        if let Some(task) = &self.task {
            task.printer.print(own).await?;
        }
        self.put(out).await
    }

    async fn conclude(&mut self) -> Result<(), WriteError> {
        let mut items = Vec::new();
        loop {
            let page = self.feed.logs.read(&mut self.feed.cursor, PAGE);
            if page.is_empty() {
                break;
            }
            self.order.lines(page);
        }
        self.order.finish(&mut items);
        self.print(&mut items).await?;
        if let Some(rows) = &mut self.rows {
            let mut out = Vec::new();
            rows.erase(&mut out);
            self.printer.print(out).await?;
        }
        let snapshot = Arc::clone(&self.feed.snapshots.borrow());
        if snapshot.verdict.is_none() {
            // The supervisor is gone: nobody knows how it ended.
            return Ok(());
        }
        let logs = &self.feed.logs;
        let tail = |unit: &crate::domain::snapshot::UnitView| logs.tail(unit.id, summary::TAIL);
        let text = summary::render(&snapshot, self.look.painter, tail, |unit| {
            self.story.stages_of(unit)
        });
        self.put(text.into_bytes()).await
    }
}

fn is_interrupt(change: &Change) -> bool {
    change.what == What::ShuttingDown(ShutdownCause::Signal(Signal::INT))
}

impl Feed {
    /// Waits until there is something to show.
    async fn news(&mut self) -> Fresh {
        let mut fresh = Fresh::default();
        let gone = tokio::select! {
            result = self.snapshots.changed() => result.is_err(),
            result = self.wake.changed() => result.is_err(),
            change = self.changes.recv(), if !self.changes_ended => {
                match change {
                    Ok(change) => fresh.changes.push(change),
                    Err(RecvError::Lagged(missed)) => fresh.missed += missed,
                    Err(RecvError::Closed) => self.changes_ended = true,
                }
                false
            }
        };
        // Looked at before the changes: those that led to the verdict are there by then.
        fresh.over = gone || self.snapshots.borrow().verdict.is_some();
        while fresh.over || fresh.changes.len() < BATCH {
            match self.changes.try_recv() {
                Ok(change) => fresh.changes.push(change),
                Err(TryRecvError::Lagged(missed)) => fresh.missed += missed,
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Closed) => {
                    self.changes_ended = true;
                    break;
                }
            }
        }
        fresh
    }
}
