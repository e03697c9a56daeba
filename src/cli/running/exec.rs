//! Runs a program in the environment and folder of a unit: `exec`.
//!
//! This process becomes the program, so that terminal, signals, job control and exit code are
//! the program's own.

use std::ffi::OsString;
use std::io;

use super::args::Exec;
use super::{lend, reach};
use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::{Output, reason};
use crate::contain::{ReplaceError, SpawnOptions, StageRequest, User, replace};
use crate::control::ControlPort as _;
use crate::domain::exec::ExecContext;
use crate::domain::exit::ExitStatus;

/// What shells exit with where there is no such program, and where it cannot be executed.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

pub fn exec(place: &Place, args: &Exec, output: &Output) -> End {
    let found = match reach::found(place, output) {
        Ok(found) => found,
        Err(end) => return end,
    };
    let work = async {
        let port = reach::port(&found, output).await?;
        let view = lend::view(&args.unit, &port.snapshots().borrow(), output)?;
        let context = port.exec(view.id, std::process::id()).await;
        context.map_err(|error| {
            output.error(&format!("`{}`: {error}", view.name), None);
            End::Denied
        })
    };
    let context = match reach::block_on(output, work) {
        Ok(context) => context,
        Err(end) => return end,
    };
    for name in &context.left_out {
        output.note(&format!("`{name}` is left out: it is no text"));
    }
    become_program(args, context, output)
}

fn become_program(args: &Exec, context: ExecContext, output: &Output) -> End {
    let mut environment = context.environment;
    // The terminal is this one, whatever the stack was started from.
    for name in ["TERM", "COLORTERM"] {
        if let Some(own) = std::env::var(name).ok().filter(|_| output.terminal) {
            environment.insert(name.to_owned(), own);
        }
    }
    // A shell's word for where it is, which the folder of the unit is not.
    let folder = context.working_dir.to_string_lossy().into_owned();
    environment.insert("PWD".to_owned(), folder);
    let user = context.user.as_deref().map(User::parse).transpose();
    let user = match user {
        Ok(user) => user,
        Err(error) => {
            output.error(&format!("cannot run as another user: {error}"), None);
            return End::Passed(ExitStatus::Code(NOT_EXECUTABLE));
        }
    };
    let options = SpawnOptions {
        umask: context.umask,
        nice: context.nice,
        nofile: context.nofile,
        user,
        ..SpawnOptions::default()
    };
    let command = args.command.iter().map(OsString::from);
    let request = StageRequest::new(command, context.working_dir).with_environment(environment);
    let error = replace(&request, &options);
    let (cause, code) = match &error {
        ReplaceError::Program { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
            (Some(cause), NOT_FOUND)
        }
        ReplaceError::Program { cause, .. }
        | ReplaceError::Folder { cause, .. }
        | ReplaceError::Option { cause, .. } => (Some(cause), NOT_EXECUTABLE),
        ReplaceError::Nothing => (None, NOT_EXECUTABLE),
    };
    let text = error.to_string();
    let text = match cause {
        Some(cause) => text.replace(&cause.to_string(), &reason(cause)),
        None => text,
    };
    output.error(&text, None);
    End::Passed(ExitStatus::Code(code))
}
