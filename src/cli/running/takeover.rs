//! Units that take over the terminal of who starts them: `foreground: true`.
//!
//! Such a unit runs where all units do, in a terminal of its own, and this face lends it the
//! one that it has: until its run is over, or somebody detaches.

use std::io::{self, IsTerminal as _};
use std::sync::Arc;

use super::act::ask;
use super::args::Units;
use super::lend::{self, lend};
use super::{names, reach};
use crate::cli::args::{self, Place};
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::control::{ControlPort as _, Found, RemotePort};
use crate::domain::event::Command;
use crate::domain::id::{Revision, UnitName};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Plan;
use crate::domain::snapshot::{Snapshot, UnitView};
use crate::domain::terminal::TerminalSize;

/// What is to be done about the names of an act.
pub enum Meant {
    /// No unit among them wants a terminal.
    Plain(Vec<UnitName>),
    /// It is this one, and it is to have the terminal.
    Takeover(Arc<UnitView>),
}

/// Whether what is to be started takes over the terminal. Of several, those who would are left
/// out, which is said.
///
/// # Errors
/// There is none, which was said.
pub fn meant(
    names: Vec<UnitName>,
    command: &Command,
    snapshot: &Snapshot,
    output: &Output,
) -> Result<Meant, End> {
    match command {
        Command::Start(_) | Command::Restart(_) => {}
        Command::Stop(_)
        | Command::Kill(_)
        | Command::Signal(..)
        | Command::Enable(_)
        | Command::Disable(_)
        | Command::Scale { .. }
        | Command::PauseWatch(_)
        | Command::ResumeWatch(_)
        | Command::Attend(_)
        | Command::Reload(_)
        | Command::Shutdown(..) => return Ok(Meant::Plain(names)),
    }
    let all: Vec<&Arc<UnitView>> = names::instances(&names, snapshot).collect();
    if all.iter().all(|unit| !unit.foreground) {
        return Ok(Meant::Plain(names));
    }
    if let [one] = all[..] {
        if !has_terminal(output) {
            return Err(no_terminal(one.name.as_str(), output));
        }
        return Ok(Meant::Takeover(Arc::clone(one)));
    }
    let (left, plain): (Vec<_>, Vec<_>) = all.into_iter().partition(|unit| unit.foreground);
    for unit in left {
        let name = &unit.name;
        output.note(&format!(
            "`{name}` is left out: it takes over the terminal, so start it by itself"
        ));
    }
    if plain.is_empty() {
        return Err(End::Denied);
    }
    Ok(Meant::Plain(
        plain.into_iter().map(|unit| unit.name.clone()).collect(),
    ))
}

fn has_terminal(output: &Output) -> bool {
    output.terminal && io::stdin().is_terminal()
}

/// Says that it cannot be started from here.
pub fn no_terminal(unit: &str, output: &Output) -> End {
    let help = "start it from a terminal or the dashboard while the stack runs: `pk start` lends it \
                the terminal";
    output.error(
        &format!(
            "`{unit}` takes over the terminal that it is started from, and there is none here"
        ),
        Some(help),
    );
    End::Denied
}

/// The first of those to be started that would need a terminal which nobody can lend.
#[must_use]
pub fn needs_terminal<'a>(
    plan: &Plan,
    units: impl IntoIterator<Item = &'a UnitName>,
) -> Option<&'a UnitName> {
    let wants = |name: &UnitName| plan.get(name.as_str()).is_some_and(|unit| unit.foreground);
    units.into_iter().find(|name| wants(name))
}

