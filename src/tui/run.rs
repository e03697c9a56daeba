//! The loop around the model: what happens goes in, what is to be done is done.
//!
//! It runs on a thread of its own, so that a terminal that does not take what is written
//! holds up nobody else. It draws when something has changed, at once after a key, else at
//! most [`FRAME`] apart.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use ratatui::layout::{Position, Rect};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::clock;
use super::log::{Scan, fetch};
use super::model::{Model, Start};
use super::msg::{Effect, Msg};
use super::terminal::{self, Screen, Taken};
use super::tty::bring::{Bringer, Told};
use super::update::update;
use super::view::view;
use crate::control::{Changes, ControlPort, ReloadAsk};
use crate::domain::id::UnitName;
use crate::domain::plan::Plan;
use crate::domain::snapshot::Snapshot;
use crate::domain::stats::StackStats;
use crate::logs::LogSource;

/// Between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(33);

/// The same, while one types into a unit's terminal.
const ECHO: Duration = Duration::from_millis(8);

/// Text of what came of it, or of what went wrong.
pub type Done = Result<String, String>;

/// What a face cannot do by itself.
pub struct Hooks {
    /// Suspends the job that pk belongs to, as Ctrl-Z does in a terminal that is not raw.
    pub suspend: Box<dyn Fn() + Send>,
    /// Stops this process until it is continued.
    pub stop: Box<dyn Fn() + Send>,
    /// Lets a person edit the file, in the terminal.
    pub edit: Box<dyn Fn() -> Done + Send>,
    /// Starts a unit and lends it the terminal, until it is given back.
    pub lend: Box<dyn Fn(&UnitName) -> Done + Send>,
    /// Reads what the file says now, if it can be read.
    pub plan: Arc<dyn Fn() -> Option<Arc<Plan>> + Send + Sync>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").finish_non_exhaustive()
    }
}

/// Why the dashboard was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The stack has ended.
    Ended,
    /// Somebody left; the stack runs on.
    Detached,
    /// The terminal is gone.
    Closed,
}

/// Shows the stack until it ends or somebody leaves. `terminated`: somebody asked pk from
/// outside to end.
#[must_use]
pub fn start(
    port: Arc<dyn ControlPort>,
    start: Start,
    hooks: Hooks,
    terminated: watch::Receiver<bool>,
) -> oneshot::Receiver<io::Result<Left>> {
    let (sender, receiver) = oneshot::channel();
    let changes = port.changes();
    std::thread::spawn(move || {
        let left = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .and_then(|runtime| runtime.block_on(show(port, start, hooks, changes, terminated)));
        // Nobody waits any more: nobody wants to know.
        let _ = sender.send(left);
    });
    receiver
}

async fn show(
    port: Arc<dyn ControlPort>,
    start: Start,
    hooks: Hooks,
    changes: Changes,
    terminated: watch::Receiver<bool>,
) -> io::Result<Left> {
    let (taken, screen) = Taken::take(start.mouse)?;
    let size = screen.size()?;
    let (answers, answered) = mpsc::unbounded_channel();
    let logs = port.logs();
    let refusals = answers.clone();
    let refused = move |text| drop(refusals.send(Msg::Did(Err(text))));
    let (terminals, terminals_told) = Bringer::new(Arc::clone(&port), refused);
    let mut face = Face {
        model: Model::new(Start { size, ..start }),
        queue: VecDeque::new(),
        scan: None,
        scanning: false,
        terminals,
        terminals_told,
        dirty: true,
        urgent: true,
        grew: true,
        drawn: Instant::now() - FRAME,
        ticked: Instant::now(),
        taken,
        screen,
        events: Some(EventStream::new()),
        answers,
        suspended: signal(SignalKind::from_raw(SIGTSTP))?,
        snapshots: port.snapshots(),
        stats: Some(port.stats()),
        wake: logs.wake(),
        logs,
        port,
        hooks,
    };
    face.run(answered, changes, terminated).await
}

