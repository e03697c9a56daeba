//! Lends this terminal to a unit of a stack that runs: `attach UNIT`.
//!
//! ```text
//!  keys ─► detach? ─► send_input          SIGWINCH ─► resize
//!  terminal ◄─ what the unit's terminal shows, or what it writes
//! ```
//!
//! The terminal is put back as it was however this ends, short of SIGKILL.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::reach;
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::signals::Signals;
use crate::control::{ControlPort as _, Input, RemotePort, TerminalError, TerminalEvent};
use crate::domain::id::InstanceId;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::spec::Tty;
use crate::domain::terminal::TerminalSize;
use crate::logs::{Cursor, LogSource, Selection, Start};

/// Typed one after the other they detach: ctrl-p ctrl-q, as elsewhere.
const DETACH: [u8; 2] = [0x10, 0x11];

/// Lines that are written at once.
const LINES: usize = 256;

pub fn attach(place: &Place, unit: &str, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let view = view(unit, &port.snapshots().borrow(), output)?;
        if !view.takes_input {
            let help = "`tty: true` gives it a terminal, `stdin: true` an input";
            output.error(&format!("`{}` reads no input", view.name), Some(help));
            return Err(End::Denied);
        }
        lend(&port, &view, output).await
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// The one instance that is meant.
pub(super) fn view(unit: &str, snapshot: &Snapshot, output: &Output) -> Result<Arc<UnitView>, End> {
    let meant: Vec<_> = (snapshot.units.iter())
        .filter(|view| view.name.as_str() == unit || view.unit.as_str() == unit)
        .collect();
    match meant[..] {
        [one] => Ok(Arc::clone(one)),
        [] => {
            let what = format!("`{}` has no unit named `{unit}`", snapshot.name);
            output.error(&what, Some("`pk ps` shows what it has"));
            Err(End::NotThere)
        }
        ref several => {
            let names: Vec<&str> = several.iter().map(|view| view.name.as_str()).collect();
            let what = format!("`{unit}` has {} instances", several.len());
            output.error(&what, Some(&format!("say which: {}", names.join(", "))));
            Err(End::Usage)
        }
    }
}

/// How it came to an end.
enum Left {
    Detached,
    /// By a signal.
    Told,
    /// The unit's run is over and none follows.
    Ended(String),
    Gone,
    Failed(TerminalError),
}

pub(super) async fn lend(port: &RemotePort, view: &UnitView, output: &Output) -> Result<End, End> {
    let cannot = |what: &str| {
        let what = what.to_owned();
        move |error: io::Error| {
            output.error(&format!("cannot {what}: {error}"), None);
            End::Failed
        }
    };
    let typed_by_hand = io::stdin().is_terminal();
    let full = view.tty == Tty::Full;
    let mut shown = if full {
        let watch = port.watch_terminal(view.id).await;
        Shown::Terminal(watch.map_err(|error| said(view, &error, output))?)
    } else {
        let logs = port.logs();
        Shown::Lines {
            cursor: logs.cursor(Selection::Only(vec![view.id]), Start::Now),
            wake: logs.wake(),
            logs,
        }
    };
    let mut signals = Signals::listen().map_err(cannot("listen for signals"))?;
    let mut resized = signal(SignalKind::window_change()).map_err(cannot("listen for resizes"))?;
    if typed_by_hand {
        let keys = if full {
            "ctrl-p ctrl-q detaches"
        } else {
            "ctrl-c detaches, ctrl-d ends its input"
        };
        output.note(&format!("attached to `{}`; {keys}", view.name));
    }
    // A unit that reads a pipe gets whole lines, edited and echoed by this terminal.
    let raw = (typed_by_hand && full)
        .then(Raw::enter)
        .transpose()
        .map_err(cannot("set up the terminal"))?;
    let mut face = Attached {
        port,
        id: view.id,
        keys: Keys::default(),
        raw: raw.is_some(),
        sizes: full && output.terminal,
    };
    let left = face.follow(&mut shown, &mut signals, &mut resized).await;
    drop(raw);
    let name = &view.name;
    match left {
        Left::Detached => output.note(&format!("detached; `{name}` goes on")),
        Left::Told => {}
        Left::Ended(status) => output.note(&format!("`{name}`: {status}")),
        Left::Gone => output.note("the stack has ended"),
        Left::Failed(error) => return Err(said(view, &error, output)),
    }
    Ok(End::Fine)
}

fn said(view: &UnitView, error: &TerminalError, output: &Output) -> End {
    output.error(&format!("`{}`: {error}", view.name), None);
    match error {
        TerminalError::Gone => End::NotThere,
        TerminalError::Denied(_) => End::Denied,
        TerminalError::Refused(_) => End::Failed,
    }
}

/// Where what is shown comes from.
enum Shown {
    Terminal(crate::control::TerminalWatch),
    Lines {
        logs: Arc<dyn LogSource>,
        cursor: Cursor,
        wake: watch::Receiver<u64>,
    },
}

impl Shown {
    /// The next bytes to write; `None`: no more will come. Safe to cancel.
    async fn next(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::Terminal(watch) => Some(match watch.next().await? {
                TerminalEvent::Screen { bytes, .. } => [ANEW.as_bytes(), &bytes].concat(),
                TerminalEvent::Output(bytes) => bytes.to_vec(),
            }),
            Self::Lines { logs, cursor, wake } => loop {
                wake.borrow_and_update();
                let page = logs.read(cursor, LINES);
                if !page.lines.is_empty() {
                    let lines = page.lines.iter();
                    let ended = lines.flat_map(|line| [&line.bytes, &b"\n"[..]].concat());
                    return Some(ended.collect());
                }
                wake.changed().await.ok()?;
            },
        }
    }
}

