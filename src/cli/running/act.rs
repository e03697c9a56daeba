//! The commands that change a running stack.

use std::time::Duration;

use super::args::{self, Awaited, Units};
use super::takeover::{self, Meant};
use super::wait::{self, Watched};
use super::{names, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::control::wire::WireError;
use crate::control::{Answered, ControlPort, Found, PortError, ReloadAsk, RemotePort};
use crate::domain::admission::{Answer, Denial};
use crate::domain::event::{Command, Shutdown, ShutdownCause};
use crate::domain::id::{Revision, UnitName};

/// How long it may take at least until the stack has heard what is asked.
const TO_ASK: Duration = Duration::from_secs(2);

/// What an act waits for once it is accepted.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    Return,
    Wait(Awaited, Duration),
}

impl From<args::WaitFor> for Then {
    fn from(args: args::WaitFor) -> Self {
        if args.wait {
            Self::Wait(Awaited::Ready, args.timeout)
        } else {
            Self::Return
        }
    }
}

/// Asks for the same of several units.
pub fn act(
    place: &Place,
    units: &Units,
    command: impl FnOnce(Vec<UnitName>) -> Command,
    then: Then,
    output: &Output,
) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    on(&found, units, command, then, output)
}

/// The same of a stack that was found.
pub fn on(
    found: &Found,
    units: &Units,
    command: impl FnOnce(Vec<UnitName>) -> Command,
    then: Then,
    output: &Output,
) -> End {
    let work = async {
        let port = reach::port(found, output).await?;
        let before = port.snapshots().borrow().clone();
        let names = names::expand(units, &before).map_err(|mistake| {
            output.error(&mistake.what, mistake.help.as_deref());
            End::NotThere
        })?;
        let command = command(names.clone());
        let (names, command) = match takeover::meant(names, &command, &before, output)? {
            Meant::Takeover(view) => {
                return takeover::start(&port, &view, command, output).await;
            }
            Meant::Plain(names) => (names.clone(), renamed(command, names)),
        };
        let renewed = matches!(command, Command::Restart(_));
        let revision = ask(&port, command, output).await?;
        let watched = Watched {
            names: &names,
            from: revision,
            before: &before,
            renewed,
        };
        match then {
            Then::Return => Ok(wait::show(&port, &watched, output).await),
            Then::Wait(awaited, limit) => {
                Ok(wait::until(&port, &watched, awaited, limit, output).await)
            }
        }
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// The same of those names, where it is of some.
fn renamed(command: Command, names: Vec<UnitName>) -> Command {
    match command {
        Command::Start(_) => Command::Start(names),
        Command::Restart(_) => Command::Restart(names),
        other @ (Command::Stop(_)
        | Command::Kill(_)
        | Command::Signal(..)
        | Command::Enable(_)
        | Command::Disable(_)
        | Command::Scale { .. }
        | Command::PauseWatch(_)
        | Command::ResumeWatch(_)
        | Command::Attend(_)
        | Command::Reload(_)
        | Command::Shutdown(..)) => other,
    }
}

/// From which revision on the effect is seen; what is denied is said.
pub async fn ask(port: &RemotePort, command: Command, output: &Output) -> Result<Revision, End> {
    said(port.command(command).await, output)
}

fn said(answered: Result<Answered, PortError>, output: &Output) -> Result<Revision, End> {
    match answered {
        Ok(answered) => match answered.answer {
            Answer::Accepted => Ok(answered.revision),
            Answer::Ignored(reason) => {
                output.note(&format!("nothing to do: {reason}"));
                Ok(answered.revision)
            }
            Answer::Denied(denial) => {
                output.error(&denial.to_string(), None);
                Err(denied(&denial))
            }
        },
        Err(PortError::Gone) => {
            output.error("the stack has just ended", None);
            Err(End::NotThere)
        }
        Err(error @ (PortError::Unsupported | PortError::Refused(_))) => {
            output.error(&error.to_string(), None);
            Err(End::Failed)
        }
    }
}

fn denied(denial: &Denial) -> End {
    match denial {
        Denial::UnknownUnit(_) | Denial::NotRunning(_) | Denial::Ended => End::NotThere,
        Denial::ShuttingDown
        | Denial::NotAUnit(_)
        | Denial::NoReplicas(_)
        | Denial::NameTaken(_)
        | Denial::NotWatching(_)
        | Denial::FixedPort { .. }
        | Denial::TooMany { .. } => End::Denied,
    }
}

pub fn scale(place: &Place, scale: &args::Scale, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        for (unit, replicas) in &scale.units {
            let command = Command::Scale {
                unit: unit.clone(),
                replicas: *replicas,
            };
            scale_one(&port, command, unit, *replicas, output).await?;
        }
        Ok(End::Fine)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}

/// A process of a file of another tool has no `replicas` in pk: each is a unit of its own, and
/// the file is read anew with another count.
async fn scale_one(
    port: &RemotePort,
    command: Command,
    unit: &UnitName,
    count: u32,
    output: &Output,
) -> Result<(), End> {
    let answered = port.command(command.clone()).await;
    let is_unknown = match &answered {
        Ok(answered) => matches!(
            answered.answer,
            Answer::Denied(Denial::NoReplicas(_) | Denial::UnknownUnit(_))
        ),
        Err(_) => false,
    };
    if is_unknown {
        let counted = ReloadAsk {
            counts: [(unit.as_str().to_owned(), count)].into(),
            ..ReloadAsk::default()
        };
        if port.reload(counted).await.is_ok() {
            return Ok(());
        }
    }
    said(answered, output).map(drop)
}

pub fn down(place: &Place, down: &args::Down, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let how = if down.now {
        Shutdown::Now
    } else {
        Shutdown::Graceful
    };
    let deadline = std::time::Instant::now() + down.timeout;
    let heard = std::cell::Cell::new(false);
    let work = async {
        let port = reach::port(&found, output).await?;
        let mut snapshots = port.snapshots();
        // That it stops already is what was asked for.
        match port
            .command(Command::Shutdown(how, ShutdownCause::Requested))
            .await
        {
            Ok(_) | Err(PortError::Gone) => {}
            Err(error @ (PortError::Unsupported | PortError::Refused(_))) => {
                output.error(&error.to_string(), None);
                return Err(End::Failed);
            }
        }
        heard.set(true);
        let ended = snapshots.wait_for(|last| last.verdict.is_some());
        if tokio::time::timeout(down.timeout, ended).await.is_err() {
            return Err(late(&found, down.timeout, output));
        }
        Ok(())
    };
    // One that is stopped takes connections and says nothing. However little time there is to
    // wait, the stack is to hear of it.
    let bounded = async {
        match tokio::time::timeout(down.timeout.max(TO_ASK), work).await {
            Ok(result) => result,
            Err(_) if heard.get() => Err(late(&found, down.timeout, output)),
            Err(_) => Err(reach::failed(&WireError::Silent, output)),
        }
    };
    if let Err(end) = reach::block_on(output, bounded) {
        return end;
    }
    // The next `up` finds the place free.
    let rest = deadline.saturating_duration_since(std::time::Instant::now());
    if !found.wait_until_released(rest.max(Duration::from_secs(1))) {
        return late(&found, down.timeout, output);
    }
    output.print(&format!("{}: stopped\n", found.record.name))
}

fn late(found: &Found, limit: Duration, output: &Output) -> End {
    output.error(
        &format!(
            "`{}` is still stopping after {}",
            found.record.name,
            crate::domain::text::format_duration(limit)
        ),
        Some("`pk explain` says what for, `pk down --now` kills what is left"),
    );
    End::TimedOut
}