/// Of POSIX; the number is the same on Linux of every architecture that pk runs on but MIPS.
#[cfg(target_os = "linux")]
const SIGTSTP: i32 = 20;
#[cfg(not(target_os = "linux"))]
const SIGTSTP: i32 = 18;

struct Face {
    model: Model,
    queue: VecDeque<Effect>,
    scan: Option<Scan>,
    /// The search has not caught up with the end of the log.
    scanning: bool,
    terminals: Bringer,
    terminals_told: mpsc::Receiver<Told>,
    dirty: bool,
    /// A key waits for its frame.
    urgent: bool,
    /// Lines came that the model was not told of yet.
    grew: bool,
    drawn: Instant,
    /// When the model was last told the time.
    ticked: Instant,
    taken: Taken,
    screen: Screen,
    /// `None` while somebody else reads the terminal.
    events: Option<EventStream>,
    answers: mpsc::UnboundedSender<Msg>,
    suspended: Signal,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// `None` while nobody looks: nothing is sampled for nobody.
    stats: Option<watch::Receiver<Arc<StackStats>>>,
    wake: watch::Receiver<u64>,
    logs: Arc<dyn LogSource>,
    port: Arc<dyn ControlPort>,
    hooks: Hooks,
}

/// What one round of waiting gave.
enum Woken {
    Msg(Msg),
    Grew,
    Scan,
    Time,
    Suspended,
    Closed,
}

impl Face {
    async fn run(
        &mut self,
        mut answered: mpsc::UnboundedReceiver<Msg>,
        mut changes: Changes,
        mut terminated: watch::Receiver<bool>,
    ) -> io::Result<Left> {
        let mut changes_end = false;
        let mut terminated_end = false;
        self.tick();
        let (port, answers) = (Arc::clone(&self.port), self.answers.clone());
        tokio::spawn(async move {
            if let Ok(held) = port.held().await {
                let _ = answers.send(Msg::Held(held));
            }
        });
        loop {
            if let Some(left) = self.perform().await? {
                return Ok(left);
            }
            let now = Instant::now();
            // Also where there is always something that waits to be drawn.
            if now >= self.ticked + clock::next_tick(&self.model) {
                self.tick();
            }
            let due = self.drawn
                + match self.model.ttys.typing() {
                    // What is typed comes back as something to be drawn.
                    Some(_) => ECHO,
                    None => FRAME,
                };
            if now >= due && self.grew {
                self.grew = false;
                self.take(Msg::LogsGrew);
                continue;
            }
            if self.dirty && (self.urgent || now >= due) {
                self.draw()?;
                // What was hidden by the frame before: its ticks begin anew.
                continue;
            }
            if self.model.snapshot.verdict.is_some() {
                return Ok(Left::Ended);
            }
            let waiting = self.dirty || self.grew;
            let next = if waiting {
                due
            } else {
                now + clock::next_tick(&self.model)
            };
            let watches_log = self.model.areas().logs.height > 0 || self.scan.is_some();
            let Self {
                events,
                snapshots,
                stats,
                wake,
                suspended,
                terminals_told,
                ..
            } = self;
            let woken = tokio::select! {
                biased;
                // First of all, though it comes last: where there is always news, nothing that
                // stands below the news is ever heard.
                changed = terminated.changed(), if !terminated_end => {
                    terminated_end = true;
                    match changed {
                        Ok(()) => Woken::Msg(Msg::Terminated),
                        Err(_) => continue,
                    }
                }
                event = next_event(events) => event,
                Some(msg) = answered.recv() => Woken::Msg(msg),
                _ = suspended.recv() => Woken::Suspended,
                changed = snapshots.changed() => match changed {
                    Ok(()) => Woken::Msg(Msg::Snapshot(Arc::clone(&snapshots.borrow_and_update()))),
                    // The stack, or who brought its news, is gone.
                    Err(_) => return Ok(Left::Ended),
                },
                Some(stats) = next_stats(stats) => Woken::Msg(Msg::Stats(stats)),
                change = changes.recv(), if !changes_end => match change {
                    Ok(change) => Woken::Msg(Msg::Change(change)),
                    Err(RecvError::Lagged(count)) => Woken::Msg(Msg::Missed(count)),
                    Err(RecvError::Closed) => {
                        changes_end = true;
                        continue;
                    }
                },
                Some((id, event)) = terminals_told.recv() => {
                    Woken::Msg(Msg::Terminal(id, event))
                }
                _ = wake.changed(), if watches_log && !self.grew => Woken::Grew,
                () = tokio::task::yield_now(), if self.scanning => Woken::Scan,
                () = sleep_until(next) => Woken::Time,
            };
            match woken {
                Woken::Msg(msg) => {
                    self.urgent |= matches!(msg, Msg::Input(_));
                    if matches!(msg, Msg::Input(_)) {
                        self.tick();
                    }
                    self.take(msg);
                }
                Woken::Grew => {
                    self.grew = true;
                    self.scanning |= self.scan.is_some();
                }
                Woken::Scan => self.step_scan(),
                Woken::Time if waiting => {}
                Woken::Time => self.tick(),
                Woken::Suspended => self.suspend()?,
                Woken::Closed => return Ok(Left::Closed),
            }
        }
    }

