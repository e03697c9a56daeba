//! Finds the stack that is meant, and talks to it.

use std::path::PathBuf;

use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::stack;
use crate::config::discover;
use crate::control::protocol::State;
use crate::control::wire::{self, WireError};
use crate::control::{FolderError, Found, RemotePort, RuntimeFolder, meant, running};

/// Where running stacks are found, whether or not it is there.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    RuntimeFolder::place(std::env::var_os("XDG_RUNTIME_DIR"))
}

/// Says why the runtime folder is not used.
pub fn unusable(error: &FolderError, output: &Output) -> End {
    output.error(
        &format!("cannot tell which stacks run: {error}"),
        Some(&error.hint()),
    );
    End::Failed
}

/// All stacks that run.
pub fn all(output: &Output) -> Result<Vec<Found>, End> {
    let folder = match RuntimeFolder::find(runtime_folder()) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Err(unusable(&error, output)),
    };
    running(&folder).map_err(|error| {
        output.error(&format!("cannot tell which stacks run: {error}"), None);
        End::Failed
    })
}

/// The folder in which to look for a stack, and its file, where there is one.
pub fn meant_place(place: &Place, output: &Output) -> Result<(PathBuf, Option<PathBuf>), End> {
    let folder = stack::folder(place).map_err(|message| {
        output.error(&message, None);
        End::Usage
    })?;
    let folder = folder.canonicalize().unwrap_or(folder);
    let file = match place.files.first() {
        Some(file) => Some(folder.join(file)),
        None => discover::discover(&folder).ok().map(|found| found.taken),
    };
    let file = file.map(|file| file.canonicalize().unwrap_or(file));
    Ok((folder, file))
}

/// The stack that is meant, if it runs. The file need not be right, nor be there.
pub fn find(place: &Place, output: &Output) -> Result<Option<Found>, End> {
    let (folder, file) = meant_place(place, output)?;
    let all = all(output)?;
    match meant(&all, &folder, file.as_deref())[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        ref several => {
            let files: Vec<String> = several
                .iter()
                .map(|found| format!("`-f {}`", found.record.file.display()))
                .collect();
            output.error(
                &format!("{} stacks run in this folder", several.len()),
                Some(&format!("say which: {}", files.join(" or "))),
            );
            Err(End::Usage)
        }
    }
}

/// The same, and an error if it does not run.
pub fn found(place: &Place, output: &Output) -> Result<Found, End> {
    find(place, output)?.ok_or_else(|| {
        output.error(
            "no stack of this folder is running",
            Some("`pk up` starts it, `pk ls` shows what else runs"),
        );
        End::NotThere
    })
}

/// Does something with the network.
pub fn block_on<T>(output: &Output, work: impl Future<Output = Result<T, End>>) -> Result<T, End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            output.error(&format!("cannot begin: {error}"), None);
            End::Failed
        })?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Says what went wrong on the way.
pub fn failed(error: &WireError, output: &Output) -> End {
    match error {
        WireError::Gone => {
            output.error("the stack has just ended", None);
            End::NotThere
        }
        WireError::Silent => {
            output.error(&error.to_string(), None);
            End::TimedOut
        }
        WireError::Refused(problem) => {
            output.error(&problem.message, problem.hint.as_deref());
            End::Denied
        }
        WireError::Garbled(_) => {
            let help = "another version of pk may be running it";
            output.error(&error.to_string(), Some(help));
            End::Failed
        }
    }
}

/// The state of the stack now.
pub async fn state(found: &Found, output: &Output) -> Result<State, End> {
    wire::get(&found.socket, "/v1/state")
        .await
        .map_err(|error| failed(&error, output))
}

/// A port to it.
pub async fn port(found: &Found, output: &Output) -> Result<RemotePort, End> {
    RemotePort::connect(found.socket.clone())
        .await
        .map_err(|error| failed(&error, output))
}
