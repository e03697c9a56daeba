//! Finds the stack that is meant, and talks to it.

use std::path::PathBuf;

use crate::cli::args::Place;
use crate::cli::exit::End;
use crate::cli::output::Output;
use crate::cli::stack;
use crate::config::discover;
use crate::control::protocol::State;
use crate::control::wire::{self, WireError};
use crate::control::{FolderError, Found, Record, RemotePort, RuntimeFolder, meant, running};

/// Where running stacks are found, whether or not it is there.
#[must_use]
pub fn runtime_folder() -> PathBuf {
    RuntimeFolder::place(std::env::var_os("XDG_RUNTIME_DIR"))
}

/// Says why the runtime folder is not used.
pub fn unusable(error: &FolderError, output: &Output) -> End {
    of_folder(error).say(output)
}

fn of_folder(error: &FolderError) -> Unclear {
    Unclear {
        what: format!("cannot tell which stacks run: {error}"),
        help: Some(error.hint()),
        end: End::Failed,
    }
}

/// All stacks that run.
pub fn all(output: &Output) -> Result<Vec<Found>, End> {
    all_of().map_err(|unclear| unclear.say(output))
}

fn all_of() -> Result<Vec<Found>, Unclear> {
    let folder = match RuntimeFolder::find(runtime_folder()) {
        Ok(Some(folder)) => folder,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Err(of_folder(&error)),
    };
    running(&folder).map_err(|error| Unclear {
        what: format!("cannot tell which stacks run: {error}"),
        help: None,
        end: End::Failed,
    })
}

/// The folder in which to look for a stack, and its file, where there is one.
pub fn meant_place(place: &Place, output: &Output) -> Result<(PathBuf, Option<PathBuf>), End> {
    place_of(place).map_err(|unclear| unclear.say(output))
}

fn place_of(place: &Place) -> Result<(PathBuf, Option<PathBuf>), Unclear> {
    let folder = stack::folder(place).map_err(|what| Unclear {
        what,
        help: None,
        end: End::Usage,
    })?;
    let folder = folder.canonicalize().unwrap_or(folder);
    let file = match place.files.first() {
        Some(file) => Some(folder.join(file)),
        None => discover::discover(&folder).ok().map(|found| found.taken),
    };
    let file = file.map(|file| file.canonicalize().unwrap_or(file));
    Ok((folder, file))
}

/// Why it cannot be told which stack is meant.
#[derive(Debug)]
pub struct Unclear {
    pub what: String,
    pub help: Option<String>,
    end: End,
}

impl Unclear {
    fn say(self, output: &Output) -> End {
        output.error(&self.what, self.help.as_deref());
        self.end
    }
}

/// The stack that is meant, if it runs. The file need not be right, nor be there.
pub fn find(place: &Place, output: &Output) -> Result<Option<Found>, End> {
    pick(place).map_err(|unclear| unclear.say(output))
}

/// The same, where nothing is said.
pub fn pick(place: &Place) -> Result<Option<Found>, Unclear> {
    let (folder, file) = place_of(place)?;
    let all = all_of()?;
    match meant(&all, &folder, file.as_deref())[..] {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        ref several => {
            let files: Vec<String> = several
                .iter()
                .map(|found| format!("`-f {}`", found.record.file.display()))
                .collect();
            Err(Unclear {
                what: format!("{} stacks run in this folder", several.len()),
                help: Some(format!("say which: {}", files.join(" or "))),
                end: End::Usage,
            })
        }
    }
}

/// The folder in which a stack is looked for.
pub fn folder_of(place: &Place) -> Result<PathBuf, Unclear> {
    Ok(place_of(place)?.0)
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

/// Whether nobody answers there: of a stack whose supervisor was killed, what is left of it may
/// listen for a moment.
pub fn is_gone(found: &Found, output: &Output) -> bool {
    let asked = async {
        let record = wire::get::<Record>(&found.socket, "/v1/session").await;
        Ok(matches!(record, Err(WireError::Gone)))
    };
    block_on(output, asked).unwrap_or(false)
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
