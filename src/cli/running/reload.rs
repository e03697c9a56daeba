//! Asks a running stack to go over to what its files say now: `reload`.

use super::args::Reload;
use super::{reach, show};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::inspect::plural;
use crate::cli::output::Output;
use crate::cli::running::args::Form;
use crate::control::{ControlPort, PortError, ReloadAsk, ReloadError, Reloaded};
use crate::domain::admission::Denial;
use crate::domain::id::UnitName;

pub fn ask(place: &Place, args: Reload, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let ask = ReloadAsk {
            dry_run: args.dry_run,
            ..ReloadAsk::default()
        };
        port.reload(ask)
            .await
            .map_err(|error| refused(&error, output))
    };
    let reloaded = match reach::block_on(output, work) {
        Ok(reloaded) => reloaded,
        Err(end) => return end,
    };
    output.complain(&reloaded.warnings);
    match args.output {
        Form::Json => show::json(&reloaded, output),
        Form::Text => output.print(&text(&reloaded, args.dry_run)),
    }
}

fn refused(error: &ReloadError, output: &Output) -> End {
    match error {
        ReloadError::BadFiles(bad) => {
            output.complain(&bad.report);
            output.error("nothing was reloaded: all stays as it was", None);
            End::Usage
        }
        ReloadError::Denied(Denial::Ended) | ReloadError::Port(PortError::Gone) => {
            output.error("the stack has just ended", None);
            End::NotThere
        }
        ReloadError::Denied(denial) => {
            output.error(&denial.to_string(), None);
            End::Denied
        }
        ReloadError::Port(error @ (PortError::Unsupported | PortError::Refused(_))) => {
            output.error(&error.to_string(), None);
            End::Failed
        }
    }
}

/// One line for each unit that does not just go on.
fn text(reloaded: &Reloaded, dry_run: bool) -> String {
    let difference = &reloaded.difference;
    let mut text = String::new();
    let mut add = |names: &[UnitName], what: &str| {
        for name in names {
            text.push_str(&format!("{name}: {what}\n"));
        }
    };
    add(&difference.removed, "removed, stops");
    add(&difference.added, "added");
    add(&difference.changed, "changed, restarts if it runs");
    add(
        &difference.dependents,
        "restarts with what it depends on, if it runs",
    );
    let goes_on: Vec<UnitName> = (difference.updated.iter())
        .filter(|name| !difference.dependents.contains(name))
        .cloned()
        .collect();
    add(&goes_on, "changed, and goes on as it is");
    add(&difference.scaled, "another number of instances");
    let untouched = (difference.unchanged.iter())
        .filter(|name| !difference.dependents.contains(name))
        .count();
    if difference.is_empty() {
        text.push_str("nothing changes\n");
    } else {
        let would = if dry_run { "not touched" } else { "untouched" };
        text.push_str(&format!("{} {would}\n", plural(untouched, "unit")));
    }
    text
}