/// The usual screen, empty, with nothing of what was drawn before.
const ANEW: &str = "\x1b[?1049l\x1b[m\x1b[r\x1b[H\x1b[2J";

/// What a unit may have switched on in the terminal: alternate screen, mouse, paste brackets,
/// application keys, colours; and a cursor that it has hidden.
const RESTORE: &str = "\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\
                       \x1b[?1l\x1b>\x1b[m\x1b[?25h\x1b[?7h";

/// The terminal without echo, line editing and signals, until this is dropped.
struct Raw;

impl Raw {
    fn enter() -> io::Result<Self> {
        crossterm::terminal::enable_raw_mode()?;
        // A panic unwinds and drops this; what it says comes after.
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if io::stdout().is_terminal() {
            let _ = write(RESTORE.as_bytes());
        }
        let _ = crossterm::terminal::disable_raw_mode();
        if io::stderr().is_terminal() {
            let _ = io::stderr().write_all(b"\n");
        }
    }
}

struct Attached<'a> {
    port: &'a RemotePort,
    id: InstanceId,
    keys: Keys,
    raw: bool,
    /// The unit's terminal is as large as this one.
    sizes: bool,
}

impl Attached<'_> {
    async fn follow(
        &mut self,
        shown: &mut Shown,
        signals: &mut Signals,
        resized: &mut Listener,
    ) -> Left {
        self.resize().await;
        let (mut typed, _reading) = read_stdin();
        let mut snapshots = self.port.snapshots();
        let mut reading = true;
        loop {
            tokio::select! {
                biased;
                _ = signals.next() => return Left::Told,
                bytes = typed.recv(), if reading => {
                    let left = match bytes {
                        Some(bytes) => self.keys(&bytes).await,
                        None => {
                            reading = false;
                            self.send(Input::End).await
                        }
                    };
                    if let Some(left) = left {
                        return left;
                    }
                }
                _ = resized.recv() => self.resize().await,
                bytes = shown.next() => match bytes {
                    Some(bytes) if write(&bytes).is_ok() => {}
                    Some(_) => return Left::Told,
                    None => return Left::Gone,
                },
                status = over(&mut snapshots, self.id) => {
                    // What it wrote last may still be on its way here.
                    let rest = std::time::Duration::from_millis(100);
                    while let Ok(Some(bytes)) =
                        tokio::time::timeout(rest, shown.next()).await
                    {
                        let _ = write(&bytes);
                    }
                    return status.map_or(Left::Gone, Left::Ended);
                }
            }
        }
    }

    async fn keys(&mut self, bytes: &[u8]) -> Option<Left> {
        if !self.raw {
            return self.send(Input::Bytes(Bytes::copy_from_slice(bytes))).await;
        }
        let (through, detach) = self.keys.take(bytes);
        if !through.is_empty() {
            let failed = self.send(Input::Bytes(through.into())).await;
            if failed.is_some() {
                return failed;
            }
        }
        detach.then_some(Left::Detached)
    }

    async fn send(&self, input: Input) -> Option<Left> {
        match self.port.send_input(self.id, input).await {
            Ok(()) => None,
            Err(TerminalError::Gone) => Some(Left::Gone),
            // Between two runs there is nobody to type for; the snapshots tell how it goes on.
            Err(TerminalError::Denied(crate::domain::terminal::TerminalDenial::NotRunning)) => None,
            Err(error) => Some(Left::Failed(error)),
        }
    }

    async fn resize(&self) {
        if !self.sizes {
            return;
        }
        if let Ok((columns, rows)) = crossterm::terminal::size() {
            // A terminal that cannot be resized is shown as it is.
            let size = TerminalSize::new(rows, columns);
            let _ = self.port.resize_terminal(self.id, size).await;
        }
    }
}

