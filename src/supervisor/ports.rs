//! The ports of units: the numbers that pk picks, and who is in the way of them.
//!
//! This module asks the system which numbers are free and who holds one. In which order they
//! are tried is the [domain's](crate::domain::ports) matter.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::domain::ports::PortPool;
use crate::domain::secret;
use crate::domain::spec::{Port, UnitSpec};
use crate::probe::sockets;

/// Where the system says which numbers it gives to outgoing connections.
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// What Linux gives unless it is told otherwise.
const USUAL: RangeInclusive<u16> = 32_768..=60_999;

/// Picks numbers for the stack of one checkout. A number that was picked stays.
#[derive(Debug)]
pub struct AutoPorts {
    checkout: String,
    pool: PortPool,
    picked: Mutex<HashMap<(String, String), u16>>,
}

impl AutoPorts {
    /// For the stack whose main file stands in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            checkout: folder.to_string_lossy().into_owned(),
            pool: pool(),
            picked: Mutex::default(),
        }
    }

    /// The number for a port of a unit; `None`: none is free.
    #[must_use]
    pub fn pick(&self, unit: &str, port: &str) -> Option<u16> {
        let mut picked = self.picked.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (unit.to_owned(), port.to_owned());
        if let Some(&number) = picked.get(&key) {
            return Some(number);
        }
        let is_free = |number: &u16| !picked.values().any(|other| other == number) && free(*number);
        let number = self
            .pool
            .candidates(&[&self.checkout, unit, port])
            .find(is_free)?;
        picked.insert(key, number);
        Some(number)
    }
}

fn pool() -> PortPool {
    let told = std::fs::read_to_string(EPHEMERAL).ok().and_then(|text| {
        let mut words = text.split_whitespace().map(str::parse);
        Some(words.next()?.ok()?..=words.next()?.ok()?)
    });
    PortPool::outside(&told.unwrap_or(USUAL))
}

/// Whether a unit could listen there now, on all addresses.
fn free(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)).is_ok()
        && sockets::listeners().iter().all(|one| one.port != number)
}

/// The numbers of the ports of one instance, by name. The first one has those of its unit;
/// of a port that is left to pk each further one has a number of its own.
pub(super) fn of_instance(spec: &UnitSpec, replica: Option<u32>) -> BTreeMap<String, u16> {
    let ports = spec.ports.iter().filter_map(|(name, port)| {
        let number = match port {
            Port::Fixed(number) => *number,
            Port::Auto(None) => return None,
            Port::Auto(Some(number)) => match replica {
                None | Some(0 | 1) => *number,
                Some(replica) => {
                    let key = [&*number.to_string(), name, &*replica.to_string()];
                    pool().candidates(&key).find(|&number| free(number))?
                }
            },
        };
        Some((name.clone(), number))
    });
    ports.collect()
}

/// Why the instance cannot have one of its ports, if somebody else listens there.
pub(super) fn taken(ports: &BTreeMap<String, u16>) -> Option<String> {
    let all = if ports.is_empty() {
        Vec::new()
    } else {
        sockets::listeners()
    };
    ports.iter().find_map(|(name, &number)| {
        let there: Vec<_> = (all.iter().copied())
            .filter(|listener| listener.blocks(number))
            .collect();
        if there.is_empty() {
            return None;
        }
        let pid = sockets::holder(&there);
        let end = pid.map_or_else(String::new, |pid| format!(" (`kill {pid}`)"));
        Some(format!(
            "port {number} (`{name}`) is taken by {}; stop that{end}, or choose another port, such \
             as `{name}: auto`",
            holder(pid)
        ))
    })
}

fn holder(pid: Option<u32>) -> String {
    let Some(pid) = pid else {
        return "a process of another user".to_owned();
    };
    let read = |what: &str| std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
    let words = |bytes: &[u8]| -> Vec<String> {
        let text = String::from_utf8_lossy(bytes);
        text.split('\0')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let command = secret::masked_args(&words(&read("cmdline"))).join(" ");
    let mut shown: String = command.chars().take(80).collect();
    if shown.len() < command.len() {
        shown.push('…');
    }
    let environment = words(&read("environ"));
    let variable = |name: &str| {
        (environment.iter()).find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let stack = match (variable("PK_STACK"), variable("PK_INSTANCE")) {
        (Some(stack), Some(instance)) => format!(", `{instance}` of the pk stack `{stack}`"),
        (Some(stack), None) => format!(", of the pk stack `{stack}`"),
        (None, _) => String::new(),
    };
    format!("`{shown}` (pid {pid}{stack})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_keeps_its_numbers_unless_they_are_taken() {
        let folder = Path::new("/somewhere/shop");
        let first = AutoPorts::new(folder).pick("api", "http").unwrap();
        let ports = AutoPorts::new(folder);
        assert_eq!(ports.pick("api", "http"), Some(first));
        assert_ne!(ports.pick("api", "admin"), Some(first));
        let held = TcpListener::bind(("127.0.0.1", first)).unwrap();
        // Who has it keeps it; who comes meanwhile gets another one.
        assert_eq!(ports.pick("api", "http"), Some(first));
        let other = AutoPorts::new(folder).pick("api", "http").unwrap();
        assert_ne!(other, first);
        let taken = taken(&[("http".to_owned(), first)].into()).unwrap();
        let own = format!("(pid {}", std::process::id());
        assert!(taken.contains(&own), "{taken}");
        drop(held);
        assert_eq!(AutoPorts::new(folder).pick("api", "http"), Some(first));
    }
}
