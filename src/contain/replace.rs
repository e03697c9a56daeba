//! This process becomes another program, in its terminal and its shell's job.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Gid, Resource, Rlimit, Uid};

use super::request::{SpawnOptions, StageRequest};

/// Why this process is still itself.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    #[error("cannot use the folder `{}`: {cause}", .folder.display())]
    Folder { folder: PathBuf, cause: io::Error },
    #[error("cannot {what}: {cause}")]
    Option {
        what: &'static str,
        cause: io::Error,
    },
    #[error("there is no program to run")]
    Nothing,
    #[error("cannot run `{program}`: {cause}")]
    Program { program: String, cause: io::Error },
}

/// Executes the program with its environment alone, nothing inherited, in the place of this
/// process. Of the options it takes `umask`, `nice`, `nofile` and `user`. Returns only if that
/// fails, and may have changed some of those by then.
///
/// ```no_run
/// use pk::contain::{SpawnOptions, StageRequest, replace};
///
/// let env = StageRequest::new(["/usr/bin/env"], "/");
/// eprintln!("{}", replace(&env, &SpawnOptions::default()));
/// ```
pub fn replace(request: &StageRequest, options: &SpawnOptions) -> ReplaceError {
    let Some((program, args)) = request.argv.split_first() else {
        return ReplaceError::Nothing;
    };
    if let Err(error) = prepare(options) {
        return error;
    }
    if let Err(cause) = std::env::set_current_dir(&request.working_dir) {
        return ReplaceError::Folder {
            folder: request.working_dir.clone(),
            cause,
        };
    }
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(
        request
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
    ReplaceError::Program {
        program: program.to_string_lossy().into_owned(),
        cause: command.exec(),
    }
}

fn prepare(options: &SpawnOptions) -> Result<(), ReplaceError> {
    let cannot = |what| {
        move |error: rustix::io::Errno| ReplaceError::Option {
            what,
            cause: error.into(),
        }
    };
    if let Some(umask) = options.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
    }
    if let Some(nice) = options.nice {
        rustix::process::setpriority_process(None, nice).map_err(cannot("set its `nice`"))?;
    }
    if let Some(files) = options.nofile {
        let limit = Rlimit {
            current: Some(files),
            maximum: Some(files),
        };
        rustix::process::setrlimit(Resource::Nofile, limit)
            .map_err(cannot("set its `limits.nofile`"))?;
    }
    if let Some(user) = &options.user {
        let failed = cannot("run as another user");
        let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
        // Of this thread alone; it is the one that executes.
        rustix::thread::set_thread_groups(&groups)
            .and_then(|()| rustix::thread::set_thread_gid(Gid::from_raw(user.gid)))
            .and_then(|()| rustix::thread::set_thread_uid(Uid::from_raw(user.uid)))
            .map_err(failed)?;
    }
    Ok(())
}
