//! Asks systemd's user manager for a cgroup that this user may write.
//!
//! ```text
//!  bus ─► AUTH, Hello ─► StartTransientUnit pk-PID.scope {PIDs, Delegate}
//!                                        └─► this process is moved into it
//! ```
//!
//! Asked only where no cgroup can be written otherwise: as an ordinary user in a login
//! session. The scope is the user's own (`Delegate=yes`, `systemd.resource-control(5)`) and
//! goes when nobody is in it any more. What a killed owner left is in a scope beside it.
//!
//! The bus is spoken to by two calls with everything fixed, before there is any runtime. So
//! no library is taken for it: zbus would bring ten further crates, and want a runtime at a
//! moment at which this process may have but one thread.

mod message;

use std::env;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{geteuid, getpid};

use super::discover::own_cgroup;
use message::{Answer, Call, FIXED, Writer};

/// How long the bus, and then the manager, may take.
const LIMIT: Duration = Duration::from_secs(2);

const PREFIX: &str = "pk-";
const SUFFIX: &str = ".scope";

/// Why there is no scope, in words that complete "because …".
#[derive(Debug, thiserror::Error)]
pub enum NoScope {
    /// Not worth a word: most machines have none.
    #[error("there is no bus of this user")]
    NoBus,
    #[error("its bus at {} cannot be spoken to: {cause}", .path.display())]
    Bus { path: PathBuf, cause: io::Error },
    #[error("it refuses a scope: {0}")]
    Refused(String),
    #[error("it did not move this process into the scope within {LIMIT:?}")]
    NotMoved,
}

/// Moves this process into a scope of its own.
///
/// # Errors
/// Why that cannot be.
pub(super) fn enter() -> Result<(), NoScope> {
    let (address, path) = bus_address().ok_or(NoScope::NoBus)?;
    let failed = |cause: io::Error| NoScope::Bus {
        path: path.clone(),
        cause,
    };
    let stream = match UnixStream::connect_addr(&address) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NoScope::NoBus),
        Err(error) => return Err(failed(error)),
    };
    let mut bus = Bus { stream, serial: 0 };
    let name = format!("{PREFIX}{}{SUFFIX}", getpid().as_raw_nonzero());
    let asked = bus
        .authenticate()
        .and_then(|()| {
            let bus_itself = "org.freedesktop.DBus";
            bus.call(
                bus_itself,
                "/org/freedesktop/DBus",
                bus_itself,
                "Hello",
                "",
                &[],
            )
        })
        .and_then(|hello| match hello.result {
            Ok(()) => bus.call(
                "org.freedesktop.systemd1",
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "StartTransientUnit",
                "ssa(sv)a(sa(sv))",
                &transient(&name),
            ),
            Err(_) => Ok(hello),
        })
        .map_err(failed)?;
    asked
        .result
        .map_err(|(error, said)| NoScope::Refused(if said.is_empty() { error } else { said }))?;
    let deadline = Instant::now() + LIMIT;
    while !own_cgroup().is_ok_and(|own| own.ends_with(&name)) {
        if Instant::now() > deadline {
            return Err(NoScope::NotMoved);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// The scopes of others beside the one of this process: what killed owners left may be there.
pub(super) fn beside(own: &Path) -> Vec<PathBuf> {
    let is_scope = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX))
            .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !is_scope(own) {
        return Vec::new();
    }
    let entries = own.parent().map(fs::read_dir).into_iter().flatten();
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path != own && is_scope(path)).collect()
}

/// The arguments of `StartTransientUnit`: name, mode, properties, no further units.
fn transient(name: &str) -> Vec<u8> {
    let mut body = Writer::default();
    body.string(name);
    body.string("fail");
    body.array(8, |properties| {
        let text = |properties: &mut Writer, name: &str, value: &str| {
            properties.align(8);
            properties.string(name);
            properties.signature("s");
            properties.string(value);
        };
        text(properties, "Description", "pk and what it runs");
        text(properties, "CollectMode", "inactive-or-failed");
        properties.align(8);
        properties.string("Delegate");
        properties.signature("b");
        properties.u32(1);
        properties.align(8);
        properties.string("PIDs");
        properties.signature("au");
        let pid = getpid().as_raw_nonzero().get().unsigned_abs();
        properties.array(4, |pids| pids.u32(pid));
    });
    body.array(8, |_| {});
    body.0
}

