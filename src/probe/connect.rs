//! A fresh connection, and plain words for why there is none.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};

/// Connects to the first address of `host` that accepts.
pub(super) async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    // An IPv6 address stands in brackets in a URL.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = lookup_host((name, port))
        .await
        .map_err(|error| format!("cannot resolve `{name}`: {}", reason(&error)))?;
    let mut last = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) if is_own(&stream) => {
                // Without a last wait of its port, which the unit is about to listen on.
                let _ = stream.set_zero_linger();
            }
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if error.kind() != io::ErrorKind::ConnectionRefused => {
            format!("cannot connect to {host}:{port}: {}", reason(&error))
        }
        Some(_) | None => format!("nothing listens on {host}:{port} (connection refused)"),
    })
}

/// Whether it is connected to itself: the kernel may choose the very port that is asked as
/// the one to ask from, and TCP connects the two.
fn is_own(stream: &TcpStream) -> bool {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => local == peer,
        _ => false,
    }
}

/// Without the number that Rust puts behind it.
pub(super) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}

/// For a check that did not end in time.
pub(super) fn late(timeout: Duration) -> String {
    format!(
        "no answer within {}",
        crate::domain::text::short_duration(timeout)
    )
}
