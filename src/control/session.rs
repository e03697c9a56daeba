//! A stack that runs, as other processes find it.
//!
//! ```text
//!  KEY.json   its record, locked for as long as the stack runs; the lock alone decides
//!  KEY.sock   where it listens
//! ```
//!
//! The kernel gives up the lock with the process, however that dies: what is left then is
//! two files that mean nothing, and the next one to come takes them over. A reader never
//! locks a session that may run; it asks whether somebody listens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use super::record::{ApiListen, Listen, Record};
use super::runtime_folder::RuntimeFolder;

/// How long one that has the lock and does not listen is given to begin or to go.
const PATIENCE: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(2);

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The stack runs already.
    #[error("{}", already(.0.as_deref()))]
    Running(Option<Box<Found>>),
    #[error("cannot use `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
}

fn already(found: Option<&Found>) -> String {
    match found {
        Some(Found { record, .. }) => format!(
            "`{}` runs already: pid {}, since {}",
            record.name,
            record.pid,
            record.started.strftime("%Y-%m-%d %H:%M:%SZ")
        ),
        None => "this stack is being started by another pk".to_owned(),
    }
}

/// The stack of this process, until it is dropped.
#[derive(Debug)]
pub struct Session {
    /// Open, and thereby locked.
    lock: File,
    record: Record,
    json: PathBuf,
    socket: PathBuf,
    /// Another process holds it now.
    left: bool,
}

impl Session {
    /// Takes the session of that stack, and listens: who connects from now on waits until
    /// the listener is served.
    ///
    /// # Errors
    /// Somebody else has it.
    pub fn open(
        folder: &RuntimeFolder,
        record: Record,
    ) -> Result<(Self, UnixListener), SessionError> {
        let key = record.key();
        let json = folder.path().join(format!("{key}.json"));
        let socket = folder.path().join(format!("{key}.sock"));
        let lock = lock_or_find(&json, &socket)?;
        let mut session = Self {
            lock,
            record,
            json,
            socket,
            left: false,
        };
        // Of one that was killed.
        let _ = fs::remove_file(session.token());
        session.write().map_err(|error| SessionError::Io {
            path: session.json.clone(),
            error,
        })?;
        let listener = listen(&session.socket).map_err(|error| SessionError::Io {
            path: session.socket.clone(),
            error,
        })?;
        Ok((session, listener))
    }

    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where the token of this run goes, unless it is told otherwise.
    #[must_use]
    pub fn token(&self) -> PathBuf {
        self.json.with_extension("token")
    }

    /// Others shall find it over TCP as well.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn listens(&mut self, listen: Listen) -> io::Result<()> {
        self.record.listen = Some(listen);
        self.write()
    }

    /// Where clients of process-compose may find it, unless it is told otherwise.
    #[must_use]
    pub fn api_socket(&self) -> PathBuf {
        self.json.with_extension("api")
    }

    /// Others shall find it there as well.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn answers(&mut self, api: ApiListen) -> io::Result<()> {
        self.record.api = Some(api);
        self.write()
    }

    /// Leaves it to a process that was forked from this one and holds it as well.
    pub fn leave(mut self) {
        self.left = true;
    }

    /// This process is the one to name from now on: the one that opened it will be gone.
    ///
    /// # Errors
    /// The record cannot be written.
    pub fn take_over(&mut self) -> io::Result<()> {
        self.record.pid = std::process::id();
        self.write()
    }

    /// Takes the socket away, so that nobody new finds it; the session is still held.
    pub(super) fn hide(&self) {
        let _ = fs::remove_file(&self.socket);
    }

    fn write(&mut self) -> io::Result<()> {
        let text = serde_json::to_vec(&self.record)?;
        self.lock.rewind()?;
        self.lock.set_len(0)?;
        self.lock.write_all(&text)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.left {
            return;
        }
        // While the lock is held: nobody else's files are there yet.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_file(self.token());
        let _ = fs::remove_file(&self.json);
    }
}

