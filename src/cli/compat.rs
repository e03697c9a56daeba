//! `up --compat-api`: the stack as process-compose would answer for it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::args::Place;
use super::exit::End;
use super::output::Output;
use super::stack;
use crate::control::{ApiDoor, ApiPlace, Session, USUAL_PORT};

/// What there is to say of the API of process-compose.
#[derive(Clone, Debug, Default, Args)]
pub struct CompatApi {
    /// Answer clients of process-compose as well, by its REST API: on PORT or ADDRESS:PORT of
    /// this machine, or on the socket of that path. Without either on $PC_SOCKET_PATH, on
    /// $PC_PORT_NUM, or on a socket beside pk's own.
    ///
    /// A port is open to every process of this user. With $PC_API_TOKEN, or $PC_API_TOKEN_PATH
    /// for a file that holds it, each request must show that token, and the address may be one
    /// that other machines reach.
    #[arg(
        long,
        value_name = "ADDR|SOCKET",
        num_args = 0..=1,
        default_missing_value = "",
        value_parser = asked,
        conflicts_with_all = ["port", "unix_socket"]
    )]
    pub compat_api: Option<Asked>,
    /// Of process-compose: `--compat-api PORT`.
    #[arg(short = 'p', long, hide = true, conflicts_with = "unix_socket")]
    pub port: Option<u16>,
    /// Of process-compose: `--compat-api SOCKET`.
    #[arg(short = 'u', long, hide = true, value_name = "SOCKET")]
    pub unix_socket: Option<PathBuf>,
    /// A place that is taken is no failure: nobody asked for it.
    #[arg(skip)]
    pub may_fail: bool,
    #[arg(skip)]
    pub token_file: Option<PathBuf>,
}

/// Where it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    Somewhere,
    At(ApiPlace),
}

fn asked(text: &str) -> Result<Asked, String> {
    if text.is_empty() {
        return Ok(Asked::Somewhere);
    }
    let name = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = name.parse() {
        return Ok(Asked::At(on_loopback(port)));
    }
    if let Ok(address) = text.parse() {
        return Ok(Asked::At(ApiPlace::Tcp(address)));
    }
    if text.contains('/') || text.ends_with(".sock") {
        return Ok(Asked::At(ApiPlace::Socket(text.into())));
    }
    Err("write it as 8080, 127.0.0.1:8080, [::1]:8080 or ./api.sock".to_owned())
}

/// That port of this machine alone.
#[must_use]
pub fn on_loopback(port: u16) -> ApiPlace {
    ApiPlace::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}

impl CompatApi {
    /// Whether it was asked for by who called.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        let named = self.compat_api.is_some() || self.port.is_some() || self.unix_socket.is_some();
        named && !self.may_fail
    }

    fn place(&self, session: &Session, output: &Output) -> Result<Option<ApiPlace>, End> {
        if let Some(path) = &self.unix_socket {
            return Ok(Some(ApiPlace::Socket(path.clone())));
        }
        if let Some(port) = self.port {
            return Ok(Some(on_loopback(port)));
        }
        match &self.compat_api {
            None => Ok(None),
            Some(Asked::At(place)) => Ok(Some(place.clone())),
            Some(Asked::Somewhere) => {
                let named = of_environment(output)?;
                Ok(Some(
                    named.unwrap_or_else(|| ApiPlace::Socket(session.api_socket())),
                ))
            }
        }
    }

    /// Listens, and lets others find it by the session.
    pub fn open(
        &self,
        folder: &Place,
        session: &mut Session,
        output: &Output,
    ) -> Result<Option<ApiDoor>, End> {
        let Some(mut place) = self.place(session, output)? else {
            return Ok(None);
        };
        let here = stack::folder(folder).map_err(|message| {
            output.error(&message, None);
            End::Usage
        })?;
        if let ApiPlace::Socket(path) = &mut place {
            *path = here.join(&*path);
        }
        let token = self.token(&here, output)?;
        let (door, listen) = match ApiDoor::open(&place, token.as_deref()) {
            Ok(opened) => opened,
            Err(error) if self.may_fail && error.is_taken() => {
                output.note(&format!(
                    "{error}; `-p PORT` names another port, `--no-server` does without"
                ));
                return Ok(None);
            }
            Err(error) => {
                output.error(&error.to_string(), error.hint());
                return Err(End::Failed);
            }
        };
        session.answers(listen).map_err(|error| {
            output.error(&format!("cannot write where it listens: {error}"), None);
            End::Failed
        })?;
        Ok(Some(door))
    }

    fn token(&self, here: &std::path::Path, output: &Output) -> Result<Option<String>, End> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if self.token_file.is_none()
            && let Some(token) = set("PC_API_TOKEN")
        {
            return Ok(Some(token.to_string_lossy().into_owned()));
        }
        let file = self.token_file.clone();
        let Some(file) = file.or_else(|| set("PC_API_TOKEN_PATH").map(PathBuf::from)) else {
            return Ok(None);
        };
        match std::fs::read_to_string(here.join(&file)) {
            Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
            Ok(_) => {
                let error = format!("the file `{}` holds no token", file.display());
                output.error(&error, None);
                Err(End::Failed)
            }
            Err(error) => {
                let error = format!("cannot read the token in `{}`: {error}", file.display());
                output.error(&error, None);
                Err(End::Failed)
            }
        }
    }
}

/// What the variables of process-compose say.
///
/// # Errors
/// The port is none.
pub fn of_environment(output: &Output) -> Result<Option<ApiPlace>, End> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = set("PC_SOCKET_PATH") {
        return Ok(Some(ApiPlace::Socket(path.into())));
    }
    let Some(port) = set("PC_PORT_NUM") else {
        return Ok(None);
    };
    match port.to_string_lossy().parse() {
        Ok(port) => Ok(Some(on_loopback(port))),
        Err(_) => {
            output.error(
                &format!("PC_PORT_NUM is `{}`, which is no port", port.display()),
                None,
            );
            Err(End::Usage)
        }
    }
}

/// The place that clients try where nothing is said.
#[must_use]
pub fn usual() -> ApiPlace {
    on_loopback(USUAL_PORT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_an_address_or_a_socket() {
        for (text, expected) in [
            ("8080", Some("http://127.0.0.1:8080")),
            ("localhost:8080", Some("http://127.0.0.1:8080")),
            ("[::1]:1", Some("http://[::1]:1")),
            ("0.0.0.0:8080", Some("http://0.0.0.0:8080")),
            ("./api", Some("the socket ./api")),
            ("api.sock", Some("the socket api.sock")),
            ("web", None),
            ("70000", None),
        ] {
            let place = asked(text).ok().map(|asked| match asked {
                Asked::At(place) => place.to_string(),
                Asked::Somewhere => String::new(),
            });
            assert_eq!(place.as_deref(), expected, "{text}");
        }
        assert_eq!(asked(""), Ok(Asked::Somewhere));
    }
}
