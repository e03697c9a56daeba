//! The commands that run a stack: `up` and `run`.
//!
//! This module owns the life of the process around a stack: it starts the supervisor, turns
//! signals into commands, and waits for the verdict.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::args::{self, Place};
use super::exit::{self, End};
use super::inspect::plural;
use super::output::{Output, reason};
use super::plain::{Face, Printer, Progress, TaskOutput, WriteError};
use super::resolve::{self, Mistake, Wanted};
use super::running::{self, join};
use super::saved::{self, Files};
use super::signals::Signals;
use super::stack;
use crate::contain::{self, Containment};
use crate::control::{self, ControlPort, LocalPort, Record, RuntimeFolder, Session, SessionError};
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::plan::Plan;
use crate::domain::signal::Signal;
use crate::domain::snapshot::Snapshot;
use crate::logs::MemoryStore;
use crate::supervisor::{self, AutoPorts, Settings};

/// How long a reader that was asked to may take to read on, once the stack has ended.
const STALLED: Duration = Duration::from_secs(2);

pub fn up(place: &Place, args: &args::Up, output: &Output) -> End {
    // The only face so far: the flag asks for what there is.
    let _ = args.no_tui;
    let ready = match prepare(place, args.hold, output, |plan| resolve::up(args, plan)) {
        Ok(ready) => ready,
        Err(end) => return end,
    };
    let folder = match RuntimeFolder::create(running::runtime_folder()) {
        Ok(folder) => folder,
        Err(error) => return running::unusable(&error, output),
    };
    let selection = ready.wanted.options.selection.clone();
    let name = ready.wanted.plan.name();
    let ports = Arc::clone(&ready.ports);
    let files = match Files::new(place, ready.path.clone(), name, selection, ports) {
        Ok(files) => Arc::new(files),
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    };
    let record = Record::new(ready.wanted.plan.name(), &ready.path);
    let opened = match Session::open(&folder, record) {
        Ok(opened) => opened,
        Err(error) => {
            let refusal = error.to_string();
            let SessionError::Running(found) = error else {
                output.error(&refusal, None);
                return End::Failed;
            };
            if args.reload {
                let help = "`pk reload` reloads it; `--reload` is for the `up` that starts it";
                output.error(&refusal, Some(help));
                return End::Denied;
            }
            return join::up(
                found.as_deref(),
                &refusal,
                &args.units,
                ready.wanted,
                output,
            );
        }
    };
    let opened = Opened {
        session: opened.0,
        listener: opened.1,
        files,
        follow: args.reload,
    };
    launch(ready, Some(opened), None, output, |last| {
        last.verdict.as_ref().map_or(End::Failed, exit::of_up)
    })
}

/// The session of the stack, which other processes find it by, and where it listens.
struct Opened {
    session: Session,
    listener: UnixListener,
    files: Arc<Files>,
    /// Reload when they are saved.
    follow: bool,
}

pub fn run(place: &Place, args: &args::Run, output: &Output) -> End {
    let ready = match prepare(place, args.hold, output, |plan| resolve::run(args, plan)) {
        Ok(ready) => ready,
        Err(end) => return end,
    };
    // What one task needs is its own: it neither is the stack nor stands in its way.
    launch(ready, None, Some(&args.task), output, |last| {
        let outcome = last.get(&args.task).and_then(|unit| unit.outcome.as_ref());
        last.verdict
            .as_ref()
            .map_or(End::Failed, |verdict| exit::of_run(verdict, outcome))
    })
}

/// What is to be run.
struct Ready {
    ports: Arc<AutoPorts>,
    /// The main file as messages name it.
    file: String,
    path: PathBuf,
    wanted: Wanted,
    containment: Containment,
}