/// Where the bus of this user is, and that as a path for people.
fn bus_address() -> Option<(SocketAddr, PathBuf)> {
    let named = env::var("DBUS_SESSION_BUS_ADDRESS").ok();
    if let Some(found) = named.as_deref().and_then(parse_address) {
        return Some(found);
    }
    let folder = env::var_os("XDG_RUNTIME_DIR").map_or_else(
        || PathBuf::from(format!("/run/user/{}", geteuid().as_raw())),
        PathBuf::from,
    );
    let path = folder.join("bus");
    Some((SocketAddr::from_pathname(&path).ok()?, path))
}

/// The first of a list of addresses that is a Unix socket: `unix:path=…` or `unix:abstract=…`.
fn parse_address(addresses: &str) -> Option<(SocketAddr, PathBuf)> {
    addresses.split(';').find_map(|address| {
        let keys = address.strip_prefix("unix:")?;
        keys.split(',').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let value = unescape(value)?;
            let address = match key {
                "path" => SocketAddr::from_pathname(&value).ok()?,
                "abstract" => SocketAddr::from_abstract_name(&value).ok()?,
                _ => return None,
            };
            Some((address, PathBuf::from(value)))
        })
    })
}

/// `%41` stands for `A`.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

struct Bus {
    stream: UnixStream,
    serial: u32,
}

impl Bus {
    /// By the user that the kernel says is at the other end.
    fn authenticate(&mut self) -> io::Result<()> {
        self.stream.set_read_timeout(Some(LIMIT))?;
        self.stream.set_write_timeout(Some(LIMIT))?;
        let user = geteuid().as_raw().to_string();
        let hex: String = user.bytes().map(|byte| format!("{byte:02x}")).collect();
        let asked = format!("\0AUTH EXTERNAL {hex}\r\n");
        self.stream.write_all(asked.as_bytes())?;
        let line = self.line()?;
        if !line.starts_with("OK ") {
            return Err(io::Error::other(format!(
                "it answers `{}`",
                line.trim_end()
            )));
        }
        self.stream.write_all(b"BEGIN\r\n")
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
            if line.len() > 1024 {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn call(
        &mut self,
        destination: &str,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: &[u8],
    ) -> io::Result<Answer> {
        self.serial += 1;
        let serial = self.serial;
        let call = Call {
            serial,
            destination,
            path,
            interface,
            member,
            signature,
            body,
        };
        self.stream.write_all(&call.bytes())?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let mut fixed = [0; FIXED];
            self.stream.read_exact(&mut fixed)?;
            let length = message::length(&fixed).ok_or(io::ErrorKind::InvalidData)?;
            let mut message = fixed.to_vec();
            message.resize(length, 0);
            self.stream.read_exact(&mut message[FIXED..])?;
            // What it tells unasked is passed over.
            if let Some(answer) = message::answer(&message)
                && answer.serial == serial
            {
                return Ok(answer);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_a_bus() {
        let path = |text| parse_address(text).map(|(_, path)| path.display().to_string());
        assert_eq!(
            path("unix:path=/run/user/1000/bus").as_deref(),
            Some("/run/user/1000/bus")
        );
        assert_eq!(
            path("tcp:host=x;unix:guid=a,path=/a%20b").as_deref(),
            Some("/a b")
        );
        assert_eq!(
            path("unix:abstract=/tmp/x,guid=1").as_deref(),
            Some("/tmp/x")
        );
        assert_eq!(path("unix:path=%4"), None);
        assert_eq!(path("autolaunch:"), None);
    }

    #[test]
    fn only_scopes_of_pk_are_looked_at_and_only_from_one() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["pk-1.scope", "pk-2.scope", "pk-x.scope", "app.slice"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let own = dir.path().join("pk-1.scope");
        assert_eq!(beside(&own), [dir.path().join("pk-2.scope")]);
        assert!(beside(&dir.path().join("app.slice")).is_empty());
    }
}
