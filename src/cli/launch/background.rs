//! `up -d`: a face that gives its lease away as soon as the stack runs.

use std::time::Duration;

use super::lease::Word;
use super::{Held, Stack, launch};
use crate::cli::exit::End;
use crate::cli::output::{Output, reason};
use crate::cli::running::args::Awaited;
use crate::cli::running::reach;
use crate::cli::running::wait::{self, Watched};
use crate::contain::Parting;
use crate::control::{ControlPort as _, FeedPort, LineWay};
use crate::domain::id::{Revision, UnitName};

/// How long guard and supervisor of a stack that cannot run may take to end.
const PART: Duration = Duration::from_secs(6);

/// Starts the stack and leaves it running; with `wait` only when its units are ready, or one
/// has failed.
pub fn background(stack: Stack, wait: Option<Duration>, output: &Output) -> End {
    debug_assert!(stack.detached, "its supervisor would stop it");
    let name = stack.wanted.plan.name().to_owned();
    let mut held = match launch(stack) {
        Ok(held) => held,
        Err(error) => {
            output.error(&format!("cannot run the stack: {error}"), None);
            return End::Failed;
        }
    };
    let began = reach::block_on(output, async { Ok(held.lease.next().await) });
    match began {
        Ok(Some(Word::Began { opening, .. })) => {
            let mut text = String::new();
            for line in opening {
                text.push_str(&line);
                text.push('\n');
            }
            text.push_str("started in the background; `pk ps` shows it, `pk down` stops it\n");
            let printed = output.print(&text);
            let end = match wait {
                None => printed,
                Some(limit) => awaited(&mut held, limit, output),
            };
            held.guarded.detach();
            if held.lease.give_away().is_err() && wait.is_none() {
                // All that there was to do is done.
                return end;
            }
            end
        }
        Ok(Some(Word::Failed { what })) => {
            output.error(&what, None);
            let _ = held.lease.end();
            let _ = held.guarded.part(None, PART);
            End::Failed
        }
        Ok(Some(Word::Panicked { text })) => {
            output.error(&format!("the supervisor of `{name}` {text}"), None);
            End::Failed
        }
        Ok(Some(Word::Ended { .. } | Word::Noted { .. }) | None) => {
            let how = match held.guarded.part(None, PART) {
                Parting::SupervisorDied(code) => format!(" (exit code {code})"),
                Parting::Done | Parting::GuardDied | Parting::NoSupervisor | Parting::Late => {
                    String::new()
                }
            };
            output.error(
                &format!("the supervisor of `{name}` ended at once{how}"),
                None,
            );
            End::Failed
        }
        Err(end) => end,
    }
}

/// Waits as `pk wait` does, for all that was to be started.
fn awaited(held: &mut Held, limit: Duration, output: &Output) -> End {
    let names: Vec<UnitName> = held.units.iter().cloned().collect();
    let pair = (held.feed.try_clone()).and_then(|feed| Ok((feed, held.commands.try_clone()?)));
    let (feed, commands) = match pair {
        Ok(pair) => pair,
        Err(error) => {
            output.error(&format!("cannot wait: {}", reason(&error)), None);
            return End::Failed;
        }
    };
    let work = async {
        let port = FeedPort::from_start(feed, commands, held.socket.clone(), LineWay::Files)
            .await
            .map_err(|error| reach::failed(&error, output))?;
        let before = port.snapshots().borrow().clone();
        let watched = Watched {
            names: &names,
            from: Revision::default(),
            before: &before,
            renewed: false,
        };
        Ok(wait::until(&port, &watched, Awaited::Ready, limit, output).await)
    };
    reach::block_on(output, work).unwrap_or_else(|end| end)
}