/// Asks for the start of that one, and lends it the terminal once it runs.
///
/// # Errors
/// What went wrong was said.
pub async fn start(
    port: &RemotePort,
    view: &UnitView,
    command: Command,
    output: &Output,
) -> Result<End, End> {
    if let Ok((columns, rows)) = crossterm::terminal::size() {
        // One that cannot be resized is shown as it is.
        let size = TerminalSize::new(rows, columns);
        let _ = port.resize_terminal(view.id, size).await;
    }
    let revision = ask(port, command, output).await?;
    let now = begun(port, view, revision, output).await?;
    if now.attempt == view.attempt && !is_running(&now) {
        output.error(&format!("`{}`: {}", now.name, now.status), None);
        return Err(End::Failed);
    }
    lend(port, &now, output).await
}

fn is_running(view: &UnitView) -> bool {
    matches!(
        view.phase,
        PhaseName::Starting | PhaseName::Running | PhaseName::Stopping | PhaseName::Reaping
    )
}

/// The unit once a run of it has begun, or cannot.
async fn begun(
    port: &RemotePort,
    before: &UnitView,
    from: Revision,
    output: &Output,
) -> Result<Arc<UnitView>, End> {
    let mut snapshots = port.snapshots();
    let mut told = false;
    loop {
        let last = Arc::clone(&snapshots.borrow_and_update());
        if last.revision >= from {
            let Some(now) = last.units.iter().find(|unit| unit.id == before.id) else {
                output.error(&format!("`{}` is gone", before.name), None);
                return Err(End::NotThere);
            };
            let over = now.outcome.is_some() || last.verdict.is_some();
            if now.attempt != before.attempt || is_running(now) || over {
                return Ok(Arc::clone(now));
            }
            if now.phase == PhaseName::Waiting && !std::mem::replace(&mut told, true) {
                output.note(&format!("`{}`: {}", now.name, now.status));
            }
        }
        if snapshots.changed().await.is_err() {
            output.error("the stack has ended", None);
            return Err(End::NotThere);
        }
    }
}

/// `pk run` of a task that takes over the terminal: in the stack that runs.
pub fn run(place: &Place, run: &args::Run, output: &Output) -> End {
    let task = &run.task;
    if !has_terminal(output) {
        return no_terminal(task, output);
    }
    let found = match reach::find(place, output) {
        Ok(Some(found)) => found,
        Ok(None) => {
            let help =
                "`pk up` or `pk up -d` starts it; then `pk run` lends the task this terminal";
            output.error(
                &format!("`{task}` takes over the terminal, for which its stack has to run"),
                Some(help),
            );
            return End::NotThere;
        }
        Err(end) => return end,
    };
    if !run.args.is_empty() {
        let what = format!("`{task}` runs in its stack, as the file has it: it takes no arguments");
        output.error(&what, None);
        return End::Usage;
    }
    let work = async {
        let port = reach::port(&found, output).await?;
        let view = lend::view(task, &port.snapshots().borrow(), output)?;
        let names = vec![view.name.clone()];
        let end = start(&port, &view, Command::Start(names), output).await?;
        if end != End::Fine {
            return Ok(end);
        }
        let last = Arc::clone(&port.snapshots().borrow());
        let now = last.units.iter().find(|unit| unit.id == view.id);
        let status = now.and_then(|now| now.exit.as_ref());
        let code = status.and_then(|status| status.0.last().copied());
        let over = now.is_some_and(|now| now.outcome.is_some());
        Ok(match code {
            Some(code) if over => End::Passed(code),
            Some(_) | None => End::Fine,
        })
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// The same as `start` of that one, for a face that gave its terminal away meanwhile.
pub fn from_dashboard(found: &Found, unit: &UnitName, output: &Output) -> Result<String, String> {
    let units = Units {
        units: vec![unit.to_string()],
        all: false,
    };
    let then = super::act::Then::Return;
    match super::act::on(found, &units, Command::Start, then, output) {
        End::Fine => Ok(format!("{unit} gave the terminal back")),
        End::Failed
        | End::Usage
        | End::NotThere
        | End::Denied
        | End::TimedOut
        | End::Signal(_)
        | End::Passed(_) => Err(format!("{unit} could not be given the terminal")),
    }
}
