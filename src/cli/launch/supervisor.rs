//! The life of the supervisor's process around the one event loop.
//!
//! ```text
//!  choose containment ─► tell the guard ─► start ─► Began ─► until the verdict ─► nobody left
//!                             lease, guard, signals ─► Shutdown ─┘   ─► until the face is done
//! ```

use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::lease::{Ended, Leased, Word};
use super::{Stack, panic_if_told};
use crate::cli::inspect::plural;
use crate::cli::log_store::{self, Store};
use crate::cli::output::reason;
use crate::cli::saved::{self, Files};
use crate::cli::signals::Signals;
use crate::cli::words;
use crate::contain::{self, Containment, Mechanism, Supervised};
use crate::control::{self, LocalPort};
use crate::domain::change::What;
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::supervisor::{self, Handle, Settings};

/// How long what was left after all units had ended may take to die.
const LAST: Duration = Duration::from_secs(2);

/// How long commands of `on` may take that run when the stack has ended.
const HOOKS: Duration = Duration::from_secs(5);

/// The exit code that a panic gives.
const PANICKED: i32 = 101;

/// Descriptors of an instance: its cgroup, pidfd and pipes, a probe, and what its use is read
/// from.
const EACH: u64 = 12;

/// Of the supervisor itself: logs, faces, watches.
const OWN: u64 = 512;

/// Runs the stack to its end, and ends this process.
pub(super) fn supervise(
    stack: Stack,
    supervised: &Supervised,
    lease: UnixStream,
    faces: Vec<UnixStream>,
) -> ! {
    let leased = Leased::new(lease);
    report_panics(&leased);
    let code = match run(stack, supervised, &leased, faces) {
        Ok(true) => 0,
        Ok(false) => PANICKED,
        Err(what) => {
            leased.say(&Word::Failed { what });
            1
        }
    };
    // What came back to this process and is in no group: no unit needs it any more.
    let _ = contain::kill_children(LAST);
    std::process::exit(code)
}

/// There is nobody to read what this process writes to stderr.
fn report_panics(leased: &Leased) {
    let Ok(leased) = leased.try_clone() else {
        return;
    };
    std::panic::set_hook(Box::new(move |panic| {
        let text = panic.to_string();
        leased.say(&Word::Panicked { text });
    }));
}

/// `false`: it ended without a verdict.
fn run(
    mut stack: Stack,
    supervised: &Supervised,
    leased: &Leased,
    faces: Vec<UnixStream>,
) -> Result<bool, String> {
    let containment = Containment::choose(stack.choice).map_err(|error| error.to_string())?;
    if let Some(stand) = containment.stand_path() {
        supervised.tell_stand(stand);
    }
    contain::raise_file_limit();
    let units = stack.wanted.plan.units().iter();
    let instances: u64 = units
        .map(|unit| u64::from(unit.replicas.unwrap_or(1)))
        .sum();
    contain::reserve_descriptors(OWN + instances * EACH);
    if stack.detached
        && let Some((session, _)) = &mut stack.session
    {
        session
            .take_over()
            .map_err(|error| cannot_run("its record", &error))?;
    }
    let task = stack.task.as_deref();
    let store = log_store::open(&stack.wanted.plan, &stack.path, task, stack.logs)
        .map_err(|error| cannot_run("its log store", &error))?;
    let opening = opening(&stack, &containment, store.note.as_deref());
    // One thread: nothing here computes for long, and the feed is attached before the first
    // step of the stack.
    let runtime = tokio::runtime::Builder::new_current_thread()
        // What makes processes: more at once than processors gain nothing, those that hang in exec
        // hold one each.
        .max_blocking_threads(64)
        .enable_all()
        .build()
        .map_err(|error| cannot_run("a runtime", &error))?;
    let work = live(
        stack,
        containment,
        &store,
        opening,
        supervised,
        leased,
        faces,
    );
    let result = runtime.block_on(work);
    let lines = store.finish();
    if matches!(result, Ok(true)) && supervised.is_guarded() {
        // No unit is left, and this process ends: the kernel clears up sooner than its threads
        // would, and the guard removes the cgroups.
        std::mem::forget((runtime, store));
    } else {
        runtime.shutdown_background();
    }
    if matches!(result, Ok(true)) && !lines.is_empty() {
        leased.say(&Word::Noted { lines });
    }
    result
}

fn cannot_run(what: &str, error: &io::Error) -> String {
    format!("cannot run the stack: {what}: {}", reason(error))
}

