//! Where the API is reached, and who may come in.
//!
//! Over a socket of Unix that is whoever has the stack's own user. A port of TCP on this
//! machine is open to every process and web page of it: so the page must be of this address,
//! the process of the same user where the kernel tells, and the token right where there is
//! one. Beyond this machine there must be one.
//!
//! ```text
//!  whose process? ─► Host ─► Origin ─► token ─► routes
//! ```

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::TOKEN_HEADER;
use super::refusal::Refusal;
use crate::control::gate::{Site, Token};
use crate::control::record::{ApiListen, ApiPlace};

/// The shortest token that is taken, in bytes, as there.
const SHORTEST: usize = 20;

/// Why nobody can be heard.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("cannot serve the API of process-compose on {place}: {error}")]
    Listen { place: ApiPlace, error: io::Error },
    #[error("other machines can reach {0}, and there is no token that they must show")]
    Open(SocketAddr),
    #[error("the token of the API must have at least {SHORTEST} characters, all of them visible")]
    BadToken,
    #[error("`{}` is there and is no socket", .0.display())]
    NoSocket(PathBuf),
    #[error("somebody else listens on `{}`", .0.display())]
    Taken(PathBuf),
}

impl ApiError {
    /// Whether another process has the place.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        match self {
            Self::Listen { error, .. } => error.kind() == io::ErrorKind::AddrInUse,
            Self::Taken(_) => true,
            Self::Open(_) | Self::BadToken | Self::NoSocket(_) => false,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { .. } if self.is_taken() => {
                Some("name another port, or 0 for a free one")
            }
            Self::Open(_) => Some(
                "set PC_API_TOKEN, or PC_API_TOKEN_PATH to a file that holds it; or name an \
                 address of this machine alone",
            ),
            Self::Taken(_) | Self::NoSocket(_) => Some("name another path"),
            Self::Listen { .. } | Self::BadToken => None,
        }
    }
}

/// An open place.
#[derive(Debug)]
pub struct ApiDoor {
    listener: Listener,
    guard: Guard,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

/// The same, for a runtime.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener, PathBuf),
}

impl ApiDoor {
    /// Listens: who connects from now on waits until it is served.
    ///
    /// # Errors
    /// The place cannot be had, or would be open to more than this user.
    pub fn open(place: &ApiPlace, token: Option<&str>) -> Result<(Self, ApiListen), ApiError> {
        let token = token.map(str::trim).filter(|token| !token.is_empty());
        let is_bad = |token: &str| {
            token.len() < SHORTEST || !token.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if token.is_some_and(is_bad) {
            return Err(ApiError::BadToken);
        }
        let failed = |error| ApiError::Listen {
            place: place.clone(),
            error,
        };
        let (listener, place, site) = match place {
            ApiPlace::Tcp(address) => {
                if !address.ip().is_loopback() && token.is_none() {
                    return Err(ApiError::Open(*address));
                }
                let listener = TcpListener::bind(address).map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                let place = ApiPlace::Tcp(address);
                (Listener::Tcp(listener), place, Some(Site { address }))
            }
            ApiPlace::Socket(path) => {
                free(path)?;
                let listener = bind(path).map_err(failed)?;
                let place = ApiPlace::Socket(path.clone());
                (Listener::Unix(listener, path.clone()), place, None)
            }
        };
        let told = ApiListen {
            at: place,
            token: token.is_some(),
        };
        let guard = Guard {
            site,
            token: token.map(Token::new),
        };
        Ok((Self { listener, guard }, told))
    }

    /// Inside a runtime.
    pub(super) fn listen(self) -> io::Result<(Listening, Guard)> {
        let listening = match self.listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Listening::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            Listener::Unix(listener, path) => {
                listener.set_nonblocking(true)?;
                Listening::Unix(tokio::net::UnixListener::from_std(listener)?, path)
            }
        };
        Ok((listening, self.guard))
    }
}

/// Takes away the socket of one who was killed, and nothing else.
fn free(path: &Path) -> Result<(), ApiError> {
    let Ok(metadata) = std::fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(ApiError::NoSocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|error| ApiError::Listen {
                place: ApiPlace::Socket(path.to_owned()),
                error,
            })
        }
        Ok(_) | Err(_) => Err(ApiError::Taken(path.to_owned())),
    }
}

/// Nobody else can connect at any moment: who comes before the mode is set is turned away by
/// whose process it is.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// What a request must be to come through.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// None over a socket, which no page reaches.
    site: Option<Site>,
    token: Option<Token>,
}

