//! `up` where the stack runs already.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::act::{self, Then};
use super::args::Units;
use super::{attach, reach};
use crate::cli::args::Place;
use crate::cli::dashboard;
use crate::cli::exit::{self, End};
use crate::cli::output::Output;
use crate::cli::plain::{Face, Printer, Progress};
use crate::cli::resolve::Wanted;
use crate::control::{ControlPort, FeedPort, Found};
use crate::domain::event::Command;

/// What `up` was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub place: &'a Place,
    pub units: &'a [String],
    /// Merged lines instead of the dashboard.
    pub plain: bool,
}

/// With units: starts those. Without: shows the stack in a terminal, and is denied elsewhere.
pub fn up(
    found: Option<&Found>,
    refusal: &str,
    asked: &Asked<'_>,
    wanted: Wanted,
    output: &Output,
) -> End {
    let Some(found) = found else {
        output.error(refusal, Some("try again in a moment"));
        return End::Denied;
    };
    if !asked.units.is_empty() {
        let units = Units {
            units: asked.units.to_vec(),
            all: false,
        };
        output.note(&format!("{refusal}; starting there"));
        return act::on(found, &units, Command::Start, Then::Return, output);
    }
    if !output.terminal {
        let help = "`pk ps` shows it, `pk up UNIT` starts more of it, `pk down` stops it";
        output.error(refusal, Some(help));
        return End::Denied;
    }
    if !asked.plain && dashboard::is_possible(output) {
        let plan = Some(wanted.plan);
        let work = attach::show(found, asked.place, plan, None, output);
        return reach::block_on(output, work).unwrap_or_else(|end| end);
    }
    output.note(&format!("{refusal}; Ctrl-C leaves it running"));
    let work = lines(found, wanted, output);
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// Shows it in lines until it ends or somebody leaves. It belongs to the other `up`: leaving stops
/// nothing.
async fn lines(found: &Found, wanted: Wanted, output: &Output) -> Result<End, End> {
    let port = FeedPort::connect(found.socket.clone())
        .await
        .map_err(|error| reach::failed(&error, output))?
        .paced();
    let progress = Arc::new(Progress::default());
    let printer = Printer::start(io::stdout(), Arc::clone(&progress));
    let look = output.look();
    let face = Face::attach(
        &port,
        wanted.plan,
        wanted.units,
        look,
        printer,
        None,
        progress,
    );
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| {
        output.error(&format!("cannot listen for Ctrl-C: {error}"), None);
        End::Failed
    })?;
    tokio::select! {
        _ = face.show(&[]) => {
            let snapshots = port.snapshots();
            let last = Arc::clone(&snapshots.borrow());
            Ok(last.verdict.as_ref().map_or(End::NotThere, exit::of_up))
        }
        _ = interrupt.recv() => {
            let name = &found.record.name;
            output.note(&format!("left `{name}` running; `pk down` stops it"));
            Ok(End::Fine)
        }
    }
}
