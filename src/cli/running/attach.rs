//! `pk attach`: the dashboard of a stack that runs.

use std::sync::Arc;

use super::{lend, reach};
use crate::cli::args::Place;
use crate::cli::dashboard::{self, Dashboard};
use crate::cli::exit::{self, End};
use crate::cli::output::{Output, reason};
use crate::cli::signals::Signals;
use crate::cli::stack;
use crate::control::{ControlPort, Found, RemotePort};
use crate::domain::plan::Plan;
use crate::tui::{Left, Role};

pub fn attach(place: &Place, unit: Option<&str>, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    if let Some(unit) = unit
        && (!dashboard::is_possible(output) || takes_input(&found, unit, output))
    {
        return lend::attach(place, unit, output);
    }
    if !dashboard::is_possible(output) {
        let help = "`pk ps` shows the stack, `pk logs -f` follows what it writes";
        output.error("a dashboard needs a terminal", Some(help));
        return End::Denied;
    }
    // Without the file there is a dashboard still, which says what it cannot show.
    let plan = stack::plan_of(place).ok().map(Arc::new);
    let work = show(&found, place, plan, unit, output);
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// Whether one can type for that unit.
fn takes_input(found: &Found, unit: &str, output: &Output) -> bool {
    let state = reach::block_on(output, reach::state(found, output));
    state.is_ok_and(|state| {
        (state.snapshot.units.iter()).any(|view| {
            view.takes_input && [view.name.as_str(), view.unit.as_str()].contains(&unit)
        })
    })
}

/// Shows the stack until it ends or somebody leaves it running.
pub async fn show(
    found: &Found,
    place: &Place,
    plan: Option<Arc<Plan>>,
    unit: Option<&str>,
    output: &Output,
) -> Result<End, End> {
    let port = reach::port(found, output).await?;
    on_port(port, found, place, plan, unit, output).await
}

async fn on_port(
    port: RemotePort,
    found: &Found,
    place: &Place,
    plan: Option<Arc<Plan>>,
    unit: Option<&str>,
    output: &Output,
) -> Result<End, End> {
    let name = &found.record.name;
    if let Some(unit) = unit
        && !(port.snapshots().borrow().units.iter())
            .any(|view| view.name.as_str() == unit || view.unit.as_str() == unit)
    {
        output.error(&format!("`{name}` has no unit named `{unit}`"), None);
        return Err(End::NotThere);
    }
    let dashboard = Dashboard::new(
        place,
        found.record.file.clone(),
        plan,
        Role::Guest,
        None,
        output,
    )?
    .on(unit);
    let port: Arc<dyn ControlPort> = Arc::new(port);
    let failed = |error: std::io::Error| {
        output.error(&format!("cannot show the stack: {}", reason(&error)), None);
        End::Failed
    };
    let mut signals = Signals::listen().map_err(failed)?;
    match dashboard.show(&port, &mut signals).await.map_err(failed)? {
        Left::Detached | Left::Closed => {
            output.note(&format!("left `{name}` running; `pk down` stops it"));
            Ok(End::Fine)
        }
        Left::Ended => {
            let snapshots = port.snapshots();
            let last = Arc::clone(&snapshots.borrow());
            output.note(&format!("`{name}` has ended"));
            Ok(last.verdict.as_ref().map_or(End::NotThere, exit::of_up))
        }
    }
}