fn prepare(
    place: &Place,
    hold: args::Hold,
    output: &Output,
    resolve: impl FnOnce(Arc<Plan>) -> Result<Wanted, Vec<Mistake>>,
) -> Result<Ready, End> {
    let (loaded, ports) = stack::load_to_run(place, output)?;
    if let Some(note) = stack::passed_over(&loaded) {
        output.note(&note);
    }
    let file = stack::main_file(&loaded);
    let path = loaded
        .sources
        .iter()
        .next()
        .map_or_else(PathBuf::new, |file| file.path().to_owned());
    let wanted = match resolve(Arc::new(loaded.plan)) {
        Ok(wanted) => wanted,
        Err(mistakes) => {
            for mistake in mistakes {
                output.error(&mistake.what, mistake.help.as_deref());
            }
            return Err(End::Usage);
        }
    };
    let refused = resolve::refused(&loaded.unhonoured, &wanted);
    if !refused.is_empty() {
        for key in refused {
            output.error(&key.to_string(), None);
        }
        return Err(End::Usage);
    }
    let containment = Containment::choose(hold.containment.into()).map_err(|error| {
        output.error(&error.to_string(), None);
        End::Failed
    })?;
    Ok(Ready {
        ports,
        file,
        path,
        wanted,
        containment,
    })
}

fn launch(
    ready: Ready,
    opened: Option<Opened>,
    task: Option<&str>,
    output: &Output,
    judge: impl FnOnce(&Snapshot) -> End,
) -> End {
    match live(ready, opened, task, output) {
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
fn live(
    ready: Ready,
    opened: Option<Opened>,
    task: Option<&str>,
    output: &Output,
) -> io::Result<Followed> {
    contain::raise_file_limit();
    // One thread: nothing here computes for long, and the face, which is attached before
    // the stack's first step, misses nothing of it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let last = runtime.block_on(async {
        let signals = Signals::listen()?;
        let opening = opening(&ready, task.is_none());
        let Ready {
            wanted,
            containment,
            ..
        } = ready;
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
        let mut port = LocalPort::new(handle, store);
        let mut serving = None;
        if let Some(opened) = opened {
            let files = Arc::clone(&opened.files);
            port = port.reloading(files, Arc::clone(&plan));
            if opened.follow {
                follow_files(opened.files, port.clone(), *output);
            }
            let shared = Arc::new(port.clone());
            serving = Some(control::serve(opened.session, opened.listener, shared)?);
        }
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
        let followed = follow(&port, face, opening, signals, &progress).await;
        Ok((followed, serving))
    });
    // A write to a paused terminal may never end, and must not keep pk.
    runtime.shutdown_background();
    last.map(|(followed, serving)| {
        if let Some(serving) = serving {
            serving.finish();
        }
        followed
    })
}

/// Reloads the stack when its files are saved, for as long as it runs.
fn follow_files(files: Arc<Files>, port: LocalPort, output: Output) {
    tokio::spawn(async move {
        if let Err(error) = saved::follow(files, port).await {
            output.note_if_heard(&format!("the file is not watched: {error}"));
        }
    });
}

/// Shows the stack and passes signals on until it has ended and all is shown.
async fn follow(
    port: &LocalPort,
    face: Face,
    opening: Vec<String>,
    mut signals: Signals,
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
            () = progress.stalled(STALLED), if ended && showing && (asked || stopped(&snapshots)) => break,
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

/// Whether the stack was stopped, by whomever.
fn stopped(snapshots: &watch::Receiver<Arc<Snapshot>>) -> bool {
    snapshots.borrow().shutdown.is_some()
}

async fn ask(port: &LocalPort, how: Shutdown, cause: ShutdownCause) {
    // A refusal means that it stops already, an error that it has.
    let _ = port.command(Command::Shutdown(how, cause)).await;
}

async fn verdict(snapshots: &mut watch::Receiver<Arc<Snapshot>>) {
    let _ = snapshots.wait_for(|last| last.verdict.is_some()).await;
}

/// What is said before the first unit starts.
fn opening(ready: &Ready, with_mechanism: bool) -> Vec<String> {
    let (wanted, containment) = (&ready.wanted, &ready.containment);
    let mut lines = vec![format!(
        "{}: {} from {}",
        wanted.plan.name(),
        plural(wanted.units.len(), "unit"),
        ready.file
    )];
    // What is weaker than it could be is never left unsaid.
    if with_mechanism || containment.mechanism() != contain::Mechanism::Cgroup {
        lines.push(containment.describe());
    }
    let left = containment.left_over().processes;
    if left > 0 {
        let processes = if left == 1 { "process" } else { "processes" };
        lines.push(format!(
            "ended {left} {processes} that a pk which was killed had left"
        ));
    }
    for path in &containment.left_over().stuck {
        lines.push(format!(
            "could not end what a pk which was killed had left in {}",
            path.display()
        ));
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