    fn tick(&mut self) {
        self.ticked = Instant::now();
        let now = self.port.now();
        self.take(Msg::Tick {
            now,
            wall: Timestamp::now(),
        });
    }

    fn take(&mut self, msg: Msg) {
        let grew = matches!(msg, Msg::LogsGrew);
        let sampled = matches!(msg, Msg::Stats(_));
        let effects = update(&mut self.model, msg);
        // Lines that were not asked for, and what a stack that rests uses, change nothing.
        let may_change = !grew && (!sampled || self.model.usage.changed);
        self.dirty |= may_change || !effects.is_empty();
        self.queue.extend(effects);
    }

    /// Does all that is to be done.
    async fn perform(&mut self) -> io::Result<Option<Left>> {
        while let Some(effect) = self.queue.pop_front() {
            match effect {
                Effect::Ask { what, command } => {
                    let (port, answers) = (Arc::clone(&self.port), self.answers.clone());
                    tokio::spawn(async move {
                        let answer = port.command(command).await;
                        let _ = answers.send(Msg::Answered { what, answer });
                    });
                }
                Effect::Fetch(request) => {
                    let lines = fetch(&*self.logs, &request);
                    self.take(Msg::Lines(lines));
                }
                Effect::Scan(request) => {
                    self.scan = request.map(|request| Scan::new(&*self.logs, request));
                    self.scanning = self.scan.is_some();
                }
                Effect::Seek(seek) => {
                    if let Some(scan) = &mut self.scan {
                        scan.seek(&*self.logs, seek);
                        self.scanning = true;
                    }
                }
                Effect::Tail(id, lines) => {
                    let lines = self.logs.tail(id, lines);
                    self.take(Msg::Tail(id, lines));
                }
                Effect::Processes(_) | Effect::Watched(_) | Effect::Listening => {
                    let (port, answers) = (Arc::clone(&self.port), self.answers.clone());
                    tokio::spawn(look_up(port, effect, answers));
                }
                Effect::WatchTerminals(ids) => self.terminals.watch(&ids),
                Effect::ResizeTerminal(id, size) => self.terminals.resize(id, size),
                Effect::Type(id, bytes) => self.terminals.type_for(id, bytes),
                Effect::Copy(text) => terminal::copy(&text)?,
                Effect::Mouse(wanted) => self.taken.mouse(wanted)?,
                Effect::Suspend => (self.hooks.suspend)(),
                Effect::Edit => {
                    (self.events, self.stats) = (None, None);
                    self.taken.pause();
                    let done = (self.hooks.edit)();
                    self.resume()?;
                    let reload = done.is_ok();
                    self.take(Msg::Did(done));
                    if reload {
                        self.queue.push_back(Effect::Reload);
                    }
                }
                Effect::Lend(unit) => {
                    (self.events, self.stats) = (None, None);
                    self.taken.pause();
                    let done = (self.hooks.lend)(&unit);
                    self.resume()?;
                    self.take(Msg::Did(done));
                }
                Effect::Reload => {
                    let (port, answers) = (Arc::clone(&self.port), self.answers.clone());
                    tokio::spawn(async move {
                        let done = match port.reload(ReloadAsk::default()).await {
                            Ok(reloaded) if reloaded.applied => Ok("reloaded the file".to_owned()),
                            Ok(_) => Ok("read the file again: nothing changes".to_owned()),
                            Err(error) => Err(format!("nothing was changed: {error}")),
                        };
                        let _ = answers.send(Msg::Did(done));
                    });
                }
                Effect::ReadPlan => {
                    let (read, answers) = (Arc::clone(&self.hooks.plan), self.answers.clone());
                    tokio::task::spawn_blocking(move || {
                        let _ = answers.send(Msg::Plan(read()));
                    });
                }
                Effect::Redraw => {
                    // As for another size; `clear` would ask the terminal where its cursor is.
                    let size = self.screen.size()?;
                    self.screen.resize(Rect::from((Position::ORIGIN, size)))?;
                }
                Effect::Detach => return Ok(Some(Left::Detached)),
            }
        }
        Ok(None)
    }