/// Resolves once the unit has ended and no run follows; `None`: it, or the stack, is gone.
async fn over(snapshots: &mut watch::Receiver<Arc<Snapshot>>, id: InstanceId) -> Option<String> {
    let find = |snapshot: &Snapshot| snapshot.units.iter().find(|unit| unit.id == id).cloned();
    let last = snapshots
        .wait_for(|snapshot| find(snapshot).is_none_or(|unit| unit.outcome.is_some()))
        .await
        .ok()?;
    find(&last).map(|unit| unit.status.clone())
}

/// What is typed, as it comes; closed at its end. It is read until the other part is dropped:
/// what is typed then is for who has the terminal after this.
fn read_stdin() -> (mpsc::Receiver<Vec<u8>>, Option<io::PipeWriter>) {
    let (sender, receiver) = mpsc::channel(4);
    let (stopped, stop) = io::pipe().ok().unzip();
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        // Past the library's buffer, which would hold back what has been typed.
        while is_typed(stopped.as_ref())
            && let Ok(length @ 1..) =
                rustix::io::retry_on_intr(|| rustix::io::read(io::stdin(), &mut chunk))
        {
            if sender.blocking_send(chunk[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    (receiver, stop)
}

/// Waits until something is typed; `false`: nobody wants it any more.
fn is_typed(stopped: Option<&io::PipeReader>) -> bool {
    let Some(stopped) = stopped else {
        return true;
    };
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::new(stopped, PollFlags::IN),
            PollFd::new(&stdin, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) if !fds[0].revents().is_empty() => return false,
            Ok(_) if !fds[1].revents().is_empty() => return true,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // The read will tell.
            Err(_) => return true,
        }
    }
}

fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Finds the detach keys in what is typed.
#[derive(Debug, Default)]
struct Keys {
    /// The first of them was typed, and is held back.
    begun: bool,
}

impl Keys {
    /// What goes to the unit, and whether to detach after it.
    fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut through = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            if self.begun && key == DETACH[1] {
                return (through, true);
            }
            if std::mem::take(&mut self.begun) {
                through.push(DETACH[0]);
            }
            if key == DETACH[0] {
                self.begun = true;
            } else {
                through.push(key);
            }
        }
        (through, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_detach_keys_are_found_however_they_come() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"ab"), (b"ab".to_vec(), false));
        assert_eq!(keys.take(b"a\x10\x11b"), (b"a".to_vec(), true));
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x10"), (b"".to_vec(), false));
        assert_eq!(keys.take(b"\x11"), (b"".to_vec(), true));
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"\x10"), (b"".to_vec(), false));
        assert_eq!(keys.take(b"x"), (b"\x10x".to_vec(), false));
        assert_eq!(keys.take(b"\x10\x10"), (b"\x10".to_vec(), false));
        assert_eq!(keys.take(b"\x11"), (b"".to_vec(), true));
    }
}
