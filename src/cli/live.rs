//! The commands that run a stack: `up` and `run`.
//!
//! This module owns what is settled before there is more than one process: what is meant,
//! whether it can be, and whether it runs already. What is wrong is said here.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::args::{self, Place};
use super::exit::{self, End};
use super::launch::{self, Stack};
use super::output::Output;
use super::resolve::{self, Mistake, Wanted};
use super::running::{self, join};
use super::saved::Files;
use super::stack;
use crate::control::{RuntimeFolder, Session, SessionError};
use crate::domain::plan::Plan;

pub fn up(place: &Place, args: &args::Up, output: &Output) -> End {
    // The only face so far: the flag asks for what there is.
    let _ = args.no_tui;
    let mut stack = match prepare(place, args.hold, output, |plan| resolve::up(args, plan)) {
        Ok(stack) => stack,
        Err(end) => return end,
    };
    stack.detached = args.detach;
    let folder = match RuntimeFolder::create(running::runtime_folder()) {
        Ok(folder) => folder,
        Err(error) => return running::unusable(&error, output),
    };
    let selection = stack.wanted.options.selection.clone();
    let name = stack.wanted.plan.name();
    match Files::new(place, stack.path.clone(), name, selection) {
        Ok(files) => stack.files = Some(Arc::new(files)),
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    }
    stack.follows_files = args.reload;
    match Session::open(&folder, stack.record()) {
        Ok(opened) => stack.session = Some(opened),
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
                stack.wanted,
                output,
            );
        }
    }
    if args.detach {
        let limit = args.wait.then_some(args.timeout);
        return launch::background(stack, limit, output);
    }
    launch::foreground(stack, output, |verdict, _| exit::of_up(verdict))
}

pub fn run(place: &Place, args: &args::Run, output: &Output) -> End {
    let mut stack = match prepare(place, args.hold, output, |plan| resolve::run(args, plan)) {
        Ok(stack) => stack,
        Err(end) => return end,
    };
    // What one task needs is its own: it neither is the stack nor stands in its way, and has
    // no session.
    stack.task = Some(args.task.clone());
    launch::foreground(stack, output, exit::of_run)
}

fn prepare(
    place: &Place,
    hold: args::Hold,
    output: &Output,
    resolve: impl FnOnce(Arc<Plan>) -> Result<Wanted, Vec<Mistake>>,
) -> Result<Stack, End> {
    let loaded = stack::load(place, output)?;
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
    Ok(Stack {
        file,
        path,
        wanted,
        choice: hold.containment.into(),
        task: None,
        environment: forced_colors(output),
        session: None,
        files: None,
        follows_files: false,
        detached: false,
    })
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
