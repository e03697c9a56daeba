//! The face of a stack in the shell's job: shows it, passes signals on, and gives the exit
//! code.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::asking::Asking;
use super::lease::{Lease, Word};
use super::{Held, Stack, launch, panic_if_told};
use crate::cli::dashboard::Dashboard;
use crate::cli::exit::End;
use crate::cli::inspect::plural;
use crate::cli::output::{Output, reason};
use crate::cli::plain::{Face, Printer, Progress, Story, TaskOutput, WriteError, summary};
use crate::cli::signals::Signals;
use crate::contain::{self, Guarded, Parting};
use crate::control::{ControlPort, FeedPort, LineWay};
use crate::domain::event::ShutdownCause;
use crate::domain::id::UnitName;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::domain::snapshot::UnitView;
use crate::domain::verdict::Verdict;
use crate::tui::Left;

/// How long a reader that was asked to may take to read on, once the stack has ended.
const STALLED: Duration = Duration::from_secs(2);

/// How long guard and supervisor may take to end once nothing is left to do for them.
const PART: Duration = Duration::from_secs(6);

/// Runs the stack to its end before the eyes of whoever started pk.
pub fn foreground(
    stack: Stack,
    dashboard: Option<Dashboard>,
    output: &Output,
    judge: impl FnOnce(&Verdict, Option<&Outcome>) -> End,
) -> End {
    let task = stack.task.clone();
    let held = match launch(stack) {
        Ok(held) => held,
        Err(error) => {
            output.error(&format!("cannot run the stack: {error}"), None);
            return End::Failed;
        }
    };
    let name = held.plan.name().to_owned();
    match show(held, dashboard, task.as_deref(), output) {
        Shown::Followed(followed) if followed.left => {
            output.note(&format!("left `{name}` running; `pk down` stops it"));
            End::Fine
        }
        Shown::Followed(followed) => {
            if followed.unshown > 0 {
                let lines = plural(
                    usize::try_from(followed.unshown).unwrap_or(usize::MAX),
                    "line",
                );
                output.note_if_heard(&format!("{lines} not shown: nobody read them"));
            }
            if let Some(reason) = followed.unwritable {
                output.error(&format!("cannot write to standard output: {reason}"), None);
                return End::Failed;
            }
            match &followed.ended {
                Some(ended) => judge(&ended.verdict, ended.outcome.as_ref()),
                None => End::Failed,
            }
        }
        Shown::Failed => End::Failed,
    }
}

/// What came of it; what went wrong has been said.
enum Shown {
    Failed,
    Followed(Followed),
}

/// How a stack ended.
struct Followed {
    /// `None`: nobody knows.
    ended: Option<Ended>,
    /// Why it could not be shown.
    unwritable: Option<String>,
    /// Lines that were still to be shown when pk left.
    unshown: u64,
    /// What the supervisor said of itself.
    panics: Vec<String>,
    /// It goes on without this face.
    left: bool,
}

/// What the supervisor said of the end.
struct Ended {
    verdict: Box<Verdict>,
    /// Of the task that all of it was for.
    outcome: Option<Outcome>,
    /// All that were ever written.
    lines: u64,
}

