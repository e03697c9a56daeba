//! Where a stack is reached over TCP, if it was asked to be.
//!
//! It owns the listener and the token. A token is a line in a file that nobody but its user
//! can read: who can read it could use the socket as well.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;

use super::gate::{self, Gate, Site, Token};
use super::record::Listen;

/// The shortest token that is taken, in bytes: what is guessed in no time protects nothing.
const SHORTEST: usize = 16;

/// The longest.
const LONGEST: u64 = 1024;

/// Random bytes of a token that pk makes.
const RANDOM: usize = 32;

/// Why nobody can be heard over TCP.
#[derive(Debug, thiserror::Error)]
pub enum TcpError {
    #[error("cannot listen on {address}: {error}")]
    Listen {
        address: SocketAddr,
        error: io::Error,
    },
    #[error("cannot use the token in `{}`: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("other users can read the token in `{}` (mode {mode:03o})", .path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("the token in `{}` belongs to another user", .path.display())]
    Foreign { path: PathBuf },
    #[error(
        "`{}` holds no token: one line of {SHORTEST} to {LONGEST} letters, digits or signs",
        .path.display()
    )]
    NoToken { path: PathBuf },
}

impl TcpError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Listen { address, error } if error.kind() == io::ErrorKind::AddrInUse => {
                let ip = SocketAddr::new(address.ip(), 0);
                Some(format!("`--listen {ip}` takes a port that is free"))
            }
            Self::Listen { .. } | Self::Io { .. } => None,
            Self::Open { path, .. } => Some(format!("`chmod 600 {}`", path.display())),
            Self::Foreign { .. } | Self::NoToken { .. } => {
                Some("name a file that is not there yet, and pk makes it".to_owned())
            }
        }
    }
}

/// An open port of TCP.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    gate: Gate,
}

impl Door {
    /// Listens: who connects from now on waits until the port is served. The token is that in
    /// `token`, which is made if it is not there.
    ///
    /// # Errors
    /// The address cannot be had, or the token is none that protects anything.
    pub fn open(
        address: SocketAddr,
        token: &Path,
        read_only: bool,
    ) -> Result<(Self, Listen), TcpError> {
        let failed = |error| TcpError::Listen { address, error };
        let secret = token_of(token)?;
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let gate = Gate {
            site: Site { address },
            token: secret,
            read_only,
        };
        let listen = Listen {
            address,
            read_only,
            token_file: token.to_owned(),
        };
        Ok((Self { listener, gate }, listen))
    }

    /// The listener, and what its clients get of these routes. Inside a runtime.
    pub(super) fn serve(self, routes: Router) -> io::Result<(tokio::net::TcpListener, Router)> {
        self.listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let gate = Arc::new(self.gate);
        let guarded = routes.layer(axum::middleware::from_fn_with_state(gate, gate::guard));
        Ok((listener, guarded))
    }
}

fn token_of(path: &Path) -> Result<Token, TcpError> {
    let io = |error| TcpError::Io {
        path: path.to_owned(),
        error,
    };
    match File::open(path) {
        Ok(file) => read(file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(io),
        Err(error) => Err(io(error)),
    }
}

fn read(file: File, path: &Path) -> Result<Token, TcpError> {
    let io = |error| TcpError::Io {
        path: path.to_owned(),
        error,
    };
    let own = || path.to_owned();
    // Of what was opened, whatever stands there by now.
    let metadata = file.metadata().map_err(io)?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(TcpError::Foreign { path: own() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TcpError::Open { path: own(), mode });
    }
    let mut text = Vec::new();
    file.take(LONGEST + 2).read_to_end(&mut text).map_err(io)?;
    let text = text.trim_ascii();
    let fits = (SHORTEST..=usize::try_from(LONGEST).unwrap_or(usize::MAX)).contains(&text.len());
    match std::str::from_utf8(text) {
        Ok(token) if fits && token.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(Token::new(token))
        }
        Ok(_) | Err(_) => Err(TcpError::NoToken { path: own() }),
    }
}

fn make(path: &Path) -> io::Result<Token> {
    let mut random = [0; RANDOM];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    let written = file.write_all(format!("{token}\n").as_bytes());
    if let Err(error) = written {
        // Half a token is none.
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(Token::new(&token))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_its_user_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        token_of(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_end().len(), 2 * RANDOM);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        token_of(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn what_protects_nothing_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let long = "x".repeat(2000);
        for text in [
            "",
            "short",
            "with a space in between",
            &long,
            "\u{fc}mlaut-umlaut-umlaut",
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(
                matches!(token_of(&path), Err(TcpError::NoToken { .. })),
                "{text}"
            );
        }
        fs::write(&path, "long-enough-to-be-one").unwrap();
        assert!(token_of(&path).is_ok());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            token_of(&path),
            Err(TcpError::Open { mode: 0o640, .. })
        ));
        assert!(matches!(
            token_of(folder.path()),
            Err(TcpError::Io { .. } | TcpError::Open { .. })
        ));
    }
}
