//! The commands that run a stack: `up` and `run`.
//!
//! This module owns the life of the process around a stack: it starts the supervisor, turns
//! signals into commands, and waits for the verdict.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::watch;

use super::args::{self, Place};
use super::exit::{self, End};
use super::inspect::plural;
use super::output::{Output, reason};
use super::plain::{Face, Printer, Progress, TaskOutput, WriteError};
use super::resolve::{self, Mistake, Wanted};
use super::stack;
use crate::contain::Containment;
use crate::control::{ControlPort, LocalPort};
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::domain::snapshot::Snapshot;
use crate::logs::MemoryStore;
use crate::supervisor::{self, Settings};

/// How long a reader that was asked to may take to read on, once the stack has ended.
const STALLED: Duration = Duration::from_secs(2);

pub fn up(place: &Place, args: &args::Up, output: &Output) -> End {
    // The only face so far: the flag asks for what there is.
    let _ = args.no_tui;
    launch(
        place,
        output,
        None,
        |loaded| resolve::up(args, loaded),
        |last| last.verdict.as_ref().map_or(End::Failed, exit::of_up),
    )
}

pub fn run(place: &Place, args: &args::Run, output: &Output) -> End {
    launch(
        place,
        output,
        Some(&args.task),
        |loaded| resolve::run(args, loaded),
        |last| {
            let outcome = last.get(&args.task).and_then(|unit| unit.outcome.as_ref());
            last.verdict
                .as_ref()
                .map_or(End::Failed, |verdict| exit::of_run(verdict, outcome))
        },
    )
}

fn launch(
    place: &Place,
    output: &Output,
    task: Option<&str>,
    resolve: impl FnOnce(Arc<Plan>) -> Result<Wanted, Vec<Mistake>>,
    judge: impl FnOnce(&Snapshot) -> End,
) -> End {
    let loaded = match stack::load(place, output) {
        Ok(loaded) => loaded,
        Err(end) => return end,
    };
    if let Some(note) = stack::passed_over(&loaded) {
        output.note(&note);
    }
    let file = stack::main_file(&loaded);
    let wanted = match resolve(Arc::new(loaded.plan)) {
        Ok(wanted) => wanted,
        Err(mistakes) => {
            for mistake in mistakes {
                output.error(&mistake.what, mistake.help.as_deref());
            }
            return End::Usage;
        }
    };
    let refused = resolve::refused(&loaded.unhonoured, &wanted);
    if !refused.is_empty() {
        for key in refused {
            output.error(&key.to_string(), None);
        }
        return End::Usage;
    }
    match live(&file, wanted, output, task) {
        Ok(followed) => {
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
            judge(&followed.last)
        }
        Err(error) => {
            output.error(&format!("cannot run the stack: {}", reason(&error)), None);
            End::Failed
        }
    }
}

/// How a stack ended.
struct Followed {
    last: Arc<Snapshot>,
    /// Why it could not be shown.
    unwritable: Option<String>,
    /// Lines that were still to be shown when pk left.
    unshown: u64,
}

/// Runs the stack to its end, for `task` if it is for one.
fn live(file: &str, wanted: Wanted, output: &Output, task: Option<&str>) -> io::Result<Followed> {
    let containment = Containment::detect()?;
    // One thread: nothing here computes for long, and the face, which is attached before
    // the stack's first step, misses nothing of it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let last = runtime.block_on(async {
        let signals = Heard::listen()?;
        let opening = opening(file, &wanted, task.is_none().then_some(&containment));
        let store = MemoryStore::default();
        let plan = Arc::clone(&wanted.plan);
        let handle = supervisor::start(Settings {
            plan: wanted.plan,
            options: wanted.options,
            containment,
            store: store.clone(),
            environment: forced_colors(output),
            seed: seed(),
        });
        let port = LocalPort::new(handle, store);
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
        let face = Face::attach(&port, plan, wanted.units, look, printer, task, shared);
        Ok(follow(&port, face, opening, signals, &progress).await)
    });
    // A write to a paused terminal may never end, and must not keep pk.
    runtime.shutdown_background();
    last
}

/// Shows the stack and passes signals on until it has ended and all is shown.
async fn follow(
    port: &LocalPort,
    face: Face,
    opening: Vec<String>,
    mut signals: Heard,
    progress: &Progress,
) -> Followed {
    let mut snapshots = port.snapshots();
    let mut shown = std::pin::pin!(face.show(&opening));
    let (mut showing, mut asked) = (true, false);
    let (mut ended, mut unwritable) = (false, None);
    while showing || !ended {
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
                if !ended {
                    // Nobody would see the stack run.
                    ask(port, Shutdown::Graceful, cause).await;
                    asked = true;
                }
            }
            () = verdict(&mut snapshots), if !ended => ended = true,
            // Stopping always ends, also where nobody reads.
            () = progress.stalled(STALLED), if ended && asked && showing => break,
            signal = signals.next() => {
                if ended {
                    // All that is left is to print, to somebody who wants to leave.
                    break;
                }
                let how = if asked { Shutdown::Now } else { Shutdown::Graceful };
                asked = true;
                ask(port, how, ShutdownCause::Signal(signal)).await;
            }
        }
    }
    let head = *port.logs().wake().borrow();
    Followed {
        last: Arc::clone(&snapshots.borrow()),
        unwritable,
        unshown: if showing { progress.unshown(head) } else { 0 },
    }
}

async fn ask(port: &LocalPort, how: Shutdown, cause: ShutdownCause) {
    // A refusal means that it stops already, an error that it has.
    let _ = port.command(Command::Shutdown(how, cause)).await;
}

async fn verdict(snapshots: &mut watch::Receiver<Arc<Snapshot>>) {
    let _ = snapshots.wait_for(|last| last.verdict.is_some()).await;
}

/// The signals that end a stack.
struct Heard {
    interrupt: Signals,
    terminate: Signals,
    hangup: Signals,
}

impl Heard {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = self.hangup.recv() => Signal::HUP,
        }
    }
}

/// What is said before the first unit starts.
fn opening(file: &str, wanted: &Wanted, containment: Option<&Containment>) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} from {}",
        wanted.plan.name(),
        plural(wanted.units.len(), "unit"),
        file
    )];
    if let Some(containment) = containment {
        let (mechanism, reason) = (containment.mechanism(), containment.reason());
        lines.push(format!("held in {mechanism}: {reason}"));
    }
    lines
}

/// Programs that write to a pipe leave their colours out, though pk would show them.
fn forced_colors(output: &Output) -> Vec<(OsString, OsString)> {
    let names = ["FORCE_COLOR", "CLICOLOR_FORCE"];
    names
        .into_iter()
        .filter(|name| output.out.has_color() && std::env::var_os(name).is_none())
        .map(|name| (name.into(), "1".into()))
        .collect()
}

/// Different in each run, so that two stacks that fail together do not restart together.
fn seed() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = time.map_or(0, |time| time.subsec_nanos());
    u64::from(std::process::id()) << 32 | u64::from(nanos)
}
