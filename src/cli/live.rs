//! The commands that run a stack: `up` and `run`.
//!
//! This module owns what is settled before there is more than one process: what is meant,
//! whether it can be, and whether it runs already. What is wrong is said here.

use std::ffi::OsString;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::args::{self, Place};
use super::dashboard::{self, Dashboard};
use super::exit::{self, End};
use super::foreign;
use super::inspect;
use super::launch::{self, Stack};
use super::output::Output;
use super::resolve::{self, Mistake, Wanted};
use super::running::{self, join, reach, takeover};
use super::saved::{Files, Said};
use super::stack;
use crate::config::foreign::Foreign;
use crate::contain::Containment;
use crate::control::{RuntimeFolder, Session, SessionError};
use crate::domain::plan::Plan;
use crate::domain::verdict::Verdict;
use crate::tui::Role;

pub fn up(place: &Place, args: &args::Up, output: &Output) -> End {
    up_judged(place, args, output, exit::of_up)
}

/// How long what is left of a stack whose supervisor was killed is given to go.
const LAST: Duration = Duration::from_secs(5);

/// Takes the session, if need be from one that is about to go.
fn open_session(
    folder: &RuntimeFolder,
    stack: &Stack,
    output: &Output,
) -> Result<(Session, UnixListener), SessionError> {
    let until = Instant::now() + LAST;
    loop {
        match Session::open(folder, stack.record()) {
            Err(SessionError::Running(Some(found)))
                if Instant::now() < until && reach::is_gone(&found, output) =>
            {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened,
        }
    }
}

/// The same, where somebody else says what the exit code is.
pub fn up_judged(
    place: &Place,
    args: &args::Up,
    output: &Output,
    judge: fn(&Verdict) -> End,
) -> End {
    if args.dry_run {
        return inspect::dry_run(place, &args.foreign, output);
    }
    if let Err(end) = args.listen.check(output) {
        return end;
    }
    let meant = foreign::meant(&args.foreign);
    let prepared = prepare(place, meant, args.hold, output, |plan| {
        resolve::up(args, plan)
    });
    let mut stack = match prepared {
        Ok(stack) => stack,
        Err(end) => return end,
    };
    let detach = args.detach || args.detached;
    stack.detached = detach;
    let folder = match RuntimeFolder::create(running::runtime_folder()) {
        Ok(folder) => folder,
        Err(error) => return running::unusable(&error, output),
    };
    let name = stack.wanted.plan.name();
    let (foreign, ports) = (stack.foreign.clone(), Arc::clone(&stack.ports));
    let said = std::mem::take(&mut stack.said);
    match Files::new(place, foreign, ports, stack.path.clone(), name, said) {
        Ok(files) => stack.files = Some(Arc::new(files)),
        Err(message) => {
            output.error(&message, None);
            return End::Usage;
        }
    }
    stack.follows_files = args.reload;
    match open_session(&folder, &stack, output) {
        Ok((mut session, listener)) => {
            match args.listen.open(place, &mut session, output) {
                Ok(door) => stack.door = door,
                Err(end) => return end,
            }
            match args.compat.open(place, &mut session, output) {
                Ok(door) => stack.api_door = door,
                Err(end) => return end,
            }
            stack.session = Some((session, listener));
        }
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
            if args.listen.listen.is_some() {
                let help = "`--listen` is for the `up` that starts it";
                output.error(&refusal, Some(help));
                return End::Denied;
            }
            if args.compat.is_asked() {
                let help = "where it answers clients of process-compose is for the `up` that \
                            starts it; `pk down` stops it";
                output.error(&refusal, Some(help));
                return End::Denied;
            }
            let asked = join::Asked {
                place,
                units: &args.units,
                plain: args.no_tui || args.ci || args.tui == Some(false),
            };
            return join::up(found.as_deref(), &refusal, &asked, stack.wanted, output);
        }
    }
    let plain = args.no_tui || args.ci || args.tui == Some(false);
    let is_shown = !detach && !plain && dashboard::is_possible(output);
    if !is_shown
        && let Some(unit) = takeover::needs_terminal(&stack.wanted.plan, &stack.wanted.units)
    {
        return takeover::no_terminal(unit.as_str(), output);
    }
    if detach {
        let limit = args.wait.then_some(args.timeout);
        return launch::background(stack, limit, output);
    }
    let dashboard = if !is_shown {
        None
    } else {
        let made = Dashboard::new(
            place,
            stack.path.clone(),
            Some(Arc::clone(&stack.wanted.plan)),
            Role::Owner { can_detach: true },
            None,
            output,
        );
        match made {
            Ok(dashboard) => Some(dashboard),
            Err(end) => return end,
        }
    };
    if dashboard.is_some() {
        // The dashboard has no place for it.
        for said in stack.listening() {
            output.note(&said);
        }
    }
    launch::foreground(stack, dashboard, output, |verdict, _| judge(verdict))
}

pub fn run(place: &Place, args: &args::Run, output: &Output) -> End {
    let meant = Foreign::default();
    let prepared = prepare(place, meant, args.hold, output, |plan| {
        resolve::run(args, plan)
    });
    let mut stack = match prepared {
        Ok(stack) => stack,
        Err(end) => return end,
    };
    let wanted = &stack.wanted;
    if wanted
        .plan
        .get(&args.task)
        .is_some_and(|task| task.foreground)
    {
        return takeover::run(place, args, output);
    }
    // What one task needs is its own: it neither is the stack nor stands in its way, and has
    // no session.
    stack.task = Some(args.task.clone());
    launch::foreground(stack, None, output, exit::of_run)
}

fn prepare(
    place: &Place,
    mut meant: Foreign,
    hold: args::Hold,
    output: &Output,
    resolve: impl FnOnce(Arc<Plan>) -> Result<Wanted, Vec<Mistake>>,
) -> Result<Stack, End> {
    let ports = stack::ports_of(place, output)?;
    let mut loaded = foreign::load(place, &meant, Some(&ports), output)?;
    if !loaded.env_commands.is_empty() {
        let containment = Containment::choose(hold.containment.into()).map_err(|error| {
            output.error(&error.to_string(), None);
            End::Failed
        })?;
        loaded = foreign::with_commands(&loaded, place, &mut meant, &ports, &containment, output)?;
    }
    if let Some(note) = stack::passed_over(&loaded) {
        output.note(&note);
    }
    let file = stack::main_file(&loaded);
    let path = loaded
        .sources
        .iter()
        .next()
        .map_or_else(PathBuf::new, |file| file.path().to_owned());
    let said = Said::of(&loaded);
    let wanted = match resolve(Arc::new(loaded.plan)) {
        Ok(wanted) => wanted,
        Err(mistakes) => {
            for mistake in mistakes {
                output.error(&mistake.what, mistake.help.as_deref());
            }
            return Err(End::Usage);
        }
    };
    Ok(Stack {
        ports,
        file,
        path,
        wanted,
        foreign: meant,
        choice: hold.containment.into(),
        logs: hold.logs,
        task: None,
        environment: forced_colors(output),
        session: None,
        door: None,
        api_door: None,
        said,
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