fn listen(socket: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(socket)?;
    // Nobody else comes into the folder meanwhile.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Whether somebody listens there. Does not wait: where the backlog is full, as that of a
/// stopped process comes to be, somebody does.
fn answers(socket: &Path) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let Ok(address) = SocketAddrUnix::new(socket) else {
        return false;
    };
    let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|client| connect(client, &address));
    matches!(connected, Ok(()) | Err(Errno::AGAIN))
}

fn lock_or_find(json: &Path, socket: &Path) -> Result<File, SessionError> {
    let io = |error| SessionError::Io {
        path: json.to_owned(),
        error,
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_lock(json, true).map_err(io)? {
            Some(lock) => return Ok(lock),
            None if answers(socket) || Instant::now() > deadline => {
                let found = read(json).map(|record| {
                    Box::new(Found {
                        record,
                        socket: socket.to_owned(),
                        json: json.to_owned(),
                    })
                });
                return Err(SessionError::Running(found));
            }
            // It is about to listen, or about to end.
            None => std::thread::sleep(PAUSE),
        }
    }
}

/// The locked file; `None` if somebody else has it, or if there is none and none is to be
/// made.
fn try_lock(json: &Path, create: bool) -> io::Result<Option<File>> {
    loop {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed())
            .open(json);
        let file = match opened {
            Ok(file) => file,
            Err(error) if !create && error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // It may have been removed before it was locked: then the lock is of nothing.
        let own = file.metadata()?.ino();
        match fs::symlink_metadata(json) {
            Ok(there) if there.ino() == own => return Ok(Some(file)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

fn read(json: &Path) -> Option<Record> {
    let mut text = Vec::new();
    File::open(json).ok()?.read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A stack that runs, elsewhere or here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub record: Record,
    pub socket: PathBuf,
    json: PathBuf,
}

impl Found {
    /// Waits until the session has been given up, for so long at most; whether it has.
    #[must_use]
    pub fn wait_until_released(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        loop {
            match try_lock(&self.json, false) {
                // Taken for this moment only, or gone, or taken over by another one.
                Ok(Some(_)) => return true,
                Ok(None) if !self.json.exists() => return true,
                Ok(None) if read(&self.json).is_some_and(|now| now != self.record) => return true,
                Ok(None) | Err(_) => {}
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// All stacks that run, by name and folder. Clears away what the dead have left.
///
/// # Errors
/// The folder cannot be read.
pub fn running(folder: &RuntimeFolder) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder.path())? {
        let json = entry?.path();
        if json.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let socket = json.with_extension("sock");
        if !answers(&socket) {
            if let Ok(Some(_lock)) = try_lock(&json, false) {
                let _ = fs::remove_file(&socket);
                let _ = fs::remove_file(json.with_extension("token"));
                let _ = fs::remove_file(&json);
            }
            continue;
        }
        if let Some(record) = read(&json) {
            found.push(Found {
                record,
                socket,
                json,
            });
        }
    }
    found.sort_by(|a, b| {
        let key = |found: &Found| (found.record.name.clone(), found.record.folder.clone());
        key(a).cmp(&key(b))
    });
    Ok(found)
}

/// Which of `running` is meant from `folder`, where the configuration that is found from
/// there is `file`: the one of that file, else of that file's folder; without a file the
/// nearest of the folder and those above it.
#[must_use]
pub fn meant<'a>(running: &'a [Found], folder: &Path, file: Option<&Path>) -> Vec<&'a Found> {
    let of = |test: &dyn Fn(&Record) -> bool| -> Vec<&'a Found> {
        running.iter().filter(|found| test(&found.record)).collect()
    };
    let Some(file) = file else {
        return folder
            .ancestors()
            .map(|above| of(&|record| record.folder == above))
            .find(|found| !found.is_empty())
            .unwrap_or_default();
    };
    let same = of(&|record| record.file == file);
    if same.is_empty() {
        of(&|record| Some(record.folder.as_path()) == file.parent())
    } else {
        same
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