    fn step_scan(&mut self) {
        let Some(scan) = &mut self.scan else {
            self.scanning = false;
            return;
        };
        let report = scan.step(&*self.logs);
        self.scanning = !report.is_done;
        self.take(Msg::Scanned(report));
    }

    fn draw(&mut self) -> io::Result<()> {
        let size = self.screen.size()?;
        if size != self.model.size {
            self.take(Msg::Input(Event::Resize(size.width, size.height)));
            return Ok(());
        }
        let model = &self.model;
        self.screen.draw(|frame| view(model, frame))?;
        (self.dirty, self.urgent, self.drawn) = (false, false, Instant::now());
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        (self.events, self.stats) = (None, None);
        self.taken.pause();
        (self.hooks.stop)();
        self.resume()
    }

    fn resume(&mut self) -> io::Result<()> {
        self.taken.resume()?;
        self.events = Some(EventStream::new());
        self.stats = Some(self.port.stats());
        self.urgent = true;
        self.take(Msg::Resumed);
        self.tick();
        Ok(())
    }
}

/// Asks for what the details show. What cannot be told is not shown.
async fn look_up(port: Arc<dyn ControlPort>, effect: Effect, answers: mpsc::UnboundedSender<Msg>) {
    let msg = match effect {
        Effect::Processes(id) => (port.processes(id).await.ok())
            .map(|processes| Msg::Processes(id, port.now(), processes)),
        Effect::Watched(unit) => (port.watched(vec![unit.clone()]).await.ok())
            .and_then(|all| all.into_iter().find(|watch| watch.unit == unit))
            .map(|watch| Msg::Watched(unit, watch)),
        Effect::Listening => port.listening().await.ok().map(Msg::Listening),
        _ => None,
    };
    // Nobody waits for it any more: the dashboard was left.
    let _ = msg.map(|msg| answers.send(msg));
}

async fn next_event(events: &mut Option<EventStream>) -> Woken {
    match events {
        // Each time anew: it must not be read once it is gone (see `terminal::gone`).
        Some(events) => {
            poll_fn(|context| {
                if terminal::is_gone() {
                    return Poll::Ready(Woken::Closed);
                }
                events.poll_next_unpin(context).map(|event| match event {
                    Some(Ok(event)) => Woken::Msg(Msg::Input(event)),
                    Some(Err(_)) | None => Woken::Closed,
                })
            })
            .await
        }
        None => std::future::pending().await,
    }
}

/// The next sample; none ever if there will be none.
async fn next_stats(
    stats: &mut Option<watch::Receiver<Arc<StackStats>>>,
) -> Option<Arc<StackStats>> {
    let receiver = stats.as_mut()?;
    if receiver.changed().await.is_err() {
        *stats = None;
        return None;
    }
    Some(Arc::clone(&receiver.borrow_and_update()))
}
