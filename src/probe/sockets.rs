//! Who listens where, from what the kernel shows under `/proc`.
//!
//! Whose a socket is can be seen of processes of the same user only.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A TCP socket that takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    pub port: u16,
    pub address: IpAddr,
    /// What ties it to a descriptor.
    inode: u64,
}

impl Listener {
    /// Whether it stands in the way of who would listen on that port for this machine.
    #[must_use]
    pub fn blocks(&self, port: u16) -> bool {
        let address = match self.address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(self.address, IpAddr::V4),
            IpAddr::V4(_) => self.address,
        };
        let usual = address.is_unspecified()
            || address == IpAddr::V4(Ipv4Addr::LOCALHOST)
            || address == IpAddr::V6(Ipv6Addr::LOCALHOST);
        self.port == port && usual
    }
}

/// All listeners of this machine, or of this network namespace.
#[must_use]
pub fn listeners() -> Vec<Listener> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // There is no second one where IPv6 is off.
        if let Ok(text) = fs::read_to_string(table) {
            found.extend(text.lines().skip(1).filter_map(listener));
        }
    }
    found
}

/// One row of the table, if it is of a listener.
fn listener(row: &str) -> Option<Listener> {
    const LISTEN: &str = "0A";
    let mut fields = row.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?.parse().ok()?;
    let (address, port) = local.split_once(':')?;
    (state == LISTEN).then_some(Listener {
        port: u16::from_str_radix(port, 16).ok()?,
        address: self::address(address)?,
        inode,
    })
}

/// Words of 32 bits, each in the byte order of the machine.
fn address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for (place, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(place * 8)?);
            }
            Some(IpAddr::from(bytes))
        }
        _ => None,
    }
}

/// The sockets that a process has open. Empty if it is gone, or somebody else's.
fn sockets_of(pid: u32) -> BTreeSet<u64> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    descriptors
        .flatten()
        .filter_map(|descriptor| {
            let target = fs::read_link(descriptor.path()).ok()?;
            let target = target.to_str()?;
            target
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect()
}

/// Those of the listeners that one of the processes has open.
#[must_use]
pub fn held_by(listeners: &[Listener], pids: &[u32]) -> Vec<Listener> {
    let mut held = BTreeSet::new();
    for &pid in pids {
        let sockets = sockets_of(pid);
        let own = listeners.iter().filter(|one| sockets.contains(&one.inode));
        held.extend(own.copied());
    }
    held.into_iter().collect()
}

/// Some process that has one of the listeners open; `None`: it cannot be seen.
#[must_use]
pub fn holder(listeners: &[Listener]) -> Option<u32> {
    let pids = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some(pid)
    });
    let mut pids: Vec<u32> = pids.collect();
    pids.sort_unstable();
    pids.into_iter().find(|&pid| {
        let sockets = sockets_of(pid);
        listeners.iter().any(|one| sockets.contains(&one.inode))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_own_listener_is_seen_as_ones_own() {
        let own = std::process::id();
        for host in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            // Where there is no IPv6 there is nothing to see of it.
            let Ok(socket) = TcpListener::bind(host) else {
                continue;
            };
            let at = socket.local_addr().unwrap();
            let there: Vec<Listener> = listeners()
                .into_iter()
                .filter(|one| one.blocks(at.port()))
                .collect();
            assert_eq!(there.len(), 1, "{host}");
            assert_eq!(there[0].address, at.ip());
            assert_eq!(held_by(&there, &[own]), there);
            assert_eq!(held_by(&there, &[1]).len(), usize::from(own == 1));
            assert_eq!(holder(&there), Some(own));
            drop(socket);
            assert!(listeners().iter().all(|one| !one.blocks(at.port())));
        }
    }

    #[test]
    fn rows_of_the_table_are_read() {
        let row = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0000000000000000 100 0 0 10 0";
        let read = listener(row).unwrap();
        assert_eq!(read.port, 8080);
        assert_eq!(read.inode, 12345);
        if cfg!(target_endian = "little") {
            assert_eq!(read.address, IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        assert_eq!(listener(&row.replace(" 0A ", " 01 ")), None);
        assert_eq!(listener(""), None);
    }
}