fn show(held: Held, dashboard: Option<Dashboard>, task: Option<&str>, output: &Output) -> Shown {
    let Held {
        plan,
        units,
        guarded,
        mut lease,
        feed,
        commands,
        socket,
    } = held;
    // One thread: nothing here computes for long.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            output.error(&format!("cannot show the stack: {}", reason(&error)), None);
            return Shown::Failed;
        }
    };
    let mut stand = None;
    let mut followed = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| Some(reason(&error)))?;
        super::settle();
        // Both ends are there: nothing is waited for but what the supervisor does.
        let lines = match &dashboard {
            Some(_) => LineWay::Files,
            None => LineWay::Brought,
        };
        let port = FeedPort::from_start(feed, commands, socket, lines);
        let (port, began) = tokio::join!(port, lease.next());
        let (port, opening) = match (port, began) {
            (Ok(port), Some(Word::Began { opening, stand: at })) => {
                stand = at;
                (port, opening)
            }
            (_, Some(Word::Failed { what })) => {
                output.error(&what, None);
                return Err(None);
            }
            (_, Some(Word::Panicked { text })) => return Err(Some(text)),
            (_, Some(Word::Began { .. } | Word::Ended { .. } | Word::Noted { .. }) | None) => {
                return Err(None);
            }
        };
        if let Some(dashboard) = dashboard {
            let watched = Watched { plan, units };
            return Ok(watched
                .on(dashboard, port, (&mut lease, &guarded), signals, output)
                .await);
        }
        let port = port.paced();
        let progress = Arc::new(Progress::default());
        let stdout = Printer::start(io::stdout(), Arc::clone(&progress));
        // stdout belongs to the task that is run, if there is one.
        let (printer, task) = match task {
            None => (stdout, None),
            Some(task) => (
                Printer::start(io::stderr(), Arc::clone(&progress)),
                Some(TaskOutput {
                    instances: plan
                        .get(task)
                        .map_or_else(BTreeSet::new, |unit| unit.instance_names().collect()),
                    printer: stdout,
                    terminal: output.terminal,
                }),
            ),
        };
        let look = match &task {
            None => output.look(),
            Some(_) => output.err_look(),
        };
        let shared = Arc::clone(&progress);
        let face = Face::attach(&port, plan, units, look, printer, task, shared);
        Ok(tokio::select! {
            followed = follow(&port, (&mut lease, &guarded), face, opening, signals, &progress) => followed,
            () = panic_if_told("face") => return Err(None),
        })
    });
    let left = followed.as_ref().is_ok_and(|followed| followed.left);
    if !left {
        // It ends while this process clears up.
        lease.let_go();
    }
    // A write to a paused terminal may never end, and must not keep pk.
    runtime.shutdown_background();
    if left {
        guarded.detach();
        // An error says that it has ended meanwhile.
        let _ = lease.give_away();
        return followed.map_or(Shown::Failed, Shown::Followed);
    }
    contain::give_code_back();
    let judged = (followed.as_ref()).is_ok_and(|followed| followed.ended.is_some());
    let said = matches!(followed, Err(None));
    if let Err(Some(what)) = &followed {
        output.error(&format!("cannot run the stack: {what}"), None);
    }
    let panics = (followed.as_mut()).map_or_else(
        |_| Vec::new(),
        |followed| std::mem::take(&mut followed.panics),
    );
    part(
        lease,
        guarded,
        stand.as_deref(),
        judged || said,
        panics,
        output,
    );
    followed.map_or(Shown::Failed, Shown::Followed)
}

/// Sees guard and supervisor end, and says what was wrong with them. `expected`: that the
/// supervisor ends is no news.
fn part(
    lease: Lease,
    guarded: Guarded,
    stand: Option<&Path>,
    expected: bool,
    mut panics: Vec<String>,
    output: &Output,
) {
    for word in lease.end() {
        match word {
            Word::Panicked { text } => panics.push(text),
            Word::Noted { lines } => lines.iter().for_each(|line| output.note_if_heard(line)),
            Word::Began { .. } | Word::Ended { .. } | Word::Failed { .. } => {}
        }
    }
    let panicked = !panics.is_empty();
    for text in panics {
        let help = "this is a mistake in pk; please report it";
        output.error(&format!("the supervisor of the stack {text}"), Some(help));
    }
    match guarded.part(stand, PART) {
        Parting::Done => {}
        Parting::SupervisorDied(_) if expected || panicked => {}
        Parting::SupervisorDied(code) => {
            let how = match Signal::from_number(code - 128) {
                Some(signal) => format!("was ended by {signal}"),
                None => format!("ended with exit code {code}"),
            };
            let what = format!("the supervisor of the stack {how}; all that it ran was ended");
            output.error(&what, None);
        }
        Parting::GuardDied if expected => {}
        Parting::GuardDied => {
            let what = "guard and supervisor of the stack were killed; what was left was ended";
            output.error(what, None);
        }
        Parting::NoSupervisor => {
            output.error(
                "cannot run the stack: no process could be made for it",
                None,
            );
        }
        Parting::Late => {
            let what = "something that the stack ran could not be killed";
            output.error(what, Some("`ps -ef --forest` shows it below `stack-guard`"));
        }
    }
}