pub(super) async fn guard(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(site) = &guard.site
        && let Err(problem) = site.check(&parts)
    {
        return Refusal::new(StatusCode::FORBIDDEN, problem.message).into_response();
    }
    let mut shown = parts.headers.get_all(TOKEN_HEADER).iter();
    let is_right = match &guard.token {
        None => true,
        Some(token) => match (shown.next(), shown.next()) {
            (Some(shown), None) => token.is(shown.as_bytes()),
            _ => false,
        },
    };
    if !is_right {
        let error = format!("this project wants its token in the header {TOKEN_HEADER}");
        return Refusal::new(StatusCode::UNAUTHORIZED, error).into_response();
    }
    next.run(Request::from_parts(parts, body)).await
}

/// What another user's process gets.
pub(super) async fn foreign() -> Response {
    let error = "this project belongs to another user of this machine";
    Refusal::new(StatusCode::FORBIDDEN, error).into_response()
}

/// Whose process has the other end of a connection on this machine, where the kernel tells.
pub(super) fn owner(own: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let table = match peer {
        SocketAddr::V4(_) => "/proc/net/tcp",
        SocketAddr::V6(_) => "/proc/net/tcp6",
    };
    let text = std::fs::read_to_string(table).ok()?;
    owner_in(&text, own, peer)
}

fn owner_in(table: &str, own: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let (own, peer) = (written(own), written(peer));
    table.lines().skip(1).find_map(|row| {
        let mut fields = row.split_whitespace();
        let local = fields.nth(1)?;
        let remote = fields.next()?;
        // After the state: queues, timer, retransmits.
        let uid = fields.nth(4)?;
        (local == peer && remote == own).then(|| uid.parse().ok())?
    })
}

/// As the kernel's table has it: words in the machine's byte order.
fn written(address: SocketAddr) -> String {
    let word = |bytes: &[u8]| {
        let bytes = bytes.try_into().unwrap_or_default();
        format!("{:08X}", u32::from_ne_bytes(bytes))
    };
    let ip: String = match address {
        SocketAddr::V4(v4) => word(&v4.ip().octets()),
        SocketAddr::V6(v6) => v6.ip().octets().chunks(4).map(word).collect(),
    };
    format!("{ip}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_whose_process_it_is() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, peer) = listener.accept().unwrap();
        let told = owner(server.local_addr().unwrap(), peer);
        let own = rustix::process::geteuid().as_raw();
        // Some sandboxes keep no such table.
        if let Some(told) = told {
            assert_eq!(told, own);
        } else {
            eprintln!("did not run: this machine does not tell whose a connection is");
        }
        drop(client);
    }

    #[test]
    fn a_row_of_the_table_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n\
             \x20  0: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1001 0 1\n\
             \x20  1: 0100007F:D431 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000 0 1\n";
        if cfg!(target_endian = "little") {
            let (own, peer) = ("127.0.0.1:8080", "127.0.0.1:54321");
            assert_eq!(
                owner_in(table, own.parse().unwrap(), peer.parse().unwrap()),
                Some(1000)
            );
        }
    }

    #[test]
    fn what_is_open_to_others_needs_a_token() {
        let open = |place: ApiPlace, token| ApiDoor::open(&place, token).map(|_| ());
        let everywhere = ApiPlace::Tcp("0.0.0.0:0".parse().unwrap());
        assert!(matches!(
            open(everywhere.clone(), None),
            Err(ApiError::Open(_))
        ));
        assert!(matches!(
            open(everywhere.clone(), Some(" ")),
            Err(ApiError::Open(_))
        ));
        assert!(matches!(
            open(everywhere.clone(), Some("short")),
            Err(ApiError::BadToken)
        ));
        assert!(open(everywhere, Some("long-enough-to-be-one")).is_ok());
        let here = ApiPlace::Tcp("127.0.0.1:0".parse().unwrap());
        assert!(open(here, None).is_ok());
    }

    #[test]
    fn a_socket_takes_the_place_of_a_dead_one_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.sock");
        let place = ApiPlace::Socket(path.clone());
        let (door, _) = ApiDoor::open(&place, None).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(
            ApiDoor::open(&place, None),
            Err(ApiError::Taken(_))
        ));
        drop(door);
        assert!(ApiDoor::open(&place, None).is_ok());
        let file = folder.path().join("file");
        std::fs::write(&file, "precious").unwrap();
        assert!(matches!(
            ApiDoor::open(&ApiPlace::Socket(file), None),
            Err(ApiError::NoSocket(_))
        ));
    }
}
