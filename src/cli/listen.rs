//! `up --listen`: the stack over TCP as well.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;

use super::args::Place;
use super::exit::End;
use super::output::Output;
use super::stack;
use crate::control::{Door, Session};

/// What there is to say of TCP.
#[derive(Clone, Debug, Default, Args)]
pub struct Listen {
    /// Serve the stack by HTTP on this address of TCP as well: PORT, or ADDRESS:PORT. Port 0
    /// takes a free one; `pk ps` and `pk ls` show it.
    ///
    /// Each request must show the token that `pk ps --output json` names the file of, as
    /// `Authorization: Bearer TOKEN`.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// With --listen: who comes this way sees everything and changes nothing.
    #[arg(long, requires = "listen")]
    pub listen_read_only: bool,
    /// With --listen: the token is the line in FILE, which is made if it is not there. Without,
    /// each run has a new one.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub token_file: Option<PathBuf>,
    /// With --listen: the address may be one that other machines reach. What goes over it, the
    /// token too, is not encrypted.
    #[arg(long, requires = "listen")]
    pub listen_beyond_loopback: bool,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let name = text.strip_prefix("localhost:").unwrap_or(text);
    if let Ok(port) = name.parse() {
        return Ok(SocketAddr::new(loopback, port));
    }
    text.parse()
        .map_err(|_| "write it as 127.0.0.1:4000, [::1]:4000 or 4000".to_owned())
}

impl Listen {
    /// Whether it may be done at all.
    pub fn check(&self, output: &Output) -> Result<(), End> {
        match self.listen {
            Some(address) if !address.ip().is_loopback() && !self.listen_beyond_loopback => {
                output.error(
                    &format!(
                        "other machines can reach {address}, and what goes over it is not \
                         encrypted"
                    ),
                    Some(
                        "`--listen 127.0.0.1:PORT` is for this machine alone; \
                         `--listen-beyond-loopback` if that is what you want",
                    ),
                );
                Err(End::Usage)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Listens, and lets others find it by the session.
    pub fn open(
        &self,
        place: &Place,
        session: &mut Session,
        output: &Output,
    ) -> Result<Option<Door>, End> {
        let Some(address) = self.listen else {
            return Ok(None);
        };
        let token = match &self.token_file {
            None => session.token(),
            Some(file) => {
                let folder = stack::folder(place).map_err(|message| {
                    output.error(&message, None);
                    End::Usage
                })?;
                folder.join(file)
            }
        };
        let (door, listen) =
            Door::open(address, &token, self.listen_read_only).map_err(|error| {
                output.error(&error.to_string(), error.hint().as_deref());
                End::Failed
            })?;
        session.listens(listen).map_err(|error| {
            output.error(&format!("cannot write where it listens: {error}"), None);
            End::Failed
        })?;
        Ok(Some(door))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, expected) in [
            ("4000", Some("127.0.0.1:4000")),
            ("localhost:4000", Some("127.0.0.1:4000")),
            ("127.0.0.1:0", Some("127.0.0.1:0")),
            ("[::1]:80", Some("[::1]:80")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("example.org:80", None),
            ("127.0.0.1", None),
            ("70000", None),
        ] {
            let parsed = address(text).ok().map(|address| address.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }
}