/// Shows the stack and passes signals on until it has ended and all is shown.
async fn follow(
    port: &dyn ControlPort,
    (lease, guarded): (&mut Lease, &Guarded),
    face: Face,
    opening: Vec<String>,
    mut signals: Signals,
    progress: &Progress,
) -> Followed {
    let mut shown = std::pin::pin!(face.show(&opening));
    let mut showing = true;
    let mut asking = Asking::new(port);
    let mut unwritable = None;
    let mut heard = Heard::default();
    while showing || !heard.over {
        let over = heard.over;
        let stopped = asking.has_asked() || heard.ended.as_ref().is_some_and(is_stopped);
        tokio::select! {
            result = &mut shown, if showing => {
                showing = false;
                let cause = match result {
                    Ok(()) => continue,
                    Err(WriteError::Closed) => ShutdownCause::Signal(Signal::PIPE),
                    Err(WriteError::Failed(reason)) => {
                        unwritable = Some(reason);
                        ShutdownCause::Requested
                    }
                };
                if !over {
                    // Nobody would see the stack run.
                    asking.stop(cause);
                }
            }
            word = lease.next(), if !over => heard.take(word),
            // Stopping always ends, also where nobody reads.
            () = progress.stalled(STALLED), if over && showing && stopped => break,
            signal = signals.next() => {
                if over {
                    // All that is left is to print, to somebody who wants to leave.
                    break;
                }
                asking.signal(signal);
            }
            () = asking.overdue(), if !over => guarded.kill_supervisor(),
        }
    }
    let Heard { ended, panics, .. } = heard;
    let unshown = match &ended {
        Some(ended) if showing => progress.unshown(ended.lines),
        Some(_) | None => 0,
    };
    Followed {
        ended,
        unwritable,
        unshown,
        panics,
        left: false,
    }
}

/// A stack that a dashboard shows.
struct Watched {
    plan: Arc<Plan>,
    units: BTreeSet<UnitName>,
}

impl Watched {
    /// Shows it until it ends, or until somebody leaves it.
    async fn on(
        self,
        dashboard: Dashboard,
        port: FeedPort,
        (lease, guarded): (&mut Lease, &Guarded),
        mut signals: Signals,
        output: &Output,
    ) -> Followed {
        let port: Arc<dyn ControlPort> = Arc::new(port);
        let mut heard = Heard::default();
        let shown = {
            let mut showing = std::pin::pin!(dashboard.show(&port, &mut signals));
            loop {
                tokio::select! {
                    shown = &mut showing => break shown,
                    word = lease.next(), if !heard.over => heard.take(word),
                    () = panic_if_told("face") => {}
                }
            }
        };
        let left = matches!(shown, Ok(Left::Detached)) && !heard.over;
        let mut asking = Asking::new(&*port);
        if let Err(error) = &shown {
            // Nobody would see the stack run.
            asking.stop(ShutdownCause::Requested);
            let what = format!("cannot show the dashboard: {}", reason(error));
            output.error(&what, Some("`--no-tui` does without it"));
        }
        while !left && !heard.over {
            tokio::select! {
                word = lease.next() => heard.take(word),
                signal = signals.next() => asking.kill(signal),
                () = asking.overdue() => guarded.kill_supervisor(),
            }
        }
        if !left {
            let last = Arc::clone(&port.snapshots().borrow());
            let story = Story::new(self.plan, self.units);
            let tail = |unit: &UnitView| port.logs().tail(unit.id, summary::TAIL);
            let text = summary::render(&last, output.out, tail, |unit| story.stages_of(unit));
            let _ = output.print(text.trim_start_matches('\n'));
        }
        Followed {
            ended: heard.ended,
            unwritable: shown.err().map(|error| reason(&error)),
            unshown: 0,
            panics: heard.panics,
            left,
        }
    }
}

/// What the supervisor has said.
#[derive(Default)]
struct Heard {
    over: bool,
    ended: Option<Ended>,
    panics: Vec<String>,
}

impl Heard {
    fn take(&mut self, word: Option<Word>) {
        match word {
            Some(Word::Ended {
                verdict,
                outcome,
                lines,
            }) => {
                self.over = true;
                self.ended = Some(Ended {
                    verdict,
                    outcome,
                    lines,
                });
            }
            // A mistake in one place; the rest goes on.
            Some(Word::Panicked { text }) => self.panics.push(text),
            Some(Word::Began { .. } | Word::Failed { .. } | Word::Noted { .. }) => {}
            // It is gone, and with it what it ran.
            None => self.over = true,
        }
    }
}

/// Whether the stack was stopped, by whomever.
fn is_stopped(ended: &Ended) -> bool {
    ended.verdict.cause.is_some()
}