async fn live(
    stack: Stack,
    containment: Containment,
    store: &Store,
    opening: Vec<String>,
    supervised: &Supervised,
    leased: &Leased,
    faces: Vec<UnixStream>,
) -> Result<bool, String> {
    contain::adopt_orphans().map_err(|error| cannot_run("orphans", &error))?;
    let signals = Signals::listen().map_err(|error| cannot_run("signals", &error))?;
    super::settle();
    let began = Word::Began {
        opening,
        stand: containment.stand_path().map(ToOwned::to_owned),
    };
    let folder = stack.path.parent().unwrap_or(Path::new("/")).to_owned();
    let (record, task) = (stack.record(), stack.task);
    let plan = Arc::clone(&stack.wanted.plan);
    let logs = Arc::clone(&store.logs);
    let handle = supervisor::start(Settings {
        plan: stack.wanted.plan,
        options: stack.wanted.options,
        containment,
        store: Arc::clone(&logs),
        folder,
        environment: stack.environment,
        seed: seed(),
    });
    let mut port = LocalPort::new(handle.clone(), logs);
    let sources = stack.files.clone();
    if let Some(files) = stack.files {
        port = port.reloading(Arc::clone(&files) as Arc<_>, plan);
        if stack.follows_files {
            follow_files(files, port.clone(), handle.clone());
        }
    }
    let port = Arc::new(port);
    let answering = match (stack.api_door, sources) {
        (Some(door), Some(sources)) => Some(
            control::serve_api(door, sources, record.clone(), port.clone())
                .map_err(|error| cannot_run("its API", &error))?,
        ),
        (Some(_) | None, _) => None,
    };
    let serving = control::serve_faces(stack.session, stack.door, faces, record, port.clone())
        .map_err(|error| cannot_run("its server", &error))?;
    leased.say(&began);
    let askers = Askers {
        supervised,
        leased,
        signals,
        detached: stack.detached,
    };
    let ended = tokio::select! {
        ended = watch(&port, &handle, store, task.as_deref(), askers) => ended,
        () = panic_if_told("supervisor") => false,
    };
    serving.finish();
    if let Some(answering) = answering {
        answering.finish();
    }
    Ok(ended)
}

/// Reloads the stack when its files are saved, for as long as it runs.
fn follow_files(files: Arc<Files>, port: LocalPort, handle: Handle) {
    tokio::spawn(async move {
        if let Err(error) = saved::follow(files, port).await {
            let reason = format!("the files are not watched: {error}");
            handle.announce(What::ReloadRefused { reason });
        }
    });
}

/// Who may ask for an end.
struct Askers<'a> {
    supervised: &'a Supervised,
    leased: &'a Leased,
    signals: Signals,
    /// There is no face to ask.
    detached: bool,
}

/// Passes on what asks for an end until the stack has ended and its face needs nothing more.
/// `false`: it ended without a verdict.
async fn watch(
    port: &LocalPort,
    handle: &Handle,
    store: &Store,
    task: Option<&str>,
    askers: Askers<'_>,
) -> bool {
    let Askers {
        supervised,
        leased,
        mut signals,
        detached,
    } = askers;
    let mut snapshots = handle.snapshots();
    let mut judged = false;
    let mut over = std::pin::pin!(async move {
        let last = snapshots.wait_for(|last| last.verdict.is_some()).await;
        let judged = last.is_ok();
        drop(last);
        // What follows the end of the last unit is part of it.
        let _ = tokio::time::timeout(HOOKS, handle.hooks_done()).await;
        // It writes while the face shows the end.
        store.close();
        judged
    });
    let mut lease = std::pin::pin!(leased.ended());
    let mut guard = std::pin::pin!(supervised.guard_gone());
    let (mut ended, mut held, mut guarded, mut asked) = (false, !detached, true, false);
    while !ended || held {
        let mut cause = None;
        tokio::select! {
            result = &mut over, if !ended => {
                (ended, judged) = (true, result);
                if !judged {
                    break;
                }
                if held {
                    leased.say_ended(port, task);
                    contain::give_code_back();
                }
            }
            end = &mut lease, if held => {
                held = false;
                if end == Ended::FaceGone {
                    cause = Some(ShutdownCause::FaceGone);
                }
            }
            () = &mut guard, if guarded => {
                guarded = false;
                cause = Some(ShutdownCause::GuardGone);
            }
            // After the end nobody is waited for whom a signal tells to hurry.
            signal = signals.next() => if ended {
                held = false;
            } else {
                cause = Some(ShutdownCause::Signal(signal));
            },
            () = contain::strayed() => for stray in contain::take_strays() {
                handle.announce(What::Stray { pid: stray.pid, name: stray.name });
            }
        }
        if let (Some(cause), false) = (cause, ended) {
            let again = asked && matches!(cause, ShutdownCause::Signal(_));
            let how = if again {
                Shutdown::Now
            } else {
                Shutdown::Graceful
            };
            asked = true;
            // A refusal means that it stops already, an error that it has.
            let _ = handle.command(Command::Shutdown(how, cause)).await;
        }
    }
    judged
}

/// What is said before the first unit starts.
fn opening(stack: &Stack, containment: &Containment, logs: Option<&str>) -> Vec<String> {
    let wanted = &stack.wanted;
    let mut lines = vec![format!(
        "{}: {} from {}",
        wanted.plan.name(),
        plural(wanted.units.len(), "unit"),
        stack.file
    )];
    // What is weaker than it could be is never left unsaid.
    if stack.task.is_none() || containment.mechanism() != Mechanism::Cgroup {
        lines.push(containment.describe());
    }
    lines.extend(logs.map(str::to_owned));
    lines.extend(stack.listening());
    lines.extend(words::left_over(containment.left_over()));
    lines
}

/// Different in each run, so that two stacks that fail together do not restart together.
fn seed() -> u64 {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = time.map_or(0, |time| time.subsec_nanos());
    u64::from(std::process::id()) << 32 | u64::from(nanos)
}
